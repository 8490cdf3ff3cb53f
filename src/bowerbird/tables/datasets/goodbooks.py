"""goodbooks-10k, version 1 (no order) and version 2 (ratings in order of time)."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from bowerbird.tables.datasets.base import DatasetAdapter, Rows, hashed_order, pseudo_time, star_actions

ORDER_SEED = 10_000


class Goodbooks(DatasetAdapter):
    """Book ratings with titles, authors, years and languages.

    Key trap of version 1: `ratings.book_id` is `books.id`, not `books.book_id` (the Goodreads id); the two
    overlap, so the wrong join matches silently. Version 2 renamed the Goodreads id to `goodreads_book_id`,
    and there `books.book_id` is the key: the columns of books tell which version lies in the folder.

    Repeated user-book pairs (2,278 rows of version 1): the first row counts. Version 1 has no order, so each
    user's ratings get a random order fixed by a hash; version 2 is in order of time by its README. Time is
    made up either
    way: one day a position. Rating counts and averages of books are left out: they were taken at the end,
    over all ratings, test ones included.
    """

    name = "goodbooks"
    title = "goodbooks-10k"
    licence = "CC BY-SA 4.0."
    how_to_get = (
        "Download ratings.csv and books.csv (zipped in the releases) from "
        "https://github.com/zygmuntz/goodbooks-10k and give their folder."
    )
    citation = "Zygmunt Zajac. 2017. Goodbooks-10k: a new dataset for book recommendations. FastML."
    actions = ("rate", "like", "love", "dislike")
    negative_actions = ("dislike",)
    item_roles = {"title": "title", "authors": "categories", "language": "category", "year": "number"}  # noqa: RUF012
    slate_rule = (
        "No slates: the log has neither requests nor times. Version 1 is in a fixed random order per user, "
        "version 2 in file order; time is made up, one day a position from 2000-01-01 UTC."
    )
    tie_rule = "none: positions are distinct"

    def tables(self, folder: Path) -> dict[str, Rows]:
        """`events` from ratings, `items` from books."""
        file = self.find(folder, "books.parquet", "books.csv")
        in_order = "goodreads_book_id" in self.columns_of(file)
        key = "book_id" if in_order else "id"
        columns = [key, "authors", "original_publication_year", "title", "language_code"]
        books = self.read(file, columns).collect().sort(key)
        items = books.select(
            pl.col(key).cast(pl.Int64).alias("item_id"),
            pl.col("title"),
            pl.col("authors").str.split(", ").alias("authors"),
            pl.col("original_publication_year").cast(pl.Float64).alias("year"),
            pl.col("language_code").alias("language"),
        )
        return {"items": items, "events": self._events(folder, in_order)}

    def _events(self, folder: Path, in_order: bool) -> pl.DataFrame:
        file = self.find(folder, "ratings.parquet", "ratings.csv")
        numbered = ["row"] if "row" in self.columns_of(file) else []
        rows = self.read(file, ["book_id", "user_id", "rating", *numbered]).collect()
        if numbered:
            rows = rows.sort("row")
        rows = rows.select(
            pl.col("user_id").cast(pl.Int64), pl.col("book_id").cast(pl.Int64).alias("item_id"), "rating"
        ).unique(["user_id", "item_id"], keep="first", maintain_order=True)
        rows = (
            rows.sort("user_id", maintain_order=True)
            if in_order
            else hashed_order(rows, time=False, seed=ORDER_SEED)
        )
        return pseudo_time(rows).select("user_id", "item_id", "timestamp", star_actions())
