"""The table: its figures are the metrics, seeds are averaged, the best baseline is the bar."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bowerbird.evaluate import (
    RankingError,
    VectorLists,
    compare,
    future_cases,
    next_event_cases,
    outcome_matrix,
    target_ranks,
)
from bowerbird.evaluate.baselines import Popularity
from bowerbird.evaluate.metrics import METRICS
from bowerbird.evaluate.report.report import finite
from bowerbird.tables.errors import ConfigError
from bowerbird.tables.view import TimeWall, View
from evaluate.world import Fixed, make_store, random_store


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    store = random_store(tmp_path_factory.mktemp("compare"), n_users=40, n_events=500)
    return future_cases(View(store), View(store, TimeWall(600)), exclude_seen=False)


def test_figures_are_means_over_cases(cases):
    model = Fixed("model", [3, 1, 0, 2, 5])
    table = compare([model, Fixed("base", [9, 8], is_baseline=True)], cases, ks=(1, 2, 5), headline="ndcg@2")
    ranks = target_ranks(model.recommend(cases, 5), cases)
    for name, metric in METRICS.items():
        for k in (1, 2, 5):
            cell = table.value("model", f"{name}@{k}")
            assert cell.mean == pytest.approx(metric(ranks, cases.target_offsets, k).mean())
            assert cell.low <= cell.mean <= cell.high
    result = table.result("model")
    assert result.difference["ndcg@5"].mean == pytest.approx(
        table.value("model", "ndcg@5").mean - table.value("base", "ndcg@5").mean
    )
    assert table.best_baseline == "base" and not table.result("base").difference
    for kind, sizes in table.segment_sizes.items():
        if kind != "action":
            assert sum(sizes.values()) == cases.n_targets
            found = sum(result.segments[kind][part].mean * size for part, size in sizes.items())
            assert found == pytest.approx((ranks < 2).sum())
    assert result.lists["coverage"] == 2 / cases.n_items


def test_models_of_one_name_are_seeds_and_the_best_baseline_is_the_bar(cases):
    seeds = [Fixed("model", [3, 1]), Fixed("model", [0, 2])]
    bases = [Fixed("weak", [11], is_baseline=True), Fixed("strong", [0, 1, 2, 3], is_baseline=True)]
    table = compare([*seeds, *bases], cases, ks=(2,), headline="recall@2")
    model = table.result("model")
    assert model.n_seeds == 2 and len(model.seed_values["recall@2"]) == 2
    assert model.metrics["recall@2"].mean == pytest.approx(np.mean(model.seed_values["recall@2"]))
    assert table.best_baseline == "strong"
    assert model.to_dict()["seed_deviation"]["recall@2"] == pytest.approx(
        np.std(model.seed_values["recall@2"], ddof=1)
    )


def test_a_model_equal_to_the_best_baseline_has_ratio_one(cases):
    same = [Fixed("model", [0, 1]), Fixed("base", [0, 1], is_baseline=True)]
    result = compare(same, cases, ks=(2,), headline="recall@2").result("model")
    ratio, gap = result.ratio["recall@2"], result.difference["recall@2"]
    assert (ratio.low, ratio.mean, ratio.high) == (1, 1, 1) and (gap.low, gap.high) == (0, 0)
    assert not gap.excludes(0)


def test_without_baselines_there_is_no_bar(cases):
    table = compare([Fixed("model", [0])], cases, ks=(1,), headline="recall@1")
    assert table.best_baseline is None and not table.result("model").ratio


def test_variety_needs_features_and_json_is_strict(cases):
    features = np.eye(cases.n_items)
    table = compare(
        [Popularity().fit(cases.earlier)], cases, ks=(3,), headline="ndcg@3", item_features=features
    )
    assert table.result("Popularity").lists["intra_list_diversity"] == 1.0
    assert "NaN" not in json.dumps(finite(table.to_dict()), allow_nan=False)


def test_cheating_and_nonsense_are_refused(tmp_path):
    store = make_store(tmp_path, [("a", 0, 1), ("a", 1, 2), ("b", 2, 3)])
    cases = next_event_cases(View(store), View(store, TimeWall(2)))
    with pytest.raises(RankingError, match="already seen"):
        compare([Fixed("model", [0, 1])], cases, ks=(2,), headline="ndcg@2")
    for recommenders, some, settings in (
        ([], cases, {}),
        ([Fixed("model", [1])], cases.subset(slice(0, 0)), {}),
        ([Fixed("model", [1])], cases, {"metrics": ("precision",)}),
        ([Fixed("model", [1])], cases, {"headline": "ndcg"}),
    ):
        with pytest.raises(ConfigError):
            compare(recommenders, some, **settings)


# -- outcome matrices ---------------------------------------------------------------------------------------


def two_outcomes(folder):
    """Users 0-9 click item 1 and save item 2 after the wall."""
    rows = [(f"u{u}", 0, 1) for u in range(10)]
    rows += [(f"u{u}", 1, 100 + u, ["click"]) for u in range(10)]
    rows += [(f"u{u}", 2, 200 + u, ["save"]) for u in range(0, 10, 2)]
    store = make_store(folder, rows, n_items=5)
    return future_cases(View(store), View(store, TimeWall(50)))


def test_outcome_matrix_by_hand(tmp_path):
    cases = two_outcomes(tmp_path)
    answers = {
        "any": Fixed("", [1, 2]).recommend(cases, 2),
        "click": Fixed("", [1, 3]).recommend(cases, 2),
        "save": [Fixed("", [2, 3]).recommend(cases, 2), Fixed("", [2, 4]).recommend(cases, 2)],
    }
    matrix = outcome_matrix(answers, cases, k=1, reference="any")
    means = {
        row: {column: cell.mean for column, cell in cells.items()} for row, cells in matrix.recall.items()
    }
    assert means == {
        "any": {"click": 1, "save": 0},
        "click": {"click": 1, "save": 0},
        "save": {"click": 0, "save": 1},
    }
    both = outcome_matrix(answers, cases, k=2, reference="any")
    assert {row: cells["save"].mean for row, cells in both.lift.items()} == {"click": 0, "save": 1}
    assert both.diagonal()["click"].mean == 1
    assert both.share == {"click": 10 / 15, "save": 5 / 15}
    json.dumps(finite(matrix.to_dict()), allow_nan=False)


def test_vector_lists_are_measured_by_unordered_recall(tmp_path):
    cases = two_outcomes(tmp_path)
    lists = VectorLists(np.tile(np.array([[[3, 4], [2, 1]]], np.int32), (len(cases), 1, 1)))
    matrix = outcome_matrix({"save": lists}, cases, k=1)
    assert matrix.metric == "unordered recall@1" and matrix.lift == {}
    assert {name: cell.mean for name, cell in matrix.recall["save"].items()} == {"click": 0, "save": 1}


def test_an_unknown_reference_is_refused(tmp_path):
    cases = two_outcomes(tmp_path)
    with pytest.raises(ConfigError, match="reference"):
        outcome_matrix({"any": Fixed("", [1]).recommend(cases, 1)}, cases, k=1, reference="none")
