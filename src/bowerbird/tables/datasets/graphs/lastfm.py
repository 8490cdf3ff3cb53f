"""Last.fm, HetRec 2011: listening counts, dated tags and friends."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl

from bowerbird.tables.datasets.base import DAY_MS, DatasetAdapter, Rows
from bowerbird.tables.datasets.links import link_rows
from bowerbird.tables.datasets.lots import TRAIN, LotAdapter, dated, draw, parts_of
from bowerbird.tables.given import GivenSplit
from bowerbird.tables.store.keys import mix


def _day(year: int, month: int, day: int = 1) -> int:
    return int(datetime(year, month, day, tzinfo=UTC).timestamp()) * 1000


LISTENED_MS = _day(2011, 6)
"""When listens are dated: they were counted by the crawl, after the last tag (May 2011)."""

_FIRST_YEAR = 2002  # Last.fm began; the published file has a few tags of 1956
_FILES = {
    "user_artists": ["userID", "artistID", "weight"],
    "user_taggedartists": ["userID", "artistID", "tagID", "day", "month", "year"],
    "user_friends": ["userID", "friendID"],
    "artists": ["id", "name"],
    "tags": ["tagID", "tagValue"],
}


class LastFmTimed(DatasetAdapter):
    """Tags as the task: events on artists with the tag as query and their real date (a month, mostly).

    A listen (`listen`) is a user and an artist with a count, no time. The count was taken by the crawl, so it is dated
    after every tag: a wall inside the log shows no listen. Its weight is 1 + log10(count). A tag (`tag`) is dated by
    day, month and year; tags dated before 2002 (five, impossible) are left out. What one user named with one tag in one
    month is a slate, and all that a user named with one tag is a row of `collections` titled by the tag, with the same
    date. Friends are undated `links` of users, one row a direction.
    """

    name = "lastfm-timed"
    title = "Last.fm HetRec 2011"
    licence = "HetRec 2011: non-commercial use (not verified). Do not put into a public tree."
    how_to_get = (
        "Download hetrec2011-lastfm-2k.zip from https://grouplens.org/datasets/hetrec-2011/ and give the folder with "
        "user_artists, user_taggedartists, user_friends, artists and tags (.dat, or the same as Parquet or CSV)."
    )
    citation = (
        "Ivan Cantador, Peter Brusilovsky, Tsvi Kuflik. 2011. 2nd Workshop on Information Heterogeneity and Fusion in "
        "Recommender Systems (HetRec 2011). RecSys."
    )
    actions = ("listen", "tag")
    item_roles = {"name": "title"}  # noqa: RUF012 declared in the base
    slate_rule = (
        "A slate is what one user named with one tag in one month. Listens have neither requests nor times: they stand "
        "after all tags, on 2011-06-01, in a fixed random order a second apart."
    )
    tie_rule = (
        "tags of one user and month in a fixed random order (a hash of the request, then of the artist)"
    )

    def split(self) -> GivenSplit | None:
        """Tags from 2010-07 on test, those of the three months before validate; listens are no part of it."""
        rule = "Split in time over the tags: test from 2010-07, validation from 2010-04 on; listens lie after the test"
        return GivenSplit(rule=rule, valid_from=_day(2010, 4), test_from=_day(2010, 7), until=LISTENED_MS)

    def tables(self, folder: Path) -> dict[str, Rows]:
        """`events` from listens and tags, `collections` from tags, `links` from friends, `items` from artists."""
        listens, tagged, friends, artists, tags = (self._published(folder, name) for name in _FILES)
        listens = listens.select(
            pl.col("userID").cast(pl.Int64).alias("user_id"),
            pl.col("artistID").cast(pl.Int64).alias("item_id"),
            (1 + pl.col("weight").cast(pl.Float64).log10()).cast(pl.Float32).alias("weight"),
        )
        listens = listens.unique(["user_id", "item_id"], keep="first", maintain_order=True).sort(
            "user_id", "item_id"
        )
        listens = self._dated(listens)
        labels = tags.select("tagID", pl.col("tagValue").cast(pl.String).alias("query"))
        named = _named(tagged).join(labels, on="tagID", how="inner", maintain_order="left")
        named = _ordered(self._hidden(named, listens))
        return {
            "items": artists.select(
                pl.col("id").cast(pl.Int64).alias("item_id"), pl.col("name").cast(pl.String)
            )
            .unique("item_id", keep="first", maintain_order=True)
            .sort("item_id"),
            "events": pl.concat([_tag_events(named), _listen_events(listens)]),
            "collections": named.select(
                pl.format("{}: {}", "user_id", "query").alias("collection_id"),
                "item_id",
                pl.col("query").alias("title"),
                "user_id",
                "timestamp",
            ),
            "links": link_rows(friends, ("user", "userID"), ("user", "friendID"), "friend"),
        }

    def _dated(self, listens: pl.DataFrame) -> pl.DataFrame:
        """Listens with `part` and `timestamp`."""
        return dated(listens.with_columns(pl.lit(TRAIN, dtype=pl.Int8).alias("part")), LISTENED_MS, seed=0)

    def _hidden(self, named: pl.DataFrame, listens: pl.DataFrame) -> pl.DataFrame:
        """Tags whose date must change because of the listens: none where tags are the task."""
        return named

    def _published(self, folder: Path, name: str) -> pl.DataFrame:
        file = self.find(folder, f"{name}.parquet", f"{name}.dat", f"{name}.csv")
        # The published files are tab separated, with quotation marks inside names and one name in another encoding.
        text = (
            {"separator": "\t", "quote_char": None, "encoding": "utf8-lossy"} if file.suffix == ".dat" else {}
        )
        return self.read(file, _FILES[name], **text).collect()


class LastFm(LotAdapter, LastFmTimed):
    """The listens as a task: a seeded lot for each user and artist says whether the listen trains, validates or tests.

    Listens that train are dated 2011-06-01, those that validate and test the two days after (see `lots`). A tag keeps
    its real date unless its user and artist are a held-out listen: then it would give the pair away, so it lies after
    the test (2011-06-04), in `events` and in `collections`, and belongs to no part. Tags of pairs without a listen
    stay. `given_split(store)` stands at those days: its targets are listens only.
    """

    name = "lastfm"
    drawn = "listens"
    first_day_ms = LISTENED_MS
    ends = True
    by: ClassVar[tuple[str, ...]] = ("user_id", "item_id")
    slate_rule = (
        "A slate is what one user named with one tag in one month. Listens have neither requests nor times; tags of "
        "held-out listens lie after the test, in no part."
    )

    def dataset_name(self, folder: Path) -> str:
        """The set and the seed of its split."""
        return f"{self.title}, listens split by lot, seed {self.seed}"

    def _dated(self, listens: pl.DataFrame) -> pl.DataFrame:
        lots = draw(listens, self.by, self.seed)
        parts = parts_of(lots, self.valid_share, self.test_share)
        return dated(listens.with_columns(pl.Series("part", parts)), LISTENED_MS, self.seed)

    def _hidden(self, named: pl.DataFrame, listens: pl.DataFrame) -> pl.DataFrame:
        held = listens.filter(pl.col("part") != TRAIN).select(*self.by, pl.lit(True).alias("held"))
        named = named.join(held, on=self.by, how="left", maintain_order="left")
        after = pl.when(pl.col("held")).then(LISTENED_MS + 3 * DAY_MS).otherwise(pl.col("timestamp"))
        return named.with_columns(after.alias("timestamp")).drop("held")


def _named(tagged: pl.DataFrame) -> pl.DataFrame:
    """Tag assignments with possible dates, each once."""
    moment = pl.datetime("year", "month", "day", time_zone="UTC").dt.epoch("ms")
    return (
        tagged.filter(pl.col("year") >= _FIRST_YEAR)
        .select(
            pl.col("userID").cast(pl.Int64).alias("user_id"),
            pl.col("artistID").cast(pl.Int64).alias("item_id"),
            "tagID",
            moment.alias("timestamp"),
        )
        .unique()
    )


def _ordered(named: pl.DataFrame) -> pl.DataFrame:
    """Rows by user and time, slates together, ties by hash; with `request_id`."""
    user, item, tag = (named[name].to_numpy().astype(np.uint64) for name in ("user_id", "item_id", "tagID"))
    request = mix(mix(user) ^ tag)
    keys = pl.Series("__request", request), pl.Series("__tie", mix(request ^ mix(item)))
    rows = named.with_columns(*keys).sort("user_id", "timestamp", "__request", "__tie")
    number = pl.struct("user_id", "timestamp", "tagID").rle_id().cast(pl.Int64).alias("request_id")
    return rows.with_columns(number).drop("__request", "__tie")


def _tag_events(named: pl.DataFrame) -> pl.DataFrame:
    return named.select(
        "user_id",
        "item_id",
        "timestamp",
        "request_id",
        "query",
        pl.lit(["tag"]).alias("actions"),
        pl.lit(1.0, dtype=pl.Float32).alias("weight"),
    )


def _listen_events(listens: pl.DataFrame) -> pl.DataFrame:
    return listens.select(
        "user_id",
        "item_id",
        "timestamp",
        pl.lit(None, dtype=pl.Int64).alias("request_id"),
        pl.lit(None, dtype=pl.String).alias("query"),
        pl.lit(["listen"]).alias("actions"),
        "weight",
    )
