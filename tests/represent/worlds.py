"""Small worlds whose right answer is known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from bowerbird.represent.config import OmniSageConfig
from bowerbird.tables.store import Store, build_store

DAY = 86_400_000
#: Training ends before day 2, validation before day 3.
VALID_FROM, TEST_FROM = 2 * DAY, 3 * DAY

TINY = OmniSageConfig(
    saved_items=4, saved_collections=4, linked_items=4, budget=500, width=16, heads=2, dim=16, feature_dim=8,
    user_width=16, history_length=8, pairs=48, features=32, sequences=8, random_nodes=16, chunk_rows=32,
    frequency_draws=2000, steps=40, validate_every=20, learning_rate=1e-2, warmup_steps=5, members=6, patience=0,
    neighbour_dropout=0.05, subset_dropout=0.05, use_time=False, folds=0, user_lists=False,
)  # fmt: skip


def library_store(
    folder: Path, *, users: int = 24, items: int = 40, titles: bool = True, extra: int = 0
) -> Store:
    """Readers of two topics keep items of their topic in a library; items cite items of their topic.

    The last four items of each topic are kept by nobody before day 2. ``extra`` adds saves on day 1 of item 0 (a store
    that has grown since).
    """
    rng = np.random.default_rng(3)
    cold = items - 8
    saves = []
    for user in range(users):
        topic = user % 2
        own = np.arange(topic, cold, 2)
        for place, item in enumerate(rng.permutation(own)[:9]):
            day = 1 if place < 6 else 2 if place < 8 else 3
            saves.append((f"u{user}", int(item), day * DAY + user * 1000 + place))
        saves.append((f"u{user}", int(cold + topic + 2 * rng.integers(4)), 3 * DAY + user * 1000 + 50))
    saves += [(f"u{user}", 0, DAY + 500_000 + user) for user in range(extra)]
    frame = pl.DataFrame(saves, schema=["user_id", "item_id", "timestamp"], orient="row").unique(
        ["user_id", "item_id"], keep="first", maintain_order=True
    )
    catalogue = pl.DataFrame(
        {
            "item_id": list(range(items)),
            "title": [f"{['river stone', 'cloud wind'][i % 2]} {i}" for i in range(items)],
            "kind": [["wet", "dry"][i % 2] for i in range(items)],
            "area": [["north", "south", "west"][i % 3] for i in range(items)],
            "size": [float(i % 5) for i in range(items)],
            "age": [float(i % 7) for i in range(items)],
        }
    )
    collections = frame.with_columns(pl.col("user_id").str.replace("u", "c").alias("collection_id"))
    if titles:
        collections = collections.with_columns(
            (pl.col("user_id").str.slice(1).cast(pl.Int64) % 2)
            .replace_strict({0: "my river", 1: "my wind"})
            .alias("title")
        )
    links = [(i, int(j)) for i in range(items) for j in rng.choice(np.arange(i % 2, items, 2), 3) if i != j]
    names = ["source_id", "target_id"]
    cites = pl.DataFrame(sorted(set(links)), schema=names, orient="row").with_columns(
        pl.col(names).cast(pl.String),
        source_type=pl.lit("item"), target_type=pl.lit("item"), relation=pl.lit("cites"),
    )  # fmt: skip
    return build_store(
        folder,
        {
            "items": catalogue,
            "events": frame.with_columns(pl.Series("actions", [["save"]] * frame.height)),
            "collections": collections,
            "links": cites,
        },
        actions=["save"],
        item_roles={
            "title": "title",
            "kind": "category",
            "area": "category",
            "size": "number",
            "age": "number",
        },
        slate_rule="none",
        dataset="libraries",
    )


@dataclass(frozen=True)
class FakeSlot:
    """A slot made by hand."""

    subset: str
    node_type: str
    k: int


@dataclass(frozen=True)
class FakeNear:
    """Neighbourhoods made by hand: lists over slots."""

    slots: tuple[FakeSlot, ...]
    ids: list[np.ndarray]
    scores: list[np.ndarray]
    mask: list[np.ndarray]


def fake_near(rows: list[list[list[tuple[int, float]]]], slots: tuple[FakeSlot, ...]) -> FakeNear:
    """``rows[b][s]`` lists (id, score) of request b in slot s; padded to each slot's k."""
    ids = [np.full((len(rows), s.k), -1, np.int64) for s in slots]
    scores = [np.zeros((len(rows), s.k), np.float32) for s in slots]
    for b, row in enumerate(rows):
        for s, found in enumerate(row):
            for place, (node, score) in enumerate(found):
                ids[s][b, place], scores[s][b, place] = node, score
    return FakeNear(slots, ids, scores, [found >= 0 for found in ids])
