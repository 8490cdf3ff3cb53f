"""Random walk with restart by simulation, compiled: many walks, visits counted.

A walk starts at the source, and before every step ends with the restart probability c. The score of a node is c times
its visits a walk, which is its random walk with restart score on average; the spread falls with the square root of the
number of walks. Counting all visits and not only the ends makes 1 / c counts of every walk.

Walks are short and jump about in memory, so most of the time goes by waiting for it. Twenty walks of one source are
advanced in turn, so that twenty waits overlap.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from bowerbird.graph.sampling.methods.best import offer, sort_best_first
from bowerbird.graph.sampling.methods.random import draw, stream
from bowerbird.graph.sampling.methods.rows import (
    NOWHERE,
    Integer,
    borrowed,
    fetch,
    fetch_edge,
    fetch_rows,
    step,
    step_elsewhere,
)

WALKERS = 20
"""Walks in flight on one core."""

_UNIT = 1.0 / 9007199254740992.0  # 2^-53
_11 = np.uint64(11)


@njit(nogil=True, cache=True)
def walk_block(
    table: np.ndarray,
    first: np.ndarray,
    bounds: np.ndarray,
    visits: np.ndarray,
    touched: np.ndarray,
    at: np.ndarray,
    left: np.ndarray,
    keys: np.ndarray,
    bits: np.ndarray,
    slots: np.ndarray,
    restart: float,
    walks: Integer,
    seed: Integer,
    sources: np.ndarray,
    without: np.ndarray,
    ids: np.ndarray,
    scores: np.ndarray,
    work: np.ndarray,
) -> None:
    """Neighbours of a block of sources.

    Args:
        table, first, bounds: the graph, see `rows.py`.
        visits: int32 (N,) scratch, all 0.
        touched: scratch; one longer than the nodes that can be reached.
        at, left, keys, bits: scratch, int64, int64, uint64 and uint64 (WALKERS,): where the walks in flight are, the
            steps that they have left, their streams and the random bits of the next step.
        slots: int64 (S, 3): first number, end and k of each slot.
        restart: c.
        walks: walks a source.
        seed: of the walks.
        sources: int64 (B,) numbers, -1 for none.
        without: int64 (B,) numbers, -1 for none.
        ids: int64 (B, K) out, K the sum of k: ids within the slot's type.
        scores: float32 (B, K) out.
        work: int64 (B, 2) out: 0, steps taken.
    """
    table, first, bounds = borrowed(table), borrowed(first), borrowed(bounds)
    address = np.int64(visits.ctypes.data)
    visits, touched, slots = borrowed(visits), borrowed(touched), borrowed(slots)
    at, left, keys, bits = borrowed(at), borrowed(left), borrowed(keys), borrowed(bits)
    sources, without = borrowed(sources), borrowed(without)
    ids, scores, work = borrowed(ids), borrowed(scores), borrowed(work)
    key = stream(np.uint64(seed), 1)
    unit = restart / walks
    for i in range(len(sources)):
        source, other = sources[i], without[i]
        ids[i, :] = -1
        scores[i, :] = np.float32(0)
        work[i, :] = 0
        if source < 0:
            continue
        steps, reached = _walk(
            table, first, bounds, visits, address, touched, at, left, keys, bits, restart, walks,
            stream(key, source), source, other,
        )  # fmt: skip
        work[i, 1] = steps
        column = 0
        for slot in range(len(slots)):
            low, high, k = slots[slot, 0], slots[slot, 1], slots[slot, 2]
            best_scores, best_nodes = scores[i, column : column + k], ids[i, column : column + k]
            size = 0
            for n in range(reached):
                node = np.int64(touched[n])
                if low <= node < high and node != source and node != other:
                    size = offer(best_scores, best_nodes, size, np.float32(unit * visits[node]), node)
            sort_best_first(best_scores, best_nodes, size)
            for n in range(size):
                ids[i, column + n] -= low
            column += k
        for n in range(reached):
            visits[touched[n]] = 0


@njit(nogil=True, cache=True)
def _walk(
    table: np.ndarray,
    first: np.ndarray,
    bounds: np.ndarray,
    visits: np.ndarray,
    address: Integer,
    touched: np.ndarray,
    at: np.ndarray,
    left: np.ndarray,
    keys: np.ndarray,
    bits: np.ndarray,
    restart: float,
    walks: Integer,
    key: np.uint64,
    source: Integer,
    other: Integer,
) -> tuple[Integer, Integer]:
    """All walks of one source. Returns steps taken and nodes touched."""
    per_log = 1.0 / math.log(1.0 - restart)
    launched = 0
    active = 0
    steps = 0
    reached = np.uint64(0)
    while active < WALKERS and launched < walks:
        keys[active] = stream(key, launched)
        left[active] = _length(keys[active], per_log)
        at[active] = source
        launched += 1
        active += 1
    while active > 0:
        # Three passes, each asking the memory for what the next one needs from it.
        for walker in range(active):
            node = at[walker]
            touched[reached] = node
            reached += np.uint64(visits[node] == 0)
            visits[node] += 1
            bits[walker] = draw(keys[walker], left[walker])
        for walker in range(active):
            fetch_edge(table, first, bounds, at[walker], bits[walker])
        walker = 0
        while walker < active:
            node = at[walker]
            if left[walker] > 0:
                to = step(table, first, bounds, node, bits[walker])
                if other >= 0 and node in (source, other):
                    avoid = other if node == source else source
                    if to == avoid:
                        apart = stream(keys[walker], left[walker])
                        to = step_elsewhere(table, first, bounds, node, apart, avoid)
                if to != NOWHERE:
                    fetch(address + 4 * to)
                    fetch_rows(table, first, bounds, to)
                    at[walker] = to
                    left[walker] -= 1
                    steps += 1
                    walker += 1
                    continue
            if launched < walks:
                keys[walker] = stream(key, launched)
                left[walker] = _length(keys[walker], per_log)
                at[walker] = source
                launched += 1
                walker += 1
            else:
                active -= 1
                at[walker], left[walker] = at[active], left[active]
                keys[walker], bits[walker] = keys[active], bits[active]
    return steps, np.int64(reached)


@njit(inline="always")
def _length(key: np.uint64, per_log: float) -> Integer:
    """Steps of a walk: geometric, 0 with the restart probability."""
    uniform = (float(draw(key, 0) >> _11) + 0.5) * _UNIT
    return np.int64(math.log(uniform) * per_log)
