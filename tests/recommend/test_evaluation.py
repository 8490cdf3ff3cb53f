"""The report of a fitted model: what stands in it and that it can be written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bowerbird.learn.artifact import Artifact
from bowerbird.learn.run import Run
from bowerbird.recommend.config import PinRecConfig
from bowerbird.recommend.evaluation import inner_view, report
from bowerbird.recommend.learner import PinRecLearner
from bowerbird.tables.store import Store
from bowerbird.tables.view import LastOut, View, leave_last_out, time_split, user_split


@pytest.mark.parametrize("protocol", ["time", "last out", "users"])
def test_the_report_holds_model_baselines_and_matrix(
    outcomes: Store, tiny: PinRecConfig, protocol: str, tmp_path: Path
) -> None:
    cuts = {"time": time_split, "last out": leave_last_out, "users": lambda store: user_split(store, 0.5)}
    split = cuts[protocol](outcomes)
    artifact = PinRecLearner(tiny).fit(split.train, valid=split.valid, run=Run(quiet=True))
    found = report([artifact], split.test, since=split.valid, baselines=("popularity", "markov"), limit=200)
    json_path, html_path = found.save(tmp_path)
    content = json.loads(json_path.read_text())
    kinds = [block["type"] for block in content["blocks"]]
    assert kinds[0] == "comparison" and "outcome_matrix" in kinds and "learning_curve" in kinds
    names = [row["name"] for row in content["blocks"][0]["results"]]
    assert names == ["PinRec", "PinRec, outcome mix", "Popularity", "Markov (first order)"]
    assert content["facts"]["trained_before"] == split.train.wall
    assert ("never met" in content["blocks"][0]["title"]) == (protocol == "users")
    assert "<html" in html_path.read_text()


def test_the_inner_view_is_strictly_earlier(outcomes: Store, cycle_artifact: Artifact) -> None:
    for since in (View(outcomes, LastOut(1)), time_split(outcomes).valid):
        inner = inner_view(since)
        assert (inner.visible <= since.visible).all() and inner.n_events < since.n_events
