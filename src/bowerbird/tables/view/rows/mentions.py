"""Mentions: what a user named at a moment, beside the items they acted on: a search query, the title of a list.

They are tokens of a history like items are (PinRec A1: histories hold queries and boards, too). A query stands before
the events of its moment: somebody searched, then saved what came. A title stands behind them: filing an item in a list
is what they did with it, so it is dated one millisecond later and no request of its moment knows of it.

Shape letters: U users, T texts, M mentions, B users of a batch, n history length.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bowerbird.tables.view.rows.histories import HistoryBatch
from bowerbird.tables.view.rows.source import EventSource, cached, first_row_at, user_order

MentionKind = Literal["query", "collection"]
KINDS: tuple[MentionKind, ...] = ("query", "collection")


@dataclass(frozen=True)
class Texts:
    """Everything that users of a store name: queries by their code, then titles of collections.

    Attributes:
        text: The T texts.
        queries: How many of them are queries.
    """

    text: pl.Series
    queries: int

    def __len__(self) -> int:
        return len(self.text)

    def span(self, kind: MentionKind) -> tuple[int, int]:
        """First code and end (exclusive) of a kind."""
        return (0, self.queries) if kind == "query" else (self.queries, len(self.text))


def texts_of(store: EventSource) -> Texts:
    """The texts of a store. A code says nothing about when its text was first used; views show mentions, not texts."""
    return cached(store, "mention texts", lambda: _texts(store))


def _texts(store: EventSource) -> Texts:
    queries = store.queries.decode(np.arange(len(store.queries), dtype=np.int32))
    titles = _lists(store.table("collections")).select(pl.col("title").cast(pl.String)).drop_nulls().unique()
    found = titles.sort("title").collect()["title"]
    text = pl.concat([pl.Series("text", list(queries), pl.String), found.alias("text")])
    return Texts(text, len(queries))


@dataclass(frozen=True)
class Mentions:
    """Mentions of all users, in the store's order of users, each user's by time.

    Attributes:
        user: int32 (M,). time: int64 (M,) ms UTC. code: int32 (M,) of the text.
        surface: int16 (M,), -1 = not said. request: int32 (M,), the slate that answered; -1 = none.
        start: int64 (U + 1,): where the mentions of the r-th user in the store's order begin.
        rank: int64 (U,): place of each user in that order.
    """

    user: NDArray[np.int32]
    time: NDArray[np.int64]
    code: NDArray[np.int32]
    surface: NDArray[np.int16]
    request: NDArray[np.int32]
    start: NDArray[np.int64]
    rank: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.user)

    def first(self, users: NDArray[np.int32]) -> NDArray[np.int64]:
        """Where the mentions of users begin: int64 (B,)."""
        return self.start[self.rank[users]]

    def until(self, users: NDArray[np.int32], times: NDArray[np.int64]) -> NDArray[np.int64]:
        """Behind the last mention of each user at or before a moment: int64 (B,)."""
        rank = self.rank[users]
        return first_row_at(self.time, self.start[rank], self.start[rank + 1], np.asarray(times) + 1)


def query_mentions(chunks: Iterable[tuple[NDArray[Any], ...]]) -> Iterator[tuple[NDArray[Any], ...]]:
    """The first row of every search: (user, time, code, surface, request) of rows whose query is not that of the row
    before.

    Args:
        chunks: The same columns of visible rows, never splitting a user.
    """
    for user, time, code, surface, request in chunks:
        same = np.zeros(len(user), dtype=bool)
        same[1:] = (user[1:] == user[:-1]) & (code[1:] == code[:-1]) & (request[1:] == request[:-1])
        new = (code >= 0) & ~same
        yield user[new], time[new], code[new], surface[new], request[new]


def collection_mentions(store: EventSource, rows: pl.LazyFrame) -> tuple[NDArray[Any], ...]:
    """Every time a user files something in another list than before: (user, time, code, surface, request).

    Args:
        store: For the codes of titles.
        rows: The dated rows of `collections` that may be read.
    """
    texts = texts_of(store)
    titles = pl.LazyFrame(
        {
            "title": texts.text[texts.queries :],
            "code": np.arange(texts.queries, len(texts), dtype=np.int32),
        }
    )
    found = (
        _lists(rows).select("user", (pl.col("timestamp") + 1).alias("time"), pl.col("title").cast(pl.String))
        .drop_nulls()
        .join(titles, on="title")
        .sort("user", "time", "code")
        .filter(~pl.all_horizontal(pl.col(name) == pl.col(name).shift() for name in ("user", "code")).fill_null(False))
        .collect()
    )  # fmt: skip
    nothing = np.full(found.height, -1)
    return (
        found["user"].to_numpy(), found["time"].to_numpy(), found["code"].to_numpy(),
        nothing.astype(np.int16), nothing.astype(np.int32),
    )  # fmt: skip


def _lists(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Rows of `collections` with everything read here: owners, times and titles are optional columns."""
    types = {"user": pl.Int32, "timestamp": pl.Int64, "title": pl.String}
    missing = [name for name in types if name not in rows.collect_schema().names()]
    return rows.with_columns(pl.lit(None, types[name]).alias(name) for name in missing)


def assembled(store: EventSource, parts: Sequence[tuple[NDArray[Any], ...]]) -> Mentions:
    """Mentions of several sources in one order: by user, then time, then code."""
    dtypes = (np.int32, np.int64, np.int32, np.int16, np.int32)
    user, time, code, surface, request = (
        np.concatenate([np.empty(0, dtype), *(part[c] for part in parts)]).astype(dtype)
        for c, dtype in enumerate(dtypes)
    )
    order_U = user_order(store)
    rank = np.empty(len(order_U), np.int64)
    rank[order_U] = np.arange(len(order_U))
    order = np.lexsort((code, time, rank[user]))
    counts = np.bincount(rank[user], minlength=len(order_U))
    start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return Mentions(user[order], time[order], code[order], surface[order], request[order], start, rank)


def with_mentions(
    batch: HistoryBatch, mentions: Mentions, times_B: NDArray[np.int64], length: int, n_items: int
) -> HistoryBatch:
    """Histories with what was mentioned up to a moment among their events; the last `length` tokens of each.

    A mention has the item `n_items + code`, no action, weight 1 and row -1.

    Args:
        batch: The newest events, `length` of them where there are so many.
        mentions: Of all users.
        times_B: int64 (B,), ms of each request; a query of that moment belongs to the request.
        length: n.
        n_items: I.
    """
    users = batch.user
    high_B = mentions.until(users, times_B)
    low_B = np.maximum(mentions.first(users), high_B - length)
    named = np.repeat(np.arange(len(users)), high_B - low_B)
    place = np.arange(len(named)) - np.repeat(np.cumsum(high_B - low_B) - (high_B - low_B), high_B - low_B)
    place += low_B[named]
    acted, column = np.nonzero(batch.mask)
    owner = np.concatenate([named, acted])
    kind = np.repeat([0, 1], [len(named), len(acted)])
    time = np.concatenate([mentions.time[place], batch.time[acted, column]])
    order = np.lexsort((np.arange(len(owner)), kind, time, owner))
    row = owner[order]
    sizes = np.bincount(owner, minlength=len(users))
    cut = np.maximum(sizes - length, 0)
    column_of = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes) - cut[row]
    kept = column_of >= 0
    order, row, column_of = order[kept], row[kept], column_of[kept]
    said = {
        "item": n_items + mentions.code[place],
        "time": mentions.time[place],
        "actions": np.zeros(len(place), np.uint32),
        "surface": mentions.surface[place],
        "query": np.full(len(place), -1, np.int32),
        "weight": np.ones(len(place), np.float32),
        "request": mentions.request[place],
        "row": np.full(len(place), -1, np.int64),
    }

    def merged(name: str, padding: int) -> NDArray[Any]:
        given = getattr(batch, name)
        values = np.concatenate([said[name], given[acted, column]]).astype(given.dtype)
        out = np.full((len(users), length), padding, dtype=given.dtype)
        out[row, column_of] = values[order]
        return out

    paddings = {"query": -1, "request": -1, "row": -1}
    return replace(
        batch,
        lengths=np.minimum(sizes, length).astype(np.int32),
        **{name: merged(name, paddings.get(name, 0)) for name in said},
    )
