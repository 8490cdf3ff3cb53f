"""A heterogeneous graph on disk: built from a store through a view or from any edges, opened in an instant.

``store`` the memory-mapped CSR files and their manifest · ``building`` streams edges into them, prunes hubs, merges
deltas · ``statistics`` degrees, components, a plot · ``interop`` edge files and PyTorch Geometric.
``sampling`` random walks with restart. Features stay in the store and are gathered by id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bowerbird.graph.building import (
    BuildReport,
    EdgeList,
    Edges,
    ItemCollection,
    ItemCreator,
    ItemItem,
    LinkRelation,
    Pruning,
    QueryItem,
    RelationReport,
    RelationSpec,
    UserItem,
    append_edges,
    build_graph,
    default_relations,
    extend_graph,
    from_edges,
    merge_deltas,
)
from bowerbird.graph.errors import EdgesRejectedError, GraphError
from bowerbird.graph.interop import from_geometric, read_edges, to_geometric, write_edges
from bowerbird.graph.statistics import (
    Components,
    DegreeStatistics,
    components,
    degree_statistics,
    describe,
    plot_degrees,
)
from bowerbird.graph.store import UNDATED, Graph, Relation

if TYPE_CHECKING:
    from bowerbird.graph.sampling import (
        Neighbourhoods,
        Sampler,
        Slot,
        StoredNeighbourhoods,
        Subset,
        precompute,
    )

_SAMPLING = ("Neighbourhoods", "Sampler", "Slot", "StoredNeighbourhoods", "Subset", "precompute")

__all__ = [
    "UNDATED",
    "BuildReport",
    "Components",
    "DegreeStatistics",
    "EdgeList",
    "Edges",
    "EdgesRejectedError",
    "Graph",
    "GraphError",
    "ItemCollection",
    "ItemCreator",
    "ItemItem",
    "LinkRelation",
    "Neighbourhoods",
    "Pruning",
    "QueryItem",
    "Relation",
    "RelationReport",
    "RelationSpec",
    "Sampler",
    "Slot",
    "StoredNeighbourhoods",
    "Subset",
    "UserItem",
    "append_edges",
    "build_graph",
    "components",
    "default_relations",
    "degree_statistics",
    "describe",
    "extend_graph",
    "from_edges",
    "from_geometric",
    "merge_deltas",
    "plot_degrees",
    "precompute",
    "read_edges",
    "to_geometric",
    "write_edges",
]


def __getattr__(name: str) -> Any:
    """Sampling is imported when it is asked for: its compiled loops take a second that a command may not need."""
    if name in _SAMPLING:
        from bowerbird.graph import sampling

        return getattr(sampling, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
