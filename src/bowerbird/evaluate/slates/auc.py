"""Areas under the ROC curve: over all rows, and inside each group (a user, a slate).

Equal scores count half (mid-ranks), which is the expectation over a random order of them. Source: UniPinRec B6;
GAUC as in DIN: the mean of the users' areas weighted by their rows.

Shapes: R rows, G groups, U users, n resamples.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray


def grouped_auc(
    score_R: NDArray[np.floating], positive_R: NDArray[np.bool_], group_R: NDArray[np.integer], n_groups: int
) -> NDArray[np.float64]:
    """The area of each group; NaN where a group has only positives or none.

    Args:
        score_R: floats (R,).
        positive_R: bool (R,).
        group_R: integers (R,) from 0 to n_groups - 1, in any order.
        n_groups: G.

    >>> grouped_auc(np.array([0.9, 0.1, 0.5, 0.5]), np.array([1, 0, 1, 0], bool), np.array([0, 0, 1, 1]), 2).tolist()
    [1.0, 0.5]
    """
    order = np.lexsort((score_R, group_R))
    score, group, positive = score_R[order], group_R[order], positive_R[order].astype(np.float64)
    sizes = np.bincount(group, minlength=n_groups)
    tied = tie_groups(score, group)
    start = np.flatnonzero(np.diff(tied, prepend=-1))
    count = np.bincount(tied)
    # Ranks count from 1 inside a group; tied rows share the mean of their ranks.
    first = start - (np.cumsum(sizes) - sizes)[group[start]]
    rank = (first + (count + 1) / 2)[tied]
    n_positive = np.bincount(group, positive, minlength=n_groups)
    pairs = n_positive * (sizes - n_positive)
    won = np.bincount(group, rank * positive, minlength=n_groups) - n_positive * (n_positive + 1) / 2
    return np.divide(won, pairs, out=np.full(n_groups, np.nan), where=pairs > 0)


def tie_groups(score: NDArray[np.floating], group: NDArray[np.integer]) -> NDArray[np.int64]:
    """Number of the run of equal scores of one group that each row is in; rows must be sorted by group, then score."""
    if not len(score):
        return np.empty(0, np.int64)
    change = (score[1:] != score[:-1]) | (group[1:] != group[:-1])
    return np.concatenate([[0], np.cumsum(change)])


class PooledAuc:
    """The area over all rows as a function of how often each user is drawn (a `bootstrap.Figure`).

    Args:
        score_R: floats (R,).
        positive_R: bool (R,).
        user_R: integers (R,), the user number of each row as the bootstrap counts them.
    """

    def __init__(
        self, score_R: NDArray[np.floating], positive_R: NDArray[np.bool_], user_R: NDArray[np.integer]
    ) -> None:
        order = np.argsort(score_R, kind="stable")
        self._positive = positive_R[order]
        self._user = user_R[order].astype(np.int32)
        score = score_R[order]
        self._last = np.append(score[1:] != score[:-1], True)[
            : len(score)
        ]  # the last row of each run of equals

    def __call__(self, times_nU: NDArray[np.int64]) -> NDArray[np.float64]:
        return _weighted_auc(self._positive, self._user, self._last, np.ascontiguousarray(times_nU))


@numba.njit(cache=True, nogil=True)
def _weighted_auc(
    positive: NDArray[np.bool_], user: NDArray[np.int32], last: NDArray[np.bool_], times_nU: NDArray[np.int64]
) -> NDArray[np.float64]:
    """One pass over the sorted rows for each resample; NaN where a class is missing."""
    out = np.empty(times_nU.shape[0])
    for draw in range(times_nU.shape[0]):
        won, below = 0.0, 0.0
        positives, negatives, all_positives = 0.0, 0.0, 0.0
        for row in range(len(user)):
            weight = times_nU[draw, user[row]]
            if positive[row]:
                positives += weight
            else:
                negatives += weight
            if last[row]:
                won += positives * (below + 0.5 * negatives)
                below += negatives
                all_positives += positives
                positives, negatives = 0.0, 0.0
        pairs = all_positives * below
        out[draw] = won / pairs if pairs > 0 else np.nan
    return out
