"""The arithmetic of the load test: arrivals, windows, the rule for a stable rate, the search for the highest one."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from serving.schedule import Window, arrivals, highest, stable, window, zipf  # noqa: E402

QUIET = Window(100, 0, 10.0, 20.0, 30.0, 1, 1)


def test_arrivals_are_a_poisson_process() -> None:
    at = arrivals(50.0, 400.0, np.random.default_rng(0))
    gaps = np.diff(at)
    assert (gaps >= 0).all() and at[0] >= 0 and at[-1] < 400
    # 20,000 expected with a standard deviation of 141; an exponential's deviation equals its mean
    assert abs(len(at) - 20_000) < 600
    assert gaps.std() / gaps.mean() == pytest.approx(1.0, abs=0.03)


@given(st.floats(0.1, 50), st.floats(0.01, 5), st.integers(0, 2**31))
def test_arrivals_stay_inside(rate: float, seconds: float, seed: int) -> None:
    at = arrivals(rate, seconds, np.random.default_rng(seed))
    assert ((at >= 0) & (at < seconds)).all()
    assert (np.diff(at) >= 0).all()


def test_zipf_shares() -> None:
    found = np.bincount(zipf(4, 100_000, 1.0, np.random.default_rng(0)), minlength=4) / 100_000
    assert found == pytest.approx(np.array([12, 6, 4, 3]) / 25, abs=0.01)


def test_a_pause_of_the_server_counts_for_everybody_who_came_in_it() -> None:
    at = np.arange(0, 2, 0.01)  # 100 a second
    done = np.where(at < 1, 1.0, at) + 0.001  # nothing is answered in the first second
    seen = window(at, done, np.ones(len(at), bool), 0.0, 1.0)
    assert seen.p50_ms == pytest.approx(501, abs=11)
    assert seen.backlog_before == 0 and seen.backlog_after == 100


def test_what_is_never_answered_is_an_error_and_infinitely_late() -> None:
    at = np.array([0.1, 0.2, 0.3])
    seen = window(at, np.array([0.15, np.inf, 0.35]), np.array([True, False, False]), 0.0, 1.0)
    assert (seen.requests, seen.errors, seen.backlog_after) == (3, 2, 1)
    assert seen.p99_ms == np.inf
    assert window(at, at, np.ones(3, bool), 2.0, 3.0).requests == 0


@pytest.mark.parametrize(
    ("spoilt", "holds"),
    [
        (QUIET, True),
        (Window(100, 1, 10.0, 20.0, 30.0, 1, 1), False),  # an error
        (Window(100, 0, 10.0, 20.0, 100.0, 1, 1), False),  # p99 at the limit
        (Window(100, 0, 10.0, 20.0, 30.0, 1, 13), False),  # more than 50/s x 0.1 s leave: 5 + 3 sqrt(5) + 1
        (Window(100, 0, 10.0, 20.0, 30.0, 20, 19), True),  # a backlog that shrinks
        (Window(100, 0, 10.0, 20.0, 30.0, 0, 12), True),  # as many as the limit allows
        (Window(0, 0, 0.0, 0.0, 0.0, 0, 0), False),  # nobody came, nothing was shown
    ],
)
def test_one_window_spoils_a_rate(spoilt: Window, holds: bool) -> None:
    assert stable([QUIET, spoilt], 50.0) is holds
    assert stable([spoilt, QUIET], 50.0) is holds


def test_one_request_on_its_way_is_no_backlog() -> None:
    assert stable([Window(10, 0, 10.0, 20.0, 30.0, 0, 1)] * 2, 2.0)


def test_no_window_shows_nothing() -> None:
    assert not stable([], 50.0)


@given(st.floats(0.4, 900))
def test_the_search_brackets_what_holds(limit: float) -> None:
    found = highest(lambda rate: rate <= limit, start=8.0, most=1000.0, resolution=0.1)
    assert limit / 1.1 <= found <= limit


def test_the_search_stops_at_the_ends() -> None:
    assert highest(lambda _: True, 8.0, 100.0, 0.1) == 100.0
    tried: list[float] = []
    assert highest(lambda rate: bool(tried.append(rate)), 8.0, 100.0, 0.1) == 0.0
    assert tried == [8.0, 4.0, 2.0, 1.0, 0.5, 0.25]
