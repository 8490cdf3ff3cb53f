"""The compiled loops of pruning.

Every edge has a random number of its own, h(seed, relation, owner, other): a counter-based hash (the finaliser of
splitmix64; Steele, Lea, Flood 2014) of who it joins, not of where it stands. A node keeps the edges with the smallest
numbers. So the result depends on the set of edges alone, whatever their order; and a new edge changes the lists of its
two ends only. For one owner the hash is a bijection of the other's key: two edges of a list never tie.

Shape letters: S rows of a block, E edges of a block, N nodes.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from bowerbird.graph.compiled import forget_stale

forget_stale()

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MUL_1 = np.uint64(0xBF58476D1CE4E5B9)
_MUL_2 = np.uint64(0x94D049BB133111EB)
_LARGEST = np.uint64(0xFFFFFFFFFFFFFFFF)
_S30, _S27, _S31 = np.uint64(30), np.uint64(27), np.uint64(31)


@numba.njit(cache=True, nogil=True, inline="always")
def _mix(value: Any) -> Any:
    z = value + _GAMMA
    z = (z ^ (z >> _S30)) * _MUL_1
    z = (z ^ (z >> _S27)) * _MUL_2
    return z ^ (z >> _S31)


@numba.njit(cache=True, nogil=True)
def edge_hash(seed: Any, owner: Any, other: Any) -> Any:
    """The random number of an edge in the list of `owner`: uint64 from three uint64."""
    return _mix(_mix(seed ^ owner) ^ other)


@numba.njit(cache=True, nogil=True)
def _select(values: Any, size: int, rank: int) -> Any:
    """The value at place `rank` of values[:size] if they were sorted; reorders them (Hoare's quickselect)."""
    low, high = 0, size - 1
    while low < high:
        pivot = values[(low + high) >> 1]
        left, right = low, high
        while left <= right:
            while values[left] < pivot:
                left += 1
            while values[right] > pivot:
                right -= 1
            if left <= right:
                swapped = values[left]
                values[left] = values[right]
                values[right] = swapped
                left += 1
                right -= 1
        if rank <= right:
            high = right
        elif rank >= left:
            low = left
        else:
            break
    return values[rank]


@numba.njit(cache=True, nogil=True)
def last_kept(
    seed: Any,
    indptr: Any,
    indices: Any,
    total: Any,
    owner_key: Any,
    other_key: Any,
    kept: Any,
    last_weight: Any,
    last_hash: Any,
) -> None:
    """Finds the last edge that each row keeps, when they are ordered by falling weight, then rising hash.

    Args:
        seed: uint64, of the seed and the name of the relation.
        indptr: int64 (S + 1,) ends of the rows in this block, from 0.
        indices: (E,) columns.
        total: int64 (E,) weights; length 0: all equal.
        owner_key: uint64 (S,) key of each row's node.
        other_key: uint64 (N,) keys of the other node type.
        kept: int64 (S,) how many edges each row keeps.
        last_weight: int64 (S,) out: weight of the last edge kept; 0 where all are kept.
        last_hash: uint64 (S,) out: hash of the last edge kept; the largest number where all are kept.
    """
    weighted = len(total) > 0
    for row in range(len(indptr) - 1):
        low, high = indptr[row], indptr[row + 1]
        last_weight[row] = 0
        last_hash[row] = _LARGEST
        left = kept[row]
        if left >= high - low:
            continue
        values = np.empty(high - low, np.uint64)
        bar = np.int64(0)
        heavier = 0
        if weighted:
            for place in range(low, high):
                values[place - low] = _LARGEST - np.uint64(total[place])
            bar = np.int64(_LARGEST - _select(values, high - low, left - 1))
            last_weight[row] = bar
        ties = 0
        for place in range(low, high):
            if weighted and total[place] > bar:
                heavier += 1
            elif not weighted or total[place] == bar:
                values[ties] = edge_hash(seed, owner_key[row], other_key[indices[place]])
                ties += 1
        last_hash[row] = _select(values, ties, left - heavier - 1)


@numba.njit(cache=True, nogil=True, inline="always")
def _in_list(weight: Any, found: Any, last_weight: Any, last_hash: Any) -> Any:
    return weight > last_weight or (weight == last_weight and found <= last_hash)


@numba.njit(cache=True, nogil=True)
def mark_kept(
    seed: Any,
    other_seed: Any,
    indptr: Any,
    indices: Any,
    total: Any,
    owner_key: Any,
    other_key: Any,
    owner_weight: Any,
    owner_hash: Any,
    other_weight: Any,
    other_hash: Any,
    ends: int,
    keep: Any,
) -> None:
    """Marks the edges of a block that stay.

    Args:
        seed, other_seed: uint64 of the relation and of its reverse.
        indptr, indices, total, owner_key, other_key: As in `last_kept`.
        owner_weight, owner_hash: (S,) the last edge kept by each row.
        other_weight, other_hash: (N,) the last edge kept by each node of the other type; unused where ends is 0.
        ends: 0 the row decides, 1 either end, 2 both ends.
        keep: bool (E,) out.
    """
    weighted = len(total) > 0
    for row in range(len(indptr) - 1):
        owner = owner_key[row]
        for place in range(indptr[row], indptr[row + 1]):
            column = indices[place]
            weight = total[place] if weighted else 0
            mine = _in_list(
                weight, edge_hash(seed, owner, other_key[column]), owner_weight[row], owner_hash[row]
            )
            if ends != 0 and mine == (ends == 2):
                found = edge_hash(other_seed, other_key[column], owner)
                mine = _in_list(weight, found, other_weight[column], other_hash[column])
            keep[place] = mine
