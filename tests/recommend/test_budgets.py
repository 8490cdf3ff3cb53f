from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bowerbird.recommend.retrieval.budgets import compress, merge, split_budget, spread, vector_budgets

shares = st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 10), min_size=1).filter(
    lambda fractions: sum(fractions.values()) > 0.01
)


@given(st.integers(0, 500), shares)
def test_a_split_budget_adds_up_and_is_close_to_the_shares(total: int, fractions: dict[str, float]) -> None:
    parts = split_budget(total, fractions)
    assert sum(parts.values()) == total
    weight = sum(fractions.values())
    for name, part in parts.items():
        assert part >= int(total * fractions[name] / weight)
        assert part <= total * fractions[name] / weight + len(fractions)


def test_the_rounding_remainder_goes_to_the_largest_share_first() -> None:
    assert split_budget(10, {"save": 0.35, "click": 0.65}) == {"save": 3, "click": 7}


@pytest.mark.parametrize("fractions", [{"a": -1.0, "b": 2.0}, {"a": 0.0}])
def test_impossible_shares_are_refused(fractions: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="weight"):
        split_budget(5, fractions)


@given(st.integers(0, 100), st.integers(1, 20))
def test_spread_is_even_and_complete(total: int, parts: int) -> None:
    out = spread(total, parts)
    assert sum(out) == total and max(out) - min(out) <= 1


@given(st.integers(1, 8), st.floats(-1, 1), st.integers(0, 10_000))
def test_compression_never_changes_the_total_budget(count: int, threshold: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(count, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    budgets = rng.integers(0, 9, count).tolist()
    kept, out = compress(vectors, budgets, threshold)
    assert sum(out) == sum(budgets) and kept == sorted(kept) and kept[0] == 0
    close = vectors[kept] @ vectors[kept].T - 2 * np.eye(len(kept))
    assert len(kept) == 1 or close.max() <= max(threshold, -1) + 1e-5


def test_threshold_one_merges_exact_duplicates_only() -> None:
    near = np.array([1.0, 1e-2, 0.0], np.float32)
    vectors = np.array([[1, 0, 0], [1, 0, 0], near / np.linalg.norm(near)], np.float32)
    assert compress(vectors, [3, 4, 5], 1.0) == ([0, 2], [7, 5])


def test_a_dropped_vector_gives_its_budget_to_the_most_similar_kept_one() -> None:
    vectors = np.array([[1, 0], [0, 1], [0.2, 0.98]], np.float32)
    assert compress(vectors, [1, 2, 4], 0.9) == ([0, 1], [1, 6])


def test_vector_budgets_follow_the_outcomes() -> None:
    assert vector_budgets(["save", "click", "save"], {"save": 0.5, "click": 0.5}, 10) == [3, 5, 2]


def test_merge_gives_each_vector_its_share_then_fills_what_repeats_leave_open() -> None:
    first = (np.array([1, 2, 3, 4]), np.array([0.9, 0.8, 0.7, 0.6]))
    second = (np.array([1, 5, 6, -1]), np.array([0.95, 0.5, 0.4, -np.inf]))
    merged = merge([first, second], [2, 2], 4)
    assert merged.item.tolist() == [1, 2, 5, 3]
    assert merged.vector.tolist() == [1, 0, 1, 0]
    assert merged.score[0] == np.float32(0.95)


@given(st.integers(0, 10_000), st.integers(1, 12))
def test_merged_lists_are_distinct_and_as_long_as_possible(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    lists = [(rng.permutation(20)[:k], np.sort(rng.random(k))[::-1]) for _ in range(3)]
    merged = merge(lists, spread(k, 3), k)
    assert len(set(merged.item.tolist())) == len(merged.item) == k
