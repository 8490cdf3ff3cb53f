"""Globo.com news clicks: sessions on a news portal, one slate a session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from bowerbird.tables.datasets.base import DatasetAdapter, Rows, by_users, hashed_order
from bowerbird.tables.errors import TableError

_COLUMNS = ["user_id", "session_id", "click_article_id", "click_timestamp", "click_environment"]
_LEAST_MS = 10**11  # 1973 in milliseconds; a smaller "millisecond" time is in seconds


class GloboNews(DatasetAdapter):
    """Clicks only: no impressions, so every row is positive. Surface = client environment.

    `click_timestamp` is in milliseconds (`session_start` of some copies is in seconds and is not read).
    Articles get features only where the published `articles_metadata.csv` lies in the folder.
    """

    name = "globo"
    title = "Globo.com news"
    licence = "Kaggle terms of the publisher, research use (not verified). Do not put into a public tree."
    how_to_get = (
        "Download 'News Portal User Interactions by Globo.com' from Kaggle and give the folder with "
        "clicks/clicks_hour_*.csv (or one clicks.parquet with the same columns)."
    )
    citation = (
        "Gabriel de Souza Pereira Moreira, Felipe Ferreira, Adilson Marques da Cunha. 2018. News "
        "Session-Based Recommendations using Deep Neural Networks. DLRS. doi:10.1145/3270323.3270328"
    )
    actions = ("click",)
    item_roles = {"category": "category", "publisher": "category", "words": "number"}  # noqa: RUF012
    slate_rule = (
        "A slate is one session as the publisher cut it (session_id). It holds clicks, not impressions."
    )

    def tables(self, folder: Path) -> dict[str, Rows]:
        """`events` from the clicks and, where its file is there, `items` from the article metadata."""
        files = self.find_all(
            folder, "clicks.parquet", "clicks_hour_*.csv", "clicks/clicks_hour_*.csv", "clicks.csv"
        ) or [self.find(folder, "clicks.parquet", "clicks/clicks_hour_*.csv")]
        found: dict[str, Rows] = {"events": self._events(files)}
        metadata = self.find_all(folder, "articles_metadata.csv", "articles_metadata.parquet")
        return {"items": self._items(metadata[0]), **found} if metadata else found

    def _events(self, files: list[Path]) -> Iterator[pl.DataFrame]:
        clicks = self.read(files, _COLUMNS)
        for part in by_users(clicks, "user_id", files):
            least = part["click_timestamp"].min()
            if isinstance(least, int) and least < _LEAST_MS:
                raise TableError(
                    "click times must be Unix milliseconds",
                    table=files[0].name,
                    column="click_timestamp",
                    value=least,
                    fix="multiply seconds by 1000; the published clicks are in milliseconds",
                )
            events = part.select(
                pl.col("user_id").cast(pl.Int64),
                pl.col("click_article_id").cast(pl.Int64).alias("item_id"),
                pl.col("click_timestamp").cast(pl.Int64).alias("timestamp"),
                pl.format("environment {}", pl.col("click_environment")).alias("surface"),
                pl.col("session_id").cast(pl.Int64).alias("request_id"),
                pl.lit(["click"]).alias("actions"),
            )
            yield hashed_order(events)

    def _items(self, file: Path) -> pl.DataFrame:
        columns = ["article_id", "category_id", "created_at_ts", "publisher_id", "words_count"]
        return (
            self.read(file, columns)
            .select(
                pl.col("article_id").cast(pl.Int64).alias("item_id"),
                pl.col("category_id").cast(pl.String).alias("category"),
                pl.col("publisher_id").cast(pl.String).alias("publisher"),
                pl.col("words_count").cast(pl.Float64).alias("words"),
                pl.col("created_at_ts").cast(pl.Int64).alias("created_at"),
            )
            .collect()
            .sort("item_id")
        )
