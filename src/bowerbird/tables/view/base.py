"""The wall itself: a store, the walls around it, and the facts that are safe to tell.

Shape letters: U users, I items.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bowerbird.tables.errors import WallError
from bowerbird.tables.view.rows.events import VisibleEvents
from bowerbird.tables.view.rows.source import EventSource, RowIndex, positive_mask, row_index
from bowerbird.tables.view.walls import LastOut, Moment, TimeWall, Wall, as_wall, visible_counts

if TYPE_CHECKING:
    from bowerbird.tables.store import Vocabulary
    from bowerbird.tables.view.rows.mentions import Mentions

FOREVER = int(np.iinfo(np.int64).max)


class WalledStore:
    """A store behind walls: which rows are visible, and facts about them. `View` adds the reads."""

    def __init__(
        self, store: EventSource, before: Moment | None = None, *, evaluation_rows: bool = False
    ) -> None:
        self._store = store
        self._evaluation_rows = evaluation_rows
        self._walls: tuple[Wall, ...] = ()
        self._mentions: dict[tuple[str, ...], Mentions] = {}
        self._visible = np.array(store.events.user_count, dtype=np.int64)
        self._visible.flags.writeable = False
        if before is not None:
            self._add_wall(as_wall(before))

    def _add_wall(self, wall: Wall) -> None:
        visible = visible_counts(self._store, wall, self._visible, evaluation_rows=self._evaluation_rows)
        visible.flags.writeable = False  # a view that can be written to is a view that can be moved
        self._visible = visible
        self._walls = (*self._walls, wall)
        self._mentions = {}

    @property
    def walls(self) -> tuple[Wall, ...]:
        """The walls, in the order in which they were put up; empty where nothing is hidden."""
        return self._walls

    @property
    def wall(self) -> str:
        """The wall in words."""
        return ", ".join(str(wall) for wall in self._walls) or "no wall"

    def __repr__(self) -> str:
        return f"View({self._store.manifest.dataset or 'store'}, {self.wall}: {self.n_events} events)"

    @property
    def store_path(self) -> Path:
        """Where the store lies, for what is kept in it beside the tables (signals, graphs).

        Raises:
            WallError: This view is not of a store on disk.
        """
        path = getattr(self._store, "path", None)
        if not isinstance(path, Path):
            raise WallError("this view is not of a store on disk. Fix: open the store with Store.open")
        return path

    @property
    def n_users(self) -> int:
        """Size of the user id space."""
        return int(self._store.n_users)

    @property
    def n_items(self) -> int:
        """Size of the item id space."""
        return int(self._store.n_items)

    @property
    def user_ids(self) -> Vocabulary:
        """Raw user ids <-> dense ids."""
        return self._store.users

    @property
    def item_ids(self) -> Vocabulary:
        """Raw item ids <-> dense ids."""
        return self._store.items

    @property
    def actions(self) -> Vocabulary:
        """Action names; code b is bit b of an action mask."""
        return self._store.actions

    @property
    def surfaces(self) -> Vocabulary:
        """Surface names <-> codes."""
        return self._store.surfaces

    @property
    def queries(self) -> Vocabulary:
        """Query texts <-> codes."""
        return self._store.queries

    @property
    def positive_mask(self) -> int:
        """Bit mask of the actions that make an event positive."""
        return positive_mask(self._store)

    @property
    def dataset(self) -> str:
        """Name of the data set, for reports."""
        return self._store.manifest.dataset

    @property
    def slate_rule(self) -> str:
        """How slates were cut, for reports."""
        return self._store.manifest.slate_rule

    @property
    def tie_rule(self) -> str:
        """How a user's events of one millisecond are ordered, for reports."""
        return self._store.manifest.tie_rule

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What an artifact must record about its data. Provenance, not a feature: it covers the whole
        store.
        """
        manifest = self._store.manifest
        return {
            "dataset": manifest.dataset,
            "content_hash": manifest.content_hash,
            "generation": manifest.generation,
            "wall": self.wall,
            "walls_in_time_only": all(isinstance(wall, TimeWall) for wall in self._walls),
            "end_time": self.end_time,
            "events": self.n_events,
            "evaluation_rows": self._evaluation_rows,
        }

    @property
    def visible(self) -> NDArray[np.int64]:
        """int64[U], read-only: number of leading rows of each user on this side of the wall."""
        return self._visible

    @cached_property
    def n_events(self) -> int:
        """Number of visible rows."""
        return len(self.events)

    @cached_property
    def users(self) -> NDArray[np.int32]:
        """int32: users with at least one visible row, ascending. Others are not known to exist yet."""
        low, high = self._spans(self._rows())
        return np.flatnonzero(high > low).astype(np.int32)

    @cached_property
    def end_time(self) -> int:
        """Exclusive end in ms: the time wall, else one past the last visible event (0 in an empty view)."""
        last = self._last_time
        times = [wall.before for wall in self._walls if isinstance(wall, TimeWall)]
        if times and not any(isinstance(wall, LastOut) for wall in self._walls):
            return min(times)
        return min([*times, last + 1 if last is not None else 0])

    @cached_property
    def _last_time(self) -> int | None:
        some = self._visible > 0
        if not some.any():
            return None
        rows = self._start[some] + self._visible[some] - 1
        return int(self._store.events.time[rows].max())

    @property
    def _table_end(self) -> int:
        """Rows of dated tables and items made at or after this moment do not exist."""
        return self.end_time if self._walls else FOREVER

    @property
    def _start(self) -> NDArray[np.int64]:
        return np.asarray(self._store.events.user_start, np.int64)

    def _rows(self, mask: int | None = None) -> RowIndex:
        return row_index(self._store, mask=mask, evaluation_rows=self._evaluation_rows)

    def _spans(self, index: RowIndex) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        return index.find(self._start), index.find(self._start + self._visible)

    @property
    def events(self) -> VisibleEvents:
        """All visible rows: columns on demand, or `chunks()`."""
        return VisibleEvents(self._store, self._rows(), self._visible)

    @property
    def positives(self) -> VisibleEvents:
        """All visible positive rows."""
        return VisibleEvents(self._store, self._rows(self.positive_mask), self._visible)

    def _past(self, asked: str, fix: str) -> WallError:
        return WallError(f"{asked} looks past the wall of this view ({self.wall}). Fix: {fix}.")
