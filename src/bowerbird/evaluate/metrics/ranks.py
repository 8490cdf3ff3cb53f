"""Where each target stands in the list of its case: the one quantity every ranking metric is made of.

Shapes: C cases, T targets, k list length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from bowerbird.evaluate.cases import Cases
    from bowerbird.evaluate.ranking import Ranking

MISSED = int(np.iinfo(np.int32).max)
"""The rank of a target that is in no list; above every cut-off."""


def target_ranks(ranking: Ranking, cases: Cases) -> NDArray[np.int32]:
    """int32 (T,): 0 where the target is first in its case's list, `MISSED` where it is not in it."""
    return ranks_in_lists(ranking.items, cases.target_offsets, cases.target_item)


def ranks_in_lists(
    items_Ck: NDArray[np.int32], offsets: NDArray[np.int64], target_T: NDArray[np.int32]
) -> NDArray[np.int32]:
    """Position of each target in the list of its case.

    Args:
        items_Ck: int32 (C, k) lists, -1 = empty place.
        offsets: int64 (C + 1,): the targets of case c are `target_T[offsets[c]:offsets[c + 1]]`.
        target_T: int32 (T,).

    >>> ranks_in_lists(np.array([[7, 8, 9], [7, 8, 9]]), np.array([0, 1, 3]), np.array([8, 7, 5])).tolist()
    [1, 0, 2147483647]
    """
    ranks = np.full(len(target_T), MISSED, np.int32)
    case_T = np.repeat(np.arange(len(items_Ck)), np.diff(offsets))
    step = max(1, (1 << 24) // max(items_Ck.shape[1], 1))  # bounds the comparison matrix, not the result
    for low in range(0, len(target_T), step):
        part = slice(low, low + step)
        target, place = np.nonzero(items_Ck[case_T[part]] == target_T[part, None])
        # Backwards, so that of two copies (a broken list) the better place is written last.
        ranks[low + target[::-1]] = place[::-1]
    return ranks


def per_case(values_T: NDArray[np.float64], offsets: NDArray[np.int64]) -> NDArray[np.float64]:
    """float64 (C,): the sum of the targets' values in each case; 0 for a case without targets.

    >>> per_case(np.array([1.0, 2.0, 4.0]), np.array([0, 1, 1, 3])).tolist()
    [1.0, 0.0, 6.0]
    """
    cumulative = np.concatenate([[0.0], np.cumsum(values_T, dtype=np.float64)])
    return cumulative[offsets[1:]] - cumulative[offsets[:-1]]
