"""MovieLens: any release with ratings, tags and movies, as CSV (published) or Parquet (bundled)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from bowerbird.tables.datasets.base import (
    DatasetAdapter,
    Rows,
    by_users,
    cut_sessions,
    hashed_order,
    star_actions,
)
from bowerbird.tables.datasets.links import link_rows

SESSION_GAP_MS = 30 * 60 * 1000
BUNDLED = Path(__file__).parents[1] / "bundled" / "ml_latest_small"


class MovieLens(DatasetAdapter):
    """Ratings and tags as actions, rating sessions as slates.

    Outcomes: `rate` (2.5 stars and more), `like` (4 and more), `love` (5), `tag` (named it), each rarer than
    the one before; `dislike` (2 and fewer) is negative and stands alone. A tag within 30 minutes of the
    user's rating of the same film is an outcome of that rating's row; any other tag is a row of its own
    (several tags of one film in one second are one row).

    Each tag is also a link (`tag`, film to the tag's text in lower case, with its user and time). `collections` hold
    what a user filed: the films named by one tag, titled by it, and the films with five stars (untitled), each dated by
    the tag or the rating, so that a wall hides from them what it hides from the events.
    """

    name = "movielens"
    title = "MovieLens"
    licence = (
        "GroupLens terms: research use, redistribution under the same terms, no commercial use without "
        "permission, acknowledge the data set."
    )
    how_to_get = (
        "Download a release with CSV files (ml-latest-small, ml-25m, ml-32m ...) from "
        "https://grouplens.org/datasets/movielens/ and give the folder with ratings.csv, movies.csv and "
        "tags.csv."
    )
    citation = (
        "F. Maxwell Harper and Joseph A. Konstan. 2015. The MovieLens Datasets: History and Context. "
        "ACM Transactions on Interactive Intelligent Systems 5, 4: 19:1-19:19. doi:10.1145/2827872"
    )
    actions = ("rate", "like", "love", "tag", "dislike")
    negative_actions = ("dislike",)
    item_roles = {"title": "title", "genres": "categories", "year": "number"}  # noqa: RUF012 declared in the base
    slate_rule = (
        "A slate is a rating session of one user: a pause of more than 30 minutes begins a new one. It holds "
        "what the user rated or tagged, not what was shown."
    )

    def dataset_name(self, folder: Path) -> str:
        """The release, told by its folder."""
        name = folder.resolve().name.replace("_", "-")
        return f"MovieLens {name.removeprefix('ml-')}" if name.startswith("ml-") else "MovieLens"

    def tables(self, folder: Path) -> dict[str, Rows]:
        """`events` from ratings and tags, `items` from movies, `collections` from both, `links` from tags."""
        found: dict[str, Rows] = {"items": self._items(folder), "events": self._events(folder)}
        tags = self._tags(folder)
        found["collections"] = self._collections(folder, tags)
        if tags is not None:
            ends = ("item", "item_id"), ("tag", "tag")
            found["links"] = link_rows(tags, *ends, "tag", time="timestamp", user="user_id")
        return found

    def _tags(self, folder: Path) -> pl.DataFrame | None:
        """Tags as they were given, in lower case; None where the folder has none."""
        files = self.find_all(folder, "tags.parquet", "tags.csv", "tags.csv.gz")
        if not files:
            return None
        rows = self.read(files, ["userId", "movieId", "tag", "timestamp"]).select(
            *_ids(), pl.col("tag").cast(pl.String).str.strip_chars().str.to_lowercase(), _milliseconds()
        )
        return rows.filter(pl.col("tag").str.len_chars() > 0).unique().sort(pl.all()).collect()

    def _collections(self, folder: Path, tags: pl.DataFrame | None) -> Iterator[pl.DataFrame]:
        """Rows of the lists that users made by naming and by five stars."""
        if tags is not None:
            # A film named twice with one tag entered that list the first time.
            first = tags.unique(["user_id", "tag", "item_id"], keep="first", maintain_order=True)
            named = pl.format("{}: {}", "user_id", "tag").alias("collection_id")
            yield first.select(named, "item_id", pl.col("tag").alias("title"), "user_id", "timestamp")
        file = self.find(folder, "ratings.parquet", "ratings.csv", "ratings.csv.gz")
        rated = self.read(file, ["userId", "movieId", "rating", "timestamp"]).filter(pl.col("rating") == 5)
        for part in by_users(rated, "userId", [file]):
            rows = part.select(*_ids(), _milliseconds()).sort("user_id", "timestamp", "item_id")
            rows = rows.unique(["user_id", "item_id"], keep="first", maintain_order=True)
            listed = pl.format("{}, five stars", "user_id").alias("collection_id")
            yield rows.select(
                listed, "item_id", pl.lit(None, pl.String).alias("title"), "user_id", "timestamp"
            )

    def _items(self, folder: Path) -> pl.DataFrame:
        files = self.find(folder, "movies.parquet", "movies.csv", "movies.csv.gz")
        movies = self.read(files, ["movieId", "title", "genres"]).collect().sort("movieId")
        genres = (
            pl.col("genres")
            .str.split("|")
            .list.eval(pl.element().filter(pl.element() != "(no genres listed)"))
        )
        return movies.select(
            pl.col("movieId").cast(pl.Int64).alias("item_id"),
            pl.col("title").str.strip_chars().str.replace(r"\s*\(\d{4}\)$", "").alias("title"),
            genres.alias("genres"),
            pl.col("title").str.strip_chars().str.extract(r"\((\d{4})\)$", 1).cast(pl.Float64).alias("year"),
        )

    def _events(self, folder: Path) -> Iterator[pl.DataFrame]:
        file = self.find(folder, "ratings.parquet", "ratings.csv", "ratings.csv.gz")
        ratings = self.read(file, ["userId", "movieId", "rating", "timestamp"])
        tag_files = self.find_all(folder, "tags.parquet", "tags.csv", "tags.csv.gz")
        tags = pl.DataFrame(schema={"user_id": pl.Int64, "item_id": pl.Int64, "tagged": pl.Int64})
        if tag_files:
            tags = (
                self.read(tag_files, ["userId", "movieId", "timestamp"])
                .select(*_ids(), _milliseconds().alias("tagged"))
                .unique()
                .collect()
            )
        seen: list[pl.Series] = []
        for part in by_users(ratings, "userId", [file]):
            users = part["userId"].unique().cast(pl.Int64)
            seen.append(users)
            yield _one_part(part, tags.filter(pl.col("user_id").is_in(users.implode())))
        # Users who only tagged, never rated.
        rest = tags.filter(~pl.col("user_id").is_in(pl.concat(seen).implode())) if seen else tags
        if rest.height:
            yield _one_part(pl.DataFrame(schema=ratings.collect_schema()), rest)


def _ids() -> tuple[pl.Expr, pl.Expr]:
    return (
        pl.col("userId").cast(pl.Int64).alias("user_id"),
        pl.col("movieId").cast(pl.Int64).alias("item_id"),
    )


def _milliseconds() -> pl.Expr:
    return pl.col("timestamp").cast(pl.Int64) * 1000


def _one_part(ratings: pl.DataFrame, tags: pl.DataFrame) -> pl.DataFrame:
    """Events of some users: ratings with the tags of the same half hour, then the other tags."""
    row, tag = ["user_id", "item_id", "timestamp"], ["user_id", "item_id", "tagged"]
    rated = ratings.select(*_ids(), _milliseconds().alias("timestamp"), star_actions())
    rated = rated.unique(row, keep="first", maintain_order=True)
    pairs = tags.join(rated.select(row), on=["user_id", "item_id"])
    pairs = pairs.filter((pl.col("tagged") - pl.col("timestamp")).abs() <= SESSION_GAP_MS)
    with_tag = pairs.select(row).unique().with_columns(pl.lit(True).alias("with_tag"))
    rated = rated.join(with_tag, on=row, how="left", maintain_order="left")
    tagged = pl.when(pl.col("with_tag")).then(pl.col("actions").list.concat(pl.lit(["tag"])))
    rated = rated.with_columns(tagged.otherwise(pl.col("actions")).alias("actions")).drop("with_tag")
    alone = tags.join(pairs.select(tag), on=tag, how="anti").rename({"tagged": "timestamp"})
    alone = alone.with_columns(pl.lit(["tag"]).alias("actions")).select(*row, "actions")
    return cut_sessions(hashed_order(pl.concat([rated, alone])), SESSION_GAP_MS)
