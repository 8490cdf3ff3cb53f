"""Building graphs: from edges, from a view of a store, by deltas; pruned, streamed, in bounded memory."""

from bowerbird.graph.build.delta import append_edges, merge_deltas
from bowerbird.graph.build.from_edges import from_edges
from bowerbird.graph.build.input.edges import EdgeList, Edges
from bowerbird.graph.build.pruning import Pruning
from bowerbird.graph.build.report import BuildReport, RelationReport
from bowerbird.graph.build.view import (
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
