"""What is around an item in a graph of the store: the nodes a random walk with restart from it keeps coming back to.

The graph is opened once and outlives releases. Users are never named: the walk passes through them, the answer leaves
them out.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bowerbird.graph import Graph, GraphError
from bowerbird.serve.past.trails import code_of
from bowerbird.serve.request import RawId
from bowerbird.tables.errors import BowerbirdError
from bowerbird.tables.store import Vocabulary

if TYPE_CHECKING:
    from bowerbird.graph import Sampler

MOST = 50
"""Nodes of one type at most."""
DEFAULT_FOLDER = "graph"
"""Where a graph is looked for inside a store when none is named."""
_ITEM, _USER = "item", "user"
_FIRST = (_ITEM, "collection", "query", "creator")
"""Node types in the order they are told; others follow by name."""


class NoGraphError(BowerbirdError):
    """A neighbourhood was asked for where no graph is served."""


@dataclass(frozen=True)
class NearNode:
    """A node near an item: its raw id, the share of time the walk spends there, and the relations that join the two
    directly."""

    id: RawId
    score: float
    through: tuple[str, ...]


class GraphNeighbours:
    """Finds neighbourhoods. Safe to share between threads: they take turns, so that scratch memory (16 bytes a node)
    is needed once.

    Args:
        graph: Its item nodes are found by their raw ids, so it may be older than the store or newer.

    Attributes:
        types: Node types an answer names, in order.

    Raises:
        GraphError: No relation of the graph has items in it.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        ends = {end for relation in graph.relations.values() for end in (relation.source, relation.target)}
        if _ITEM not in ends:
            raise GraphError(
                f"{graph.path}: no relation has nodes of type 'item', so no item has a neighbourhood.\n"
                "  Fix: give a graph that `bowerbird graph build` made from the store"
            )
        first = [name for name in _FIRST if name in ends]
        self.types: tuple[str, ...] = (*first, *sorted(ends - {*_FIRST, _USER}))
        self._lock = threading.Lock()

    @classmethod
    def open(cls, folder: Path) -> GraphNeighbours:
        """Opens the graph in a folder; nothing is read before the first question.

        Raises:
            GraphError: There is none, or it is damaged.
        """
        return cls(Graph.open(folder))

    @classmethod
    def for_store(cls, store: Path, folder: Path | None = None) -> GraphNeighbours | None:
        """The graph in `folder`, else the one inside a store where there is one.

        Raises:
            GraphError: It is damaged, or `folder` holds none.
        """
        inside = store / DEFAULT_FOLDER
        if folder is None and not (inside / "manifest.json").is_file():
            return None
        return cls.open(inside if folder is None else folder)

    def near(self, item: RawId, k: int) -> dict[str, list[NearNode]] | None:
        """The nodes nearest to an item by type, best first; None where the graph does not know the item.

        Args:
            item: Raw id.
            k: Nodes of each type, up to `MOST`.
        """
        with self._lock:
            node = code_of(self._items, item)
            if node < 0:
                return None
            found = self._sampler.sample(_ITEM, [node])
        near: dict[str, list[NearNode]] = {}
        for slot, ids, scores, there in zip(found.slots, found.ids, found.scores, found.mask, strict=True):
            nodes = ids[0][there[0]][:k]
            raw = self.graph.ids(slot.node_type).gather(nodes).to_list()
            through = self._through(node, slot.node_type, nodes)
            near[slot.node_type] = [
                NearNode(*entry) for entry in zip(raw, scores[0].tolist(), through, strict=False)
            ]
        return near

    def warm_up(self) -> None:
        """Loads what the first question needs."""
        with self._lock:
            if len(self._items):
                self._sampler.sample(_ITEM, [0])

    @cached_property
    def _items(self) -> Vocabulary:
        return Vocabulary(self.graph.ids(_ITEM))

    @cached_property
    def _sampler(self) -> Sampler:
        from bowerbird.graph import Sampler, Subset

        subset = Subset("all", tuple(self.graph.relations), dict.fromkeys(self.types, MOST))
        # Closing walks would need the reverse of a pruned graph in memory; a larger budget does as well without.
        return Sampler(self.graph, [subset], budget=1_000_000, closing=0, threads=1)

    def _through(self, item: int, node_type: str, nodes: np.ndarray) -> list[tuple[str, ...]]:
        """For each node the relations with an edge to the item. Pruning may have kept it in one direction only."""
        through: list[list[str]] = [[] for _ in nodes]
        for relation in self.graph.relations.values():
            if (relation.source, relation.target) != (_ITEM, node_type):
                continue
            back = self.graph.relation(self.graph.reverse(relation.name))
            joined = np.isin(nodes, relation.targets(item))
            for place, node in enumerate(nodes.tolist()):
                if joined[place] or _holds(back.targets(node), item):
                    through[place].append(relation.name)
        return [tuple(names) for names in through]


def _holds(ascending: np.ndarray, value: int) -> bool:
    place = int(np.searchsorted(ascending, value))
    return place < len(ascending) and int(ascending[place]) == value
