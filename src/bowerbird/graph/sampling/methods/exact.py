"""Random walk with restart by power iteration, to a stated precision: what the other methods are measured by.

Shapes: N nodes, C sources at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bowerbird.graph.sampling.space import Space

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class ExactScores:
    """Sums c * ((1 - c) P^T)^n over n from 0 until what is left is below a tolerance. All edges are read every time.

    Args:
        space: the graph; its edges are copied into a sparse matrix, 8 to 12 bytes each.
        restart: c.
        tolerance: sum over all nodes of what the scores may miss.
    """

    def __init__(self, space: Space, restart: float, tolerance: float) -> None:
        self.space, self.restart, self.tolerance = space, restart, tolerance
        self._edges: csr_array = space.matrix()
        self._total = np.asarray(self._edges.sum(axis=1), np.float64)  # in double, unlike Space.total

    def scores(
        self, sources: NDArray[np.int64], without: NDArray[np.int64] | None = None
    ) -> NDArray[np.float64]:
        """Scores of all nodes.

        Args:
            sources: int64 (C,) numbers of nodes.
            without: int64 (C,) numbers of nodes whose edges with the source are left out; -1: none.

        Returns:
            float64 (N, C).
        """
        count, columns = len(self.space), np.arange(len(sources))
        cut = np.flatnonzero(without >= 0) if without is not None else np.empty(0, np.int64)
        a, b = sources[cut], without[cut] if without is not None else cut
        forward, backward = self._weights(a, b), self._weights(b, a)
        walking = np.zeros((count, len(sources)))
        walking[sources, columns] = 1.0
        found = np.zeros_like(walking)
        left = 1.0
        divisor = np.where(self._total > 0, self._total, np.inf)[:, None]
        while left > self.tolerance:
            found += self.restart * walking
            shares = walking / divisor
            for node, weight in ((a, forward), (b, backward)):
                rest = self._total[node] - weight
                gone = rest <= 1e-12 * self._total[node]
                shares[node, cut] = np.where(gone, 0.0, walking[node, cut] / np.where(gone, 1.0, rest))
            walking = self._edges.T @ shares
            walking[b, cut] -= shares[a, cut] * forward
            walking[a, cut] -= shares[b, cut] * backward
            walking *= 1.0 - self.restart
            np.maximum(walking, 0.0, out=walking)  # the subtraction may leave -1e-17
            left *= 1.0 - self.restart
        return found

    def _weights(self, sources: NDArray[np.int64], targets: NDArray[np.int64]) -> NDArray[np.float64]:
        """Summed weight (n,) of the edges from each source to its target."""
        if not len(sources):
            return np.zeros(0)
        return np.asarray(self._edges[sources, targets], np.float64).ravel()


def best(
    scores_N: NDArray[np.float64], span: tuple[int, int], k: int, dropped: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The best k positive scores among the nodes of a span, ties by smaller number.

    Args:
        scores_N: float64 (N,).
        span: first number and end.
        k: how many at most.
        dropped: numbers never returned.

    Returns:
        Ids within the span int64 (n,), scores float32 (n,), n <= k.
    """
    mine = scores_N[span[0] : span[1]].copy()
    for node in dropped:
        if span[0] <= node < span[1]:
            mine[node - span[0]] = 0.0
    places = np.flatnonzero(mine > 0)
    if len(places) > k:
        places = places[mine[places] >= np.partition(mine[places], -k)[-k]]
    order = np.lexsort((places, -mine[places]))[:k]
    return places[order].astype(np.int64), mine[places[order]].astype(np.float32)
