"""Building graphs: from edges, from a view of a store, by deltas; pruned, streamed, in bounded memory."""

from bowerbird.graph.building.delta import append_edges, merge_deltas
from bowerbird.graph.building.from_edges import from_edges
from bowerbird.graph.building.input.edges import EdgeList, Edges
from bowerbird.graph.building.pruning import Pruning
from bowerbird.graph.building.report import BuildReport, RelationReport
from bowerbird.graph.building.view import (
    ItemCollection,
    ItemCreator,
    ItemItem,
    LinkRelation,
    QueryItem,
    RelationSpec,
    UserItem,
    build_graph,
    default_relations,
    extend_graph,
)

__all__ = [
    "BuildReport",
    "EdgeList",
    "Edges",
    "ItemCollection",
    "ItemCreator",
    "ItemItem",
    "LinkRelation",
    "Pruning",
    "QueryItem",
    "RelationReport",
    "RelationSpec",
    "UserItem",
    "append_edges",
    "build_graph",
    "default_relations",
    "extend_graph",
    "from_edges",
    "merge_deltas",
]
