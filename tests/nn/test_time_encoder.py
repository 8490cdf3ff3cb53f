"""Times become the angles they should, precisely, and a token's features depend on nothing after it."""

from __future__ import annotations

import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from bowerbird.nn import TimeEncoder
from bowerbird.nn.features.time import PERIODS_S

DAY = 86_400_000
NOON = 1_767_268_800_000  # 2026-01-01 12:00 UTC, a Thursday
PERIODS = len(PERIODS_S)
times = st.lists(st.integers(0, 2_000_000_000_000), min_size=2, max_size=6).map(sorted)


def encoder(gaps: int = 8) -> TimeEncoder:
    torch.manual_seed(0)
    made = TimeEncoder(12, gaps)
    with torch.no_grad():
        made.period_phase.normal_()
        made.gap_phase.normal_()
    return made


@given(times)
def test_appending_a_token_leaves_earlier_features_bitwise_unchanged(history: list[int]) -> None:
    time_BN = torch.tensor([history])
    made = encoder()
    features, out = made.features(time_BN), made(time_BN)
    assert torch.equal(made.features(time_BN[:, :-1]), features[:, :-1])
    torch.testing.assert_close(made(time_BN[:, :-1]), out[:, :-1], atol=1e-6, rtol=0)


@given(times)
def test_one_token_with_its_predecessor_equals_its_place_in_the_history(history: list[int]) -> None:
    time_BN = torch.tensor([history])
    made = encoder()
    last = made.features(time_BN[:, -1:], time_BN[:, -2:-1])
    assert torch.equal(last, made.features(time_BN)[:, -1:])


def test_angles_of_the_day() -> None:
    made = TimeEncoder(8)
    midnight = NOON - DAY // 2
    features = made.features(torch.tensor([[midnight, midnight + DAY // 4, NOON, NOON + 10 * DAY]]))[0]
    sine, cosine = features[:, 0], features[:, PERIODS]
    expected_sine, expected_cosine = torch.tensor([0.0, 1.0, 0.0, 0.0]), torch.tensor([1.0, 0.0, -1.0, -1.0])
    torch.testing.assert_close(sine, expected_sine, atol=1e-5, rtol=0)
    torch.testing.assert_close(cosine, expected_cosine, atol=1e-5, rtol=0)


def test_a_second_is_visible_in_the_angle_of_the_day() -> None:
    # float32 timestamps of 2026 are two minutes apart: this needs float64
    made = TimeEncoder(8)
    before, after = made.features(torch.tensor([[NOON, NOON + 1000]]))[0, :, 0]
    assert math.isclose(float((before - after).detach()), math.sin(2 * math.pi / 86_400), rel_tol=1e-2)


def test_the_gap_is_to_the_previous_token() -> None:
    made = TimeEncoder(8)
    features = made.features(torch.tensor([[NOON, NOON + 5_000, NOON + 65_000]]))[0]
    log_gap, first = features[:, -2], features[:, -1]
    torch.testing.assert_close(
        log_gap * 10, torch.tensor([0.0, math.log(6), math.log(61)]), atol=1e-5, rtol=0
    )
    assert first.tolist() == [1.0, 0.0, 0.0]


def test_the_shortest_gap_period_is_a_second() -> None:
    made = TimeEncoder(8, gap_frequencies=3)
    features = made.features(torch.tensor([[NOON, NOON + 250, NOON + 1250]]))[0]
    sine = features[:, 2 * PERIODS]
    torch.testing.assert_close(sine, torch.tensor([0.0, 1.0, 0.0]), atol=1e-5, rtol=0)


def test_clocks_that_disagree_count_as_no_gap() -> None:
    made = encoder()
    backwards = made.features(torch.tensor([[NOON, NOON - 7_000]]))[0, 1]
    same = made.features(torch.tensor([[NOON - 7_000]]))[0, 0]
    assert torch.equal(backwards, same)


def test_half_precision_keeps_exact_periods() -> None:
    time_BN = torch.tensor([[NOON, NOON + 1000]])
    exact = encoder().features(time_BN)
    torch.testing.assert_close(
        encoder().to(torch.bfloat16).features(time_BN).float(), exact, atol=0.02, rtol=0
    )
    assert encoder().half().periods_s.dtype == torch.float64


def test_phases_learn() -> None:
    made = encoder()
    made(torch.tensor([[NOON, NOON + 1234]])).square().sum().backward()
    assert (made.period_phase.grad != 0).all()
    assert (made.gap_phase.grad != 0).any()
