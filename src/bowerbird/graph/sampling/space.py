"""The graph that one subset walks on: the union of its relations, with one numbering for the nodes of all types.

Shape letters: R directed relations, T node types, N nodes, E edges of one relation.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bowerbird.graph.errors import GraphError
from bowerbird.graph.sampling.adjacency import Adjacency, add_entering, add_rows, count_entering, turned_round
from bowerbird.graph.sampling.shapes import PADDING, Subset
from bowerbird.graph.store import Graph, Relation
from bowerbird.tables.errors import did_you_mean

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class Space:
    """The induced graph of a subset. Nodes of type number t are numbered from `bounds[t]` in order of id.

    Args:
        graph: The graph.
        subset: The relations to unite and the node types to keep.
        weighted: Move in proportion to weight, where a relation has weights; otherwise all edges count alike.

    Attributes:
        types: Node types of the union.
        bounds: int64 (T + 1,) first number of each type.
        leaving: The edges, by the node they leave.
        weighted: Whether edges differ in weight.
        degree: int64 (N,) edges that leave a node.
        total: float32 (N,) their summed weight; the degree where not weighted.
        undirected: Whether as much enters every node as leaves it and every relation is there with its reverse. A
            pruned graph is not: a hub is listed by nodes that it does not list.
        entering: The edges, by the node they enter: `leaving` where undirected, else a copy in memory.
        entering_total: float32 (N,) summed weight of the edges that enter a node.

    Raises:
        GraphError: A relation or node type is not in the graph, or a type to keep is no end of any relation.
    """

    def __init__(self, graph: Graph, subset: Subset, *, weighted: bool = False) -> None:
        names = _names(graph, subset)
        relations = [graph.relations[name] for name in names]
        self.types = tuple(
            sorted({name for relation in relations for name in (relation.source, relation.target)})
        )
        for node_type in subset.keep:
            if node_type not in self.types:
                raise GraphError(
                    f"subset {subset.name!r}: node type {node_type!r} is at no end of {', '.join(names)}; "
                    f"{did_you_mean(node_type, self.types)}"
                )
        self.bounds = np.cumsum([0, *(graph.counts[name] for name in self.types)]).astype(np.int64)
        self.weighted = weighted and any(relation.weight is not None for relation in relations)
        self.leaving = Adjacency(relations, self.types, self.span, weighted=self.weighted)
        self._reversed = all(graph.reverse(name) in names for name in names)

    def __len__(self) -> int:
        """Number of nodes N."""
        return int(self.bounds[-1])

    @property
    def relations(self) -> tuple[Relation, ...]:
        """The directed relations of the union, by source type."""
        return self.leaving.relations

    def span(self, node_type: str) -> tuple[int, int]:
        """First number of a type and one past the last; (0, 0) where the type is not in this graph."""
        if node_type not in self.types:
            return 0, 0
        place = self.types.index(node_type)
        return int(self.bounds[place]), int(self.bounds[place + 1])

    def number(self, node_type: str, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Numbers (B,) of nodes; -1 where the type is not in this graph or the id is -1."""
        if node_type not in self.types:
            return np.full(len(ids), PADDING, np.int64)
        return np.where(ids < 0, PADDING, ids + self.span(node_type)[0])

    @cached_property
    def degree(self) -> NDArray[np.int64]:
        """See the class."""
        found = np.zeros(len(self), np.int64)
        for relation in self.relations:
            low, high = self.span(relation.source)
            found[low:high] += np.diff(relation.indptr)
        return found

    @cached_property
    def total(self) -> NDArray[np.float32]:
        """See the class."""
        if not self.weighted:
            return self.degree.astype(np.float32)
        found = np.zeros(len(self), np.float64)
        for relation in self.relations:
            low, high = self.span(relation.source)
            if relation.weight is None:
                found[low:high] += np.diff(relation.indptr)
            else:
                add_rows(relation.indptr, relation.weight, found[low:high])
        return found.astype(np.float32)

    @cached_property
    def undirected(self) -> bool:
        """See the class."""
        return self._reversed and np.allclose(self.entering_total, self.total, rtol=1e-4)

    @cached_property
    def entering(self) -> Adjacency:
        """See the class."""
        if self.undirected:
            return self.leaving
        turned = [
            turned_round(relation, self.span(relation.target)[1] - self.span(relation.target)[0])
            for relation in self.relations
        ]
        return Adjacency(turned, self.types, self.span, weighted=self.weighted)

    @cached_property
    def entering_total(self) -> NDArray[np.float32]:
        """See the class."""
        found = np.zeros(len(self), np.float64)
        for relation in self.relations:
            low, high = self.span(relation.target)
            if relation.weight is None or not self.weighted:
                count_entering(relation.indices, found[low:high])
            else:
                add_entering(relation.indices, relation.weight, found[low:high])
        return found.astype(np.float32)

    def matrix(self) -> csr_array:
        """float32 sparse (N, N): weight of the edge from row to column, copied into memory."""
        from scipy.sparse import block_array, csr_array

        sizes = np.diff(self.bounds)
        blocks: list[list[Any]] = [[None] * len(self.types) for _ in self.types]
        for i in range(len(self.types)):
            blocks[i][i] = csr_array((sizes[i], sizes[i]), dtype=np.float32)
        for relation in self.relations:
            i, j = self.types.index(relation.source), self.types.index(relation.target)
            weight = relation.weight if self.weighted and relation.weight is not None else None
            values = np.ones(relation.n_edges, np.float32) if weight is None else weight
            found = csr_array((values, relation.indices, relation.indptr), shape=(sizes[i], sizes[j]))
            blocks[i][j] = found if blocks[i][j] is None else blocks[i][j] + found
        return csr_array(block_array(blocks, format="csr"))


def _names(graph: Graph, subset: Subset) -> list[str]:
    names: dict[str, None] = {}
    for name in subset.relations:
        if name not in graph.relations:
            raise GraphError(
                f"subset {subset.name!r}: no relation {name!r} in the graph; {did_you_mean(name, graph.relations)}"
            )
        names[name] = None
        if not subset.directed:
            names[graph.reverse(name)] = None
    return list(names)
