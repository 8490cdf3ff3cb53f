"""Rates: the same answers as a bucket refilled drop by drop, callers apart, memory bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bowerbird.serve.traffic.rates import Rates, is_loopback, network_of
from bowerbird.tables.errors import ConfigError


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_then_the_rate() -> None:
    clock = Clock()
    rates = Rates(per_second=2, burst=3, clock=clock)
    assert [rates.take("a") for _ in range(3)] == [0, 0, 0]
    assert rates.take("a") == pytest.approx(0.5)
    assert rates.take("b") == 0, "callers do not share a bucket"
    clock.now += 0.5
    assert rates.take("a") == 0 and rates.take("a") == pytest.approx(0.5)
    clock.now += 1000
    assert [rates.take("a") for _ in range(3)] == [0, 0, 0] and rates.take("a") > 0, "never more than a burst"


@given(
    gaps=st.lists(st.integers(0, 40), max_size=60),
    per_second=st.sampled_from([1, 2, 4, 8]),
    burst=st.integers(1, 6),
)
def test_it_answers_like_a_token_bucket(gaps: list[int], per_second: int, burst: int) -> None:
    clock = Clock()
    rates = Rates(per_second, burst, clock=clock)
    tokens = float(burst)
    for gap in gaps:
        clock.now += gap / 16  # exact in binary, so both sides do exact arithmetic
        tokens = min(burst, tokens + gap / 16 * per_second)
        wait = rates.take("somebody")
        if tokens >= 1:
            assert wait == 0
            tokens -= 1
        else:
            assert wait == pytest.approx((1 - tokens) / per_second)


@given(per_second=st.floats(0.1, 1000), burst=st.floats(1, 50), tries=st.integers(1, 300))
def test_no_more_than_burst_plus_rate(per_second: float, burst: float, tries: int) -> None:
    clock = Clock()
    rates = Rates(per_second, burst, clock=clock)
    passed = 0
    for _ in range(tries):
        passed += rates.take("x") == 0
        clock.now += 0.01
    assert passed <= burst + per_second * 0.01 * tries + 1e-6


def test_who_waits_as_told_is_let_through() -> None:
    clock = Clock()
    rates = Rates(per_second=3, burst=2, clock=clock)
    for _ in range(50):
        wait = rates.take("x")
        clock.now += wait
        assert wait == 0 or rates.take("x") == 0


def test_memory_is_bounded_and_the_quietest_is_forgotten() -> None:
    rates = Rates(per_second=0.001, burst=1, max_callers=3, clock=Clock())
    for caller in "abc":
        assert rates.take(caller) == 0
    assert rates.take("a") > 0
    for caller in range(1000):
        assert rates.take(caller) == 0
        assert len(rates) <= 3
    assert rates.take("a") == 0, "forgotten: starts with a full bucket"
    busy = Rates(per_second=0.001, burst=2, max_callers=2, clock=Clock())
    for caller in "abac":  # when c comes, b has been quiet for longest
        assert busy.take(caller) == 0
    assert busy.take("a") > 0 and busy.take("b") == 0
    refused = Rates(per_second=1, burst=1, max_callers=1, clock=Clock())
    assert refused.take("a") == 0 and refused.take("a") > 0 and len(refused) == 1


@pytest.mark.parametrize("wrong", [(0, 1), (-1, 1), (1, 0.5), (float("nan"), 1), (1, float("nan"))])
def test_rates_that_let_nobody_through_are_refused(wrong: tuple[float, float]) -> None:
    with pytest.raises(ConfigError, match="burst"):
        Rates(*wrong)


@pytest.mark.parametrize(
    ("host", "network", "local"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.9.9.9", "127.9.9.9", True),
        ("::1", "::/64", True),
        ("::ffff:127.0.0.1", "127.0.0.1", True),
        ("::ffff:10.0.0.7", "10.0.0.7", False),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", False),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64", False),
        ("fe80::1%eth0", "fe80::/64", False),
        ("203.0.113.9", "203.0.113.9", False),
        ("testclient", "testclient", False),
        ("", "", False),
    ],
)
def test_addresses(host: str, network: str, local: bool) -> None:
    assert network_of(host) == network and is_loopback(host) is local
