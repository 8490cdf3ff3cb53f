"""Small stores whose right answers are known by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from bowerbird.evaluate import Cases, Ranking
from bowerbird.tables.store import Store, build_store

Row = tuple
"""(user, item, time, actions, request)"""


def make_store(folder: Path, rows: Sequence[Row], n_items: int = 0) -> Store:
    """A store of (user, item, time, actions, request) rows; items are integers and keep their number."""
    full = [(*row, *([["click"], None][len(row) - 3 :])) for row in rows]
    names = ("user_id", "item_id", "timestamp", "actions", "request_id")
    events = pl.DataFrame(dict(zip(names, map(list, zip(*full, strict=True)), strict=True)), strict=False)
    top = max([n_items, *(row[1] + 1 for row in rows)])
    return build_store(
        folder / "store",
        {"items": pl.DataFrame({"item_id": list(range(top))}), "events": events},
        actions=["click", "save", "hide"],
        negative_actions=["hide"],
        slate_rule="one slate a request",
        dataset="toy",
    )


def random_store(folder: Path, *, n_users=25, n_items=12, n_events=200, seed=0, span=1000) -> Store:
    """Random events with some impressions, some saves, repeated items and shared requests."""
    rng = np.random.default_rng(seed)
    kinds = [["click"], ["click"], ["click", "save"], ["hide"], []]
    rows = [
        (
            f"u{rng.integers(n_users)}",
            int(min(rng.geometric(0.2) - 1, n_items - 1)),
            int(rng.integers(span)),
            kinds[rng.integers(5)],
            f"r{rng.integers(4)}",
        )
        for _ in range(n_events)
    ]
    return make_store(folder, rows, n_items)


class Fixed:
    """A recommender that answers with given lists, one for all cases or one a case."""

    def __init__(self, name: str, items: Sequence, *, is_baseline: bool = False) -> None:
        self.name, self.items, self.is_baseline = name, np.asarray(items, np.int32), is_baseline

    def recommend(self, cases: Cases, k: int) -> Ranking:
        items = np.full((len(cases), k), -1, np.int32)
        width = min(k, self.items.shape[-1])
        items[:, :width] = self.items[..., :width]
        scores = np.where(items >= 0, -np.arange(k, dtype=np.float32), -np.inf).astype(np.float32)
        return Ranking(items, scores)
