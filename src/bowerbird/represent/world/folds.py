"""Held-out folds: worlds that lack a part of the edges between lists and items, and are asked to foresee that part.

At inference an item that somebody will keep has no edge with their list, while everything they kept before has one. A
network trained in the whole graph never meets that: hiding the one edge of a positive leaves its traces, since walks
through the list made the list's other items its neighbours. So edges are dealt into folds by a hash; a step takes one
fold's world, whose graph was built without the fold's edges, and every list edge it is to foresee from that fold.

Shapes: E edges, B pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bowerbird.graph import EdgeList, Edges, Graph, Relation, from_edges
from bowerbird.represent.nodes.features import NodeContent
from bowerbird.represent.world.contents import with_edges
from bowerbird.represent.world.walks import graph_walks
from bowerbird.represent.world.world import World
from bowerbird.tables.store.keys import mix


@dataclass(frozen=True)
class Fold:
    """One fold: its world, and which edges it lacks.

    Attributes:
        world: the world without the fold's edges.
        number: which fold. count: of how many.
        by_item: whether whole items were dealt.
    """

    world: World
    number: int
    count: int
    by_item: bool

    def holds_out(self, lists: np.ndarray, items: np.ndarray) -> np.ndarray:
        """bool (B,): whether the edge of each list and item belongs to this fold."""
        return fold_of(lists, items, self.count, by_item=self.by_item) == self.number


def fold_of(lists: np.ndarray, items: np.ndarray, count: int, *, by_item: bool) -> np.ndarray:
    """The fold of edges between lists and items, int64 (B,): a hash, so that it is the same wherever it is asked.

    Args:
        lists, items: int64 (B,), dense ids. count: how many folds there are.
        by_item: whether all edges of an item share a fold.
    """
    key = mix(items.astype(np.uint64) + np.uint64(1))
    if not by_item:
        key = mix(key ^ (lists.astype(np.uint64) + np.uint64(1)))
    return (key % np.uint64(count)).astype(np.int64)


def folds_of(world: World, graph: Graph, folder: Path) -> list[Fold]:
    """The folds of a world, as many as its settings say; none where items lie in no lists.

    Args:
        world: the whole world. graph: its graph. folder: where the folds' graphs and neighbourhoods are kept;
            neighbourhoods that an earlier call stored of the same graphs are used again.
    """
    config, kind = world.config, world.list_type
    found = []
    for number in range(config.folds if kind else 0):
        place = folder / f"{config.fold_by}-{number}-of-{config.folds}"
        thinned = _without(
            graph, list(world.relations), kind, place / "graph", number, config.folds, config.fold_by
        )
        relations = {name: thinned.relations[name] for name in world.relations}
        walks = graph_walks(thinned, world.subsets, list(world.contents), config, place / "neighbourhoods")
        contents = {
            name: _content(name, c, relations, thinned, config.members) for name, c in world.contents.items()
        }
        part = World(
            world.view, config, relations, world.subsets, walks, contents, world.raw_ids, world.owned
        )
        found.append(Fold(part, number, config.folds, config.fold_by == "item"))
    return found


def _content(
    name: str, content: NodeContent, relations: Mapping[str, Relation], graph: Graph, most: int
) -> NodeContent:
    members = None
    if content.member_type:
        ends = (name, content.member_type)
        members = next((r for r in graph.relations.values() if (r.source, r.target) == ends), None)
    return with_edges(content, name, relations.values(), members, most)


def _without(
    graph: Graph, names: Sequence[str], kind: str, place: Path, number: int, count: int, by: str
) -> Graph:
    """The walked relations of a graph without one fold's edges between items and lists of a type."""
    edges, done = [], set()
    for name in names:
        reverse = graph.reverse(name)
        if name in done or reverse in done:
            continue
        done.add(name)
        relation = graph.relations[name]
        source, target, weight = _both(relation, None if reverse == name else graph.relations[reverse])
        if {relation.source, relation.target} == {"item", kind}:
            lists, items = (target, source) if relation.source == "item" else (source, target)
            kept = fold_of(lists, items, count, by_item=by == "item") != number
            source, target = source[kept], target[kept]
            weight = None if weight is None else weight[kept]
        edges.append(
            EdgeList(
                name, relation.source, relation.target, Edges(source, target, weight), symmetric=reverse == name,
                reverse=reverse,
            )
        )  # fmt: skip
    return from_edges(place, edges, counts=dict(graph.counts), growable=False, overwrite=True)


def _both(relation: Relation, reverse: Relation | None) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """All edges of a relation that either end's list still holds: source, target, weight."""
    parts = [_edges(relation)]
    if reverse is not None:
        target, source, weight = _edges(reverse)
        parts.append((source, target, weight))
    source, target = (np.concatenate([part[side] for part in parts]) for side in (0, 1))
    weights = [part[2] for part in parts if part[2] is not None]
    width = int(target.max(initial=0)) + 1
    first = np.unique(source * width + target, return_index=True)[1]
    weight = np.concatenate(weights)[first] if len(weights) == len(parts) else None
    return source[first], target[first], weight


def _edges(relation: Relation) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    indptr = np.asarray(relation.indptr, np.int64)
    source = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    weight = None if relation.weight is None else np.asarray(relation.weight, np.float64)
    return source, np.asarray(relation.indices).astype(np.int64), weight
