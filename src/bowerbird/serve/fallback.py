"""What answers when the model cannot: recent popularity, and neighbours by content.

Shape letters: I items, F distinct category values.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import polars as pl

from bowerbird.serve.generators.base import Neighbours
from bowerbird.tables.store import ItemTable
from bowerbird.tables.view import View

_DAY = 86_400_000
_FIRST_WINDOW_DAYS = 30
_ENOUGH_EVENTS = 1000
_FADES = 0.8
"""What an item counts relative to the one after it."""


class Popularity:
    """Items by number of positive events in the last 30 days of the log, and since.

    Where those hold fewer than 1,000 positive events the window doubles until they do, or until it spans the
    log.

    Args:
        view: What may be counted.
        first: Time of the first event, ms UTC.
    """

    def __init__(self, view: View, first: int) -> None:
        self._view, self._first = view, first

    @cached_property
    def days(self) -> int:
        """Length of the window in days."""
        return self._window[0]

    @cached_property
    def counts(self) -> np.ndarray:
        """int64 (I,) positive events inside the window, and those posted since."""
        return self._window[1]

    @cached_property
    def _window(self) -> tuple[int, np.ndarray]:
        days, end = _FIRST_WINDOW_DAYS, int(self._view.end_time)
        while True:
            since = end - days * _DAY
            counts = self._view.item_counts(since=since)
            if since <= self._first or counts.sum() >= _ENOUGH_EVENTS:
                return days, np.array(counts)
            days *= 2

    def add(self, items: np.ndarray) -> None:
        """Counts positive events that were posted, so that what is popular now moves up.

        Args:
            items: int32 dense items, one an event; -1 = unknown.
        """
        np.add.at(self.counts, items[items >= 0], 1)

    def best(
        self, k: int, *, allowed: np.ndarray | None, exclude: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The k most popular items that may be shown; among equals the lower dense item first.

        Args:
            k: At most so many.
            allowed: int32, the only items that may come back; None = all.
            exclude: int32, items that must not (-1 = none).

        Returns:
            int32 items and float32 shares of the window's events.
        """
        counts = self.counts
        left = np.full(len(counts), -1, np.int64)
        if allowed is None:
            left[:] = counts
        else:
            left[allowed] = counts[allowed]
        left[exclude[exclude >= 0]] = -1
        pool = np.arange(len(left))
        if k < len(left):
            cut = np.partition(left, len(left) - k)[len(left) - k]
            pool = np.flatnonzero(left >= cut)
        pool = pool[left[pool] >= 0]
        items = pool[np.argsort(-left[pool], kind="stable")][:k].astype(np.int32)
        return items, (counts[items] / max(1, int(counts.sum()))).astype(np.float32)


class ContentNeighbours:
    """Items that share rare category values: cosine of TF-IDF weighted categories.

    Args:
        table: The items of the store.
    """

    def __init__(self, table: ItemTable) -> None:
        self._table = table

    @cached_property
    def _matrix(self):  # type: ignore[no-untyped-def]
        """CSR (I, F) with rows of unit length."""
        from scipy import sparse

        parts = [pl.DataFrame(schema={"item": pl.UInt32, "value": pl.String})]
        for name in (*self._table.columns("category"), *self._table.columns("categories")):
            rows = self._table.frame.select(value=pl.col(name)).with_row_index("item")
            rows = rows.explode("value") if rows.schema["value"].is_nested() else rows
            value = pl.format("{}={}", pl.lit(name), pl.col("value").cast(pl.String))
            parts.append(rows.drop_nulls().select(pl.col("item"), value.alias("value")))
        rows = pl.concat(parts).unique().sort("item", "value")
        column = rows["value"].rank("dense").fill_null(1).to_numpy().astype(np.int64) - 1
        carriers = np.bincount(column)
        weight = np.log1p(len(self._table) / carriers[column]).astype(np.float32)
        item = rows["item"].to_numpy().astype(np.int64)
        length = np.sqrt(np.bincount(item, weight.astype(np.float64) ** 2, minlength=len(self._table)))
        shape = (len(self._table), len(carriers))
        return sparse.csr_matrix((weight / length[item].astype(np.float32), (item, column)), shape=shape)

    def near(self, item: int, k: int) -> Neighbours:
        """The items most like a dense item; fewer than `k` where fewer share anything with it."""
        items, score = self.like(np.array([item], np.int32), k, exclude=np.array([item], np.int32))
        return Neighbours(items[None, :], score[None, :])

    def like(
        self, items: np.ndarray, k: int, *, allowed: np.ndarray | None = None, exclude: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The items most like some items together.

        Args:
            items: int32, oldest first; each counts a fifth less than the one after it.
            k: At most so many.
            allowed: int32, the only items that may come back; None = all.
            exclude: int32, items that must not.

        Returns:
            int32 items and float32 scores above 0; fewer than `k` where fewer share anything with them.
        """
        matrix = self._matrix
        weight = _FADES ** np.arange(len(items))[::-1].astype(np.float32)
        wanted = matrix[items].T @ (weight / max(1e-9, float(weight.sum())))
        score = np.asarray(matrix @ wanted, dtype=np.float32)
        if allowed is not None:
            barred = np.ones(len(score), bool)
            barred[allowed] = False
            score[barred] = 0.0
        score[exclude[exclude >= 0]] = 0.0
        some = np.flatnonzero(score > 0)
        best = some[np.argsort(-score[some], kind="stable")][:k].astype(np.int32)
        return best, score[best]
