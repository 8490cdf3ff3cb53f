"""Small stores with everything that can go wrong in them, and the same rows as plain Python for reference."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl

from bowerbird.tables.store import Store, build_store

ACTIONS = ("click", "save", "hide")


@dataclass(frozen=True)
class Row:
    """One event as the store keeps it."""

    row: int
    user: int
    item: int
    time: int
    actions: int
    surface: str
    request: int

    @property
    def positive(self) -> bool:
        return self.actions & 0b011 != 0


@cache
def world(seed: int = 0, n_events: int = 400) -> Store:
    """Ties in time, slates of several items, slates that interleave, impressions, hides, late items, dated edges."""
    rng = np.random.default_rng(seed)
    n_users, n_items = 12, 60
    time = np.sort(rng.integers(0, 250, n_events))
    user = rng.integers(0, n_users, n_events)
    # Requests are cut per user from coarse time, half of them by parity of the row so that two interleave.
    request = [
        f"u{u}-{t // 20}-{i % 2 if u % 2 else 0}" if i % 7 else None
        for i, (u, t) in enumerate(zip(user, time, strict=True))
    ]
    masks = rng.choice([0, 0, 1, 2, 3, 4, 5], n_events)
    surfaces = rng.choice(["home", "search", "evaluation:random"], n_events, p=[0.6, 0.3, 0.1])
    events = pl.DataFrame(
        {
            "user_id": [f"user {u}" for u in user],
            # New items keep appearing: the later the event, the larger the catalogue it draws from.
            "item_id": 100 + rng.integers(0, 20 + (n_items - 20) * (time + 1) // 250),
            "timestamp": time,
            "request_id": request,
            "position": rng.integers(0, 9, n_events),
            "surface": surfaces,
            "query": rng.choice(["cats", "dogs", None], n_events).tolist(),
            "weight": rng.random(n_events).astype(np.float32),
            "actions": [[name for b, name in enumerate(ACTIONS) if mask >> b & 1] for mask in masks],
        }
    )
    items = pl.DataFrame(
        {
            "item_id": np.arange(100, 100 + n_items - 15),  # the last ones have no row
            "title": [f"title of {i}" for i in range(n_items - 15)],
            "kind": rng.choice(["a", "b", "c"], n_items - 15),
            "tags": [[f"t{i % 3}", f"t{i % 5}"] for i in range(n_items - 15)],
            "price": rng.random(n_items - 15),
            "created_at": [None if i % 5 == 0 else i * 6 for i in range(n_items - 15)],
            "creator_id": [f"c{i % 4}" for i in range(n_items - 15)],
        }
    )
    users = pl.DataFrame({"user_id": [f"user {u}" for u in range(n_users)] + ["user silent", "user quiet"]})
    links = pl.DataFrame(
        {
            "source_type": ["item"] * 60,
            "source_id": rng.integers(100, 160, 60).astype(str),
            "target_type": ["item"] * 60,
            "target_id": rng.integers(200, 800, 60).astype(str),
            "relation": rng.choice(["also bought", "same series"], 60),
            "timestamp": [None if i % 10 == 0 else 4 * i for i in range(60)],
        }
    )
    collections = pl.DataFrame(
        {
            "collection_id": [f"list {i // 6}" for i in range(40)],
            "item_id": 100 + (np.arange(40) * 7) % 45,
            "title": [f"list {i // 6}" for i in range(40)],
            "user_id": [f"user {i % n_users}" for i in range(40)],
            "timestamp": 6 * np.arange(40),
        }
    )
    return build_store(
        Path(tempfile.mkdtemp()) / "store",
        {"users": users, "items": items, "events": events, "links": links, "collections": collections},
        actions=ACTIONS,
        negative_actions=["hide"],
        slate_rule="twenty ticks of one user",
        tie_rule="input",
        dataset=f"world {seed}",
    )


def rows_of(store: Store) -> list[Row]:
    """Every event of a store, one Python object each, in stored order."""
    events = store.events
    surfaces = store.surfaces.decode(np.asarray(events.surface))
    return [
        Row(i, int(u), int(j), int(t), int(a), s, int(r))
        for i, (u, j, t, a, s, r) in enumerate(
            zip(events.user, events.item, events.time, events.actions, surfaces, events.request, strict=True)
        )
    ]


def shown(store: Store, before: int | None = None) -> list[Row]:
    """Rows a training view with a time wall may show."""
    return [
        row
        for row in rows_of(store)
        if (before is None or row.time < before) and not row.surface.startswith("evaluation:")
    ]
