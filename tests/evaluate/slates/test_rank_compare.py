"""The slate table: its figures are the metrics, seeds are averaged, ratios are paired, reports show it."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from rich.console import Console

from bowerbird.evaluate.report import Report
from bowerbird.evaluate.report.report import finite
from bowerbird.evaluate.slates import RankerError, grouped_auc, rank_compare, slate_cases
from bowerbird.tables.errors import ConfigError
from bowerbird.tables.view import TimeWall, View
from evaluate.slates.world import Told, platform


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    store = platform(tmp_path_factory.mktemp("compare"))
    return slate_cases(View(store), View(store, TimeWall(1_500_000)))


@pytest.fixture(scope="module")
def scores(cases):
    rng = np.random.default_rng(1)
    return rng.random((cases.n_rows, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def table(cases, scores):
    truth = cases.labels.astype(np.float32)
    models = [Told("mix <b>", 0.7 * scores + 0.3 * truth), Told("mix <b>", 0.9 * scores + 0.1 * truth)]
    bases = [
        Told("chance", scores, is_baseline=True),
        Told("flat", np.full(cases.n_rows, 0.25), is_baseline=True),
    ]
    return rank_compare([*models, *bases], cases, resamples=200)


def test_figures_are_the_metrics(cases, scores, table):
    for c, action in enumerate(cases.action_names):
        said, happened = scores[:, c], cases.labels[:, c]
        area = grouped_auc(said, happened, cases.slate_of_row, len(cases))
        value = table.value("chance", action, "slate_auc")
        assert value.mean == pytest.approx(np.nanmean(area)) and value.low < value.mean < value.high
        user = cases.user[cases.slate_of_row]
        area, rows = grouped_auc(said, happened, user, cases.view.n_users), np.bincount(user, minlength=30)
        expected = np.nansum(area * rows) / rows[~np.isnan(area)].sum()
        assert table.value("chance", action, "gauc").mean == pytest.approx(expected)
        assert table.value("chance", action, "calibration").mean == pytest.approx(
            said.sum() / happened.sum(), rel=1e-5
        )
        assert table.value("flat", action, "auc").mean == table.value("flat", action, "slate_auc").mean == 0.5
        expected = abs(0.25 - happened.mean())
        assert table.value("flat", action, "ece").mean == pytest.approx(expected, rel=1e-5)
        nats = -np.where(happened, np.log(0.25), np.log(0.75)).mean()
        assert table.value("flat", action, "log_loss").mean == pytest.approx(nats, rel=1e-5)


def test_seeds_are_averaged_and_ratios_are_paired(table):
    mix = table.result("mix <b>")
    assert (
        mix.n_seeds == 2 and table.headline == ("save", "hit@3") and table.best_baseline in ("chance", "flat")
    )
    assert mix.metrics["save"]["auc"].mean == pytest.approx(np.mean(mix.seed_values["save"]["auc"]))
    assert mix.seed_values["save"]["auc"][0] > mix.seed_values["save"]["auc"][1]
    same = table.ratio("chance", "chance", "save", "auc")
    assert (same.low, same.mean, same.high) == (1, 1, 1)
    there, back = (
        table.ratio("mix <b>", "flat", "click", "ndcg"),
        table.ratio("flat", "mix <b>", "click", "ndcg"),
    )
    assert there.mean == pytest.approx(1 / back.mean) and there.low == pytest.approx(1 / back.high)
    gap = table.difference("mix <b>", "flat", "click", "ndcg")
    assert gap.mean == pytest.approx(
        table.value("mix <b>", "click", "ndcg").mean - table.value("flat", "click", "ndcg").mean
    )
    assert gap.low > 0 and table.result(table.best_baseline).ratio == {}
    with pytest.raises(ConfigError, match="no ranker 'x'"):
        table.ratio("x", "flat", "save", "auc")


def test_the_best_of_a_column_knows_its_direction(table):
    means = {r.name: r.metrics["click"] for r in table.results}
    assert table.best("click", "log_loss") == min(m["log_loss"].mean for m in means.values())
    assert table.best("click", "auc") == max(m["auc"].mean for m in means.values())
    assert abs(table.best("click", "calibration") - 1) == min(
        abs(m["calibration"].mean - 1) for m in means.values()
    )


def test_broken_scores_are_refused(cases, scores):
    for bad, words in (
        (scores[:, :2], "the slates need"),
        (scores + 1, "between 0 and 1"),
        (np.where(scores > 0.5, np.nan, scores), "gave nan as the probability"),
    ):
        with pytest.raises(RankerError, match=words):
            rank_compare([Told("bad", bad)], cases)


def test_bad_requests_are_named(cases, scores):
    with pytest.raises(ConfigError, match="no action 'buy'"):
        rank_compare([Told("a", scores)], cases, actions=["buy"])
    with pytest.raises(ConfigError, match="headline"):
        rank_compare([Told("a", scores)], cases, headline=("save", "hit@7"))
    with pytest.raises(ConfigError, match="0 slates"):
        rank_compare([Told("a", scores)], cases.subset(slice(0, 0)))
    with pytest.raises(ConfigError, match="cut-offs"):
        rank_compare([Told("a", scores)], cases, ks=(0,))
    same = cases.subset(
        np.flatnonzero(~np.isin(np.arange(len(cases)), cases.slate_of_row[cases.actions > 0]))
    )
    with pytest.raises(ConfigError, match="nothing to rank"):
        rank_compare([Told("a", np.full(same.n_rows, 0.5))], same)


def test_reports_show_the_table(table, tmp_path):
    report = Report("Ranking", "toy").add(table)
    path, page = report.save(tmp_path)
    found = json.loads(path.read_text())["blocks"][0]
    assert found["type"] == "slate_comparison" and "estimates" not in found
    assert found["results"][0]["metrics"]["save"]["hit@3"].keys() == {"mean", "low", "high"}
    assert found["headline"] == ["save", "hit@3"] and found == finite(table.to_dict()) | {
        "type": "slate_comparison"
    }
    source = page.read_text()
    value = table.value("chance", "save", "hit@3")
    for words in (
        f"{value.low:.4f} to {value.high:.4f}",
        "mix &lt;b&gt;",
        "one request is one slate",
        "said/seen",
    ):
        assert words in source
    assert source.count("<svg") == 1 and "<b>mix" not in source
    out = io.StringIO()
    report.print(Console(file=out, width=200))
    text = out.getvalue()
    for words in (
        "Hit@3",
        "slate rule",
        "random order",
        f"{value.mean:.4f}",
        "mix <b> reaches Hit@3",
        "hide: ",
    ):
        assert words in text
