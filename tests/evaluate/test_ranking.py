"""The one way from scores to lists, and the contract every list is held to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bowerbird.evaluate import (
    Ranking,
    RankingError,
    check_ranking,
    drop_seen,
    leave_last_out_cases,
    rank_scores,
    top_k,
)
from bowerbird.tables.view import LastOut, View
from evaluate.world import make_store


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    """Two users; user a has seen 0 and 1, user b has seen 2; the targets are 3 and 4."""
    rows = [("a", 0, 1), ("a", 1, 2), ("a", 3, 3), ("b", 2, 1), ("b", 4, 2)]
    store = make_store(tmp_path_factory.mktemp("ranking"), rows, n_items=6)
    return leave_last_out_cases(View(store), View(store, LastOut(1)))


@st.composite
def tables(draw):
    rows, columns, k = draw(st.integers(1, 4)), draw(st.integers(1, 12)), draw(st.integers(1, 15))
    cell = st.sampled_from([-np.inf, -1.5, 0.0, 0.25, 2.0, 3.0])
    values = draw(st.lists(cell, min_size=rows * columns, max_size=rows * columns))
    return np.array(values).reshape(rows, columns), k


@given(tables())
def test_top_k_equals_a_full_sort_by_score_then_id(world):
    scores, k = world
    ranking = top_k(scores, k)
    for row, line in enumerate(scores):
        expected = sorted((-score, item) for item, score in enumerate(line) if score > -np.inf)[:k]
        padding = k - len(expected)
        assert ranking.items[row].tolist() == [item for _, item in expected] + [-1] * padding
        assert ranking.scores[row].tolist() == [-score for score, _ in expected] + [-np.inf] * padding


def test_a_constant_model_ranks_by_id_so_a_target_gains_nothing_from_ties():
    assert top_k(np.zeros((1, 50)), 5).items.tolist() == [[0, 1, 2, 3, 4]]


def test_a_nan_score_is_refused():
    with pytest.raises(RankingError, match="NaN"):
        top_k(np.array([[1.0, np.nan]]), 1)


def test_rank_scores_leaves_seen_items_out(cases):
    ranking = rank_scores(np.tile(np.arange(6.0)[::-1], (2, 1)), cases, 6)
    assert ranking.items.tolist() == [[2, 3, 4, 5, -1, -1], [0, 1, 3, 4, 5, -1]]
    check_ranking(ranking, cases, 6, name="model")


def test_drop_seen_cleans_candidate_lists(cases):
    items = np.array([[3, 1, -1, 3, 5, 2], [2, 0, 0, 0, 1, 5]])
    scores = np.array([[1.0, 9, 9, 4, 4, 0], [9, 1, 3, 2, 3, 3]])
    ranking = drop_seen(items, scores, cases, 4)
    assert ranking.items.tolist() == [[3, 5, 2, -1], [0, 1, 5, -1]]
    assert ranking.scores.tolist() == [[4, 4, 0, -np.inf], [3, 3, 3, -np.inf]]
    check_ranking(ranking, cases, 4, name="model")
    assert drop_seen(items, scores, cases, 9).items.shape == (2, 9)


@pytest.mark.parametrize(
    ("items", "scores", "says"),
    [
        ([[2, 3], [0, 6]], [[2, 1], [2, 1]], "catalogue has 6"),
        ([[-1, 3], [0, 1]], [[2, 1], [2, 1]], "after an empty place"),
        ([[2, 2], [0, 1]], [[2, 1], [2, 1]], "repeats"),
        ([[2, 3], [0, 1]], [[1, 2], [2, 1]], "above the one before"),
        ([[2, 1], [0, 1]], [[2, 1], [2, 1]], "case 0, place 1, item 1: already seen"),
        ([[2], [0]], [[2], [1]], "shape"),
    ],
)
def test_a_broken_list_is_refused(cases, items, scores, says):
    ranking = Ranking(np.array(items, np.int32), np.array(scores, np.float32))
    with pytest.raises(RankingError, match=says):
        check_ranking(ranking, cases, 2, name="model")
