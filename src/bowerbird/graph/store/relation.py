"""`Relation`: the edges from one node type to another, as a compressed sparse row matrix.

Shape letters: S nodes of the source type, E edges.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

UNDATED: Final = int(np.iinfo(np.int64).min)
"""Time of an edge that says nothing about when it was made."""


@dataclass(frozen=True, eq=False)
class Relation:
    """One directed relation, usually memory-mapped.

    The targets of source node `u` are `indices[indptr[u] : indptr[u + 1]]`, ascending and distinct.

    Attributes:
        name: Name of the relation, such as `"item-collection"`.
        source, target: Node types.
        indptr: int64 (S + 1,) where the edges of each source node begin.
        indices: uint32 (E,) targets; int64 where the target type has more than 2^32 nodes.
        weight: float32 (E,) positive weights, or None where every weight is 1.
        time: int64 (E,) ms UTC of the latest event behind each edge (`UNDATED` where unknown), or None where no
            edge is dated.
    """

    name: str
    source: str
    target: str
    indptr: NDArray[np.int64]
    indices: NDArray[Any]
    weight: NDArray[np.float32] | None = None
    time: NDArray[np.int64] | None = None

    @property
    def n_source(self) -> int:
        """Number of nodes of the source type."""
        return len(self.indptr) - 1

    @property
    def n_edges(self) -> int:
        """Number of stored edges."""
        return len(self.indices)

    def __len__(self) -> int:
        return self.n_edges

    def degrees(self) -> NDArray[np.int64]:
        """int64 (S,): number of stored edges of each source node."""
        return np.diff(self.indptr)

    def targets(self, node: int) -> NDArray[Any]:
        """Targets of one source node, ascending."""
        return self.indices[int(self.indptr[node]) : int(self.indptr[node + 1])]

    def weights(self, node: int) -> NDArray[np.float32]:
        """float32: weights of the edges of one source node, in the order of `targets`."""
        low, high = int(self.indptr[node]), int(self.indptr[node + 1])
        return np.ones(high - low, np.float32) if self.weight is None else self.weight[low:high]

    def sources(self) -> NDArray[np.int64]:
        """int64 (E,): source of every edge, so that `sources()` and `indices` are an edge list (8 bytes an edge)."""
        return np.repeat(np.arange(self.n_source, dtype=np.int64), self.degrees())
