"""The compiled inner loop of `top_k`: one pass over each row with a heap of the k best.

A partial sort by numpy is an order of magnitude slower on rows that are mostly equal (counts, -inf), and does not say
which of equal entries it keeps. Compiled at first use and cached.

Shapes: C rows, I columns, k places.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray


@numba.njit(cache=True, nogil=True, inline="always")
def _worse(score: float, item: int, other_score: float, other_item: int) -> bool:
    """Whether (score, item) stands behind the other: lower score, or equal score and higher id."""
    return score < other_score or (score == other_score and item > other_item)


@numba.njit(cache=True, nogil=True)
def _sink(items: NDArray[np.int32], scores: NDArray[np.float32], root: int, size: int) -> None:
    """Move the entry at `root` down until no child is worse than it: the worst entry is at place 0."""
    while True:
        child = 2 * root + 1
        if child >= size:
            return
        other = child + 1
        if other < size and _worse(scores[other], items[other], scores[child], items[child]):
            child = other
        if not _worse(scores[child], items[child], scores[root], items[root]):
            return
        scores[root], scores[child] = scores[child], scores[root]
        items[root], items[child] = items[child], items[root]
        root = child


@numba.njit(cache=True, nogil=True)
def select(scores_CI: NDArray[np.float32], items_Ck: NDArray[np.int32], best_Ck: NDArray[np.float32]) -> bool:
    """Fill `items_Ck` (given as -1) and `best_Ck` (given as -inf), best first. Returns whether a score is NaN."""
    n_places = items_Ck.shape[1]
    if n_places == 0:
        return False
    for row in range(scores_CI.shape[0]):
        items, best = items_Ck[row], best_Ck[row]
        size = 0
        for item in range(scores_CI.shape[1]):
            score = scores_CI[row, item]
            if score != score:
                return True
            if score == -np.inf:
                continue
            if size < n_places:
                items[size], best[size] = item, score
                size += 1
                if size == n_places:
                    for root in range(n_places // 2, -1, -1):
                        _sink(items, best, root, n_places)
            elif score > best[0]:  # ids ascend, so an equal score never displaces an earlier one
                items[0], best[0] = item, score
                _sink(items, best, 0, n_places)
        if size < n_places:
            for root in range(size // 2, -1, -1):
                _sink(items, best, root, size)
        for end in range(size - 1, 0, -1):  # heap sort: the worst goes to the end of what is left
            best[0], best[end] = best[end], best[0]
            items[0], items[end] = items[end], items[0]
            _sink(items, best, 0, end)
    return False
