"""To and from PyTorch Geometric's `HeteroData` (an optional dependency).

An edge type of `HeteroData` is a triple (source type, relation, target type). Its `edge_index` is a relation as an
edge list of dense ids; weights are `edge_weight`, times are `time`.

Shape letters: E edges of a relation.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bowerbird.graph.building.from_edges import from_edges
from bowerbird.graph.building.input.edges import EdgeList, Edges
from bowerbird.graph.errors import GraphError
from bowerbird.graph.store import Graph
from bowerbird.tables.errors import did_you_mean

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

INSTALL = "PyTorch Geometric is not installed.\n  Fix: pip install torch-geometric"


def to_geometric(
    graph: Graph, *, features: Mapping[str, Any] | None = None, relations: Sequence[str] | None = None
) -> HeteroData:
    """A graph as `HeteroData`, in memory.

    Args:
        graph: The graph.
        features: Feature matrix (one row a node) by node type, becomes `x`; features do not lie in the graph.
        relations: Directed relations to take; None: all, both directions.

    Returns:
        `num_nodes` of every type; `edge_index` int64 (2, E), and `edge_weight` float32 (E,) and `time` int64 (E,)
        where the relation has them.

    Raises:
        GraphError: PyTorch Geometric is not installed, or there is no such relation or type, or a feature matrix does
            not have a row a node.
    """
    try:
        from torch_geometric.data import HeteroData
    except ImportError as error:
        raise GraphError(INSTALL) from error
    import torch

    data = HeteroData()
    for name, count in graph.counts.items():
        data[name].num_nodes = count
    for name, matrix in (features or {}).items():
        if name not in graph.counts:
            raise GraphError(f"no node type {name!r} in {graph.path}; {did_you_mean(name, graph.counts)}")
        x = torch.as_tensor(matrix)
        if len(x) != graph.counts[name]:
            raise GraphError(
                f"node type {name!r} has {graph.counts[name]:,} nodes, its features {len(x):,} rows"
            )
        data[name].x = x
    for name in graph.relations if relations is None else relations:
        relation = graph.relation(name)
        store = data[relation.source, name, relation.target]
        ends = np.stack([relation.sources(), relation.indices.astype(np.int64)])
        store.edge_index = torch.from_numpy(ends)
        if relation.weight is not None:
            store.edge_weight = torch.from_numpy(np.array(relation.weight))
        if relation.time is not None:
            store.time = torch.from_numpy(np.array(relation.time))
    return data


def from_geometric(
    path: str | Path,
    data: HeteroData,
    *,
    relations: Sequence[tuple[str, str, str]] | None = None,
    symmetric: Collection[str] = (),
    **settings: Any,
) -> Graph:
    """Builds a graph from the edges of a `HeteroData`.

    Args:
        path: Folder of the graph.
        data: Edge types with an `edge_index`, and with `edge_weight` and `time` where they have them. Features stay
            where they are.
        relations: Edge types to take; None: all but those that are another one's reverse by their name (`rev_follows`
            of `follows`, as `ToUndirected` calls them, or `item-user` of `user-item`), since reverses are made anyway.
        symmetric: Relations that hold every edge both ways; each becomes one symmetric relation.
        settings: Further arguments of `from_edges`.

    Raises:
        GraphError: There is no such edge type, or the edges do not make a graph.
        EdgesRejectedError: Too many edges were rejected.
    """
    known = {tuple(edge_type): data[edge_type] for edge_type in data.edge_types}
    chosen = _forward(list(known)) if relations is None else [tuple(each) for each in relations]
    lists = []
    for edge_type in chosen:
        if edge_type not in known:
            told = "-".join(edge_type)
            raise GraphError(
                f"no edge type {edge_type}; {did_you_mean(told, ('-'.join(each) for each in known))}"
            )
        source, name, target = edge_type
        edges = _edges(known[edge_type])
        if name in symmetric:
            edges = _once(edges)
        lists.append(EdgeList(name, source, target, edges, symmetric=name in symmetric))
    types = {end for each in lists for end in (each.source, each.target)}
    counts = {
        name: int(data[name].num_nodes)
        for name in data.node_types
        if name in types and data[name].num_nodes is not None
    }
    return from_edges(path, lists, counts=counts, **settings)


def _forward(types: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """The edge types that are not the reverse of an earlier one."""
    found: list[tuple[str, str, str]] = []
    reverses: set[tuple[str, str, str]] = set()
    for source, name, target in sorted(types, key=lambda each: each[1].startswith("rev_")):
        if (source, name, target) in reverses:
            continue
        found.append((source, name, target))
        by_default = EdgeList(name, source, target, Edges([], [])).reverse_name
        reverses |= {(target, f"rev_{name}", source), (target, by_default, source)}
    return found


def _edges(store: Any) -> Edges:
    ends = _array(store.edge_index)
    weight = _array(store.edge_weight) if "edge_weight" in store else None
    return Edges(ends[0], ends[1], weight, _array(store.time) if "time" in store else None)


def _once(edges: Edges) -> Edges:
    """The edges from the smaller to the larger id, of a relation that holds every edge both ways."""
    source, target = np.asarray(edges.source), np.asarray(edges.target)
    chosen = source <= target
    rest = [None if column is None else np.asarray(column)[chosen] for column in (edges.weight, edges.time)]
    return Edges(source[chosen], target[chosen], *rest)


def _array(tensor: Any) -> Any:
    return tensor.detach().cpu().numpy() if hasattr(tensor, "detach") else np.asarray(tensor)
