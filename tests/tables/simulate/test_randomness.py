"""Streams of random numbers: their law, and that each depends on its key only."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bowerbird.tables.simulate.behaviour.randomness import (
    exponential,
    integer,
    normal,
    open_stream,
    pick,
    uniform,
)

_N = 4_000


def _stream(seed: int, person: int, purpose: int = 1) -> np.ndarray:
    state = np.zeros(1, np.uint64)
    open_stream(state, seed, person, purpose)
    return state


def _draws(draw: object, state: np.ndarray, *args: object) -> np.ndarray:
    return np.array([draw(state, *args) for _ in range(_N)])  # type: ignore[operator]


def test_equal_keys_give_equal_streams_and_others_do_not() -> None:
    first = _draws(uniform, _stream(5, 7))
    assert np.array_equal(first, _draws(uniform, _stream(5, 7)))
    for other in (_stream(6, 7), _stream(5, 8), _stream(5, 7, 2)):
        assert abs(np.corrcoef(first, _draws(uniform, other))[0, 1]) < 0.08


@pytest.mark.parametrize(
    ("draw", "args", "law"),
    [
        (uniform, (), stats.uniform()),
        (normal, (), stats.norm()),
        (exponential, (3.0,), stats.expon(scale=3.0)),
    ],
)
def test_draws_follow_their_law(draw: object, args: tuple[float, ...], law: object) -> None:
    sample = _draws(draw, _stream(1, 2), *args)
    assert stats.kstest(sample, law.cdf).pvalue > 1e-4  # type: ignore[attr-defined]


def test_people_next_to_each_other_have_independent_first_draws() -> None:
    firsts = np.array([uniform(_stream(0, person)) for person in range(_N)])
    assert stats.kstest(firsts, "uniform").pvalue > 1e-4
    assert abs(np.corrcoef(firsts[1:], firsts[:-1])[0, 1]) < 0.08


def test_integer_is_even_and_pick_follows_its_weights() -> None:
    counts = np.bincount(_draws(integer, _stream(3, 3), 8), minlength=8)
    assert stats.chisquare(counts).pvalue > 1e-4
    weights = np.array([1.0, 0.0, 3.0, 6.0, 99.0])
    chosen = np.bincount(_draws(pick, _stream(4, 4), weights, 4), minlength=5)
    assert chosen[1] == chosen[4] == 0
    assert stats.chisquare(chosen[[0, 2, 3]], _N * np.array([0.1, 0.3, 0.6])).pvalue > 1e-4
