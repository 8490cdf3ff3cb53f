"""citeulike-a: libraries of scientific articles, citations and tags; the public analogue of saves to boards."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl

from bowerbird.tables.datasets.base import Rows
from bowerbird.tables.datasets.links import all_links, link_rows
from bowerbird.tables.datasets.lots import LotAdapter, dated, draw, parts_of
from bowerbird.tables.errors import TableError


class CiteULike(LotAdapter):
    """A library entry is an event (`save`) and a row of `collections` (the user's library, untitled).

    The data have no order and no time. The split is drawn here: a seeded lot for each entry says whether it trains,
    validates or tests (70 / 10 / 20 %, so the 80 % that do not test train once validation is over), and the entry gets
    that part's made-up day in both tables (see `lots`). `given_split(store)` stands at those days.

    A citation is known in both directions and stands in `links` twice (`cites`, item to item, one row a direction);
    self-citations of the published file are left out. `tag` links an article with the text of its tag, and the tags of
    an article, most common first, are its text. From the published archive, titles and abstracts are read too.

    Tags and citations are undated and visible from the start. Tags were given by those who saved an article, those
    whose entry is held out included, but the data do not say who gave which: content of an article, not a trace of one
    user's entry.
    """

    name = "citeulike"
    title = "citeulike-a"
    licence = "none stated. Do not put into a public tree."
    how_to_get = (
        "Take the archive from https://github.com/js05212/citeulike-a (users.dat, citations.dat, item-tag.dat, "
        "tags.dat, raw-data.csv), or give a folder with user_library (user, item), citations (item, dst), item_tag "
        "(item, dst) and tags (tag) as Parquet or CSV."
    )
    citation = (
        "Hao Wang, Binyi Chen, Wu-Jun Li. 2013. Collaborative Topic Regression with Social Regularization for Tag "
        "Recommendation. IJCAI. Data partly from Chong Wang and David M. Blei. 2011. Collaborative Topic Modeling for "
        "Recommending Scientific Articles. KDD."
    )
    actions = ("save",)
    slate_rule = "No slates: the log has neither requests nor times."
    tie_rule = "none: seconds of a made-up day are distinct"
    drawn = "library entries"
    by: ClassVar[tuple[str, ...]] = ("user_id", "item_id")

    def dataset_name(self, folder: Path) -> str:
        """The set and the seed of its split."""
        return f"{self.title}, split by lot, seed {self.seed}"

    def tables(self, folder: Path) -> dict[str, Rows]:
        """`events` and `collections` from the libraries, `links` from citations and tags, `items` from the tags."""
        saves, citations, tagged, tags = self._published(folder)
        tagged = tagged.join(tags, left_on="dst", right_on="tag_id", how="left", maintain_order="left")
        missing = tagged.filter(pl.col("tag").is_null())
        if missing.height:
            raise TableError(
                "an article has a tag that the list of tags does not hold",
                table="item_tag",
                column="dst",
                value=missing["dst"][0],
                fix=self.how_to_get,
            )
        saves = saves.select(_whole("user", "user_id"), _whole("item", "item_id")).unique()
        saves = saves.sort("user_id", "item_id")
        rows = dated(saves.with_columns(self._parts(saves)), self.first_day_ms, self.seed)
        citations = citations.filter(pl.col("item") != pl.col("dst"))
        return {
            "items": self._items(folder, saves, citations, tagged),
            "events": rows.select("user_id", "item_id", "timestamp", pl.lit(["save"]).alias("actions")),
            "collections": rows.select(
                pl.col("user_id").alias("collection_id"), "item_id", "user_id", "timestamp"
            ),
            "links": all_links(
                link_rows(citations, ("item", "item"), ("item", "dst"), "cites"),
                link_rows(tagged, ("item", "item"), ("tag", "tag"), "tag"),
            ),
        }

    def _parts(self, saves: pl.DataFrame) -> pl.Series:
        """The part of each save: what shares the columns of `by` shares a lot."""
        drawn = saves.select(self.by).unique().sort(self.by)
        part = parts_of(draw(drawn, self.by, self.seed), self.valid_share, self.test_share)
        known = drawn.with_columns(pl.Series("part", part))
        return saves.join(known, on=self.by, how="left", maintain_order="left")["part"]

    def _published(self, folder: Path) -> tuple[pl.DataFrame, ...]:
        """Saves (user, item), citations (item, dst), tags of articles (item, dst) and tags (tag_id, tag)."""
        if self.find_all(folder, "users.dat"):
            names = ("users.dat", "citations.dat", "item-tag.dat", "tags.dat")
            users, cited, tagged, tags = (self.find(folder, name) for name in names)
            text = tags.read_text(encoding="utf-8", errors="replace").splitlines()
            frames = (_adjacency(users, "user", "item"), _adjacency(cited, "item", "dst"))
            return (*frames, _adjacency(tagged, "item", "dst"), _numbered(pl.Series("tag", text)))
        columns = {
            "user_library": ["user", "item"],
            "citations": ["item", "dst"],
            "item_tag": ["item", "dst"],
            "tags": ["tag"],
        }
        found = [
            self.read(self.find(folder, f"{name}.parquet", f"{name}.csv"), wanted).collect()
            for name, wanted in columns.items()
        ]
        return (*found[:3], _numbered(found[3]["tag"]))

    def _items(
        self, folder: Path, saves: pl.DataFrame, citations: pl.DataFrame, tagged: pl.DataFrame
    ) -> pl.DataFrame:
        """Every article that occurs anywhere, with its tags as one text, the most common first."""
        ids = [saves["item_id"], citations["item"], citations["dst"], tagged["item"]]
        items = pl.DataFrame(
            {"item_id": pl.concat([column.cast(pl.Int64) for column in ids]).unique().sort()}
        )
        common = tagged.with_columns(pl.len().over("tag").alias("uses")).sort(
            ["uses", "tag"], descending=[True, False]
        )
        texts = common.group_by("item", maintain_order=True).agg(pl.col("tag").str.replace_all("[_-]+", " "))
        texts = texts.select(_whole("item", "item_id"), pl.col("tag").list.join(", ").alias("tags"))
        items = items.join(texts, on="item_id", how="left", maintain_order="left")
        raw = self.find_all(folder, "raw-data.csv")
        if not raw:
            return items
        # raw-data.csv counts articles from 1, the other files from 0.
        articles = self.read(raw[0], ["doc.id", "raw.title", "raw.abstract"], encoding="utf8-lossy").collect()
        articles = articles.select(
            (pl.col("doc.id").cast(pl.Int64) - 1).alias("item_id"),
            pl.col("raw.title").alias("title"),
            pl.col("raw.abstract").alias("abstract"),
        )
        items = items.join(articles, on="item_id", how="full", coalesce=True).sort("item_id")
        return items.select("item_id", "title", "abstract", "tags")


class CiteULikeCold(CiteULike):
    """The cold setting: the lot falls on articles, not entries.

    All entries of 20 % of the articles lie in the test, all entries of another 10 % in validation: at a wall none of
    them has a single save, only tags and citations. A model without content or graph can know nothing of them.
    """

    name = "citeulike-cold"
    title = "citeulike-a, cold articles"
    slate_rule = (
        "No slates: the log has neither requests nor times. An article that tests or validates does so with all its "
        "library entries: it has no save before its part begins."
    )
    drawn = "articles"
    by = ("item_id",)


def _whole(column: str, name: str) -> pl.Expr:
    return pl.col(column).cast(pl.Int64).alias(name)


def _numbered(tags: pl.Series) -> pl.DataFrame:
    """Tag ids are row numbers from 0."""
    return pl.DataFrame(
        {"tag_id": pl.Series(np.arange(len(tags)), dtype=pl.Int32), "tag": tags.cast(pl.String)}
    )


def _adjacency(file: Path, source: str, target: str) -> pl.DataFrame:
    """Edges of a file whose line k holds a count and that many neighbours of node k.

    Raises:
        TableError: A line is not numbers, or its count is wrong.
    """
    sources: list[np.ndarray] = []
    targets: list[np.ndarray] = []
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            words = line.split()
            if not words:
                continue
            if not all(word.isdecimal() for word in words) or int(words[0]) != len(words) - 1:
                raise TableError(
                    "a line is not a count followed by that many ids",
                    table=file.name,
                    row=number + 1,
                    value=line.strip()[:80],
                    fix="take the file from the published archive again",
                )
            targets.append(np.array(words[1:], dtype=np.int32))
            sources.append(np.full(len(words) - 1, number, dtype=np.int32))
    none = [np.empty(0, dtype=np.int32)]
    return pl.DataFrame({source: np.concatenate(sources or none), target: np.concatenate(targets or none)})
