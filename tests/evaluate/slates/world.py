"""Slates whose figures are known by hand, and rankers that answer what they are told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from bowerbird.evaluate.slates import SlateCases
from bowerbird.tables.store import Store, build_store


def platform(
    folder: Path,
    *,
    n_users: int = 30,
    n_items: int = 20,
    n_slates: int = 150,
    size: int = 4,
    like: tuple[float, float] = (0.7, 0.15),
    seed: int = 0,
) -> Store:
    """A toy platform: slates of random items, a taste for one category each (`like`: chance of a click
    inside and outside it), items with creator, tags and a vector.

    Rows of one slate are one to three ms apart and many slates begin in the same ms, so ties are common.
    """
    rng = np.random.default_rng(seed)
    category = rng.integers(3, size=n_items)
    taste = rng.integers(3, size=n_users)
    rows = []
    start = np.sort(rng.integers(0, n_slates * 20, size=n_slates)) * 1_000
    for request in range(n_slates):
        user = int(rng.integers(n_users))
        time = int(start[request])
        shown = rng.choice(n_items, size=int(rng.integers(1, size + 1)), replace=False)
        for place, item in enumerate(shown):
            liked = rng.random() < like[int(category[item] != taste[user])]
            done = (["click"] + (["save"] if rng.random() < 0.4 else [])) if liked else []
            if not liked and rng.random() < 0.1:
                done = ["hide"]
            rows.append((f"u{user}", int(item), time, f"r{request}", f"s{request % 2}", done, place))
            time += int(rng.integers(3))
    names = ("user_id", "item_id", "timestamp", "request_id", "surface", "actions", "position")
    events = pl.DataFrame(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))
    items = pl.DataFrame(
        {
            "item_id": list(range(n_items)),
            "kind": [f"k{code}" for code in category],
            "tags": [[f"t{item % 4}", f"t{item % 3}"] if item % 5 else [] for item in range(n_items)],
            "creator_id": [f"c{item % 6}" if item % 7 else None for item in range(n_items)],
            "minutes": rng.random(n_items),
            "look": [list(map(float, row)) for row in rng.normal(size=(n_items, 3))],
        }
    )
    return build_store(
        folder / "store",
        {"items": items, "events": events},
        actions=["click", "save", "hide"],
        negative_actions=["hide"],
        item_roles={"kind": "category", "tags": "categories", "minutes": "number", "look": "vector"},
        slate_rule="one request is one slate",
        dataset="toy",
    )


class Told:
    """A ranker that gives the scores it was made with: (R, C), or (R,) for every action alike."""

    def __init__(self, name: str, scores: np.ndarray, *, is_baseline: bool = False) -> None:
        self.name, self.scores, self.is_baseline = name, np.asarray(scores, np.float32), is_baseline

    def score(self, cases: SlateCases) -> np.ndarray:
        if self.scores.ndim == 2:
            return self.scores
        return np.repeat(self.scores[:, None], len(cases.action_names), axis=1)
