"""DBLP four areas: papers, authors, venues and terms, with the research area of some authors."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from bowerbird.tables.datasets.base import DatasetAdapter, Rows, hashed_order, pseudo_time
from bowerbird.tables.datasets.links import all_links, link_rows

ORDER_SEED = 14_376


class Dblp(DatasetAdapter):
    """Authors are users, papers are items, writing a paper is the event.

    `links` hold `published in` (item to `venue`) and `term` (item to `term`): apart, because the venue alone tells the
    area almost surely, so report with and without it. `labels` hold the task `area` of users (authors), classes 1 to 4,
    joined on the author id of the paper files (`author`), not on `author_orig`. The only content of a paper is its
    terms, which are ids without text.

    There are no times. Each author's papers get a fixed random order, and time is made up: one day a position.
    """

    name = "dblp"
    title = "DBLP four areas"
    licence = "dblp metadata: CC0 (not verified for this selection)."
    how_to_get = (
        "Take DBLP/ from https://github.com/librahu/HIN-Datasets-for-Recommendation-and-Network-Embedding and write "
        "paper_author (paper, author), paper_conference (paper, conf), paper_type (paper, term) and author_label "
        "(author, label) as Parquet or CSV with a header."
    )
    citation = (
        "Ming Ji, Yizhou Sun, Marina Danilevsky, Jiawei Han, Jing Gao. 2010. Graph Regularized Transductive "
        "Classification on Heterogeneous Information Networks. ECML PKDD."
    )
    actions = ("write",)
    item_roles = {"terms": "categories"}  # noqa: RUF012 declared in the base
    slate_rule = (
        "No slates: the data have neither requests nor times. Each author's papers are in a fixed random order; time "
        "is made up, one day a position from 2000-01-01 UTC."
    )
    tie_rule = "none: positions are distinct"

    def tables(self, folder: Path) -> dict[str, Rows]:
        """`events` from authorship, `items` with their terms, `links` to venues and terms, `labels` of authors."""
        wrote = self._pairs(folder, "paper_author", "paper", "author")
        venues = self._pairs(folder, "paper_conference", "paper", "conf")
        terms = self._pairs(folder, "paper_type", "paper", "term")
        areas = self._pairs(folder, "author_label", "author", "label")
        papers = pl.DataFrame(
            {"paper": pl.concat([f["paper"] for f in (wrote, venues, terms)]).unique().sort()}
        )
        named = terms.group_by("paper", maintain_order=True).agg(pl.format("term {}", "term").alias("terms"))
        items = papers.join(named, on="paper", how="left", maintain_order="left").rename({"paper": "item_id"})
        rows = wrote.select(pl.col("author").alias("user_id"), pl.col("paper").alias("item_id"))
        rows = pseudo_time(hashed_order(rows, time=False, seed=ORDER_SEED))
        return {
            "items": items,
            "events": rows.with_columns(pl.lit(["write"]).alias("actions")),
            "links": all_links(
                link_rows(venues, ("item", "paper"), ("venue", "conf"), "published in"),
                link_rows(terms, ("item", "paper"), ("term", "term"), "term"),
            ),
            "labels": areas.select(
                pl.lit("area").alias("task"),
                pl.lit("user").alias("entity_type"),
                pl.col("author").alias("entity_id"),
                pl.col("label").cast(pl.String),
            ),
        }

    def _pairs(self, folder: Path, name: str, first: str, second: str) -> pl.DataFrame:
        """Distinct pairs of ids, in order."""
        frame = self.read(self.find(folder, f"{name}.parquet", f"{name}.csv"), [first, second])
        return frame.select(pl.col(first, second).cast(pl.Int64)).unique().sort(first, second).collect()
