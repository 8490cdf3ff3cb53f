"""Closing a forward push: what its residuals still owe to the best candidates.

What p leaves out (`push.py`, equation 2) is far from nothing. Hubs hold much of r, and by p alone the best 75 of a
million nodes are in order only after more than ten times the work. But the missing part of one node is its degree
times a mean of rho = r / degree over where walks *from it* lead, which a few short walks estimate well, as rho varies
little. (The turn from walks that end at a node to walks that start there is that of bidirectional PageRank, Lofgren,
Banerjee, Goel 2016.) The candidates are the best by p + r / 2.

The walks of a candidate v take three steps. Steps 0 (v itself) and 1 have the weights c and c (1 - c) of a walk with
restart; steps 2 and 3 stand for all further even and odd ones. The first takes edges at even distances (each equally
often, where there are few), which leaves little to chance. As no rho exceeds delta, the bound of (2) holds for the sum
too, only that it may err to either side.

Where edges have a direction, as they have once hubs are pruned, the walks of a candidate go against it, and the mean is
weighed by how much enters a node over how much leaves it. That is (1) of `push.py` in place of (2), so it is as good an
estimate, only without a bound for the single node.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from bowerbird.graph.sampling.methods.random import draw, stream
from bowerbird.graph.sampling.methods.rows import (
    NOWHERE,
    WEIGHT,
    Integer,
    fetch,
    fetch_edge,
    fetch_rows,
    row,
    step,
    step_elsewhere,
    type_of,
)

RESIDUAL, THRESHOLD, SETTLED, TOTAL = range(4)
"""Columns of the state, float32 (N, 4). Residual and settled are 0 between sources; threshold is delta * degree."""

_ZERO, _ONE = np.float32(0), np.float32(1)
_RANGE, _HALF_RANGE = np.uint64(0xFFFFFFFFFFFFFFFF), np.uint64(0x7FFFFFFFFFFFFFFF)


@njit(nogil=True, cache=True)
def closed(
    table: np.ndarray,
    first: np.ndarray,
    bounds: np.ndarray,
    entering: np.ndarray,
    state: np.ndarray,
    address: Integer,
    walkers: np.ndarray,
    factors: np.ndarray,
    bits: np.ndarray,
    keep: np.float32,
    key: np.uint64,
    node: Integer,
    source: Integer,
    other: Integer,
) -> tuple[np.float32, Integer]:
    """What is missing from the settled score of a candidate.

    Args:
        table, first, bounds: the edges by the node they enter, see `rows.py`.
        entering: float32 (N,) of `Space.entering_total`, or of length 0 where as much leaves every node.
        state: float32 (N, 4) after the push.
        address: of the state.
        walkers, factors, bits: scratch, int64, float32 and uint64 (W,), W the number of walks.
        keep: restart probability c.
        key: random stream of this candidate.
        node: the candidate.
        source: where the push began.
        other: the node that was taken from it, or -1.

    Returns:
        What to add, and the number of steps taken to find out.
    """
    lopsided = len(entering) > 0
    total = entering[node] if lopsided else state[node, TOTAL]
    missing = keep * state[node, RESIDUAL]
    if total == _ZERO:
        return missing, 0
    move = _ONE - keep
    further = move * move / (np.float32(2.0) - keep)  # c (1-c)^2 + c (1-c)^4 + ...
    n = len(walkers)
    t = type_of(bounds, node)
    weighted = False
    degree = 0
    for relation in range(first[t], first[t + 1]):
        begin, end = row(table, relation, node)
        degree += end - begin
        weighted = weighted or table[relation, WEIGHT] != 0
    base = draw(key, 0)
    if degree <= n and not weighted:
        n = n // degree * degree
        base = _HALF_RANGE // np.uint64(n)  # half a gap, so that every edge comes equally often
    gap = _RANGE // np.uint64(n)
    walkers[:n] = node
    factors[:n] = _ONE
    steps = 0
    sums = _ZERO
    for number in range(3):
        weight = keep * move if number == 0 else (further if number == 1 else further * move)
        # All walkers take a step before any takes the next, and each miss of theirs is asked for well before it is due.
        if number > 0:
            for i in range(n):
                if walkers[i] != NOWHERE:
                    fetch_rows(table, first, bounds, walkers[i])
        for i in range(n):
            bits[i] = base + gap * np.uint64(i) if number == 0 else draw(stream(key, i), number)
            if walkers[i] != NOWHERE:
                fetch_edge(table, first, bounds, walkers[i], bits[i])
        for i in range(n):
            before = walkers[i]
            if before == NOWHERE:
                continue
            at = step(table, first, bounds, before, bits[i])
            if other >= 0 and before in (source, other):
                avoid = other if before == source else source
                if at == avoid:
                    apart = stream(stream(key, i), number)
                    at = step_elsewhere(table, first, bounds, before, apart, avoid)
            if lopsided and number > 0:
                factors[i] *= (
                    entering[before] / state[before, TOTAL] if state[before, TOTAL] > _ZERO else _ZERO
                )
            if at != NOWHERE:
                fetch(address + 16 * at)
            walkers[i] = at
        for i in range(n):
            at = walkers[i]
            if at != NOWHERE:
                steps += 1
                if state[at, RESIDUAL] > _ZERO and state[at, TOTAL] > _ZERO:
                    sums += weight * factors[i] * (state[at, RESIDUAL] / state[at, TOTAL])
    return missing + total * (sums / np.float32(n)), steps
