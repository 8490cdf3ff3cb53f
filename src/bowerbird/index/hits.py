"""What a search returns, and the order it is in.

Shapes: Q queries, k list length, X candidates, D dimensions.

Order, the same for every kind of index: higher score first; among equal scores the lower id first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Hits:
    """The best k of each query, best first.

    ids: int64 (Q, k), -1 where there were fewer; scores: float32 (Q, k) inner products, -inf there;
    vectors: float32 (Q, k, D) as stored (0 there), or None when they were not asked for.
    """

    ids: NDArray[np.int64]
    scores: NDArray[np.float32]
    vectors: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.ids)


def best(rows_QX: NDArray[np.int64], scores_QX: NDArray[np.float32], k: int) -> tuple[NDArray, NDArray]:
    """The k best of each query's candidates, sorted.

    Args:
        rows_QX: int64 (Q, X) candidates, numbered in the order of their ids; ignored where the score is -inf.
        scores_QX: float32 (Q, X).
        k: places.

    Returns:
        rows int64 (Q, k), -1 padded, and scores float32 (Q, k), -inf padded.
    """
    order = np.lexsort((rows_QX, -scores_QX), axis=1)[:, :k]
    rows, scores = np.take_along_axis(rows_QX, order, 1), np.take_along_axis(scores_QX, order, 1)
    return pad(np.where(scores == -np.inf, -1, rows), k, -1), pad(scores, k, -np.inf)


def candidates(scores_QX: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Columns that surely include the k best of each row, ties at the cut going to the lowest columns.

    Args:
        scores_QX: float32 (Q, X), no NaN.
        k: places, >= 1.

    Returns:
        int64 (Q, min(k, X)) columns in no particular order.
    """
    n = scores_QX.shape[1]
    if k >= n:
        return np.broadcast_to(np.arange(n), scores_QX.shape)
    chosen = np.argpartition(scores_QX, n - k, axis=1)[:, n - k :]
    found = np.take_along_axis(scores_QX, chosen, 1)
    cut = found.min(axis=1, keepdims=True)
    # Only where equal scores lie on both sides of the cut did the partition choose among them by chance.
    rows = np.flatnonzero((scores_QX == cut).sum(axis=1) > (found == cut).sum(axis=1))
    for row in rows:
        above = np.flatnonzero(scores_QX[row] > cut[row])
        equal = np.flatnonzero(scores_QX[row] == cut[row])[: k - len(above)]
        chosen[row] = np.concatenate([above, equal])
    return chosen


def pad(values: NDArray[Any], k: int, filler: float) -> NDArray[Any]:
    """Columns of `filler` appended up to k."""
    return np.pad(values, ((0, 0), (0, k - values.shape[1])), constant_values=filler)
