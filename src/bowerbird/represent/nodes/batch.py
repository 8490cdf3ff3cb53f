"""Nodes to embed, as tensors: which nodes, their neighbours, and the distinct nodes whose features are needed.

A *request* is a node as it is to be embedded: the same node may be asked for twice with different neighbourhoods
(once without the edge to its positive, once whole).

Shapes: B requests of one type, k neighbours of a slot, U distinct nodes of one type, X member entries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor


class SlotLike(Protocol):
    """One (subset, node type) list of a neighbourhood."""

    @property
    def subset(self) -> str: ...

    @property
    def node_type(self) -> str: ...

    @property
    def k(self) -> int: ...


class NeighbourhoodsLike(Protocol):
    """Neighbourhoods as arrays (:class:`bowerbird.graph.Neighbourhoods` is one).

    ids int64, scores float32 and mask bool, each (B, k) per slot; best first, padded with id -1.
    """

    @property
    def slots(self) -> Sequence[SlotLike]: ...

    @property
    def ids(self) -> Sequence[np.ndarray]: ...

    @property
    def scores(self) -> Sequence[np.ndarray]: ...

    @property
    def mask(self) -> Sequence[np.ndarray]: ...


@dataclass(frozen=True)
class Neighbours:
    """The neighbours of B requests in one slot.

    Attributes:
        node_type: of the neighbours.
        row: int64 (B, k), where each stands among the distinct nodes of its type; 0 where masked.
        score: float32 (B, k), 0 where masked. mask: bool (B, k).
    """

    node_type: str
    row: Tensor
    score: Tensor
    mask: Tensor


@dataclass(frozen=True)
class Requests:
    """B nodes of one type to embed.

    Attributes:
        ids: int64 (B,). row: int64 (B,), where each stands among the distinct nodes of its type.
        without: int64 (B,), the member left out of a collection's own features, -1 for none.
        hidden: bool (B,), whose identity counts as unknown, whatever was learned about it.
        log_degree: float32 (B,).
        slots: the neighbours, one entry per slot.
    """

    ids: Tensor
    row: Tensor
    without: Tensor
    hidden: Tensor
    log_degree: Tensor
    slots: tuple[Neighbours, ...]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Members:
    """The members of U distinct nodes of one type.

    Attributes:
        offsets: int64 (U + 1,). ids: int64 (X,). row: int64 (X,), where each stands among the distinct nodes of its
            type.
    """

    offsets: Tensor
    ids: Tensor
    row: Tensor


@dataclass(frozen=True)
class NodeBatch:
    """Everything one pass of the node embedders reads.

    Attributes:
        distinct: type -> int64 (U,) ascending ids of the nodes whose features are needed.
        requests: type -> the nodes to embed.
        members: type -> members of its distinct nodes, for types whose features come from others.
    """

    distinct: Mapping[str, Tensor]
    requests: Mapping[str, Requests]
    members: Mapping[str, Members] = field(default_factory=dict)

    def to(self, device: torch.device | str) -> NodeBatch:
        """The same batch on a device."""
        moved = {}
        for name, asked in self.requests.items():
            slots = tuple(
                Neighbours(s.node_type, s.row.to(device), s.score.to(device), s.mask.to(device))
                for s in asked.slots
            )
            rest = {
                f: getattr(asked, f).to(device) for f in ("ids", "row", "without", "hidden", "log_degree")
            }
            moved[name] = replace(asked, **rest, slots=slots)
        members = {
            name: Members(m.offsets.to(device), m.ids.to(device), m.row.to(device))
            for name, m in self.members.items()
        }
        return NodeBatch({name: ids.to(device) for name, ids in self.distinct.items()}, moved, members)


@dataclass(frozen=True)
class Asked:
    """Requests of one type as arrays; see :class:`Requests`.

    ids, without: int64 (B,); near: their neighbourhoods; log_degree: float32 (B,); hidden: bool (B,).
    """

    ids: np.ndarray
    near: NeighbourhoodsLike
    log_degree: np.ndarray
    without: np.ndarray
    hidden: np.ndarray


def node_batch(
    asked: Mapping[str, Asked], members: Mapping[str, tuple[str, np.ndarray, np.ndarray]]
) -> NodeBatch:
    """Requests as tensors, with the distinct nodes of every type.

    Args:
        asked: type -> requests.
        members: type -> (type of its members, offsets int64 (N + 1,), member ids int64 (X,)): nodes whose own features
            are read through others.
    """
    wanted: dict[str, list[np.ndarray]] = {}
    for name, requests in asked.items():
        near = requests.near
        wanted.setdefault(name, []).append(requests.ids)
        for slot, found, mask in zip(near.slots, near.ids, near.mask, strict=True):
            wanted.setdefault(slot.node_type, []).append(found[mask])
    for name, (inner, offsets, flat) in members.items():
        if name in wanted:
            owners = np.unique(np.concatenate(wanted[name]))
            wanted.setdefault(inner, []).append(flat[_spans(offsets, owners)])
    distinct = {name: np.unique(np.concatenate(parts)) for name, parts in wanted.items()}
    return NodeBatch(
        {name: _t(ids) for name, ids in distinct.items()},
        {name: _requests(name, found, distinct) for name, found in asked.items()},
        {
            name: _members(distinct[name], offsets, flat, distinct[inner])
            for name, (inner, offsets, flat) in members.items()
            if name in wanted
        },
    )


def _members(nodes: np.ndarray, offsets: np.ndarray, flat: np.ndarray, inner: np.ndarray) -> Members:
    ids = flat[_spans(offsets, nodes)]
    ends = np.concatenate([[0], np.cumsum(offsets[nodes + 1] - offsets[nodes])])
    return Members(_t(ends), _t(ids), _t(np.searchsorted(inner, ids)))


def _requests(name: str, asked: Asked, distinct: Mapping[str, np.ndarray]) -> Requests:
    near, slots = asked.near, []
    for slot, found, score, mask in zip(near.slots, near.ids, near.scores, near.mask, strict=True):
        row = np.where(mask, np.searchsorted(distinct[slot.node_type], found), 0)
        shown = np.where(mask, score, 0.0).astype(np.float32)
        slots.append(
            Neighbours(slot.node_type, _t(row), torch.from_numpy(shown), torch.from_numpy(mask.copy()))
        )
    return Requests(
        ids=_t(asked.ids), row=_t(np.searchsorted(distinct[name], asked.ids)), without=_t(asked.without),
        hidden=torch.from_numpy(asked.hidden.copy()),
        log_degree=torch.from_numpy(asked.log_degree.astype(np.float32)), slots=tuple(slots),
    )  # fmt: skip


def _spans(offsets: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Positions of all entries of some rows of a ragged array."""
    low, count = offsets[rows], offsets[rows + 1] - offsets[rows]
    first = np.cumsum(count) - count
    return np.repeat(low - first, count) + np.arange(int(count.sum()))


def _t(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.int64))
