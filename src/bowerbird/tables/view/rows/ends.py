"""Dated rows of side tables where each user's past ends at another moment (`LastOut`).

Only what is visible decides, never when a hidden event happened: a row of a user is shown up to the moment of that
user's last visible event. Rows of that very moment are shown where they are about an item the user is seen with then,
so that a list filled in the second of a held-out event does not give it away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bowerbird.tables.view.rows.source import EventSource, first_row_at, ranges

if TYPE_CHECKING:
    import polars as pl


def within_past(store: EventSource, visible: NDArray[np.int64], rows: pl.LazyFrame) -> pl.LazyFrame:
    """The rows that are undated, nobody's, or inside the past of their user.

    Args:
        store: An opened store.
        visible: int64 (U,), number of leading events of each user on this side of the wall.
        rows: Rows with `user` (dense, null = nobody known), `timestamp` (ms, null = undated) and perhaps `item`.

    Returns:
        Some of the rows, in their order, with their columns.
    """
    import polars as pl

    names = rows.collect_schema().names()
    last, users, items = _last_moments(store, visible)
    ends = pl.LazyFrame({"user": np.arange(len(last), dtype=np.int32), "__last": last})
    rows = rows.join(ends, on="user", how="left", maintain_order="left")
    inside = pl.col("timestamp") < pl.col("__last")
    if "item" in names:
        seen = pl.LazyFrame(
            {"user": users, "item": items, "__seen": np.ones(len(users), dtype=bool)}
        ).unique()
        rows = rows.join(seen, on=["user", "item"], how="left", maintain_order="left")
        inside |= (pl.col("timestamp") == pl.col("__last")) & pl.col("__seen").fill_null(False)
    return rows.filter(inside | pl.col("timestamp").is_null() | pl.col("user").is_null()).select(names)


def _last_moments(
    store: EventSource, visible: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32]]:
    """Time of each user's last visible event (the least int64 where there is none), and who is seen with what then.

    Returns:
        int64 (U,); int32 (N,) users and int32 (N,) items of the visible events at those moments.
    """
    events = store.events
    start = np.asarray(events.user_start, np.int64)
    last = np.full(len(start), np.iinfo(np.int64).min)
    held = np.flatnonzero(visible > 0)
    end = (start + visible)[held]
    last[held] = events.time[end - 1]
    first = first_row_at(events.time, start[held], end, last[held])
    rows = ranges(first, end - first)
    return last, np.repeat(held, end - first).astype(np.int32), np.asarray(events.item[rows])
