"""A platform with slates, whose people's tastes are known, and a tiny UniPinRec that has learned them.

The films are those of `serve.world`: half at sea, half in town. Even users click and save films at sea and hide films
in town; odd ones the other way round. Of what is clicked, every third film is saved.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from bowerbird.learn.run import Run
from bowerbird.recommend.ranking.config import UniPinRecConfig
from bowerbird.recommend.ranking.learner import UniPinRecLearner
from bowerbird.tables.store import Store, build_store
from bowerbird.tables.view import View
from serve.world import DAY, N_ITEMS, START, items

N_USERS = 48
N_SLATES = 6
SLATE = 5
WATCHED = 24
"""Films of each half that are ever shown; the others are only in the catalogue."""

TINY = UniPinRecConfig(
    width=32, item_dim=32, id_dim=32, content_dim=16, layers=1, heads=2, history_length=32, dropout=0.0,
    embedding_dropout=0.0, id_dropout=0.1, random_negatives=16, in_batch_negatives=64, batch_positions=256,
    learning_rate=1e-2, warmup_steps=5, epochs=20, keep_empty=1.0, precision="fp32", mask_same_user=False,
)  # fmt: skip


def build(path: Path) -> Store:
    """The store: one slate of five films a day and user."""
    rng = np.random.default_rng(11)
    half = N_ITEMS // 2
    rows = []
    for u in range(N_USERS):
        own, other = (0, half) if u % 2 == 0 else (half, 0)
        for day in range(N_SLATES):
            films = np.concatenate(
                [own + rng.choice(WATCHED, 3, replace=False), other + rng.choice(WATCHED, 2, replace=False)]
            )
            for place, film in enumerate(rng.permutation(films)):
                mine = own <= film < own + half
                done: list[str] = []
                if mine and rng.random() < 0.7:
                    done = ["click", "save"] if film % 3 == 0 else ["click"]
                elif not mine and rng.random() < 0.25:
                    done = ["hide"]
                time = START + (u % 7 + day) * DAY + u * 60_000 + place * 1000
                rows.append((f"u{u:02d}", f"f{film:02d}", time, done, f"s{u}-{day}", place))
    schema = {
        "user_id": pl.String, "item_id": pl.String, "timestamp": pl.Int64, "actions": pl.List(pl.String),
        "request_id": pl.String, "position": pl.Int64,
    }  # fmt: skip
    events = pl.DataFrame(rows, schema=schema, orient="row").with_columns(surface=pl.lit("home"))
    return build_store(
        path,
        {"items": items(), "events": events},
        actions=["click", "save", "hide"],
        negative_actions=["hide"],
        item_roles={"title": "title"},
        dataset="sea and town",
        slate_rule="one slate a request",
    )


def fitted(store: Store, folder: Path) -> Path:
    """The folder of a UniPinRec trained on it; seconds on one core."""
    return UniPinRecLearner(TINY).fit(View(store), run=Run(quiet=True, seed=0)).save(folder)
