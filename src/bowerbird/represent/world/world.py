"""The world of a view: graph, walks, contents, logged pairs and whose list an item lies in.

Shapes: B nodes asked for, E edges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import polars as pl

from bowerbird.represent.config import OmniSageConfig
from bowerbird.represent.nodes.batch import Asked, NeighbourhoodsLike, NodeBatch, SlotLike, node_batch
from bowerbird.represent.nodes.features import NodeContent
from bowerbird.represent.world.contents import DirectedRelation, row_sizes
from bowerbird.represent.world.subsets import SubsetSpec
from bowerbird.tables.view import View
from bowerbird.tables.view.rows.source import first_row_at

if TYPE_CHECKING:
    from bowerbird.represent.world.folds import Fold


class Walks(Protocol):
    """Neighbourhoods of nodes, stored or walked for now."""

    def stored(self, node_type: str, ids: np.ndarray) -> NeighbourhoodsLike:
        """Neighbourhoods of nodes in the whole graph."""
        ...

    def without(
        self, node_type: str, ids: np.ndarray, other_type: str, other: np.ndarray
    ) -> NeighbourhoodsLike:
        """Neighbourhoods as if each node had no edge with one other node, which is not returned either."""
        ...

    def slots(self, node_type: str) -> Sequence[SlotLike]:
        """The lists of a type's neighbourhoods."""
        ...


@dataclass(frozen=True)
class Logged:
    """Edges between nodes that get vectors: the pairs a log gives for free.

    anchor_type, positive_type: of the ends. anchor, positive: int64 (E,). weight: float64 (E,), how often.
    """

    anchor_type: str
    positive_type: str
    anchor: np.ndarray
    positive: np.ndarray
    weight: np.ndarray


class World:
    """See the module docstring.

    Args:
        view: what is shown.
        config: settings.
        relations: name -> directed relation, those that walks use. subsets: what uses which.
        walks: neighbourhoods.
        contents: type -> content, of every type that gets vectors.
        raw_ids: type -> raw ids in dense order.
        owned: whose list holds what: ``(list type, user int64, item int64, list int64)``, or ``None``.
        keeps: whatever must live as long as this world (a temporary folder).

    Attributes:
        folds: what training learns from, where the settings ask for folds and items lie in lists.
    """

    def __init__(
        self, view: View, config: OmniSageConfig, relations: Mapping[str, DirectedRelation],
        subsets: Sequence[SubsetSpec], walks: Walks, contents: Mapping[str, NodeContent],
        raw_ids: Mapping[str, pl.Series],
        owned: tuple[str, np.ndarray, np.ndarray, np.ndarray] | None = None, keeps: Any = None,
    ) -> None:  # fmt: skip
        self.view, self.config, self.walks = view, config, walks
        self.relations, self.subsets = relations, list(subsets)
        self.contents, self.raw_ids = dict(contents), raw_ids
        self._keeps = keeps
        self.folds: list[Fold] = []
        self.owned = owned
        self._owned_type = ""
        self._owned_key = self._owned_list = np.empty(0, np.int64)
        if owned is not None:
            self._owned_type, user, item, owner_list = owned
            key = user.astype(np.int64) * view.n_items + item
            order = np.argsort(key, kind="stable")
            self._owned_key, self._owned_list = key[order], owner_list[order]

    @cached_property
    def degrees(self) -> dict[tuple[str, str], np.ndarray]:
        """(type, subset) -> int64 (N,), edges of each node that walks of this subset may take."""
        found = {}
        for subset in self.subsets:
            for name, content in self.contents.items():
                total = np.zeros(content.count, np.int64)
                for relation in (self.relations[r] for r in subset.relations):
                    if relation.source == name:
                        total += row_sizes(relation)
                found[name, subset.name] = total
        return found

    def has_edge(self, node_type: str, ids: np.ndarray, other_type: str, other: np.ndarray) -> np.ndarray:
        """bool (B,): whether each node has an edge with the other one; no edge where that is -1."""
        found = np.zeros(len(ids), dtype=bool)
        for relation in self.relations.values():
            if relation.source == node_type and relation.target == other_type and len(relation.indices):
                indptr = np.asarray(relation.indptr, np.int64)
                low, high = indptr[ids], indptr[ids + 1]
                place = first_row_at(relation.indices, low, high, other)
                inside = place < high
                found |= inside & (np.asarray(relation.indices[np.where(inside, place, 0)]) == other)
        return found & (other >= 0)

    def nameless(self, node_type: str, ids: np.ndarray) -> np.ndarray:
        """bool (B,): nodes in no list, where there are lists: training cannot know by name what nobody kept."""
        if not self.list_type or (node_type, self.subsets[0].name) not in self.degrees:
            return np.zeros(len(ids), dtype=bool)
        found: np.ndarray = self.degrees[node_type, self.subsets[0].name][ids] == 0
        return found

    @property
    def list_type(self) -> str:
        """The type of the lists that hold items, among the nodes that walks pass through; empty where there is none."""
        ends = {relation.source for relation in self.relations.values()}
        return next((kind for kind in ("collection", "user") if kind in ends), "")

    @cached_property
    def _lists_of_users(self) -> tuple[np.ndarray, np.ndarray]:
        """(user, list) pairs without repeats, by user."""
        if self.owned is None or self.owned[0] not in self.contents:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        _, user, _, place = self.owned
        pairs = np.unique(np.stack([user, place]), axis=1)
        return pairs[0], pairs[1]

    def lists_of(self, users: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The lists with vectors that users own: int64 (X,) which of the users, int64 (X,) which list."""
        user, place = self._lists_of_users
        low, high = np.searchsorted(user, users), np.searchsorted(user, users, side="right")
        count = high - low
        entry = np.repeat(low - (np.cumsum(count) - count), count) + np.arange(int(count.sum()))
        return np.repeat(np.arange(len(users)), count), place[entry]

    @property
    def types(self) -> list[str]:
        """Types that get vectors, items first."""
        return list(self.contents)

    @property
    def slots(self) -> dict[str, Sequence[SlotLike]]:
        """The neighbour lists of every type."""
        return {name: self.walks.slots(name) for name in self.contents}

    def own_lists(self, users: np.ndarray, items: np.ndarray) -> tuple[str, np.ndarray]:
        """The list of each user that holds each item: its type and int64 (B,), -1 where there is none."""
        found = np.full(len(users), -1, np.int64)
        if not self._owned_type or not len(self._owned_key):
            return self._owned_type, found
        key = users.astype(np.int64) * self.view.n_items + items
        place = np.minimum(np.searchsorted(self._owned_key, key), len(self._owned_key) - 1)
        there = self._owned_key[place] == key
        found[there] = self._owned_list[place[there]]
        return self._owned_type, found

    def logged(self) -> list[Logged]:
        """All edges between types that get vectors, one entry per (anchor type, positive type)."""
        parts: dict[tuple[str, str], list[tuple[np.ndarray, np.ndarray, np.ndarray]]] = {}
        for relation in self.relations.values():
            if relation.source in self.contents and relation.target in self.contents:
                indptr = np.asarray(relation.indptr, np.int64)
                source = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
                target = np.asarray(relation.indices).astype(np.int64)
                weight = getattr(relation, "weight", None)
                given = np.ones(len(target)) if weight is None else np.asarray(weight, np.float64)
                apart = source != target if relation.source == relation.target else np.ones(len(source), bool)
                parts.setdefault((relation.source, relation.target), []).append(
                    (source[apart], target[apart], given[apart])
                )
        return [
            Logged(a, p, *(np.concatenate(column) for column in zip(*found, strict=True)))
            for (a, p), found in sorted(parts.items())
            if sum(len(part[0]) for part in found)
        ]

    def batch(self, asked: Mapping[str, np.ndarray]) -> NodeBatch:
        """Whole nodes to embed, as inference asks for them: type -> int64 (B,)."""
        return self.assembled(
            {
                name: Asked(
                    ids=ids, near=self.walks.stored(name, ids), log_degree=self.contents[name].degrees(ids),
                    without=np.full(len(ids), -1), hidden=self.nameless(name, ids),
                )
                for name, ids in asked.items()
            }
        )  # fmt: skip

    def assembled(self, asked: Mapping[str, Asked]) -> NodeBatch:
        """Requests as tensors; collections bring their members along."""
        members = {}
        for name, content in self.contents.items():
            if content.member_offsets is not None and content.members is not None:
                members[name] = (content.member_type, content.member_offsets, content.members)
        return node_batch(asked, members)
