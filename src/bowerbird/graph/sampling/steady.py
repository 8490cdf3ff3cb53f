"""Neighbourhoods that stay as they are when the graph changes a little elsewhere.

Every new edge moves the scores of a whole region by a trace, so vectors made from exact scores would all have to be
made again. Scores on a coarse grid do not move with a trace; and since the best are chosen after the rounding, with
ties to the smaller id, a crossing of two scores within one step changes nothing either.

Shapes: B sources, K candidates, best first, k kept.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SPARE = 2
"""Candidates for each neighbour kept: those just below the cut may tie with the last ones above it."""


def steady(
    ids_BK: NDArray[np.int64], scores_BK: NDArray[np.float32], k: int, grid: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The best k on a grid of scores.

    Args:
        ids_BK: candidates, -1 for none. scores_BK: float32, 0 for none.
        k: how many to keep.
        grid: steps an octave; a score becomes the largest 2^(n / grid) that is not above it.

    Returns:
        Ids and scores (B, k), in order of falling score, then of rising id.
    """
    some = ids_BK >= 0
    step = np.floor(np.log2(np.where(some, scores_BK, 1).astype(np.float64)) * grid)
    rounded = np.where(some, np.exp2(step / grid), 0).astype(np.float32)
    order = np.lexsort((ids_BK, -rounded), axis=1)[:, :k]
    return np.take_along_axis(ids_BK, order, axis=1), np.take_along_axis(rounded, order, axis=1)
