"""Relations of the event table: who engaged with what, after which query, and which items follow each other.

Only positive events make edges (an impression or a hide does not join anything). The time of an edge is the time of
its latest event.

Shape letters: B events of one chunk.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bowerbird.graph.building.input.edges import Edges
from bowerbird.graph.building.view.relations import CHUNK, RelationSpec
from bowerbird.tables.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from bowerbird.tables.view import View

DAY_MS = 86_400_000


@dataclass(frozen=True)
class EventRelation(RelationSpec):
    """A relation of positive events.

    Attributes:
        actions: Only events with one of these actions; empty: every positive event.
    """

    actions: tuple[str, ...] = ()

    def _columns(self, view: View, *names: str) -> Iterator[tuple[NDArray[Any], ...]]:
        """Columns of the events that count, in chunks that never split a user."""
        if not self.actions:
            yield from view.positives.columns(*names, size=CHUNK)
            return
        codes = view.actions.encode(list(self.actions))
        if (codes < 0).any():
            unknown = self.actions[int(np.flatnonzero(codes < 0)[0])]
            raise ConfigError(
                f"relation {self.name!r}: no action {unknown!r}; {did_you_mean(unknown, map(str, view.actions))}"
            )
        mask = np.uint32(sum(1 << int(code) for code in set(codes.tolist())))
        for done, *columns in view.positives.columns("actions", *names, size=CHUNK):
            chosen = (done & mask) != 0
            yield tuple(column[chosen] for column in columns)


@dataclass(frozen=True)
class UserItem(EventRelation):
    """`user-item`: a user engaged with an item. Weight: the sum of the weights of the events (1 each by default)."""

    @property
    def name(self) -> str:
        return "user-item"

    @property
    def ends(self) -> tuple[str, str]:
        return "user", "item"

    def edges(self, view: View, since: int | None) -> Iterator[Edges]:
        for user, item, time, weight in self._columns(view, "user", "item", "time", "weight"):
            yield Edges(*_since(since, time, user, item, weight, time))


@dataclass(frozen=True)
class QueryItem(EventRelation):
    """`query-item`: somebody engaged with an item after a query. Weight: the sum of the weights of the events."""

    @property
    def name(self) -> str:
        return "query-item"

    @property
    def ends(self) -> tuple[str, str]:
        return "query", "item"

    def edges(self, view: View, since: int | None) -> Iterator[Edges]:
        for query, item, time, weight in self._columns(view, "query", "item", "time", "weight"):
            searched = query >= 0
            columns = [column[searched] for column in (query, item, weight, time)]
            yield Edges(*_since(since, time[searched], *columns))


@dataclass(frozen=True)
class ItemItem(EventRelation):
    """`item-item`: one user engaged with both items, one after the other, within a window.

    Weight: how often. An item that follows itself makes no edge. The paper's relation (a query Pin led to a save or a
    click on another Pin) is `reach=1` over the events of one surface.

    Attributes:
        window_ms: Longest time between the two events.
        reach: How many following events of the same user each event is joined with; 1: the next one only.
        directed: Keep apart which of the two came first; else (u, v) and (v, u) are one edge.
    """

    window_ms: int = DAY_MS
    reach: int = 1
    directed: bool = False

    def __post_init__(self) -> None:
        if self.window_ms < 0 or self.reach < 1:
            raise ConfigError(
                f"item-item: window_ms must be 0 or more and reach 1 or more, not {self.window_ms}, {self.reach}"
            )

    @property
    def name(self) -> str:
        return "item-item"

    @property
    def ends(self) -> tuple[str, str]:
        return "item", "item"

    @property
    def symmetric(self) -> bool:
        return not self.directed

    def edges(self, view: View, since: int | None) -> Iterator[Edges]:
        for user, item, time in self._columns(view, "user", "item", "time"):
            for step in range(1, min(self.reach, len(user) - 1) + 1):
                joined = user[:-step] == user[step:]
                joined &= time[step:] - time[:-step] <= self.window_ms
                joined &= item[:-step] != item[step:]
                columns = (item[:-step][joined], item[step:][joined])
                later = time[step:][joined]
                first, second, when = _since(since, later, *columns, later)
                yield Edges(first, second, None, when)


def _since(since: int | None, time: NDArray[np.int64], *columns: NDArray[Any]) -> list[NDArray[Any]]:
    """The columns of the edges dated at or after a moment."""
    if since is None:
        return list(columns)
    chosen = time >= since
    return [column[chosen] for column in columns]
