"""The two circles again, on a platform with a search: every fourth film was found by searching for its place."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from bowerbird.tables.store import Store, build_store
from serve import world


def build(path: Path) -> Store:
    """The store of this world; a request for every film."""
    row = pl.int_range(pl.len())
    place = pl.when(pl.col("item_id") < "f30").then(pl.lit("at sea")).otherwise(pl.lit("in town"))
    events = world.events().with_columns(
        query=pl.when(row % 4 == 0).then(place),
        surface=pl.when(row % 4 == 0).then(pl.lit("search")).otherwise(pl.lit("home")),
        request_id=pl.format("r{}", row),
    )
    return build_store(
        path, {"items": world.items(), "events": events}, actions=["click", "save", "hide"],
        negative_actions=["hide"], item_roles={"title": "title"}, dataset="searched", slate_rule="one film a slate",
    )  # fmt: skip
