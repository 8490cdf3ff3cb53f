"""Metrics against their definitions written as plain loops, and the properties they must have."""

from __future__ import annotations

import doctest
import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bowerbird.evaluate.metrics import (
    METRICS,
    VectorLists,
    accuracy,
    budget_ranks,
    coverage,
    diversity,
    intra_list_diversity,
    mean_popularity,
    parse_metric,
    ranks,
    recall,
    segments,
    unique_share,
    unordered_ranks,
)
from bowerbird.evaluate.report import blocks, html
from bowerbird.tables.errors import ConfigError


def questions(targets):
    """The part of `Cases` that metrics read: targets of each case."""
    return SimpleNamespace(
        target_offsets=np.concatenate([[0], np.cumsum([len(found) for found in targets])]).astype(np.int64),
        target_item=np.array([item for found in targets for item in found], np.int32),
        n_targets=sum(len(found) for found in targets),
    )


def naive(name, ranked, targets, k):
    hits = [item in targets for item in ranked[:k]]
    if name == "recall":
        return sum(hits) / len(targets)
    if name == "hit_rate":
        return float(any(hits))
    if name == "mrr":
        return next((1 / (place + 1) for place, hit in enumerate(hits) if hit), 0.0)
    gain = sum(1 / math.log2(place + 2) for place, hit in enumerate(hits) if hit)
    return gain / sum(1 / math.log2(place + 2) for place in range(min(k, len(targets))))


items = st.integers(0, 15)
worlds = st.lists(
    st.tuples(
        st.lists(items, min_size=8, max_size=8, unique=True),
        st.lists(items, min_size=1, max_size=6, unique=True),
    ),
    min_size=1,
    max_size=5,
)


@given(worlds, st.integers(1, 10), st.sampled_from(sorted(METRICS)))
def test_metrics_equal_their_definitions(world, k, name):
    lists, targets = [found[0] for found in world], [found[1] for found in world]
    cases = questions(targets)
    found = ranks.ranks_in_lists(np.array(lists), cases.target_offsets, cases.target_item)
    values = METRICS[name](found, cases.target_offsets, k)
    np.testing.assert_allclose(values, [naive(name, *pair, k) for pair in zip(lists, targets, strict=True)])


@given(worlds)
def test_metrics_never_fall_with_k_and_stay_in_bounds(world):
    lists, targets = [found[0] for found in world], [found[1] for found in world]
    cases = questions(targets)
    found = ranks.ranks_in_lists(np.array(lists), cases.target_offsets, cases.target_item)
    for name in ("recall", "hit_rate", "mrr"):
        curve = np.array([METRICS[name](found, cases.target_offsets, k) for k in range(1, 10)])
        assert (np.diff(curve, axis=0) >= 0).all() and (curve >= 0).all() and (curve <= 1).all()


def test_padding_never_matches_and_perfect_lists_score_one():
    cases = questions([[3, 4], [0]])
    found = ranks.ranks_in_lists(np.array([[4, 3, -1], [0, -1, -1]]), cases.target_offsets, cases.target_item)
    for metric in METRICS.values():
        np.testing.assert_allclose(metric(found, cases.target_offsets, 3), [1.0, 1.0])


def three_users():
    """Three users, M = 2 vectors, lists of 2. Found: both of {1, 4}; 7 of {7, 8}; not 9."""
    lists = VectorLists(
        np.array([[[1, 2], [4, 1]], [[0, 7], [5, 6]], [[1, 2], [3, 4]]], np.int32),
    )
    return lists, questions([[1, 4], [7, 8], [9]])


def test_unordered_recall_of_three_users_by_hand():
    lists, cases = three_users()
    found = unordered_ranks(lists, cases)
    per_user = recall(found, cases.target_offsets, 2)
    assert per_user.tolist() == [1.0, 0.5, 0.0]
    assert per_user.mean() == 0.5  # macro
    assert (found < 2).mean() == 3 / 5  # micro
    assert (unordered_ranks(lists, cases) < 1).tolist() == [True, True, False, False, False]


@given(st.lists(st.lists(st.lists(items, min_size=5, max_size=5, unique=True), min_size=3, max_size=3), min_size=2,
                max_size=4), st.data())  # fmt: skip
def test_unordered_recall_is_recall_for_one_vector_and_grows_with_vectors(lists, data):
    targets = [data.draw(st.lists(items, min_size=1, max_size=4, unique=True)) for _ in lists]
    cases, every = questions(targets), np.array(lists, np.int32)
    one = unordered_ranks(VectorLists(every[:, :1]), cases)
    np.testing.assert_array_equal(
        one, ranks.ranks_in_lists(every[:, 0], cases.target_offsets, cases.target_item)
    )
    for k in (1, 3, 5):
        found = [(unordered_ranks(VectorLists(every[:, :m]), cases) < k).sum() for m in (1, 2, 3)]
        assert found == sorted(found)


@given(
    st.lists(st.lists(items, min_size=7, max_size=7, unique=True), min_size=3, max_size=3),
    items,
    st.integers(1, 20),
)
def test_budget_ranks_count_the_union_of_the_shares(lists, target, budget):
    cases = questions([[target]])
    share, extra = divmod(budget, 3)
    union = {item for place, line in enumerate(lists) for item in line[: share + (place < extra)]}
    found = budget_ranks(VectorLists(np.array([lists], np.int32)), cases, budget)
    assert (found[0] == 0) == (target in union)


def test_a_budget_larger_than_the_lists_is_refused():
    lists, cases = three_users()
    with pytest.raises(ConfigError, match="needs lists of 3"):
        budget_ranks(lists, cases, 5)


@given(st.lists(st.lists(st.integers(-1, 5), min_size=4, max_size=4), min_size=1, max_size=4))
def test_intra_list_diversity_equals_the_mean_over_pairs(lists):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(6, 3))
    vectors[5] = 0.0  # an item nothing is known about
    lists = [sorted(set(line), reverse=True) + [-1] * (4 - len(set(line))) for line in lists]
    values = intra_list_diversity(np.array(lists), vectors)
    for line, value in zip(lists, values, strict=True):
        known = [vectors[item] / np.linalg.norm(vectors[item]) for item in line if 0 <= item < 5]
        pairs = [1 - a @ b for place, a in enumerate(known) for b in known[place + 1 :]]
        assert value == pytest.approx(np.mean(pairs)) if pairs else math.isnan(value)


def test_figures_of_lists():
    lists = np.array([[0, 1, 2], [0, 1, -1]])
    assert coverage(lists, 6) == 0.5
    assert unique_share(lists) == 3 / 5
    assert mean_popularity(lists, np.array([0, 0, np.e - 1])) == pytest.approx(1 / 5)
    assert unique_share(np.full((2, 2), -1)) == coverage(np.empty((0, 0)), 0) == 0.0


@pytest.mark.parametrize(
    ("name", "says"), [("recal@10", "did you mean 'recall'"), ("ndcg", "cut-off"), ("mrr@0", "cut-off")]
)
def test_a_metric_name_with_a_mistake(name, says):
    with pytest.raises(ConfigError, match=says):
        parse_metric(name)


@pytest.mark.parametrize(
    "module", [accuracy, blocks, diversity, html, ranks, segments], ids=lambda module: module.__name__
)
def test_examples_in_the_documentation(module):
    found = doctest.testmod(module)
    assert found.attempted > 0 and found.failed == 0
