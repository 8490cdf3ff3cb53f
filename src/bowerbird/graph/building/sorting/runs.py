"""Runs of edges: packed into one sortable number each, and merged where they are equal.

The weight of an edge that was given several times is the sum of its weights, its time the latest. So that the sum
does not depend on the order in which edges arrive (a graph grown by deltas must equal the rebuilt one to the byte),
weights are added as whole numbers: units of 2^-30. Sums stop at 2^32 - 1, which is order-free too, since weights are
positive.

Shape letters: N edges, M distinct edges.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bowerbird.graph.store.relation import UNDATED

UNIT: Final = 1 << 30
"""Units of weight 1."""

CAP: Final = ((1 << 32) - 1) * UNIT
"""The largest total, in units."""


@dataclass(frozen=True, eq=False)
class Run:
    """Edges of one relation.

    Attributes:
        key: uint64 (N,) row * 2^column_bits + column.
        total: Weights: int64 (N,) units of 2^-30, uint32 (N,) whole numbers, or None: 1 each.
        time: int64 (N,) ms UTC, or None: no edge is dated.
    """

    key: NDArray[np.uint64]
    total: NDArray[Any] | None = None
    time: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.key)

    @property
    def bytes(self) -> int:
        """Size in memory."""
        return self.key.nbytes + sum(part.nbytes for part in (self.total, self.time) if part is not None)

    def select(self, chosen: Any) -> Run:
        """The edges at an index, a slice or a mask."""
        return Run(
            self.key[chosen],
            None if self.total is None else self.total[chosen],
            None if self.time is None else self.time[chosen],
        )


def pack(row: NDArray[Any], column: NDArray[Any], column_bits: int) -> NDArray[np.uint64]:
    """uint64 (N,) keys that sort by row, then column."""
    return (row.astype(np.uint64) << np.uint64(column_bits)) | column.astype(np.uint64)


def unpack(key: NDArray[np.uint64], column_bits: int) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Rows int64 (N,) and columns uint64 (N,) of keys."""
    mask = np.uint64((1 << column_bits) - 1)
    return (key >> np.uint64(column_bits)).astype(np.int64), key & mask


def units(total: NDArray[Any] | None, n: int) -> NDArray[np.int64]:
    """Totals in units of 2^-30: int64 (N,)."""
    if total is None:
        return np.full(n, UNIT, np.int64)
    if total.dtype == np.int64:
        return total
    return total.astype(np.int64) << 30


def concatenate(runs: list[Run]) -> Run:
    """All edges of several runs, in their order."""
    if len(runs) == 1:
        return runs[0]
    key = np.concatenate([run.key for run in runs]) if runs else np.empty(0, np.uint64)
    total = time = None
    if any(run.total is not None for run in runs):
        total = np.concatenate([units(run.total, len(run)) for run in runs])
    if any(run.time is not None for run in runs):
        time = np.concatenate(
            [np.full(len(run), UNDATED, np.int64) if run.time is None else run.time for run in runs]
        )
    return Run(key, total, time)


def merge_duplicates(runs: list[Run]) -> Run:
    """Sorts edges by key and merges equal ones: weights are summed, the latest time is kept.

    Args:
        runs: Edges in any order; may be empty. The list is emptied, so that its memory can go.

    Returns:
        One run (M,) with ascending, distinct keys. `total` is None where nothing had a weight and nothing occurred
        twice, uint32 where weights were only counts, else int64.
    """
    run = concatenate(runs)
    runs.clear()
    if not len(run):
        return run
    if run.total is None and run.time is None:
        key = np.sort(run.key)
        first = _first_of_equal(key)
        if len(first) == len(key):
            return Run(key)
        counts = np.diff(first, append=len(key))
        return Run(key[first], np.minimum(counts, (1 << 32) - 1).astype(np.uint32))
    order = np.argsort(run.key)
    run = run.select(order)
    first = _first_of_equal(run.key)
    if len(first) == len(run):
        return run
    time = None if run.time is None else np.maximum.reduceat(run.time, first)
    if run.total is None:
        counts = np.diff(first, append=len(run))
        return Run(run.key[first], np.minimum(counts, (1 << 32) - 1).astype(np.uint32), time)
    return Run(run.key[first], _summed(units(run.total, len(run)), first), time)


def _first_of_equal(key: NDArray[np.uint64]) -> NDArray[np.int64]:
    fresh = np.empty(len(key), bool)
    fresh[0] = True
    np.not_equal(key[1:], key[:-1], out=fresh[1:])
    return np.flatnonzero(fresh)


def _summed(total: NDArray[np.int64], first: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sums of groups, stopped at CAP.

    The floating sum only tells a group whose whole-number sum may have wrapped around from one that has not: it errs
    by far less than the gap between CAP and the largest int64.
    """
    exact = np.add.reduceat(total, first)
    rough = np.add.reduceat(total.astype(np.float64), first)
    return np.where(rough < 1.5 * CAP, np.minimum(exact, CAP), CAP)
