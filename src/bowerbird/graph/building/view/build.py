"""`build_graph`: the graph of a store as a view shows it, and `extend_graph`: what a later view adds to it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from bowerbird.graph.building.assemble import Options
from bowerbird.graph.building.from_edges import build_lists
from bowerbird.graph.building.nodes import NodeType, own_type
from bowerbird.graph.building.pruning import Pruning
from bowerbird.graph.building.view.events import ItemItem, QueryItem, UserItem
from bowerbird.graph.building.view.relations import STORE_TYPES, RelationSpec, store_vocabulary
from bowerbird.graph.building.view.tables import ItemCollection, ItemCreator, LinkRelation
from bowerbird.graph.errors import GraphError
from bowerbird.graph.store import Graph
from bowerbird.tables.schema import Columns
from bowerbird.tables.view.walls import TimeWall

if TYPE_CHECKING:
    from bowerbird.tables.view import View


def build_graph(
    view: View,
    path: str | Path,
    relations: Sequence[RelationSpec] | None = None,
    *,
    pruning: Pruning | None = Pruning(),
    seed: int = 0,
    memory: int = 1 << 30,
    max_rejected_share: float = 0.01,
    growable: bool = True,
    overwrite: bool = False,
) -> Graph:
    """Builds the graph that a view shows: nothing dated at or past its wall makes a node or an edge.

    Items, users, queries and creators keep the dense ids of the store, so that features are gathered by id.
    Collections and the node types of the `links` table get a vocabulary of their own (the sorted raw ids that the
    view shows), see `Graph.ids`.

    Args:
        view: The store behind its wall.
        path: Folder of the graph; it appears when all of it is written.
        relations: What to build; None: `default_relations(view)`.
        pruning, seed, memory, max_rejected_share, growable, overwrite: As in `from_edges`. Pruning is on by default,
            with the parameters of the paper.

    Returns:
        The graph, opened.

    Raises:
        GraphError: The view shows no edges, or there is something at `path` already.
        EdgesRejectedError: Too many rows cannot be edges, e.g. links to items that nobody knows.
    """
    specs = list(default_relations(view) if relations is None else relations)
    if not specs:
        raise GraphError(
            f"{view!r} shows nothing that could be an edge: no positive events, collections, creators or links.\n"
            "  Fix: use a later wall, or ingest more tables"
        )
    options = Options(pruning, seed, memory, max_rejected_share, growable)
    nodes = node_types(view, specs)
    lists = [spec.edge_list(view) for spec in specs]
    return build_lists(Path(path), lists, nodes, options, data=_data(view, specs), overwrite=overwrite)


def default_relations(view: View) -> list[RelationSpec]:
    """Every relation that the tables of a view have rows for.

    A name of the links table that joins several pairs of node types makes one relation a pair, called
    `name:source-target`; one that is also the name of a built-in relation is called `links:name`.
    """
    found: list[RelationSpec] = []
    if _has_rows(view.collections()):
        found.append(ItemCollection())
    if len(view.positives):
        found += [ItemItem(), UserItem()]
        if any((query >= 0).any() for (query,) in view.positives.columns("query")):
            found.append(QueryItem())
    if (view.item_table().creator >= 0).any():
        found.append(ItemCreator())
    taken = {spec.name for spec in (ItemCollection(), ItemItem(), UserItem(), QueryItem(), ItemCreator())}
    taken |= {"collection-item", "item-user", "item-query", "creator-item"}
    columns = (Columns.RELATION, Columns.SOURCE_TYPE, Columns.TARGET_TYPE)
    kinds = view.links().select(columns).unique().sort(columns).collect(engine="streaming")
    several = kinds[Columns.RELATION].is_duplicated().to_list()
    for (relation, source, target), many in zip(kinds.iter_rows(), several, strict=True):
        name = f"links:{relation}" if relation in taken else relation
        called = f"{name}:{source}-{target}" if many else name
        found.append(LinkRelation(relation=relation, source_type=source, target_type=target, called=called))
    return found


def extend_graph(
    path: str | Path, view: View, *, memory: int = 1 << 30, max_rejected_share: float = 0.01
) -> Graph:
    """Adds what a later view of the same store shows: the edges dated from the old wall up to the new one.

    The result equals the graph built from the later view, to the byte of every array, with two exceptions that need
    `build_graph` again: rows that arrived later but are dated before the old wall, and new rows without a date.

    Args:
        path: A graph built by `build_graph` from a view with a wall in time.
        view: A view of the same store (which may have grown) with a later wall in time.
        memory, max_rejected_share: As in `from_edges`.

    Raises:
        GraphError: The graph is no such graph, or the view ends before it.
    """
    from bowerbird.graph.building.delta.merge import merge_lists

    graph = Graph.open(path)
    since = graph.manifest.data.get("wall")
    specs = [_spec(entry) for entry in graph.manifest.data.get("relations", [])]
    if since is None or not specs:
        raise GraphError(
            f"{path} was not built from a view with a wall in time, so what is new cannot be told.\n"
            "  Fix: build it with View(store, before=...), or build it again"
        )
    wall = _wall(view)
    if wall is None or wall < since:
        raise GraphError(
            f"{path} reaches up to {since} ms; the view must have a wall in time at or after that, not {view.wall}.\n"
            "  Fix: open a View with a later wall"
        )
    if graph.manifest.data["view"]["evaluation_rows"] != view.fingerprint["evaluation_rows"]:
        raise GraphError(
            f"{path} and the view differ in whether they show evaluation rows.\n  Fix: open it alike"
        )
    return merge_lists(
        Path(path),
        [spec.edge_list(view, since) for spec in specs],
        node_types(view, specs),
        memory=memory,
        max_rejected_share=max_rejected_share,
        data=_data(view, specs),
    )


def node_types(view: View, specs: Sequence[RelationSpec]) -> dict[str, NodeType]:
    """The node types of some relations, with their raw ids."""
    own: dict[str, list[pl.Series]] = {}
    for spec in specs:
        for name, ids in spec.raw_ids(view).items():
            own.setdefault(name, []).append(ids)
    found: dict[str, NodeType] = {}
    for name in dict.fromkeys(end for spec in specs for end in spec.ends):
        if name in STORE_TYPES:
            vocabulary = store_vocabulary(view, name)
            found[name] = NodeType(len(vocabulary), vocabulary)
        else:
            found[name] = own_type(_joined(own[name]))
    return found


def _joined(columns: list[pl.Series]) -> pl.Series:
    """Raw ids of several tables under one type: integers where all are, else text."""
    numbers = all(column.dtype.is_integer() for column in columns)
    return pl.concat([column.cast(pl.Int64 if numbers else pl.String).rename("id") for column in columns])


def _has_rows(rows: pl.LazyFrame) -> bool:
    return rows.head(1).collect().height > 0


def _wall(view: View) -> int | None:
    """The moment of a wall in time, where every wall is one."""
    walls = view.walls
    return view.end_time if walls and all(isinstance(wall, TimeWall) for wall in walls) else None


def _data(view: View, specs: Sequence[RelationSpec]) -> dict[str, Any]:
    told = [{"kind": type(spec).__name__, **dataclasses.asdict(spec)} for spec in specs]
    return {"view": view.fingerprint, "wall": _wall(view), "relations": told}


_KINDS: Mapping[str, type[RelationSpec]] = {
    kind.__name__: kind for kind in (ItemCollection, ItemItem, UserItem, QueryItem, ItemCreator, LinkRelation)
}


def _spec(entry: Mapping[str, Any]) -> RelationSpec:
    """A relation from what a manifest says of it."""
    settings = {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
    kind = str(settings.pop("kind"))
    if kind not in _KINDS:
        raise GraphError(
            f"the manifest names a relation of an unknown kind, {kind!r}.\n  Fix: build the graph again"
        )
    return _KINDS[kind](**settings)
