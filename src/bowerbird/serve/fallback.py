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


class Popularity:
    """Items by number of positive events in the last 30 days of the log.

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
        """int64 (I,) positive events inside the window."""
        return self._window[1]

    @cached_property
    def _window(self) -> tuple[int, np.ndarray]:
        days, end = _FIRST_WINDOW_DAYS, int(self._view.end_time)
        while True:
            since = end - days * _DAY
            counts = self._view.item_counts(since=since)
            if since <= self._first or counts.sum() >= _ENOUGH_EVENTS:
                return days, counts
            days *= 2

    @cached_property
    def _order(self) -> np.ndarray:
        return np.argsort(-self.counts, kind="stable").astype(np.int32)

    def best(
        self, k: int, *, allowed: np.ndarray | None, exclude: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The k most popular items that may be shown.

        Args:
            k: At most so many.
            allowed: int32, the only items that may come back; None = all.
            exclude: int32, items that must not (-1 = none).

        Returns:
            int32 items and float32 shares of the window's events.
        """
        barred = np.zeros(len(self.counts), dtype=bool)
        if allowed is not None:
            barred[:] = True
            barred[allowed] = False
        barred[exclude[exclude >= 0]] = True
        items = self._order[~barred[self._order]][:k]
        return items, (self.counts[items] / max(1, int(self.counts.sum()))).astype(np.float32)


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
        matrix = self._matrix
        score = np.asarray((matrix @ matrix[item].T).todense(), dtype=np.float32).ravel()
        score[item] = 0.0
        best = np.argsort(-score, kind="stable")[:k]
        best = best[score[best] > 0]
        return Neighbours(best.astype(np.int32)[None, :], score[best][None, :])
