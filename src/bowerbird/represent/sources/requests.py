"""Collecting the nodes that a training batch embeds: each asked for once per neighbourhood it is to be seen with.

Shapes: B nodes asked for together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bowerbird.represent.nodes.batch import Asked, NeighbourhoodsLike, SlotLike
from bowerbird.represent.world.world import World

WHOLE, BLANK = 0, 1
"""Blanking codes: nothing, the whole neighbourhood; from 2 on the neighbours of one subset (code - 2)."""


@dataclass(frozen=True)
class Found:
    """Neighbourhoods as plain arrays, lists over slots; see :class:`NeighbourhoodsLike`."""

    slots: tuple[SlotLike, ...]
    ids: list[np.ndarray]
    scores: list[np.ndarray]
    mask: list[np.ndarray]


class RequestBook:
    """Nodes of all types asked for in one batch.

    Args:
        world: where neighbourhoods come from.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._other_types = ["", *sorted({r.source for r in world.relations.values()})]
        self._keys: dict[str, list[np.ndarray]] = {}
        self._sizes: dict[str, int] = {}

    def ask(
        self, node_type: str, ids: np.ndarray, *, other_type: str = "", other: np.ndarray | None = None,
        blank: np.ndarray | None = None, hide: np.ndarray | None = None,
    ) -> slice:  # fmt: skip
        """Ask for nodes.

        Args:
            node_type: their type. ids: int64 (B,).
            other_type, other: the node whose edge with each must not be seen, -1 for none.
            blank: int64 (B,), blanking codes.
            hide: int64 (B, 2), nodes of the same type that are not to be seen among the neighbours, -1 for none.

        Returns:
            Where they stand in the answer's places of this type; see :meth:`requests`.
        """
        none = np.full(len(ids), -1, np.int64)
        given = none if other is None or self._world.config.edge_removal == "none" else other
        kind = np.where(given >= 0, self._other_types.index(other_type) if other_type else 0, 0)
        code = np.zeros(len(ids), np.int64) if blank is None else blank
        unseen = np.full((len(ids), 2), -1, np.int64)
        if hide is not None and self._world.config.edge_removal != "none":
            unseen = hide
        columns = [ids, kind, given, code, *unseen.T]
        self._keys.setdefault(node_type, []).append(np.stack(columns, axis=1))
        start = self._sizes.get(node_type, 0)
        self._sizes[node_type] = start + len(ids)
        return slice(start, start + len(ids))

    def requests(self) -> tuple[dict[str, Asked], dict[str, np.ndarray]]:
        """The distinct requests.

        Returns:
            ``(asked, place)``: type -> requests, and type -> int64, the request of every node asked for, in order.
        """
        asked, place = {}, {}
        for node_type, parts in self._keys.items():
            keys, place[node_type] = np.unique(np.concatenate(parts), axis=0, return_inverse=True)
            ids, kind, other, blank = keys[:, :4].T
            asked[node_type] = self._asked(node_type, ids, kind, other, blank, keys[:, 4:])
        return asked, {name: index.reshape(-1) for name, index in place.items()}

    def _asked(
        self, node_type: str, ids: np.ndarray, kind: np.ndarray, other: np.ndarray, blank: np.ndarray,
        hide: np.ndarray,
    ) -> Asked:  # fmt: skip
        world = self._world
        near = self._near(node_type, ids, kind, other)
        for place, slot in enumerate(near.slots):
            if slot.node_type == node_type and (hide >= 0).any():
                near.mask[place][:] &= (near.ids[place][:, :, None] != hide[:, None, :]).all(-1)
        degree = {s.name: world.degrees[node_type, s.name].astype(np.float64)[ids] for s in world.subsets}
        for code in np.unique(blank[blank > WHOLE]):
            rows = blank == code
            for place, slot in enumerate(near.slots):
                if code == BLANK or slot.subset == world.subsets[code - 2].name:
                    near.mask[place][rows] = False
            for subset in world.subsets if code == BLANK else [world.subsets[code - 2]]:
                degree[subset.name][rows] = 0.0
        total = sum(degree.values(), start=np.zeros(len(ids)))
        for name in self._other_types[1:]:
            chosen = kind == self._other_types.index(name)
            if chosen.any():
                total[chosen] -= world.has_edge(node_type, ids[chosen], name, other[chosen])
        members = world.contents[node_type].member_type
        left_out = kind == self._other_types.index(members) if members else np.zeros(len(ids), dtype=bool)
        # whoever has nobody in its first subset (the lists) was never kept, so training cannot know it by name
        nameless = (blank == BLANK) | (blank == BLANK + 1) | world.nameless(node_type, ids)
        return Asked(
            ids=ids, near=near, log_degree=np.log1p(np.maximum(total, 0)).astype(np.float32),
            without=np.where(left_out, other, -1), hidden=nameless,
        )  # fmt: skip

    def _near(self, node_type: str, ids: np.ndarray, kind: np.ndarray, other: np.ndarray) -> Found:
        walks, mode = self._world.walks, self._world.config.edge_removal
        slots = tuple(walks.slots(node_type))
        found = Found(
            slots,
            [np.full((len(ids), s.k), -1, np.int64) for s in slots],
            [np.zeros((len(ids), s.k), np.float32) for s in slots],
            [np.zeros((len(ids), s.k), dtype=bool) for s in slots],
        )
        if self._world.config.aggregator == "none" or not slots:
            return found
        for code in np.unique(kind):
            rows = np.flatnonzero(kind == code)
            if code == 0 or mode == "mask":
                _put(found, rows, walks.stored(node_type, ids[rows]))
            else:
                name = self._other_types[code]
                _put(found, rows, walks.without(node_type, ids[rows], name, other[rows]))
            if code:  # also where a walk comes back to it another way
                for place, slot in enumerate(slots):
                    if slot.node_type == self._other_types[code]:
                        found.mask[place][rows] &= found.ids[place][rows] != other[rows, None]
        return found


def _put(found: Found, rows: np.ndarray, near: NeighbourhoodsLike) -> None:
    for place, (ids, scores, mask) in enumerate(zip(near.ids, near.scores, near.mask, strict=True)):
        found.ids[place][rows], found.scores[place][rows] = ids, scores
        found.mask[place][rows] = mask
