"""Counter-based random numbers: every walk has a stream of its own, whoever runs it and in whatever order.

Number k of a stream is SplitMix64's mixing function (Steele, Lea, Flood 2014) of key + k * gamma. So an answer depends
on the seed and the node, not on the batch, the threads or what was sampled before.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MUL_1 = np.uint64(0xBF58476D1CE4E5B9)
_MUL_2 = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31 = np.uint64(30), np.uint64(27), np.uint64(31)


@njit(nogil=True, cache=True)
def mix(z: np.uint64) -> np.uint64:
    """64 well-mixed bits of 64 bits; also works on uint64 arrays, uncompiled."""
    z = (z ^ (z >> _S30)) * _MUL_1
    z = (z ^ (z >> _S27)) * _MUL_2
    return z ^ (z >> _S31)


@njit(nogil=True, cache=True)
def stream(key: np.uint64, number: Any) -> np.uint64:
    """The key of sub-stream `number` (from 0) of a stream."""
    return mix(key ^ mix((np.uint64(number) + np.uint64(1)) * _MUL_2))


@njit(nogil=True, cache=True)
def draw(key: np.uint64, number: Any) -> np.uint64:
    """Random number `number` (from 0) of a stream."""
    return mix(key + (np.uint64(number) + np.uint64(1)) * _GAMMA)
