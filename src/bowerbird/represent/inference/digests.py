"""Digests: one number per node that changes whenever something its vector depends on does.

A node's vector depends on its own features, its degree, the identities and scores of its neighbours in order, their
features, and (for collections) the features of its members. Each node's own part is hashed first; a node's digest then
mixes its own part with those of everything it reads. Raw ids stand for nodes, since dense ids of collections change
when the graph is built again.

Shapes: N nodes of a type, B nodes asked for, k neighbours of a slot.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from bowerbird.represent.nodes.features import NodeContent
from bowerbird.represent.world.world import World
from bowerbird.tables.store.keys import mix, stable_keys

_GOLDEN = 0x9E3779B97F4A7C15
_MULTIPLIER = np.uint64(_GOLDEN)


class Digests:
    """Digests of the nodes of a world.

    Args:
        world: what vectors would be computed from.
    """

    def __init__(self, world: World) -> None:
        self._world = world

    @cached_property
    def _keys(self) -> dict[str, np.ndarray]:
        return {name: stable_keys(self._world.raw_ids[name]) for name in self._world.contents}

    @cached_property
    def _parts(self) -> dict[str, np.ndarray]:
        """type -> uint64 (N,), what a node is when it is read as a neighbour."""
        found: dict[str, np.ndarray] = {}
        for name, content in self._world.contents.items():
            part = feature_digest(content)
            if content.member_offsets is not None and content.members is not None:
                member = mix(self._keys[content.member_type] ^ found[content.member_type])[content.members]
                part = mix(part ^ _row_sums(member, content.member_offsets))
            found[name] = part
        return found

    def of(self, node_type: str, ids: np.ndarray) -> np.ndarray:
        """uint64 (B,): digests of nodes."""
        content = self._world.contents[node_type]
        found = mix(self._parts[node_type][ids] ^ _bits(content.degrees(ids)))
        near = self._world.walks.stored(node_type, ids)
        for place, (slot, near_ids, score, mask) in enumerate(
            zip(near.slots, near.ids, near.scores, near.mask, strict=True)
        ):
            row = np.where(mask, near_ids, 0)
            who = mix(self._keys[slot.node_type][row] ^ self._parts[slot.node_type][row])
            rank = np.arange(row.shape[1], dtype=np.uint64) + np.uint64(1 + 4096 * place)
            each = mix(mix(who ^ _bits(score)) + rank * _MULTIPLIER)
            found = mix(found ^ np.where(mask, each, np.uint64(0)).sum(axis=1, dtype=np.uint64))
        return found


def feature_digest(content: NodeContent) -> np.ndarray:
    """uint64 (N,): hash of a node's own content features; its identity vector never changes with one model."""
    found = np.zeros(content.count, np.uint64)
    for place, name in enumerate(content.names):
        salt = np.uint64((place + 1) * _GOLDEN % 2**64)
        if name in content.bags:
            ids, offsets = content.features.bags[name]
            part = _row_sums(mix(ids.astype(np.uint64) + salt), offsets)
        else:
            values = content.features.numbers if name == "numbers" else content.features.vectors[name]
            assert values is not None
            column = np.arange(values.shape[1], dtype=np.uint64) + salt
            part = mix(_bits(values) + column * _MULTIPLIER).sum(axis=1, dtype=np.uint64)
        found = mix(found ^ part)
    return found


def _row_sums(values_X: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Sum of the values of each row of a ragged array, modulo 2^64."""
    running = np.concatenate([np.zeros(1, np.uint64), np.cumsum(values_X, dtype=np.uint64)])
    return running[offsets[1:]] - running[offsets[:-1]]


def _bits(values: np.ndarray) -> np.ndarray:
    """The bits of float32 values as uint64, 0 and -0 alike."""
    plain = np.ascontiguousarray(values, np.float32) + np.float32(0)
    return plain.view(np.uint32).astype(np.uint64)
