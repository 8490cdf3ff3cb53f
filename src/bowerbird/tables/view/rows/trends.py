"""Trends: time-decayed item counts on a time grid, the recency signal of a feed.

The value of item i at grid time g for half-life h is the sum over events of i with time < g of
2 ** (-(g - time) / h). A question at time t is answered from the last grid time g <= t, so an answer never
contains an event of its own moment or of the unfinished grid step around it.

Only the steps in which an item had events are kept (at most one entry an event), not the dense grid: an
item's value between two of its entries is the earlier entry, decayed.

Shape letters: I items, H half-lives, E entries.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from bowerbird.tables.errors import WallError

Chunk = tuple[NDArray[np.int32], NDArray[np.int64]]


class TrendTable:
    """Time-decayed counts of every item at every grid time, for several half-lives.

    Attributes:
        step_ms: Width of a grid step; grid times are its multiples since the epoch.
        half_lives_ms: The half-lives, in the order of the last axis of every answer.
    """

    def __init__(
        self, chunks: Iterable[Chunk], *, n_items: int, half_lives_ms: Sequence[int | float], step_ms: int
    ) -> None:
        """`chunks` yields (item int32[n], time int64[n]) of the rows to count."""
        if step_ms < 1:
            raise WallError(f"trends(step_ms={step_ms}): the grid step must be at least 1 ms.")
        if not half_lives_ms or min(half_lives_ms) <= 0:
            raise WallError(
                f"trends(half_lives_ms={list(half_lives_ms)}): give at least one half-life above 0 ms."
            )
        self.step_ms = int(step_ms)
        self.half_lives_ms = tuple(float(h) for h in half_lives_ms)
        self.n_items = n_items
        self._decay_H = np.log(2.0) / np.array(self.half_lives_ms)
        pieces = [self._cells(item, time) for item, time in chunks if len(item)]
        if pieces:
            item = np.concatenate([p[0] for p in pieces])
            grid = np.concatenate([p[1] for p in pieces])
            value_EH = np.concatenate([p[2] for p in pieces])
            item, grid, value_EH = _merge(item, grid, value_EH)
        else:
            item, grid = np.empty(0, np.int64), np.empty(0, np.int64)
            value_EH = np.empty((0, len(self.half_lives_ms)))
        self._start = np.searchsorted(item, np.arange(n_items + 1)).astype(np.int64)
        self._grid = grid
        self._low = int(grid.min()) if len(grid) else 0
        self._span = int(grid.max()) - self._low + 2 if len(grid) else 1
        self._key = item * self._span + (grid - self._low)
        self._value_EH = self._accumulate(value_EH)

    def _cells(
        self, item: NDArray[np.int32], time: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Rows as entries (item, first grid number strictly after the row, decayed weight at that grid
        time).
        """
        grid = time // self.step_ms + 1
        age = (grid * self.step_ms - time).astype(np.float64)
        return _merge(item.astype(np.int64), grid, np.exp(-age[:, None] * self._decay_H))

    def _accumulate(self, value_EH: NDArray[np.float64]) -> NDArray[np.float32]:
        """Carry each item's earlier entries into its later ones: v_j += v_(j-1) * 2 ** (-(g_j - g_(j-1)) /
        h).
        """
        total_EH = value_EH.copy()
        count = np.diff(self._start)
        # One pass a depth (the j-th entry of every item that has one): vectorised over items, long heads last
        # longest.
        active = np.flatnonzero(count > 1)
        depth = 1
        while len(active):
            if len(active) < 64:
                for item in active:
                    self._carry(total_EH, int(self._start[item]) + depth, int(self._start[item + 1]))
                break
            here = self._start[active] + depth
            gap = (self._grid[here] - self._grid[here - 1]) * float(self.step_ms)
            total_EH[here] += total_EH[here - 1] * np.exp(-gap[:, None] * self._decay_H)
            depth += 1
            active = active[count[active] > depth]
        return total_EH.astype(np.float32)

    def _carry(self, total_EH: NDArray[np.float64], low: int, high: int) -> None:
        gap = (self._grid[low:high] - self._grid[low - 1 : high - 1]) * float(self.step_ms)
        factor = np.exp(-gap[:, None] * self._decay_H)
        for j in range(low, high):
            total_EH[j] += total_EH[j - 1] * factor[j - low]

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return sum(a.nbytes for a in (self._start, self._grid, self._key, self._value_EH))

    def grid_time(self, times: NDArray[np.int64] | int) -> NDArray[np.int64]:
        """The grid time that answers a question at each time: the last multiple of the step that is <= it."""
        return np.asarray(times, np.int64) // self.step_ms * self.step_ms

    def at(self, times: NDArray[np.int64], items: NDArray[np.int32]) -> NDArray[np.float32]:
        """Values of items at moments.

        Args:
            times: int64 (R,) ms UTC (or any shape that broadcasts against the leading axes of `items`).
            items: int32 (R,) or (R, K) dense items; ids outside the store give 0.

        Returns:
            float32 (R, H) or (R, K, H). A time past the wall is allowed: it sees what the view sees, decayed
            on.
        """
        items = np.asarray(items)
        times = np.asarray(times, np.int64)
        times = times.reshape(times.shape + (1,) * (items.ndim - times.ndim))
        grid = np.broadcast_to(times // self.step_ms, items.shape)
        out = np.zeros((*items.shape, len(self.half_lives_ms)), np.float32)
        if not len(self._grid):
            return out
        known = (items >= 0) & (items < self.n_items)
        item = np.where(known, items, 0).astype(np.int64)
        offset = np.clip(grid - self._low, -1, self._span - 1)
        entry = np.searchsorted(self._key, item * self._span + offset, side="right") - 1
        found = known & (entry >= self._start[item]) & (offset >= 0)
        age = (grid[found] - self._grid[entry[found]]) * float(self.step_ms)
        out[found] = self._value_EH[entry[found]] * np.exp(-age[:, None] * self._decay_H).astype(np.float32)
        return out

    def row(self, time: int) -> NDArray[np.float32]:
        """Values of all items at one moment: float32 (I, H)."""
        items = np.arange(self.n_items, dtype=np.int32)
        return self.at(np.full(self.n_items, time, np.int64), items)


def _merge(
    item: NDArray[np.int64], grid: NDArray[np.int64], value_EH: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Entries sorted by (item, grid), equal ones added up."""
    order = np.lexsort((grid, item))
    item, grid, value_EH = item[order], grid[order], value_EH[order]
    first = np.ones(len(item), dtype=bool)
    first[1:] = (item[1:] != item[:-1]) | (grid[1:] != grid[:-1])
    begin = np.flatnonzero(first)
    return item[begin], grid[begin], np.add.reduceat(value_EH, begin, axis=0)
