"""Random walk with restart by forward push, compiled.

Forward push (Andersen, Chung, Lang 2006, as OmniSage uses it in section 3.1.1) keeps a settled estimate p and a
residual r, at first r(source) = 1. While some node v has r(v) > delta * degree(v), it settles c * r(v) in p(v) (c: the
restart probability) and hands the rest of r(v) to its neighbours. Then the true score is

    pi(v) = p(v) + sum over w of r(w) * pi_w(v),                                                               (1)

pi_w being the scores of walks that start at w. Every push of v settles c * r(v) > c * delta * degree(v) of a total of
1 and visits degree(v) edges, so no more than 1 / (c * delta) edges are visited, in any graph. In an undirected
unweighted graph pi_w(v) * degree(w) = pi_v(w) * degree(v) makes (1)

    pi(v) = p(v) + degree(v) * mean of rho(w) over w ~ pi_v,    rho(w) = r(w) / degree(w) <= delta,            (2)

and so 0 <= pi(v) - p(v) <= delta * degree(v). With weights W of the edges of a node in place of degrees, the factor
is the largest degree(w) / W(w). In a directed graph only (1) holds, and the sum of all that is missing is that of r.

A node that no edge leaves ends the walk: it settles c * r(v), the rest is lost. Compared with starting again at the
source that scales all scores by one factor, so their order is the same. The other methods do likewise.

What (2) leaves out is estimated for the best candidates, see `closing.py`.

Three things make it fast: residual, threshold, settled and total weight of a node lie in one cache line; the edge loop
has no branches (a write to the end of a list happens always, the end moves only where it counts); and a node enters
the queue exactly when its residual crosses its threshold, so no flag says whether it is in.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from bowerbird.graph.sampling.methods.best import offer, sort_best_first
from bowerbird.graph.sampling.methods.closing import RESIDUAL, SETTLED, THRESHOLD, TOTAL, closed
from bowerbird.graph.sampling.methods.random import stream
from bowerbird.graph.sampling.methods.rows import (
    INDICES,
    TARGET,
    WEIGHT,
    WIDE,
    Integer,
    borrowed,
    find,
    float32s,
    int64s,
    row,
    type_of,
    uint32s,
    weight_of,
)

SPREAD = 2
"""Candidates closed for every place in a slot."""

_ZERO, _ONE = np.float32(0), np.float32(1)
_HALF = np.float32(0.5)
_U1 = np.uint64(1)


@njit(nogil=True, cache=True)
def push_block(
    table: np.ndarray,
    first: np.ndarray,
    bounds: np.ndarray,
    into_table: np.ndarray,
    into_first: np.ndarray,
    entering: np.ndarray,
    state: np.ndarray,
    queue: np.ndarray,
    touched: np.ndarray,
    pool_scores: np.ndarray,
    pool_nodes: np.ndarray,
    walkers: np.ndarray,
    factors: np.ndarray,
    bits: np.ndarray,
    slots: np.ndarray,
    restart: float,
    delta: float,
    closing: Integer,
    seed: Integer,
    sources: np.ndarray,
    without: np.ndarray,
    ids: np.ndarray,
    scores: np.ndarray,
    work: np.ndarray,
) -> None:
    """Neighbours of a block of sources.

    Args:
        table, first, bounds: the edges by the node they leave, see `rows.py`.
        into_table, into_first: the edges by the node they enter; the same where undirected.
        entering: float32 (N,) of `Space.entering_total`, or of length 0 where undirected.
        state: float32 (N, 4), see the constants.
        queue: scratch; a power of two, and more than can wait at once.
        touched: scratch; one longer than the nodes that can be reached.
        pool_scores, pool_nodes: scratch, float32 and int64, SPREAD times the largest k.
        walkers, factors, bits: scratch, int64, float32 and uint64 (closing,).
        slots: int64 (S, 3): first number, end and k of each slot.
        restart: c.
        delta: error threshold.
        closing: walks for each candidate; 0 does without.
        seed: of those walks.
        sources: int64 (B,) numbers, -1 for none.
        without: int64 (B,) numbers, -1 for none.
        ids: int64 (B, K) out, K the sum of k: ids within the slot's type.
        scores: float32 (B, K) out.
        work: int64 (B, 2) out: edges visited by pushes, steps of the closing walks.
    """
    address = np.int64(state.ctypes.data)
    table, first, bounds = borrowed(table), borrowed(first), borrowed(bounds)
    into_table, into_first, entering = borrowed(into_table), borrowed(into_first), borrowed(entering)
    state, queue, touched = borrowed(state), borrowed(queue), borrowed(touched)
    pool_scores, pool_nodes = borrowed(pool_scores), borrowed(pool_nodes)
    walkers, factors, bits = borrowed(walkers), borrowed(factors), borrowed(bits)
    slots, sources, without = borrowed(slots), borrowed(sources), borrowed(without)
    ids, scores, work = borrowed(ids), borrowed(scores), borrowed(work)
    key = stream(np.uint64(seed), 0)
    for i in range(len(sources)):
        source, other = sources[i], without[i]
        kept_source = kept_other = _ZERO, _ZERO
        ids[i, :] = -1
        scores[i, :] = _ZERO
        work[i, :] = 0
        if source < 0:
            continue
        if other >= 0:
            kept_source = state[source, THRESHOLD], state[source, TOTAL]
            kept_other = state[other, THRESHOLD], state[other, TOTAL]
            _cut(table, first, bounds, state, delta, source, other)
            _cut(table, first, bounds, state, delta, other, source)
        edges, reached = _push(
            table, first, bounds, state, queue, touched, np.float32(restart), source, other
        )
        work[i, 0] = edges
        column = 0
        own = stream(key, source)
        for slot in range(len(slots)):
            low, high, k = slots[slot, 0], slots[slot, 1], slots[slot, 2]
            size = 0
            places = k * SPREAD if closing > 0 else k
            rest = _HALF if closing > 0 else np.float32(restart)
            found_scores, found_nodes = pool_scores[:places], pool_nodes[:places]
            for n in range(reached):
                node = np.int64(touched[n])
                if low <= node < high and node != source and node != other:
                    score = state[node, SETTLED] + rest * state[node, RESIDUAL]
                    if score > _ZERO:
                        size = offer(found_scores, found_nodes, size, score, node)
            if closing > 0:
                kept = size
                size = 0
                best_scores, best_nodes = scores[i, column : column + k], ids[i, column : column + k]
                for n in range(kept):
                    node = found_nodes[n]
                    missing, steps = closed(
                        into_table, into_first, bounds, entering, state, address, walkers, factors, bits,
                        np.float32(restart), stream(own, node), node, source, other,
                    )  # fmt: skip
                    work[i, 1] += steps
                    size = offer(best_scores, best_nodes, size, state[node, SETTLED] + missing, node)
                sort_best_first(best_scores, best_nodes, size)
            else:
                sort_best_first(found_scores, found_nodes, size)
                scores[i, column : column + size] = found_scores[:size]
                ids[i, column : column + size] = found_nodes[:size]
            for n in range(size):
                ids[i, column + n] -= low
            column += k
        for n in range(reached):
            node = np.int64(touched[n])
            state[node, RESIDUAL] = _ZERO
            state[node, SETTLED] = _ZERO
        if other >= 0:
            state[source, THRESHOLD], state[source, TOTAL] = kept_source
            state[other, THRESHOLD], state[other, TOTAL] = kept_other


@njit(nogil=True, cache=True)
def _push(
    table: np.ndarray,
    first: np.ndarray,
    bounds: np.ndarray,
    state: np.ndarray,
    queue: np.ndarray,
    touched: np.ndarray,
    keep: np.float32,
    source: Integer,
    other: Integer,
) -> tuple[Integer, Integer]:
    """Pushes until no residual is above its threshold, first come first served. Returns edges visited and nodes
    touched.
    """
    mask = np.uint64(len(queue) - 1)
    edges = 0
    state[source, RESIDUAL] = _ONE
    touched[0] = source
    reached = _U1
    queue[0] = source
    head, tail = np.uint64(0), _U1
    while head < tail:
        node = np.int64(queue[head & mask])
        head += _U1
        residual = state[node, RESIDUAL]
        state[node, RESIDUAL] = _ZERO
        state[node, SETTLED] += keep * residual
        total = state[node, TOTAL]
        if total == _ZERO:
            continue
        share = (_ONE - keep) * residual / total
        t = type_of(bounds, node)
        for relation in range(first[t], first[t + 1]):
            begin, end = row(table, relation, node)
            gap = -1
            if other >= 0:
                if node == source:
                    gap = find(table, bounds, relation, begin, end, other)
                elif node == other:
                    gap = find(table, bounds, relation, begin, end, source)
            if gap >= 0:
                edges += end - begin - 1
                tail, reached = _spread(
                    table, relation, begin, gap, share, state, queue, mask, tail, touched, reached
                )
                begin = gap + 1
            else:
                edges += end - begin
            tail, reached = _spread(
                table, relation, begin, end, share, state, queue, mask, tail, touched, reached
            )
    return edges, np.int64(reached)


@njit(inline="always")
def _spread(table, relation, begin, end, share, state, queue, mask, tail, touched, reached):  # type: ignore[no-untyped-def]
    """Hands `share` times the weight to the targets of edges [begin, end)."""
    offset = np.uint64(table[relation, TARGET])
    weighted = table[relation, WEIGHT] != 0
    weights = float32s(table[relation, WEIGHT], end)
    if table[relation, WIDE]:
        wide = int64s(table[relation, INDICES], end)
        for edge in range(np.uint64(begin), np.uint64(end)):
            amount = share * weights[edge] if weighted else share
            tail, reached = _add(
                np.uint64(wide[edge]) + offset, amount, state, queue, mask, tail, touched, reached
            )
    elif weighted:
        narrow = uint32s(table[relation, INDICES], end)
        for edge in range(np.uint64(begin), np.uint64(end)):
            node = np.uint64(narrow[edge]) + offset
            tail, reached = _add(node, share * weights[edge], state, queue, mask, tail, touched, reached)
    else:
        narrow = uint32s(table[relation, INDICES], end)
        for edge in range(np.uint64(begin), np.uint64(end)):
            node = np.uint64(narrow[edge]) + offset
            tail, reached = _add(node, share, state, queue, mask, tail, touched, reached)
    return tail, reached


@njit(inline="always")
def _add(node, amount, state, queue, mask, tail, touched, reached):  # type: ignore[no-untyped-def]
    """Adds to the residual of a node; queues it when that crosses its threshold, lists it when it is new."""
    old = state[node, RESIDUAL]
    new = old + amount
    state[node, RESIDUAL] = new
    threshold = state[node, THRESHOLD]
    queue[tail & mask] = node
    tail += np.uint64((old <= threshold) & (new > threshold))
    touched[reached] = node
    reached += np.uint64((old == _ZERO) & (state[node, SETTLED] == _ZERO))
    return tail, reached


@njit(nogil=True, cache=True)
def _cut(
    table: np.ndarray,
    first: np.ndarray,
    bounds: np.ndarray,
    state: np.ndarray,
    delta: float,
    node: Integer,
    other: Integer,
) -> None:
    """Sets threshold and total of a node as if its edges to `other` did not exist."""
    total = 0.0
    degree = 0
    t = type_of(bounds, node)
    for relation in range(first[t], first[t + 1]):
        begin, end = row(table, relation, node)
        gap = find(table, bounds, relation, begin, end, other)
        for edge in range(begin, end):
            if edge != gap:
                degree += 1
                total += float(weight_of(table, relation, edge))
    state[node, TOTAL] = np.float32(total)
    state[node, THRESHOLD] = np.float32(delta) * np.float32(max(degree, 1))
