"""What the wall needs from a store, and the two row indexes it keeps about one.

Everything here sees the whole store: nothing in this file is public, and only the wall itself uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import polars as pl

    from bowerbird.tables.store import EventColumns, ItemTable, Manifest, Vocabulary

T = TypeVar("T")

EVENT_COLUMNS: tuple[str, ...] = (
    "user",
    "item",
    "time",
    "actions",
    "surface",
    "request",
    "position",
    "query",
    "weight",
)
"""The event columns, in the order in which every batch of rows carries them."""

EVALUATION_PREFIX = "evaluation:"
"""A surface whose raw name begins so holds rows that no training may read (e.g. a randomised replay log).

A view hides such rows from histories, slates, counts, trends and negatives unless it was opened with
``evaluation_rows=True``."""


class EventSource(Protocol):
    """The part of a store that the wall reads. `bowerbird.tables.store.Store` is one; so are audit twins."""

    @property
    def manifest(self) -> Manifest: ...

    @property
    def n_users(self) -> int: ...

    @property
    def n_items(self) -> int: ...

    @property
    def events(self) -> EventColumns: ...

    @property
    def users(self) -> Vocabulary: ...

    @property
    def items(self) -> Vocabulary: ...

    @property
    def surfaces(self) -> Vocabulary: ...

    @property
    def actions(self) -> Vocabulary: ...

    @property
    def queries(self) -> Vocabulary: ...

    @property
    def item_table(self) -> ItemTable: ...

    def table(self, name: str) -> pl.LazyFrame: ...


_CACHES: WeakKeyDictionary[Any, dict[Hashable, Any]] = WeakKeyDictionary()


def cached(store: EventSource, key: Hashable, build: Callable[[], T]) -> T:
    """Build something about an opened store generation once and keep it as long as the store object lives."""
    cache = _CACHES.setdefault(store, {})
    if key not in cache:
        cache[key] = build()
    found: T = cache[key]
    return found


@dataclass(frozen=True)
class RowIndex:
    """The sorted absolute rows that pass a filter, so that "the last n such rows" is arithmetic, not a scan.

    rows: int64[P], ascending; None when every row passes (then position and row are the same number).
    """

    rows: NDArray[np.int64] | None

    def find(self, row: NDArray[np.int64]) -> NDArray[np.int64]:
        """Position of the first passing row that is >= each of `row` (absolute rows)."""
        if self.rows is None:
            return np.asarray(row, np.int64)
        return np.searchsorted(self.rows, row).astype(np.int64, copy=False)

    def take(self, position: NDArray[np.int64]) -> NDArray[np.int64]:
        """Absolute rows at positions."""
        return position if self.rows is None else self.rows[position]


def positive_mask(store: EventSource) -> int:
    """Bit mask of the actions that make a row positive: all actions not listed as negative."""
    mask = 0
    negative = set(store.manifest.negative_actions)
    for bit, name in enumerate(store.manifest.actions):
        if name not in negative:
            mask |= 1 << bit
    return mask


def evaluation_surfaces(store: EventSource) -> NDArray[np.bool_]:
    """bool[S]: the surfaces whose rows only an evaluation may read."""
    names = store.surfaces.decode(np.arange(len(store.surfaces), dtype=np.int32))
    return np.array([str(name).startswith(EVALUATION_PREFIX) for name in names], dtype=bool)


def row_index(store: EventSource, *, mask: int | None, evaluation_rows: bool) -> RowIndex:
    """Index of the rows that carry an action of `mask` (None = any row) on a surface this reader may see."""
    return cached(
        store, ("rows", mask, evaluation_rows), lambda: _build_row_index(store, mask, evaluation_rows)
    )


def _build_row_index(store: EventSource, mask: int | None, evaluation_rows: bool) -> RowIndex:
    hidden = evaluation_surfaces(store)
    hide = bool(hidden.any()) and not evaluation_rows
    if mask is None and not hide:
        return RowIndex(None)
    events = store.events
    n_rows = len(events.time)
    parts: list[NDArray[np.int64]] = []
    step = 1 << 22  # bounds the temporary masks, not the result
    for low in range(0, n_rows, step):
        high = min(low + step, n_rows)
        keep = np.ones(high - low, dtype=bool)
        if mask is not None:
            keep &= (events.actions[low:high] & np.uint32(mask)) != 0
        if hide:
            surface = events.surface[low:high]
            keep &= ~((surface >= 0) & hidden[np.maximum(surface, 0)])
        parts.append(np.flatnonzero(keep) + low)
    rows = np.concatenate(parts) if parts else np.empty(0, np.int64)
    return RowIndex(None if len(rows) == n_rows else rows.astype(np.int64, copy=False))


def user_order(store: EventSource) -> NDArray[np.int64]:
    """Users in the order in which their rows lie on disk (int64[U])."""
    return cached(store, "user order", lambda: np.argsort(store.events.user_start, kind="stable"))


def ranges(low: NDArray[np.int64], count: NDArray[np.int64]) -> NDArray[np.int64]:
    """All integers of the ranges low[i] : low[i] + count[i], one after another (int64[count.sum()])."""
    total = int(count.sum())
    if total == 0:
        return np.empty(0, np.int64)
    offset = np.cumsum(count) - count
    return np.repeat(low - offset, count) + np.arange(total, dtype=np.int64)


def first_row_at(
    time: NDArray[np.int64], low: NDArray[np.int64], high: NDArray[np.int64], moment: Any
) -> NDArray[np.int64]:
    """First row r in low[i] : high[i] with time[r] >= moment[i], else high[i]; all i at once.

    `time` must be ascending inside each range. One vectorised bisection: about log2(longest range) gathers.
    """
    low = np.array(low, dtype=np.int64)
    high = np.array(high, dtype=np.int64)
    moment = np.broadcast_to(np.asarray(moment, np.int64), low.shape)
    open_ = np.flatnonzero(low < high)
    while len(open_):
        middle = (low[open_] + high[open_]) >> 1
        before = time[middle] < moment[open_]
        low[open_[before]] = middle[before] + 1
        high[open_[~before]] = middle[~before]
        open_ = open_[low[open_] < high[open_]]
    return low
