"""The report says what was measured, in JSON without NaN, in one offline page, and on the terminal."""

from __future__ import annotations

import io
import json
import math
import re
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
from rich.console import Console

from bowerbird.evaluate import compare, future_cases, outcome_matrix
from bowerbird.evaluate.baselines import Markov, Popularity
from bowerbird.evaluate.report import LearningCurve, Notes, Report, Table, commit, gather_facts, verdicts
from bowerbird.tables.view import TimeWall, View
from evaluate.world import Fixed, random_store


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    store = random_store(tmp_path_factory.mktemp("report"), n_users=40, n_events=500)
    return future_cases(View(store), View(store, TimeWall(600)), exclude_seen=False)


@pytest.fixture(scope="module")
def report(cases):
    models = [Fixed("Model <b>", [5, 1, 0]), Fixed("Model <b>", [6, 0, 2])]
    baselines = [Popularity().fit(cases.earlier), Markov().fit(cases.earlier)]
    features = np.random.default_rng(0).normal(size=(cases.n_items, 3))
    table = compare([*models, *baselines], cases, ks=(1, 5, 10), resamples=50, item_features=features)
    answers = {"any": baselines[0].recommend(cases, 3), "save": baselines[1].recommend(cases, 3)}
    curve = LearningCurve.from_records(
        {
            "seed 0": [
                {"kind": "train", "step": 1, "loss": 2.5},
                {"kind": "validate", "step": 1, "ndcg@10": 0.25},
            ]
        }
    )
    facts = gather_facts(cases.view, seed=7)
    return Report("PinRec & friends", "toy", facts=facts, config={"width": 64, "rate": math.inf}).add(
        table,
        outcome_matrix(answers, cases, k=3, reference="any", resamples=50),
        curve,
        Table("Tuning", ["baseline", "score"], [["iALS", 0.12345]], note="on validation"),
        Notes("Notes", ["Nothing was left out."]),
    )


def test_json_is_strict_and_holds_everything(report, tmp_path):
    path, _ = report.save(tmp_path / "out")
    found = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    assert [block["type"] for block in found["blocks"]] == [
        "comparison", "outcome_matrix", "learning_curve", "table", "notes",
    ]  # fmt: skip
    first = found["blocks"][0]
    assert first["results"][0]["metrics"]["ndcg@10"].keys() == {"mean", "low", "high"}
    assert {"slates", "event_ties", "score_ties", "seen", "universe", "walls"} <= first["protocol"].keys()
    assert found["facts"]["seed"] == 7 and found["facts"]["data"]["content_hash"]
    assert found["config"] == {"width": 64, "rate": None}


class Page(HTMLParser):
    """Collects what a browser would fetch, and the visible text."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched, self.text, self.tags = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag != "a":
            self.fetched += [
                value
                for name, value in attrs
                if name in ("src", "href", "xlink:href") and value and not value.startswith("#")
            ]

    def handle_data(self, data):
        self.text.append(data)


def test_the_page_is_one_offline_file_with_plots_in_both_colour_schemes(report, tmp_path):
    _, path = report.save(tmp_path / "out")
    source = path.read_text()
    page = Page()
    page.feed(source)
    text = " ".join(page.text)
    assert page.fetched == [] and "script" not in page.tags and "url(http" not in source
    assert page.tags.count("svg") == 4  # headline, recall against k, popularity, learning curve
    assert "prefers-color-scheme: dark" in source
    assert not re.search(r"#0[ab]00\d\d|#01010|#02020|#03030", source)  # every stand-in colour was replaced
    assert "Model <b>" in text and "PinRec & friends" in text and "<b>Model" not in source
    value = report.blocks[0].value("Popularity", "ndcg@10")
    assert f"{value.mean:.4f}" in text and f"{value.low:.4f} to {value.high:.4f}" in text
    assert "one slate a request" in text and "ascending dense item id" in text
    assert "0.1235" in text and "on validation" in text and "Nothing was left out." in text
    assert '"width": 64' in text


def test_the_terminal_shows_figures_and_rules(report):
    out = io.StringIO()
    report.print(Console(file=out, width=140))
    text = out.getvalue()
    cell = report.blocks[0].value("Popularity", "ndcg@10")
    assert f"{cell.mean:.4f} ±{(cell.high - cell.low) / 2:.4f}" in text
    for words in (
        "Model <b>",
        "slate rule",
        "tied scores",
        "asked for",
        "best ndcg@10 0.2500",
        "on validation",
    ):
        assert words in text


def test_a_report_with_one_model_and_one_cut_off_still_renders(cases, tmp_path):
    table = compare([Fixed("Model", [0])], cases, ks=(3,), headline="mrr@3", metrics=("mrr",), resamples=10)
    _, path = Report("One", "toy").add(table).save(tmp_path)
    assert "MRR@3" in path.read_text()


def verdict(cases, model, baseline):
    table = compare(
        [Fixed("Model", model), Fixed("Base", baseline, is_baseline=True)],
        cases,
        ks=(1,),
        headline="recall@1",
    )
    return verdicts(table)[0]


def test_verdicts_say_above_below_and_unsettled(cases):
    assert "above the best baseline, Base" in verdict(cases, [0], [11])
    assert "below the best baseline" in verdict(cases, [11], [0])
    assert "+0.0%" not in verdict(cases, [0], [0]) and "does not settle" in verdict(cases, [0], [0])
    never = next(item for item in range(cases.n_items) if item not in set(cases.target_item.tolist()))
    assert "scores zero" in verdict(cases, [0], [never])


def test_learning_curves_skip_what_they_do_not_know():
    records = [
        {"kind": "train", "step": 10, "loss": 1.0, "ndcg@10": 9.0},
        {"kind": "validate", "step": 10, "ndcg@10": 0.5, "loss": 9.0},
        {"kind": "validate", "step": 20, "ndcg@10": None},
        {"kind": "note"},
    ]
    curve = LearningCurve.from_records({"a": records})
    assert curve.loss == {"a": [(10.0, 1.0)]} and curve.metric == {"a": [(10.0, 0.5)]}


def test_the_commit_is_that_of_the_checkout(tmp_path):
    def git(*words):
        name = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", "-C", tmp_path, *name, *words], check=True, capture_output=True)

    assert commit(tmp_path) is None
    git("init", "-q")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-q", "-m", "one")
    clean = commit(tmp_path)
    assert re.fullmatch(r"[0-9a-f]{40}", clean)
    (tmp_path / "file").write_text("two")
    assert commit(tmp_path) == clean + "+"
