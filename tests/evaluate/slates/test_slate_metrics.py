"""Slate metrics: known answers, brute force over random orders, and scikit-learn where it is installed."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bowerbird.evaluate.bootstrap import Estimate, Statistic, UserBootstrap
from bowerbird.evaluate.slates import CalibrationError, Placement, PooledAuc, grouped_auc, log_loss
from bowerbird.evaluate.slates.calibration import recentred

ONCE = np.ones((1, 1), np.int64)


def pairs_auc(score, positive):
    wins = [
        1.0 if p > n else 0.5 if p == n else 0.0
        for p in np.asarray(score)[np.asarray(positive, bool)]
        for n in np.asarray(score)[~np.asarray(positive, bool)]
    ]
    return float(np.mean(wins)) if wins else math.nan


rows = st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.integers(0, 2)), min_size=1, max_size=14)


def columns(found):
    score, positive, group = (np.array(column) for column in zip(*found, strict=True))
    return score / 4, positive.astype(bool), group


@given(rows)
def test_grouped_auc_is_the_share_of_pairs_in_order(found):
    score, positive, group = columns(found)
    area = grouped_auc(score, positive, group, 4)
    for g in range(4):
        inside = group == g
        np.testing.assert_allclose(area[g], pairs_auc(score[inside], positive[inside]))


@given(rows, st.lists(st.integers(0, 3), min_size=3, max_size=3))
def test_pooled_auc_with_weights_is_the_auc_of_repeated_rows(found, times):
    score, positive, user = columns(found)
    figure = PooledAuc(score, positive, user)
    repeat = np.asarray(times)[user]
    expected = pairs_auc(np.repeat(score, repeat), np.repeat(positive, repeat))
    np.testing.assert_allclose(figure(np.array([times, [1, 1, 1]]))[0], expected)
    np.testing.assert_allclose(figure(np.array([[1, 1, 1]]))[0], pairs_auc(score, positive))


def test_against_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    score = rng.random(400).round(2).astype(np.float32)
    positive = rng.random(400) < score
    user, group = np.zeros(400, np.int64), np.arange(400) // 40
    assert PooledAuc(score, positive, user)(ONCE)[0] == pytest.approx(metrics.roc_auc_score(positive, score))
    expected = [metrics.roc_auc_score(positive[group == g], score[group == g]) for g in range(10)]
    np.testing.assert_allclose(grouped_auc(score, positive, group, 10), expected)
    inside = score.astype(float).clip(0.01, 0.99)
    assert log_loss(inside, positive).mean() == pytest.approx(metrics.log_loss(positive, inside))
    ndcg = [
        metrics.ndcg_score(positive[group == g][None].astype(int), score[group == g][None]) for g in range(10)
    ]
    np.testing.assert_allclose(
        Placement.of(score, positive, group, 10).ndcg(), ndcg
    )  # also averages over ties


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=6), st.integers(1, 4))
def test_ties_are_the_mean_over_all_orders(found, k):
    score, positive = (np.array(column) for column in zip(*found, strict=True))
    hits, gains = [], []
    for order in itertools.permutations(range(len(score))):
        ranked = positive[sorted(order, key=lambda row: -score[row])].astype(bool)  # stable: ties as permuted
        hits.append(ranked[:k].any())
        discount = 1 / np.log2(np.arange(len(score)) + 2)
        best = discount[: ranked.sum()].sum()
        gains.append(discount[ranked].sum() / best if best else 0.0)
    placement = Placement.of(score.astype(float), positive.astype(bool), np.zeros(len(score), np.int64), 1)
    assert placement.hit(k)[0] == pytest.approx(np.mean(hits))
    assert placement.ndcg()[0] == pytest.approx(np.mean(gains))


def test_figures_of_two_slates_by_hand():
    #          slate 0: the save is third of four      slate 1: nothing was saved   slate 2: everything was
    score = np.array([0.9, 0.8, 0.7, 0.1, 0.5, 0.4, 0.3, 0.2])
    saved = np.array([0, 0, 1, 0, 0, 0, 1, 1], bool)
    slate = np.array([0, 0, 0, 0, 1, 1, 2, 2])
    found = Placement.of(score, saved, slate, 3)
    assert found.rankable.tolist() == [True, False, False]
    assert found.hit(1).tolist() == [0, 0, 1] and found.hit(2)[0] == 0 and found.hit(3)[0] == 1
    assert found.ndcg() == pytest.approx([1 / np.log2(4), 0, 1])
    assert found.slate_positives.tolist() == [1, 0, 2]
    assert grouped_auc(score, saved, slate, 3)[0] == pytest.approx(1 / 3)


def test_a_constant_ranker_scores_what_chance_scores():
    positive = np.tile([True, False, False, False, False, False], 50)
    slate = np.repeat(np.arange(50), 6)
    found = Placement.of(np.full(300, 0.5), positive, slate, 50)
    assert found.hit(3).mean() == pytest.approx(0.5) and found.hit(1).mean() == pytest.approx(1 / 6)
    assert (grouped_auc(np.full(300, 0.5), positive, slate, 50) == 0.5).all()


def test_calibration_error_by_hand():
    said = np.array([0.1] * 10 + [0.9] * 10)
    happened = np.array([True] * 3 + [False] * 7 + [True] * 9 + [False])
    user = np.tile([0, 1], 10)
    error = CalibrationError(said, happened, user, 2, bins=2)
    assert error(np.ones((1, 2), np.int64))[0] == pytest.approx((10 * 0.2 + 10 * 0.0) / 20)
    # Only the second user: 0.1 was said 5 times and happened once, 0.9 was said 5 times and happened 4 times.
    assert error(np.array([[0, 1]]))[0] == pytest.approx((5 * 0.1 + 5 * 0.1) / 10)
    assert log_loss(np.array([0.25, 0.0]), np.array([True, True])).tolist() == pytest.approx(
        [math.log(4), 7 * math.log(10)]
    )


def test_recentred_intervals_hold_their_figure():
    moved = recentred(Estimate(0.01, np.array([0.02, 0.03, 0.04, 0.015])))
    assert moved.samples.mean() == pytest.approx(0.01, abs=0.004) and (moved.samples >= 0).all()
    assert moved.interval().low <= 0.01 <= moved.interval().high


def test_a_figure_is_resampled_on_the_draws_of_the_statistics():
    rng = np.random.default_rng(3)
    user, value = rng.integers(7, size=40) * 11, rng.random(40)
    bootstrap = UserBootstrap(user, resamples=50, seed=4)
    total = np.bincount(bootstrap.user_of_case, value)
    count = np.bincount(bootstrap.user_of_case)
    figure = bootstrap.figures([lambda times: times @ total / (times @ count)])[0]
    statistic = bootstrap.estimates([Statistic.of_cases(value)])[0]
    np.testing.assert_allclose(figure.samples, statistic.samples)
    assert figure.mean == pytest.approx(statistic.mean) and len(figure.samples) == 50
