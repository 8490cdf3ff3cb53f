"""goodbooks-10k, version 1 (no order) and version 2 (ratings in order of time)."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from bowerbird.tables.datasets.base import DatasetAdapter, Rows, hashed_order, pseudo_time, star_actions
from bowerbird.tables.datasets.links import all_links, link_rows

ORDER_SEED = 10_000
_STATES = ("to-read", "currently-reading")  # shelves of Goodreads itself: they tell how many, not what


class Goodbooks(DatasetAdapter):
    """Book ratings with titles, authors, years and languages; authors and shelves as links, to-read lists.

    Key trap of version 1: `ratings.book_id` is `books.id`, not `books.book_id` (the Goodreads id); the two
    overlap, so the wrong join matches silently. Version 2 renamed the Goodreads id to `goodreads_book_id`,
    and there `books.book_id` is the key: the columns of books tell which version lies in the folder.

    Repeated user-book pairs (2,278 rows of version 1): the first row counts. Version 1 has no order, so each
    user's ratings get a random order fixed by a hash; version 2 is in order of time by its README. Time is
    made up either way: one day a position. Rating counts and averages of books are left out: they were taken at the
    end, over all ratings, test ones included.

    `links` hold every `author` of a book and, where book_tags and tags lie in the folder (version 2), its shelves
    (`shelf`), weighted by their share of the book's shelvings: the number itself would tell how popular the book was in
    the end. A user's to-read list (to_read, version 2) is a row of `collections` a book, without books the user rated:
    it is undated, so a wall does not hide it.
    """

    name = "goodbooks"
    title = "goodbooks-10k"
    licence = "CC BY-SA 4.0."
    how_to_get = (
        "Download ratings.csv and books.csv (zipped in the releases; to_read.csv, book_tags.csv and tags.csv are read "
        "where they lie beside them) from https://github.com/zygmuntz/goodbooks-10k and give their folder."
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
        """`events` from ratings, `items` from books, `links` from authors and shelves, `collections` from to-read."""
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
        events = self._events(folder, in_order)
        authors = items.select("item_id", "authors").explode("authors").drop_nulls()
        links = [link_rows(authors, ("item", "item_id"), ("author", "authors"), "author")]
        shelves = self._shelves(folder, file, key, "goodreads_book_id" if in_order else "book_id")
        if shelves is not None:
            links.append(
                link_rows(shelves, ("item", "item_id"), ("shelf", "tag_name"), "shelf", weight="share")
            )
        found: dict[str, Rows] = {"items": items, "events": events, "links": all_links(*links)}
        to_read = self.find_all(folder, "to_read.parquet", "to_read.csv")
        if to_read:
            found["collections"] = _to_read(self.read(to_read[0], ["user_id", "book_id"]).collect(), events)
        return found

    def _shelves(self, folder: Path, books: Path, key: str, goodreads: str) -> pl.DataFrame | None:
        """Shelves of each book with their share of its shelvings; None where the folder has none."""
        counts = self.find_all(folder, "book_tags.parquet", "book_tags.csv")
        if not counts:
            return None
        names = self.read(self.find(folder, "tags.parquet", "tags.csv"), ["tag_id", "tag_name"]).collect()
        ids = self.read(books, [key, goodreads]).select(
            pl.col(key).cast(pl.Int64).alias("item_id"), pl.col(goodreads).cast(pl.Int64).alias("goodreads")
        )
        shelved = self.read(counts, ["goodreads_book_id", "tag_id", "count"]).filter(pl.col("count") > 0)
        shelved = shelved.with_columns(pl.col("goodreads_book_id").cast(pl.Int64).alias("goodreads"))
        joined = shelved.join(ids, on="goodreads").join(names.lazy(), on="tag_id").collect()
        joined = joined.filter(~pl.col("tag_name").is_in(_STATES))
        summed = joined.group_by("item_id", "tag_name").agg(pl.col("count").sum()).sort("item_id", "tag_name")
        return summed.with_columns((pl.col("count") / pl.col("count").sum().over("item_id")).alias("share"))

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


def _to_read(pairs: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    pairs = pairs.select(
        pl.col("user_id").cast(pl.Int64), pl.col("book_id").cast(pl.Int64).alias("item_id")
    ).unique(maintain_order=True)
    pairs = pairs.join(events, on=["user_id", "item_id"], how="anti", maintain_order="left")
    return pairs.select(pl.format("{}: to read", "user_id").alias("collection_id"), "item_id", "user_id")
