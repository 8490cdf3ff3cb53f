"""A saved model reads item content as it was trained to, whatever order the store keeps its columns in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import torch

from bowerbird.learn.artifact import Artifact
from bowerbird.learn.run import Run
from bowerbird.recommend.ranking.config import UniPinRecConfig
from bowerbird.recommend.ranking.learner import UniPinRecLearner
from bowerbird.recommend.ranking.opened import OpenUniPinRec
from bowerbird.tables.store import build_store
from bowerbird.tables.view import View


def test_columns_out_of_alphabetical_order(tmp_path: Path, uni: UniPinRecConfig) -> None:
    rows = [(f"u{n % 5}", f"i{n % 8}", 1000 * n, ["click"]) for n in range(60)]
    events = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp", "actions"], orient="row")
    items = pl.DataFrame(
        {
            "item_id": [f"i{n}" for n in range(8)],
            "zone": [f"z{n % 2}" for n in range(8)],
            "weight": [float(n) for n in range(8)],
            "colour": [f"c{n % 3}" for n in range(8)],
            "age": [float(n * n) for n in range(8)],
        }
    )
    roles = {"zone": "category", "weight": "number", "colour": "category", "age": "number"}
    store = build_store(
        tmp_path / "store",
        {"items": items, "events": events},
        actions=["click"],
        item_roles=roles,
        dataset="z",
    )
    view = View(store)
    config = replace(uni, content_dim=8, epochs=1)
    fitted = UniPinRecLearner(config).fit(view, run=Run(quiet=True, seed=0))
    fitted.save(tmp_path / "artifact")
    loaded = OpenUniPinRec.open(Artifact.load(tmp_path / "artifact"), view)
    assert torch.equal(loaded.vectors_IE, OpenUniPinRec.open(fitted, view).vectors_IE)
