"""Small worlds whose right answer is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from bowerbird.tables.store import Store, build_store

HOUR = 3_600_000


def cycle_world(
    folder: Path, *, users: int = 60, items: int = 12, length: int = 10, titled: bool = True
) -> Store:
    """Everybody walks the same ring of items: after item i comes item i + 1."""
    rng = np.random.default_rng(0)
    rows = []
    for user in range(users):
        first = int(rng.integers(items))
        for step in range(length):
            rows.append((f"u{user}", f"i{(first + step) % items}", (user * 1000 + step) * HOUR, ["click"]))
    events = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp", "actions"], orient="row")
    catalogue = pl.DataFrame(
        {"item_id": [f"i{i}" for i in range(items)], "title": [f"thing {i}" for i in range(items)]}
    )
    return build_store(
        folder,
        {"items": catalogue if titled else catalogue.select("item_id"), "events": events},
        actions=["click"],
        item_roles={"title": "text"} if titled else {},
        dataset="cycle",
    )


def outcome_world(folder: Path, *, users: int = 150, length: int = 14, save_rate: float = 0.3) -> Store:
    """Clicks go to items c0..c7, saves to s0..s7, whatever came before: only the outcome tells them apart."""
    rng = np.random.default_rng(1)
    rows = []
    for user in range(users):
        for step in range(length):
            saved = rng.random() < save_rate
            item = f"{'s' if saved else 'c'}{rng.integers(8)}"
            rows.append((f"u{user}", item, (user * 1000 + step) * HOUR, ["save"] if saved else ["click"]))
    events = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp", "actions"], orient="row")
    return build_store(folder, {"events": events}, actions=["click", "save"], dataset="outcomes")


def slate_world(folder: Path, *, users: int = 60, slates: int = 8, size: int = 4) -> Store:
    """Twelve items in three groups; a user clicks items of one group, saves the even ones of them, and hides a few
    others. Every third slate is left without any action."""
    rng = np.random.default_rng(2)
    rows = []
    for user in range(users):
        loved = user % 3
        for slate in range(slates):
            shown = rng.choice(12, size=size, replace=False)
            quiet = (slate + user) % 3 == 2
            for place, item in enumerate(shown):
                actions: list[str] = []
                if not quiet and item % 3 == loved and rng.random() < 0.9:
                    actions = ["click", "save"] if item % 2 == 0 else ["click"]
                elif not quiet and item % 3 != loved and rng.random() < 0.15:
                    actions = ["hide"]
                time = (slate * 1000 + user) * HOUR + place
                rows.append((f"u{user}", f"i{item}", time, actions, f"r{user}-{slate}", place))
    schema = {
        "user_id": pl.String, "item_id": pl.String, "timestamp": pl.Int64, "actions": pl.List(pl.String),
        "request_id": pl.String, "position": pl.Int64,
    }  # fmt: skip
    events = pl.DataFrame(rows, schema=schema, orient="row")
    catalogue = pl.DataFrame({"item_id": [f"i{i}" for i in range(12)]})
    return build_store(
        folder,
        {"items": catalogue, "events": events},
        actions=["click", "save", "hide"],
        negative_actions=["hide"],
        slate_rule="one slate a request",
        dataset="slates",
    )
