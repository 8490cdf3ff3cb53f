"""Slates: what was shown together to one user, with the labels, and where the history before it ends.

Shape letters: S slates, B slates of a batch, k slots of a padded slate.
Source: UniPinRec B1 (blended examples: past actions + one later feed view, the full slate with labels) and B8
("never use a history that contains the slate's own outcomes").
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bowerbird.tables.errors import WallError
from bowerbird.tables.view.rows.source import EventSource, cached, first_row_at, ranges, user_order


@dataclass(frozen=True)
class SlateIndex:
    """All slates of a store generation: rows of slate s are rows[offset[s] : offset[s + 1]], ascending.

    rows int64[M] (None: slate rows lie one after another, and `first` says where); first int64[S] first row;
    offset int64[S + 1]; user int32[S]. Slates are ordered by user block, then first row.
    """

    rows: NDArray[np.int64] | None
    first: NDArray[np.int64]
    offset: NDArray[np.int64]
    user: NDArray[np.int32]


def slate_index(store: EventSource) -> SlateIndex:
    """The slate index of a store, built once for an opened generation and kept with it."""
    return cached(store, "slates", lambda: _build(store))


def _build(store: EventSource) -> SlateIndex:
    events = store.events
    order = user_order(store)
    count = np.asarray(events.user_count, np.int64)[order]
    rows = ranges(np.asarray(events.user_start, np.int64)[order], count)
    request = np.asarray(events.request[rows])
    user = np.repeat(order.astype(np.int32), count)
    inside = request >= 0
    if not inside.all():
        rows, request, user = rows[inside], request[inside], user[inside]
    change = np.ones(len(rows), dtype=bool)
    change[1:] = (request[1:] != request[:-1]) | (user[1:] != user[:-1]) | (np.diff(rows) != 1)
    begin = np.flatnonzero(change)
    runs = len(begin)
    key = (user[begin].astype(np.int64) << 32) | request[begin].astype(np.int64)
    if len(np.unique(key)) == runs:
        offset = np.append(begin, len(rows)).astype(np.int64)
        return SlateIndex(None, rows[begin], offset, user[begin])
    # Slates of one user interleave: bring each together, keeping the order of first rows.
    full = (user.astype(np.int64) << 32) | request.astype(np.int64)
    _, first_seen, inverse = np.unique(full, return_index=True, return_inverse=True)
    place = np.argsort(np.argsort(first_seen, kind="stable"), kind="stable")
    slate = place[inverse]
    together = np.argsort(slate, kind="stable")
    sizes = np.bincount(slate, minlength=len(first_seen))
    offset = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    rows = rows[together]
    return SlateIndex(rows, rows[offset[:-1]], offset, user[together][offset[:-1]])


@dataclass(frozen=True)
class Slate:
    """One slate. items int32[k], actions uint32[k], positions int16[k], rows int64[k]; history_end absolute
    row.
    """

    user: int
    request: int
    time: int
    surface: int
    items: NDArray[np.int32]
    actions: NDArray[np.uint32]
    positions: NDArray[np.int16]
    rows: NDArray[np.int64]
    history_end: int


@dataclass(frozen=True)
class SlateBatch:
    """B slates padded on the right to k slots, in row order (time, then the tie rule of the store).

    user int32[B]; request int32[B]; time int64[B], first row's ms; surface int16[B] of the first row; query
    int32[B] of the first row; item int32[B, k]; actions uint32[B, k]; position int16[B, k]; row int64[B, k]
    (-1 = padding); sizes int32[B]; history_end int64[B], the absolute row where a history for this slate must
    end (exclusive).
    """

    user: NDArray[np.int32]
    request: NDArray[np.int32]
    time: NDArray[np.int64]
    surface: NDArray[np.int16]
    query: NDArray[np.int32]
    item: NDArray[np.int32]
    actions: NDArray[np.uint32]
    position: NDArray[np.int16]
    row: NDArray[np.int64]
    sizes: NDArray[np.int32]
    history_end: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def mask(self) -> NDArray[np.bool_]:
        """bool[B, k]: True where something was shown."""
        filled: NDArray[np.bool_] = self.row >= 0
        return filled


class Slates:
    """The visible slates of a view: S of them, ordered by user block, then by first row.

    A slate that straddles the wall is cut at it: only its visible rows exist. (Dropping it whole would tell
    that more rows follow.) Column attributes have one entry a slate.
    """

    def __init__(
        self,
        store: EventSource,
        visible: NDArray[np.int64],
        *,
        after: NDArray[np.int64] | None,
        gap_ms: int,
        shown_surfaces: NDArray[np.bool_],
    ) -> None:
        """`after`: int64[U] leading rows; only slates whose first row lies past them are kept."""
        if gap_ms < 0:
            raise WallError(
                f"gap_ms={gap_ms}: a history may not end after its slate begins. Fix: use 0 or more."
            )
        index = slate_index(store)
        start = np.asarray(store.events.user_start, np.int64)
        limit = (start + visible)[index.user]
        keep = index.first < limit
        if after is not None:
            keep &= index.first >= (start + after)[index.user]
        surface = store.events.surface[index.first]
        keep &= shown_surfaces[np.maximum(surface, 0)] | (surface < 0)
        self._store, self._index, self._gap = store, index, gap_ms
        self._slate = np.flatnonzero(keep)
        self._limit = limit[self._slate]
        self.user: NDArray[np.int32] = index.user[self._slate]

    def __len__(self) -> int:
        return len(self._slate)

    def __iter__(self) -> Iterator[Slate]:
        for number in range(len(self)):
            yield self[number]

    def __getitem__(self, number: int) -> Slate:
        """One slate by its number in this view."""
        if not -len(self) <= number < len(self):
            raise IndexError(number)
        batch = self.batch(np.array([number % len(self)]))
        return Slate(
            user=int(batch.user[0]),
            request=int(batch.request[0]),
            time=int(batch.time[0]),
            surface=int(batch.surface[0]),
            items=batch.item[0],
            actions=batch.actions[0],
            positions=batch.position[0],
            rows=batch.row[0],
            history_end=int(batch.history_end[0]),
        )

    @cached_property
    def first_row(self) -> NDArray[np.int64]:
        """int64[S]: absolute row of the slate's first row."""
        return self._index.first[self._slate]

    @cached_property
    def request(self) -> NDArray[np.int32]:
        """int32[S]: dense slate number."""
        return np.asarray(self._store.events.request[self.first_row])

    @cached_property
    def time(self) -> NDArray[np.int64]:
        """int64[S]: time of the slate's first row, ms UTC."""
        return np.asarray(self._store.events.time[self.first_row])

    @cached_property
    def surface(self) -> NDArray[np.int16]:
        """int16[S]: surface code of the slate's first row."""
        return np.asarray(self._store.events.surface[self.first_row])

    @cached_property
    def size(self) -> NDArray[np.int32]:
        """int32[S]: number of visible rows."""
        low, high = self._index.offset[self._slate], self._index.offset[self._slate + 1]
        if self._index.rows is None:
            return np.minimum(high - low, self._limit - self.first_row).astype(np.int32)
        return (first_row_at(self._index.rows, low, high, self._limit) - low).astype(np.int32)

    @cached_property
    def history_end(self) -> NDArray[np.int64]:
        """int64[S]: absolute row where the history ends: the first row with time >= the slate's first time -
        gap.

        Rows of the same millisecond as the slate's first row are therefore outside the history.
        """
        start = np.asarray(self._store.events.user_start, np.int64)[self.user]
        return first_row_at(self._store.events.time, start, self.first_row, self.time - self._gap)

    @cached_property
    def actions(self) -> NDArray[np.uint32]:
        """uint32[S]: union of the action masks of the slate's visible rows; 0 = nothing was done with it."""
        out = np.zeros(len(self), np.uint32)
        for low in range(0, len(self), 1 << 18):
            part = np.arange(low, min(low + (1 << 18), len(self)))
            rows = self._rows(part)
            offset = np.cumsum(self.size[part]) - self.size[part]
            if len(rows):  # every visible slate has at least its first row, so no empty segment
                out[part] = np.bitwise_or.reduceat(np.asarray(self._store.events.actions[rows]), offset)
        return out

    def _rows(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Visible rows of slates, one slate after another."""
        size = self.size[numbers].astype(np.int64)
        if self._index.rows is None:
            return ranges(self.first_row[numbers], size)
        return self._index.rows[ranges(self._index.offset[self._slate[numbers]], size)]

    def batch(self, numbers: NDArray[np.int64], *, choose: NDArray[np.bool_] | None = None) -> SlateBatch:
        """Padded slates.

        Args:
            numbers: int64 (B,) slate numbers of this view.
            choose: bool, one entry a row of these slates one after another (as `rows` gives them): the rows
                to keep.
        """
        numbers = np.asarray(numbers, np.int64)
        rows, size = self._rows(numbers), self.size[numbers].astype(np.int64)
        if choose is not None:
            owner = np.repeat(np.arange(len(numbers)), size)[choose]
            rows, size = rows[choose], np.bincount(owner, minlength=len(numbers))
        width = int(size.max()) if len(size) else 0
        filled = np.arange(width)[None, :] < size[:, None]
        events, first = self._store.events, self.first_row[numbers]

        def spread(values: NDArray[Any], padding: int = 0) -> NDArray[Any]:
            out = np.full(filled.shape, padding, dtype=values.dtype)
            out[filled] = values
            return out

        return SlateBatch(
            user=self.user[numbers],
            request=self.request[numbers],
            time=self.time[numbers],
            surface=self.surface[numbers],
            query=np.asarray(events.query[first]),
            item=spread(events.item[rows]),
            actions=spread(events.actions[rows]),
            position=spread(events.position[rows], -1),
            row=spread(rows, -1),
            sizes=size.astype(np.int32),
            history_end=self.history_end[numbers],
        )

    def rows(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Absolute visible rows of slates, one slate after another (`size[numbers]` rows each)."""
        return self._rows(np.asarray(numbers, np.int64))

    def batches(self, size: int) -> Iterator[SlateBatch]:
        """All slates in order, `size` at a time."""
        for low in range(0, len(self), size):
            yield self.batch(np.arange(low, min(low + size, len(self))))
