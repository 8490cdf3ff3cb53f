"""Walls: where the past of each user ends.

`TimeWall` is the honest one: one moment for everybody. `LastOut` is the literature's leave-last-out protocol:
the last k positive events of each user lie beyond the wall, whatever the clock says. `WithoutUsers` hides whole users.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np
from numpy.typing import NDArray

from bowerbird.tables.errors import WallError
from bowerbird.tables.store.keys import mix
from bowerbird.tables.view.rows.source import EventSource, first_row_at, positive_mask, row_index


@dataclass(frozen=True)
class TimeWall:
    """Only rows with time < `before` exist.

    before: int64 milliseconds UTC, exclusive.
    """

    before: int

    def __str__(self) -> str:
        return f"before {format_time(self.before)}"


@dataclass(frozen=True)
class LastOut:
    """The last `k` positive events of each user, and every row from the first of them on, do not exist.

    A user with fewer than `k` positive events has no visible row. A larger k is an earlier wall, so
    LastOut(2) trains, LastOut(1) validates and no wall at all tests.
    """

    k: int

    def __post_init__(self) -> None:
        if self.k < 1:
            raise WallError(f"LastOut({self.k}): k must be at least 1. Fix: use no wall to see every row.")

    def __str__(self) -> str:
        return f"without the last {self.k} positive event{'s' if self.k > 1 else ''} of each user"


@dataclass(frozen=True)
class WithoutUsers:
    """A seeded share of the users does not exist: those that a model shall not have met.

    Attributes:
        share: Of all users, above 0 and below 1. Who it is depends on user ids and seed alone.
        seed: Chooses them.
    """

    share: float
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise WallError(f"WithoutUsers({self.share}): the share must lie between 0 and 1.")

    def __str__(self) -> str:
        return f"without {self.share:.3g} of the users (seed {self.seed})"

    def hides(self, n_users: int) -> NDArray[np.bool_]:
        """bool (U,): the users that do not exist."""
        key = mix(np.arange(n_users, dtype=np.uint64) ^ mix(np.array([self.seed], np.uint64))[0])
        hidden: NDArray[np.bool_] = (key >> np.uint64(11)).astype(np.float64) / float(1 << 53) < self.share
        return hidden


Wall = TimeWall | LastOut | WithoutUsers
Moment = Wall | int | datetime | date | str


def as_wall(before: Moment) -> Wall:
    """Read a wall from a wall, int milliseconds, a datetime with a zone, a date or an ISO text (UTC
    midnight).

    Raises WallError for a datetime without a time zone and for unreadable text.
    """
    if isinstance(before, TimeWall | LastOut | WithoutUsers):
        return before
    return TimeWall(milliseconds(before))


def milliseconds(moment: int | datetime | date | str) -> int:
    """Milliseconds UTC of a moment. A date and an ISO text without a time mean midnight UTC."""
    if isinstance(moment, bool):
        raise WallError(f"a wall needs a moment, not {moment!r}. Fix: give milliseconds UTC or a datetime.")
    if isinstance(moment, int | np.integer):
        return int(moment)
    if isinstance(moment, str):
        try:
            parsed = datetime.fromisoformat(moment)
        except ValueError as error:
            raise WallError(
                f"cannot read {moment!r} as a moment. Fix: write 2018-05-01 or 2018-05-01T12:00+00:00."
            ) from error
        return milliseconds(parsed.date() if len(moment) <= 10 else parsed)
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise WallError(
                f"the moment {moment.isoformat()} has no time zone. "
                "Fix: give one, for example datetime(2018, 5, 1, tzinfo=timezone.utc)."
            )
        return round(moment.timestamp() * 1000)
    if isinstance(moment, date):
        return milliseconds(datetime(moment.year, moment.month, moment.day, tzinfo=UTC))
    raise WallError(
        f"a wall needs a moment, not {type(moment).__name__}. Fix: give milliseconds UTC or a datetime."
    )


def format_time(moment: int) -> str:
    """A moment in milliseconds as text for people; toy clocks and wild numbers stay numbers."""
    if abs(moment) < 86_400_000 * 365:  # no log is from 1970: a toy clock
        return f"{moment} ms"
    try:
        return datetime.fromtimestamp(moment / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        return f"{moment} ms"


def visible_counts(
    store: EventSource, wall: Wall, within: NDArray[np.int64], *, evaluation_rows: bool
) -> NDArray[np.int64]:
    """How many leading rows of each user lie before the wall.

    within: int64[U], the leading rows to look at (all rows, or what an outer wall leaves).
    Returns int64[U], element-wise <= within.
    """
    start = np.asarray(store.events.user_start, np.int64)
    if isinstance(wall, WithoutUsers):
        return np.where(wall.hides(len(start)), 0, within)
    if isinstance(wall, TimeWall):
        return first_row_at(store.events.time, start, start + within, wall.before) - start
    index = row_index(store, mask=positive_mask(store), evaluation_rows=evaluation_rows)
    first, past = index.find(start), index.find(start + within)
    held = past - wall.k
    enough = held >= first
    rows = index.take(np.where(enough, held, 0)) if enough.any() else start
    return np.where(enough, rows - start, 0)
