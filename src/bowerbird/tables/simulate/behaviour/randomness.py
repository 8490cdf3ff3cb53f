"""Counter-based random numbers for compiled loops: every person has a stream of their own.

The stream is SplitMix64 (Steele, Lea, Flood 2014): number k of a stream is a fixed mixing function of key +
k * gamma. What one person does therefore depends on (seed, person, purpose) only, not on who was simulated
before, which makes the output independent of how people are cut into blocks.

A stream is a uint64 array of length 1 holding the counter, so that compiled functions can advance it in
place.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MUL_1 = np.uint64(0xBF58476D1CE4E5B9)
_MUL_2 = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
_UNIT = 1.0 / 9007199254740992.0  # 2^-53

TRAITS, DEEDS, REVIEW = 1, 2, 3
"""Purposes: who a person is, what they do, and whether moderators looked at them."""


@njit(cache=True)
def _mix(z: np.uint64) -> np.uint64:
    z = (z ^ (z >> _S30)) * _MUL_1
    z = (z ^ (z >> _S27)) * _MUL_2
    return z ^ (z >> _S31)


@njit(cache=True)
def open_stream(state: np.ndarray, seed: int, person: int, purpose: int) -> None:
    """Set `state` (uint64[1]) to the beginning of the stream of (seed, person, purpose)."""
    key = _mix(np.uint64(seed) + _GAMMA)
    key = _mix(key ^ (np.uint64(person) + np.uint64(1)) * _MUL_2)
    state[0] = _mix(key ^ np.uint64(purpose) * _MUL_1)


@njit(cache=True)
def uniform(state: np.ndarray) -> float:
    """A number in [0, 1), 53 random bits."""
    state[0] += _GAMMA
    return float(_mix(state[0]) >> _S11) * _UNIT


@njit(cache=True)
def integer(state: np.ndarray, n: int) -> int:
    """An integer in [0, n); n far below 2^53."""
    return min(int(uniform(state) * n), n - 1)


@njit(cache=True)
def exponential(state: np.ndarray, mean: float) -> float:
    """An exponential number with this mean."""
    return -mean * math.log(1.0 - uniform(state))


@njit(cache=True)
def normal(state: np.ndarray) -> float:
    """A standard normal number by Box and Muller; the second of the pair is dropped to keep the counter
    simple.
    """
    radius = math.sqrt(-2.0 * math.log(1.0 - uniform(state)))
    return radius * math.cos(2.0 * math.pi * uniform(state))


@njit(cache=True)
def pick(state: np.ndarray, weights: np.ndarray, n: int) -> int:
    """An index in [0, n) with probability proportional to weights[:n] (float64, non-negative, not all 0)."""
    total = 0.0
    for i in range(n):
        total += weights[i]
    left = uniform(state) * total
    for i in range(n - 1):
        left -= weights[i]
        if left < 0.0:
            return i
    return n - 1
