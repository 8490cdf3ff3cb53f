"""What the items of a history and the lists near a user say about every item, from vectors alone.

Shapes: C cases, I items, H distinct items of the histories, L length, X lists, D dimension.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

_BLOCK_BYTES = 1 << 27
"""What the closeness of some items to all may take at once."""
_FLOOR = 0.01
"""Added to the share of an item, so that being in no near list is a drawback with a limit."""


def item_votes(
    items_ID: np.ndarray, item_CL: np.ndarray, mask_CL: np.ndarray, sharpness: float
) -> np.ndarray:
    """How near every item lies to the items of each history, float32 (C, I): between the nearest one's cosine (very
    sharp) and the mean cosine (not sharp), up to a number per history; one value all over where a history is empty.

    Args:
        items_ID: unit vectors.
        item_CL, mask_CL: dense ids of the histories, and which of them are there.
        sharpness: s.
    """
    case, _ = np.nonzero(mask_CL)
    asked, place = np.unique(item_CL[mask_CL].astype(np.int64), return_inverse=True)
    counts_CH = csr_array((np.ones(len(case), np.float32), (case, place)), shape=(len(item_CL), len(asked)))
    total_CI = np.zeros((len(item_CL), len(items_ID)), np.float32)
    rows = max(1, _BLOCK_BYTES // (4 * len(items_ID)))
    for low in range(0, len(asked), rows):
        # less 1, so that nothing overflows: the largest is exp(0)
        cosine_HI = items_ID[asked[low : low + rows]] @ items_ID.T - np.float32(1)
        total_CI += counts_CH[:, low : low + rows] @ np.exp(sharpness * cosine_HI)
    found: np.ndarray = np.log(np.maximum(total_CI, np.finfo(np.float32).tiny)) / np.float32(sharpness)
    return found


def list_votes(
    users_CD: np.ndarray, lists_XD: np.ndarray, held_IX: csr_array, own: tuple[np.ndarray, np.ndarray],
    sharpness: float,
) -> np.ndarray:  # fmt: skip
    """What the lists near each user hold, float32 (C, I): log of an item's share of the weights of all lists, where a
    list at cosine c weighs exp(s * c), and a floor.

    Args:
        users_CD: unit vectors. lists_XD: unit vectors of at least one list.
        held_IX: 1 where an item is in a list.
        own: int64 (case, list), the lists of the users themselves, which have no vote.
        sharpness: s.
    """
    cosine_CX = users_CD @ lists_XD.T
    cosine_CX[own] = -np.inf
    most_C1 = np.maximum(cosine_CX.max(axis=1, keepdims=True), -1.0)  # a user may own all lists there are
    weight_CX = np.exp(np.float32(sharpness) * (cosine_CX - most_C1))
    total_C1 = np.maximum(weight_CX.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)
    share_CI = (held_IX @ weight_CX.T).T / total_C1
    found: np.ndarray = np.log(share_CI + np.float32(_FLOOR))
    return found
