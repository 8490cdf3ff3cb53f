"""What every relation of a store answers: its ends, its raw ids where the store has no dense ones, its edges."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from bowerbird.graph.building.input.edges import EdgeList, Edges
from bowerbird.tables.store import Vocabulary

if TYPE_CHECKING:
    from bowerbird.tables.view import View

STORE_TYPES = ("item", "user", "query", "creator")
"""Node types that keep the dense ids of the store; every other type gets a vocabulary of the graph's own."""

PARTIAL_TYPES = ("query", "creator")
"""Types that a store knows only as far as items and events name them, so that links may name others."""

CHUNK = 1 << 20
"""Rows read at once."""


def store_vocabulary(view: View, node_type: str) -> Vocabulary:
    """Raw ids of one of `STORE_TYPES`, in the dense order of the store."""
    if node_type == "item":
        return view.item_ids
    if node_type == "user":
        return view.user_ids
    if node_type == "query":
        return view.queries
    return view.item_table().creators


@dataclass(frozen=True)
class RelationSpec(ABC):
    """One relation of a store. A spec is a small record of settings; the manifest of a graph repeats it."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Name of the relation."""

    @property
    @abstractmethod
    def ends(self) -> tuple[str, str]:
        """Node types of source and target."""

    @property
    def symmetric(self) -> bool:
        """Whether (u, v) and (v, u) are one edge."""
        return False

    @property
    def raw(self) -> bool:
        """Whether the edges come by raw id."""
        return False

    @abstractmethod
    def edges(self, view: View, since: int | None) -> Iterator[Edges]:
        """The edges that a view shows, in batches.

        Args:
            view: The store behind its wall.
            since: Only edges dated at or after this moment (ms UTC), for a delta; undated ones count as older.
        """

    def raw_ids(self, view: View) -> dict[str, pl.Series]:
        """Distinct raw ids of the node types that have no dense ids in the store, in any order."""
        return {}

    def edge_list(self, view: View, since: int | None = None) -> EdgeList:
        """The relation as a list of edges, read when they are asked for; `since` as in `edges`."""
        source, target = self.ends
        edges = self.edges(view, since)
        partial = self.raw and any(end in PARTIAL_TYPES for end in self.ends)
        return EdgeList(
            self.name, source, target, edges, symmetric=self.symmetric, raw=self.raw, strangers=partial
        )
