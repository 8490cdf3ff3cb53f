"""Another world's values for item features and side tables beyond the wall."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from bowerbird.tables.store import ItemTable

TIMESTAMP = "timestamp"


def noisy_items(table: ItemTable, kind: str, end: int, rng: np.random.Generator) -> ItemTable:
    """The item table with other features for items made at or after `end`: none (dropped), or others."""
    from bowerbird.tables.store import UNKNOWN_TIME

    late = (table.created >= end) & (table.created != UNKNOWN_TIME)
    if not late.any():
        return table
    first, *features = table.frame.columns
    columns = [table.frame[first]]
    for name in features:
        old = table.frame[name]
        new = pl.Series(name, [None] * len(old), dtype=old.dtype) if kind == "dropped" else _others(old, rng)
        columns.append(old.zip_with(pl.Series(~late), new))
    # Made later still, never earlier: an item that moved before the wall would be another past.
    later = table.created[late] + rng.integers(0, 10**9, int(late.sum()))
    created, creator = table.created.copy(), table.creator.copy()
    created[late] = later
    creator[late] = rng.integers(-1, max(len(table.creators), 1), int(late.sum()))
    return dataclasses.replace(table, frame=pl.DataFrame(columns), created=created, creator=creator)


def noisy_table(frame: pl.DataFrame, kind: str, end: int, rng: np.random.Generator) -> pl.DataFrame:
    """A side table with other rows dated at or after `end`: none (dropped), changed, or twice as many "
    "changed ones."""
    if TIMESTAMP not in frame.columns or not frame.height:
        return frame
    late = (pl.col(TIMESTAMP) >= end).fill_null(False)
    past, future = frame.filter(~late), frame.filter(late)
    if kind == "crowded":  # rows are added even where nothing was dated beyond the wall
        future = pl.concat([future, future, past.head(3)])
    if kind == "dropped" or not future.height:
        return past
    # Values come from the whole column, so ids stay ids.
    drawn = [
        frame[name].gather(rng.integers(0, frame.height, future.height)).alias(name)
        for name in frame.columns
        if name != TIMESTAMP
    ]
    dates = pl.Series(TIMESTAMP, end + rng.integers(0, 10**9, future.height), dtype=frame[TIMESTAMP].dtype)
    return pl.concat([past, pl.DataFrame([*drawn, dates]).select(frame.columns)])


def _others(values: pl.Series, rng: np.random.Generator) -> pl.Series:
    """Values of the same type that differ from the old ones in every row."""
    dtype = values.dtype
    drawn = values.gather(rng.integers(0, len(values), len(values)))
    if dtype == pl.String:
        return (
            drawn.fill_null("") + pl.Series([f" other {n}" for n in rng.integers(0, 10**6, len(values))])
        ).alias(values.name)
    if dtype == pl.Boolean:
        return ~values.fill_null(False)
    if dtype.is_numeric():
        shift = pl.Series(rng.integers(1, 10, len(values))).cast(dtype)
        return values.fill_null(0) + shift
    if dtype.is_temporal():
        return values.dt.offset_by("1d")
    if isinstance(dtype, pl.List):
        repeated = pl.concat([drawn.to_frame("a"), drawn.to_frame("b")], how="horizontal")
        return repeated.select(pl.col("a").list.concat("b").list.reverse()).to_series().alias(values.name)
    return pl.Series(values.name, [None] * len(values), dtype=dtype)
