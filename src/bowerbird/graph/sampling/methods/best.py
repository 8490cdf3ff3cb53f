"""The best k of many scored nodes, for compiled code: a heap with the worst of the best on top.

Better is a higher score, or the smaller number at equal scores.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from bowerbird.graph.sampling.methods.rows import Integer


@njit(inline="always")
def _worse(score_a: Any, node_a: Integer, score_b: Any, node_b: Integer) -> bool:
    return bool(score_a < score_b or (score_a == score_b and node_a > node_b))


@njit(nogil=True, cache=True)
def offer(scores: np.ndarray, nodes: np.ndarray, size: Integer, score: Any, node: Integer) -> Integer:
    """Offers a node to a heap of at most `len(scores)` nodes.

    Args:
        scores: float32 (k,) of the heap.
        nodes: int64 (k,) of the heap.
        size: nodes in it.
        score: of the new one.
        node: the new one.

    Returns:
        Nodes in the heap now.
    """
    k = len(scores)
    if size < k:
        place = size
        while place > 0:
            parent = (place - 1) // 2
            if not _worse(score, node, scores[parent], nodes[parent]):
                break
            scores[place], nodes[place] = scores[parent], nodes[parent]
            place = parent
        scores[place], nodes[place] = score, node
        return size + 1
    if _worse(scores[0], nodes[0], score, node):
        _sink(scores, nodes, k, score, node)
    return size


@njit(nogil=True, cache=True)
def sort_best_first(scores: np.ndarray, nodes: np.ndarray, size: Integer) -> None:
    """Turns a heap of `size` nodes into a list, best first, in place."""
    while size > 1:
        size -= 1
        score, node = scores[size], nodes[size]
        scores[size], nodes[size] = scores[0], nodes[0]
        _sink(scores, nodes, size, score, node)


@njit(nogil=True, cache=True)
def _sink(scores: np.ndarray, nodes: np.ndarray, size: Integer, score: Any, node: Integer) -> None:
    """Puts a node in place of the top of a heap of `size`."""
    place = 0
    while True:
        child = 2 * place + 1
        if child >= size:
            break
        other = child + 1
        if other < size and _worse(scores[other], nodes[other], scores[child], nodes[child]):
            child = other
        if not _worse(scores[child], nodes[child], score, node):
            break
        scores[place], nodes[place] = scores[child], nodes[child]
        place = child
    scores[place], nodes[place] = score, node
