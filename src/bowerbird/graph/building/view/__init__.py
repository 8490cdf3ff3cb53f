"""Graphs of a store: which relations its tables hold, read through a view so that nothing past the wall gets in."""

from bowerbird.graph.building.view.build import build_graph, default_relations, extend_graph
from bowerbird.graph.building.view.events import ItemItem, QueryItem, UserItem
from bowerbird.graph.building.view.relations import RelationSpec
from bowerbird.graph.building.view.tables import ItemCollection, ItemCreator, LinkRelation

__all__ = [
    "ItemCollection",
    "ItemCreator",
    "ItemItem",
    "LinkRelation",
    "QueryItem",
    "RelationSpec",
    "UserItem",
    "build_graph",
    "default_relations",
    "extend_graph",
]
