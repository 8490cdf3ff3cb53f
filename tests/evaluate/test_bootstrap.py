"""Intervals: what is resampled, what is paired, and what they must say in cases that can be worked out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bowerbird.evaluate import Estimate, Interval, Statistic, UserBootstrap
from bowerbird.tables.errors import ConfigError


def test_it_equals_drawing_users_one_by_one():
    """The same draws, replayed as a plain loop over whole users."""
    rng = np.random.default_rng(0)
    users = np.array([7, 7, 3, 9, 9, 9, 3, 5])
    top, bottom = rng.random(8), rng.integers(1, 4, size=8).astype(float)
    bootstrap = UserBootstrap(users, resamples=50, seed=3)
    found = bootstrap.estimates([Statistic(top, bottom)])[0]
    assert found.mean == pytest.approx(top.sum() / bottom.sum())
    names = np.unique(users)
    draws = np.random.default_rng(3).integers(len(names), size=(50, len(names)))
    for draw, sample in zip(draws, found.samples, strict=True):
        rows = np.concatenate([np.flatnonzero(users == names[place]) for place in draw])
        assert sample == pytest.approx(top[rows].sum() / bottom[rows].sum())


def test_the_draws_do_not_depend_on_what_else_is_asked_or_on_memory_blocks():
    rng = np.random.default_rng(1)
    users = rng.integers(40, size=200)
    statistics = [Statistic.of_cases(rng.random(200)) for _ in range(5)]
    together = UserBootstrap(users, resamples=30, seed=2).estimates(statistics)
    for statistic, found in zip(statistics, together, strict=True):
        alone = UserBootstrap(users, resamples=30, seed=2).estimates([statistic])[0]
        np.testing.assert_allclose(alone.samples, found.samples)


def test_a_constant_has_no_width_and_pairing_removes_what_is_shared():
    rng = np.random.default_rng(0)
    users, value = np.arange(300), rng.random(300)
    bootstrap = UserBootstrap(users, resamples=200)
    constant, one, shifted = bootstrap.estimates(
        [Statistic.of_cases(np.full(300, 0.3)), Statistic.of_cases(value), Statistic.of_cases(value + 0.1)]
    )
    assert (constant.interval().low, constant.interval().high) == (pytest.approx(0.3), pytest.approx(0.3))
    gap = shifted.minus(one)
    assert gap.low == pytest.approx(0.1) and gap.high == pytest.approx(0.1) and gap.excludes(0)
    assert one.interval().high - one.interval().low > 0.05
    twice = Estimate(2 * one.mean, 2 * one.samples).over(one)
    assert (twice.low, twice.mean, twice.high) == pytest.approx((2, 2, 2))


def test_events_of_one_user_are_not_independent():
    """Copies of each user's event carry no new information: the interval must not shrink."""
    rng = np.random.default_rng(0)
    value = rng.random(200)
    single = UserBootstrap(np.arange(200), seed=1).interval(Statistic.of_cases(value))
    copied = UserBootstrap(np.repeat(np.arange(200), 9), seed=1).interval(
        Statistic.of_cases(np.repeat(value, 9))
    )
    assert (copied.low, copied.high) == pytest.approx((single.low, single.high))


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(4)
    covered = 0
    for repeat in range(200):
        found = UserBootstrap(np.arange(100), resamples=200, seed=repeat).interval(
            Statistic.of_cases(rng.exponential(size=100))
        )
        covered += found.low <= 1.0 <= found.high
    assert 0.88 <= covered / 200 <= 0.99


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=20), st.data())
def test_micro_shares_of_a_part(flags, data):
    found, chosen = np.array(flags).T
    cuts = sorted(data.draw(st.lists(st.integers(0, len(flags)), max_size=4)))
    offsets = np.array([0, *cuts, len(flags)])
    statistic = Statistic.of_targets(found, offsets, chosen)
    assert statistic.numerator.sum() == (found & chosen).sum()
    assert statistic.denominator.sum() == chosen.sum()
    assert statistic.numerator[0] == (found & chosen)[: offsets[1]].sum()


def test_nothing_to_measure_is_nan_and_none_in_json():
    found = UserBootstrap(np.arange(3)).interval(Statistic(np.zeros(3), np.zeros(3)))
    assert math.isnan(found.mean) and found.to_dict() == {"mean": None, "low": None, "high": None}
    assert math.isnan(Interval.from_dict(found.to_dict()).low)
    assert not found.excludes(0)


def test_seeds_are_averaged_and_widen_the_interval_by_their_spread():
    bootstrap = UserBootstrap(np.arange(50), resamples=500)
    flat = [Statistic.of_cases(np.full(50, value)) for value in (0.1, 0.2, 0.3)]
    seeds = bootstrap.estimates(flat)
    both = bootstrap.over_seeds(seeds)
    assert both.mean == pytest.approx(0.2)
    assert 0.099 < both.interval().low < 0.17 and 0.23 < both.interval().high < 0.301
    assert bootstrap.over_seeds(seeds[:1]) is seeds[0]


def test_resamples_must_be_positive():
    with pytest.raises(ConfigError, match="resamples"):
        UserBootstrap(np.arange(3), resamples=0)
