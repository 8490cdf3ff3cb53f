"""What can be asked of the engine."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from bowerbird.tables.errors import BowerbirdError

RawId = int | str
"""An id as the platform writes it: text or an integer."""

MAX_QUERY = 1000
"""Most characters of a query."""

_OLDEST, _LATEST = -62_135_596_800_000, 253_402_300_799_999  # the years 1 and 9999


class RequestError(BowerbirdError):
    """A request that cannot be meant as written.

    Args:
        message: What is wrong and what would be accepted.
        field: The part of the request at fault, e.g. `outcomes`.
    """

    def __init__(self, message: str, *, field: str) -> None:
        self.field = field
        super().__init__(f"{field}: {message}")


@dataclass(frozen=True)
class PastEvent:
    """One entry of a history that comes with the request.

    Attributes:
        item: Raw id.
        action: What was done with the item; None = the platform's most frequent positive action.
        time: Milliseconds UTC; None = one minute after the entry before it, the last one a minute before the
            request.
    """

    item: RawId
    action: str | None = None
    time: int | None = None


@dataclass(frozen=True)
class Filters:
    """Which items may be shown, by the catalogue's category columns.

    Attributes:
        include: Column to values: an item needs one of the values in every column named here.
        exclude: Column to values: an item with any of these values is left out.
    """

    include: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    exclude: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.include or self.exclude)


@dataclass(frozen=True)
class Request:
    """One request for recommendations.

    Attributes:
        user: Raw id; None for an anonymous visitor.
        history: Past events, oldest first, that stand in for the stored history of `user`; None = use the
            stored one.
        surface: Where the answer is shown; None = the platform's most frequent surface.
        query: What was searched, for a surface that answers a search: the model reads it behind the history.
        outcomes: Outcome name to weight: the share of the answer that is looked for under that outcome.
            Weights need not sum to one. Empty = the model's own mixture.
        k: Number of items wanted.
        exclude_seen: Leave out every item the user (or the given history) has met before.
        filters: Which items may be shown.
        time: Milliseconds UTC of the request; None = right after the last event known, of the store or of this
            user, so that a log of the past is served as of its own time.
        values: Action to what it is worth: a model that ranks puts items in order of the sum of worth times
            probability. Below 0 = unwanted; actions not named are worth nothing. Empty = every positive action
            counts by how much likelier than usual it is, every negative one against the item.
        at_most: Category column (or `creator`) to the most items of the answer that may share a value in it.
        explain: Say which past events the model looked at for each item.
        deadline_ms: Milliseconds the engine may take, from when it begins; stages there is no time for are left out,
            and the answer says so. None = as long as it takes.
    """

    user: RawId | None = None
    history: tuple[PastEvent, ...] | None = None
    surface: str | None = None
    query: str | None = None
    outcomes: Mapping[str, float] = field(default_factory=dict)
    k: int = 20
    exclude_seen: bool = True
    filters: Filters = field(default_factory=Filters)
    time: int | None = None
    values: Mapping[str, float] = field(default_factory=dict)
    at_most: Mapping[str, int] = field(default_factory=dict)
    explain: bool = False
    deadline_ms: float | None = None

    def __post_init__(self) -> None:
        """Checks what needs no catalogue.

        Raises:
            RequestError: naming the field.
        """
        if self.k < 1:
            raise RequestError(f"must be at least 1, got {self.k}", field="k")
        if self.query is not None and not 1 <= len(self.query) <= MAX_QUERY:
            raise RequestError(f"must have 1 to {MAX_QUERY} characters, got {len(self.query)}", field="query")
        for name, weight in self.outcomes.items():
            if not math.isfinite(weight) or weight < 0:
                raise RequestError(
                    f"the weight of {name!r} must be 0 or more, got {weight}", field="outcomes"
                )
        for name, worth in self.values.items():
            if not math.isfinite(worth):
                raise RequestError(f"the worth of {name!r} must be a number, got {worth}", field="values")
        if self.values and not any(self.values.values()):
            raise RequestError("at least one action must be worth something", field="values")
        for name, most in self.at_most.items():
            if most < 1:
                raise RequestError(f"{name!r} must be at least 1, got {most}", field="at_most")
        if self.deadline_ms is not None and not self.deadline_ms >= 0:
            raise RequestError(f"must be 0 or more, got {self.deadline_ms}", field="deadline_ms")
        if self.outcomes and not sum(self.outcomes.values()) > 0:
            raise RequestError("at least one outcome needs a weight above 0", field="outcomes")
        for name, value in (
            ("time", self.time),
            *(("history.time", event.time) for event in self.history or ()),
        ):
            if value is not None and not _OLDEST <= value <= _LATEST:
                raise RequestError(f"{value} is no time in milliseconds since 1970", field=name)
