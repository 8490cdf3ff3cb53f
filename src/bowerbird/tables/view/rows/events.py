"""Event rows on this side of the wall: whole columns, chunks, and the rows between two walls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bowerbird.tables.errors import WallError
from bowerbird.tables.view.rows.source import EVENT_COLUMNS, EventSource, RowIndex, ranges, user_order


@dataclass(frozen=True)
class EventRows:
    """Rows of the event table, one entry a row in every array (N rows).

    row: absolute row in the store; the other names are the store's columns. `actions` is a bit mask over the
    action vocabulary (0 = seen only), `time` milliseconds UTC, `request` the dense slate number or -1.
    """

    row: NDArray[np.int64]
    user: NDArray[np.int32]
    item: NDArray[np.int32]
    time: NDArray[np.int64]
    actions: NDArray[np.uint32]
    surface: NDArray[np.int16]
    request: NDArray[np.int32]
    position: NDArray[np.int16]
    query: NDArray[np.int32]
    weight: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.row)


@dataclass(frozen=True)
class HeldOut(EventRows):
    """Rows that a later view shows and an earlier one does not: the targets of an evaluation.

    positive: bool[N], whether the row counts as positive (some action that is not negative).
    """

    positive: NDArray[np.bool_]


class VisibleEvents:
    """All rows of a view, in the order of the store: user by user, each user's rows by time.

    Columns (`events.item`, `events.time` ...) are gathered when asked for; `chunks` walks the same rows
    without holding more than one chunk. Nothing here can reach a row past the wall.
    """

    def __init__(
        self,
        store: EventSource,
        index: RowIndex,
        visible: NDArray[np.int64],
        *,
        skip: NDArray[np.int64] | None = None,
    ) -> None:
        """`skip` leading rows of each user are left out (for the rows between two walls)."""
        order = user_order(store)
        start = np.asarray(store.events.user_start, np.int64)
        low = index.find(start if skip is None else start + skip)
        count = np.maximum(index.find(start + visible) - low, 0)
        self._store = store
        self._index = index
        self._low, self._count = low[order], count[order]
        self._cumulative = np.cumsum(self._count)

    def __len__(self) -> int:
        return int(self._cumulative[-1]) if len(self._cumulative) else 0

    def __getattr__(self, name: str) -> NDArray[Any]:
        if name in EVENT_COLUMNS or name == "row":
            return self._column(name)
        raise AttributeError(
            f"visible events have no column {name!r}; columns: row, {', '.join(EVENT_COLUMNS)}"
        )

    def _row_blocks(self, size: int) -> Iterator[NDArray[np.int64]]:
        """Absolute rows in blocks of at most max(size, rows of one user) entries."""
        if size < 1:
            raise WallError(f"chunks(size={size}): the size must be at least 1.")
        low, n_users = 0, len(self._cumulative)
        done = 0
        while low < n_users:
            high = int(np.searchsorted(self._cumulative, done + size, side="right"))
            high = min(max(high, low + 1), n_users)
            rows = self._index.take(ranges(self._low[low:high], self._count[low:high]))
            done = int(self._cumulative[high - 1])
            low = high
            if len(rows):
                yield rows

    def _column(self, name: str) -> NDArray[Any]:
        blocks = list(self._row_blocks(1 << 22))
        if name == "row":
            return np.concatenate(blocks) if blocks else np.empty(0, np.int64)
        column = getattr(self._store.events, name)
        parts = [gather(column, rows) for rows in blocks]
        return np.concatenate(parts) if parts else np.empty(0, column.dtype)

    def chunks(self, size: int = 1 << 20) -> Iterator[EventRows]:
        """Walk the rows in chunks of about `size` rows (never splitting a user)."""
        for rows in self._row_blocks(size):
            yield event_rows(self._store, rows)

    def columns(self, *names: str, size: int = 1 << 20) -> Iterator[tuple[NDArray[Any], ...]]:
        """Walk only some columns in chunks: `for item, time in view.events.columns("item", "time")`."""
        for rows in self._row_blocks(size):
            yield tuple(rows if n == "row" else gather(getattr(self._store.events, n), rows) for n in names)

    def all(self) -> EventRows:
        """Every column of every visible row at once (about 40 bytes a row)."""
        return event_rows(self._store, self._column("row"))


def gather(column: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[Any]:
    """Entries of a column at absolute rows; a run of neighbouring rows is one slice of the memory map."""
    if rows.ndim == 1 and len(rows) and rows[-1] - rows[0] + 1 == len(rows) and _ascending_run(rows):
        return np.array(column[int(rows[0]) : int(rows[-1]) + 1])
    return np.asarray(column[rows])


def _ascending_run(rows: NDArray[np.int64]) -> bool:
    return len(rows) < 2 or bool((np.diff(rows) == 1).all())


def event_rows(store: EventSource, rows: NDArray[np.int64]) -> EventRows:
    """All columns at absolute rows. The caller has checked the wall."""
    columns = {name: gather(getattr(store.events, name), rows) for name in EVENT_COLUMNS}
    return EventRows(row=rows, **columns)


def held_out_rows(events: VisibleEvents, mask: int) -> HeldOut:
    """The rows of `events` with the positive flag of each."""
    found = events.all()
    columns = {name: getattr(found, name) for name in ("row", *EVENT_COLUMNS)}
    return HeldOut(**columns, positive=(found.actions & np.uint32(mask)) != 0)
