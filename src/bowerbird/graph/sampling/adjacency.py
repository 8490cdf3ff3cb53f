"""Relations as compiled code reads them, and relations turned round.

Shape letters: R directed relations, T node types, S nodes of the source type, E edges.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bowerbird.graph.sampling.methods.rows import (
    COLUMNS,
    CUMULATIVE,
    INDICES,
    INDPTR,
    SOURCE,
    TARGET,
    WEIGHT,
    WIDE,
)
from bowerbird.graph.store import Relation


class Adjacency:
    """The rows of several relations; keeps alive what its table points to.

    Args:
        relations: The relations.
        types: Their node types, in order of number.
        span: First number and end of a type.
        weighted: Whether weights count.

    Attributes:
        relations: By source type.
        table: int64 (R, columns) and
        first: int64 (T + 1,), see `methods/rows.py`.
        sums: float64 (E + 1,) running sums of weight, a relation each, once `sum_weights` was called.
    """

    def __init__(
        self,
        relations: Sequence[Relation],
        types: Sequence[str],
        span: Callable[[str], tuple[int, int]],
        *,
        weighted: bool,
    ) -> None:
        self.relations = tuple(sorted(relations, key=lambda relation: relation.source))
        self.weighted = weighted
        self.sums: list[NDArray[np.float64]] = []
        self._kept: list[NDArray[Any]] = []
        self.table = np.zeros((len(self.relations), COLUMNS), np.int64)
        for place, relation in enumerate(self.relations):
            self._fill_row(place, relation)
            self.table[place, SOURCE] = span(relation.source)[0]
            self.table[place, TARGET] = span(relation.target)[0]
        sources = [relation.source for relation in self.relations]
        begins = np.searchsorted(np.array(sources), list(types)).astype(np.int64)
        self.first = np.append(begins, len(sources)).astype(np.int64)

    def _fill_row(self, place: int, relation: Relation) -> None:
        # no copies where the types are right already, as they are for memory maps
        indptr = np.ascontiguousarray(relation.indptr, np.int64)
        narrow = relation.indices.dtype == np.uint32
        indices = np.ascontiguousarray(relation.indices, np.uint32 if narrow else np.int64)
        self.table[place, INDPTR], self.table[place, INDICES] = indptr.ctypes.data, indices.ctypes.data
        self.table[place, WIDE] = not narrow
        self._kept += [indptr, indices]
        if self.weighted and relation.weight is not None:
            weight = np.ascontiguousarray(relation.weight, np.float32)
            self.table[place, WEIGHT] = weight.ctypes.data
            self._kept.append(weight)

    def sum_weights(self) -> None:
        """Makes the running sums of weight (8 bytes an edge) by which a walk chooses an edge; nothing if unweighted."""
        if not self.weighted or self.sums:
            return
        for place, relation in enumerate(self.relations):
            sums = np.zeros(relation.n_edges + 1, np.float64)
            if relation.weight is None:
                sums[1:] = np.arange(1, relation.n_edges + 1)
            else:
                np.cumsum(relation.weight, dtype=np.float64, out=sums[1:])
            self.sums.append(sums)
            self.table[place, CUMULATIVE] = sums.ctypes.data


def turned_round(relation: Relation, n_target: int) -> Relation:
    """The relation with every edge the other way round, in memory; sources ascend within a row.

    Args:
        relation: from S nodes to `n_target`.
        n_target: Nodes of the target type.
    """
    indptr = np.zeros(n_target + 1, np.int64)
    indices = np.empty(relation.n_edges, np.uint32 if relation.n_source <= 1 << 32 else np.int64)
    given = relation.weight if relation.weight is not None else np.zeros(0, np.float32)
    weight = np.empty(len(given), np.float32)
    _turn(relation.indptr, relation.indices, given, indptr, indices, weight)
    return Relation(
        f"{relation.name} turned round", relation.target, relation.source, indptr, indices,
        weight if relation.weight is not None else None,
    )  # fmt: skip


@njit(nogil=True, cache=True)
def _turn(
    indptr: np.ndarray,
    indices: np.ndarray,
    weight: np.ndarray,
    new_indptr: np.ndarray,
    new_indices: np.ndarray,
    new_weight: np.ndarray,
) -> None:
    for edge in range(len(indices)):
        new_indptr[indices[edge] + 1] += 1
    for node in range(len(new_indptr) - 1):
        new_indptr[node + 1] += new_indptr[node]
    place = new_indptr[:-1].copy()
    for node in range(len(indptr) - 1):
        for edge in range(indptr[node], indptr[node + 1]):
            to = place[indices[edge]]
            place[indices[edge]] += 1
            new_indices[to] = node
            if len(weight) > 0:
                new_weight[to] = weight[edge]


@njit(nogil=True, cache=True)
def add_rows(indptr: np.ndarray, weight: np.ndarray, total: np.ndarray) -> None:
    """Adds the summed weight of every row to `total` (S,)."""
    for node in range(len(total)):
        found = 0.0
        for edge in range(indptr[node], indptr[node + 1]):
            found += weight[edge]
        total[node] += found


@njit(nogil=True, cache=True)
def count_entering(indices: np.ndarray, into: np.ndarray) -> None:
    """Adds 1 to `into` for every edge, at its target."""
    for edge in range(len(indices)):
        into[indices[edge]] += 1.0


@njit(nogil=True, cache=True)
def add_entering(indices: np.ndarray, weight: np.ndarray, into: np.ndarray) -> None:
    """Adds its weight to `into` for every edge, at its target."""
    for edge in range(len(indices)):
        into[indices[edge]] += weight[edge]
