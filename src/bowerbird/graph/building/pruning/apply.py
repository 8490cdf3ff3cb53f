"""Applies a pruning to the two directions of a relation, block by block.

Shape letters: S rows of a CSR, N nodes of the other type, E edges of a block.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from bowerbird.graph.building.pruning.rule import Pruning
from bowerbird.graph.building.sorting.csr import Block, CSRFiles

_ENDS = {"own": 0, "either": 1, "both": 2}
_NO_WEIGHTS = np.empty(0, np.int64)
_LARGEST = np.uint64(0xFFFFFFFFFFFFFFFF)

Choice = Callable[[Block], NDArray[np.bool_]]
"""Which edges of a block stay: bool (E,)."""


@dataclass(frozen=True, eq=False)
class Side:
    """The nodes that own the lists of a directed relation.

    Attributes:
        relation: Name of the relation.
        count: S.
        key: uint64 (S,) what stands for each node in the random numbers; empty where nothing is pruned.
    """

    relation: str
    count: int
    key: NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class Bars:
    """The last edge that every node keeps, by falling weight, then rising random number.

    Attributes:
        seed: uint64, mixes the seed and the name of the relation.
        weight: int64 (S,).
        hash: uint64 (S,).
        cut: Whether any node loses an edge.
    """

    seed: np.uint64
    weight: NDArray[np.int64]
    hash: NDArray[np.uint64]
    cut: bool


def relation_seed(seed: int, relation: str) -> np.uint64:
    """A number for a seed and the name of a directed relation."""
    digest = blake2b(f"{seed}:{relation}".encode(), digest_size=8).digest()
    return np.uint64(int.from_bytes(digest, "little"))


def find_bars(csr: CSRFiles, owner: Side, other: Side, pruning: Pruning, seed: int, block: int) -> Bars:
    """Looks through one direction for the last edge that each node keeps.

    Args:
        csr: Unpruned edges of `owner`.
        owner, other: The nodes at both ends.
        pruning: The rule.
        seed: Seed of the pruning.
        block: Edges that are looked at at once.
    """
    from bowerbird.graph.building.pruning.kernels import last_kept

    degree = np.diff(csr.indptr)
    kept = pruning.kept(degree)
    mixed = relation_seed(seed, owner.relation)
    bars = Bars(
        mixed, np.zeros(len(degree), np.int64), np.full(len(degree), _LARGEST), bool((kept < degree).any())
    )
    if bars.cut:
        for part in csr.blocks(block):
            low, high = part.low, part.high
            last_kept(
                mixed,
                part.indptr,
                part.indices,
                _ordering(part, pruning),
                owner.key[low:high],
                other.key,
                kept[low:high],
                bars.weight[low:high],
                bars.hash[low:high],
            )
    return bars


def choice(owner: Side, other: Side, own: Bars, others: Bars, pruning: Pruning) -> Choice | None:
    """What picks the edges of `owner` that stay; None where all of them do.

    Args:
        owner, other: The nodes at both ends.
        own, others: What each of them keeps.
        pruning: The rule.
    """
    from bowerbird.graph.building.pruning.kernels import mark_kept

    cuts = {"own": own.cut, "either": own.cut and others.cut, "both": own.cut or others.cut}
    if not cuts[pruning.ends]:
        return None

    def chosen(part: Block) -> NDArray[np.bool_]:
        keep = np.empty(len(part.indices), bool)
        rows = slice(part.low, part.high)
        mark_kept(
            own.seed,
            others.seed,
            part.indptr,
            part.indices,
            _ordering(part, pruning),
            owner.key[rows],
            other.key,
            own.weight[rows],
            own.hash[rows],
            others.weight,
            others.hash,
            _ENDS[pruning.ends],
            keep,
        )
        return keep

    return chosen


def _ordering(part: Block, pruning: Pruning) -> NDArray[np.int64]:
    """Weights by which edges are ordered first; none for a random choice."""
    if pruning.keep == "random" or part.total is None:
        return _NO_WEIGHTS
    return part.total.astype(np.int64, copy=False)
