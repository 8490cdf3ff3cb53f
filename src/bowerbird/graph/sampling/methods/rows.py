"""Rows of several CSR relations as one graph, for compiled code.

Compiled functions get the arrays of a subset's relations as one int64 table of addresses, not as a tuple of arrays.
One compilation then serves any number of relations, memory-mapped or not, weighted or not; and reading an address
costs nothing, where taking an array out of a tuple counts references in the innermost loop. Whoever calls must keep
the arrays alive; `Space` does.

Shape letters: R directed relations, T node types, N nodes of the subset in one numbering.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from bowerbird.graph.sampling.methods.random import draw

INDPTR, INDICES, WEIGHT, CUMULATIVE, WIDE, SOURCE, TARGET, COLUMNS = range(8)
"""Columns of the table (R, COLUMNS): addresses of indptr (int64), indices (uint32, or int64 where WIDE), weight
(float32; 0: none), running sums of weight (float64, one longer; 0: none); then the first number of the source type
and of the target type. Rows are sorted by source type, so that those of type t are `first[t] : first[t + 1]`."""

Integer = Any
"""A whole number inside compiled code: Python's, or one of numpy's."""

NOWHERE = -1
"""What `step` returns where a walk cannot go on."""

TRIES = 16
"""Draws before the edges of a node are gone through one by one."""

_32 = np.uint64(32)
_11 = np.uint64(11)
_UNIT = 1.0 / 9007199254740992.0  # 2^-53


def _type_pointer(context: Any, address: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), generate


_pointer: Any = intrinsic(_type_pointer)


def _type_prefetch(context: Any, address: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        flag = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, flag, flag, flag])
        fetch = builder.module.declare_intrinsic("llvm.prefetch", [cgutils.voidptr_t], kind)
        pointer = builder.inttoptr(arguments[0], cgutils.voidptr_t)
        builder.call(fetch, [pointer, flag(0), flag(3), flag(1)])  # to read, into all caches, data
        return context.get_dummy_value()

    return types.void(types.int64), generate


_prefetch: Any = intrinsic(_type_prefetch)


@njit(inline="always")
def int64s(address: Integer, length: Integer) -> np.ndarray:
    """An int64 array at an address."""
    return carray(_pointer(address), length, dtype=np.int64)


@njit(inline="always")
def uint32s(address: Integer, length: Integer) -> np.ndarray:
    """A uint32 array at an address."""
    return carray(_pointer(address), length, dtype=np.uint32)


@njit(inline="always")
def float32s(address: Integer, length: Integer) -> np.ndarray:
    """A float32 array at an address."""
    return carray(_pointer(address), length, dtype=np.float32)


@njit(inline="always")
def float64s(address: Integer, length: Integer) -> np.ndarray:
    """A float64 array at an address."""
    return carray(_pointer(address), length, dtype=np.float64)


@njit(inline="always")
def borrowed(array: np.ndarray) -> np.ndarray:
    """The same array, but not counted: whoever passed it in keeps it alive. Counting references is an atomic operation,
    which in the innermost loops of a walk costs more than everything else.
    """
    return carray(_pointer(array.ctypes.data), array.shape, dtype=array.dtype)


@njit(inline="always")
def fetch(address: Integer) -> None:
    """Asks the memory for what is at an address, without waiting for it. Walks advance many at a time, so that many
    such waits overlap; the processor's own looking ahead covers only a few of these long dependent steps.
    """
    _prefetch(address)


@njit(nogil=True, cache=True)
def type_of(bounds: np.ndarray, node: Integer) -> Integer:
    """Type of a node: `bounds` (T + 1,) are the first numbers of the types. There are few, so a scan is fastest."""
    t = 0
    while node >= bounds[t + 1]:
        t += 1
    return t


@njit(nogil=True, cache=True)
def row(table: np.ndarray, relation: Integer, node: Integer) -> tuple[Integer, Integer]:
    """Begin and end of a node's edges in one relation that leaves its type."""
    local = node - table[relation, SOURCE]
    indptr = int64s(table[relation, INDPTR], local + 2)
    return indptr[local], indptr[local + 1]


@njit(nogil=True, cache=True)
def target_of(table: np.ndarray, relation: Integer, edge: Integer) -> Integer:
    """Number of the node at the end of an edge."""
    if table[relation, WIDE]:
        return int64s(table[relation, INDICES], edge + 1)[edge] + table[relation, TARGET]
    return np.int64(uint32s(table[relation, INDICES], edge + 1)[edge]) + table[relation, TARGET]


@njit(nogil=True, cache=True)
def weight_of(table: np.ndarray, relation: Integer, edge: Integer) -> Any:
    """Weight of an edge; 1 where the relation has none."""
    if table[relation, WEIGHT]:
        return float32s(table[relation, WEIGHT], edge + 1)[edge]
    return np.float32(1.0)


@njit(nogil=True, cache=True)
def find(
    table: np.ndarray, bounds: np.ndarray, relation: Integer, begin: Integer, end: Integer, node: Integer
) -> Integer:
    """Position of the edge to `node` within the row [begin, end), targets ascending; -1 where there is none."""
    target = type_of(bounds, node)
    if table[relation, TARGET] != bounds[target]:
        return -1
    low, high = begin, end
    while low < high:
        middle = (low + high) // 2
        if target_of(table, relation, middle) < node:
            low = middle + 1
        else:
            high = middle
    return low if low < end and target_of(table, relation, low) == node else -1


@njit(inline="always")
def _below(bits: np.uint64, n: Integer) -> Integer:
    """A whole number in [0, n) from the upper 32 random bits; n up to 2^32. It grows with the bits."""
    return np.int64(((bits >> _32) * np.uint64(n)) >> _32)


@njit(nogil=True, cache=True)
def fetch_rows(table: np.ndarray, first: np.ndarray, bounds: np.ndarray, node: Integer) -> None:
    """Asks the memory for where the edges of a node begin and end, without waiting for it."""
    t = type_of(bounds, node)
    for relation in range(first[t], first[t + 1]):
        fetch(table[relation, INDPTR] + 8 * (node - table[relation, SOURCE]))


@njit(nogil=True, cache=True)
def fetch_edge(
    table: np.ndarray, first: np.ndarray, bounds: np.ndarray, node: Integer, bits: np.uint64
) -> None:
    """Asks the memory for the edge that `step` will take with the same bits, where that is known from the row alone:
    in unweighted graphs, for a type that one relation leaves.
    """
    t = type_of(bounds, node)
    relation = first[t]
    if first[t + 1] - relation == 1 and not table[relation, CUMULATIVE]:
        low, high = row(table, relation, node)
        size = 8 if table[relation, WIDE] else 4
        fetch(table[relation, INDICES] + size * (low + _below(bits, high - low)))


@njit(nogil=True, cache=True)
def step(table: np.ndarray, first: np.ndarray, bounds: np.ndarray, node: Integer, bits: np.uint64) -> Integer:
    """The node at the end of a random edge, or NOWHERE: uniform over edges, or by weight where there are sums of them.

    Args:
        table, first, bounds: the graph.
        node: where the walk is.
        bits: 64 random bits. The edge grows with them, so evenly spaced bits make evenly spaced edges.
    """
    t = type_of(bounds, node)
    begin, end = first[t], first[t + 1]
    if begin == end:
        return NOWHERE
    if table[begin, CUMULATIVE]:
        return _weighted_step(table, begin, end, node, bits)
    if end - begin == 1:
        low, high = row(table, begin, node)
        if low == high:
            return NOWHERE
        return target_of(table, begin, low + _below(bits, high - low))
    degree = 0
    for relation in range(begin, end):
        low, high = row(table, relation, node)
        degree += high - low
    if degree == 0:
        return NOWHERE
    return nth(table, begin, end, node, _below(bits, degree))


@njit(nogil=True, cache=True)
def step_elsewhere(
    table: np.ndarray, first: np.ndarray, bounds: np.ndarray, node: Integer, key: np.uint64, avoid: Integer
) -> Integer:
    """The node at the end of a random edge to any node but `avoid`, or NOWHERE.

    A few tries mostly do; where nearly all weight is on the edge to avoid, the others are gone through once.

    Args:
        table, first, bounds: the graph.
        node: where the walk is.
        key: stream of random numbers for this step.
        avoid: a node.
    """
    for number in range(TRIES):
        at = step(table, first, bounds, node, draw(key, number))
        if at != avoid:
            return at
    t = type_of(bounds, node)
    total = 0.0
    for relation in range(first[t], first[t + 1]):
        low, high = row(table, relation, node)
        for edge in range(low, high):
            if target_of(table, relation, edge) != avoid:
                total += float(weight_of(table, relation, edge))
    left = float(draw(key, TRIES) >> _11) * _UNIT * total
    last = NOWHERE
    for relation in range(first[t], first[t + 1]):
        low, high = row(table, relation, node)
        for edge in range(low, high):
            at = target_of(table, relation, edge)
            if at != avoid:
                last = at
                left -= float(weight_of(table, relation, edge))
                if left < 0.0:
                    return last
    return last


@njit(nogil=True, cache=True)
def nth(table: np.ndarray, begin: Integer, end: Integer, node: Integer, position: Integer) -> Integer:
    """The target of edge number `position` of a node, counted through relations [begin, end)."""
    for relation in range(begin, end):
        low, high = row(table, relation, node)
        if position < high - low:
            return target_of(table, relation, low + position)
        position -= high - low
    return NOWHERE


@njit(nogil=True, cache=True)
def _weighted_step(
    table: np.ndarray, begin: Integer, end: Integer, node: Integer, bits: np.uint64
) -> Integer:
    total = 0.0
    for relation in range(begin, end):
        low, high = row(table, relation, node)
        sums = float64s(table[relation, CUMULATIVE], high + 1)
        total += sums[high] - sums[low]
    if total == 0.0:
        return NOWHERE
    left = float(bits >> _11) * _UNIT * total
    last = NOWHERE
    for relation in range(begin, end):
        low, high = row(table, relation, node)
        if low == high:
            continue
        sums = float64s(table[relation, CUMULATIVE], high + 1)
        mine = sums[high] - sums[low]
        if left < mine:
            goal = sums[low] + left
            bottom, top = low, high - 1  # the last edge whose running sum is at most the goal
            while bottom < top:
                middle = (bottom + top + 1) // 2
                if sums[middle] <= goal:
                    bottom = middle
                else:
                    top = middle - 1
            return target_of(table, relation, bottom)
        left -= mine
        last = target_of(table, relation, high - 1)
    return last  # rounding: the goal lay past the last sum
