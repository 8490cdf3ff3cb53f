"""Amazon 5-core sequences in the S3-Rec layout: order without times."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl

from bowerbird.tables.datasets.base import DatasetAdapter, Rows, pseudo_time
from bowerbird.tables.errors import TableError


class AmazonSequences(DatasetAdapter):
    """Any category. Each row is a review, taken as a purchase.

    The published sequences carry order only, so time is made up: one day a position, from 2000-01-01. A time
    split
    of such a store would cut by position and mean nothing: use leave-last-out. Attributes are ids without
    text.
    """

    name = "amazon"
    title = "Amazon 5-core sequences"
    licence = "none stated; derived from the McAuley Amazon reviews. Do not put into a public tree."
    how_to_get = (
        "Take a category from https://github.com/RUCAIBox/CIKM2020-S3Rec (data/): Beauty.txt with "
        "Beauty_item2attributes.json, or the same as sequences.parquet (user, item, pos) with "
        "item_attributes.parquet (item, attributes)."
    )
    citation = (
        "Kun Zhou et al. 2020. S3-Rec: Self-Supervised Learning for Sequential Recommendation with Mutual "
        "Information Maximization. CIKM. Data: Julian McAuley et al. 2015. Image-based Recommendations on "
        "Styles and Substitutes. SIGIR."
    )
    actions = ("review",)
    item_roles = {"attributes": "categories"}  # noqa: RUF012 declared in the base
    slate_rule = "No slates: the log has neither requests nor times. Time is made up, one day a position."
    tie_rule = "none: positions are distinct"

    def dataset_name(self, folder: Path) -> str:
        """The category, told by the text file or by the folder."""
        texts = self.find_all(folder, "*.txt")
        name = texts[0].stem if texts else folder.resolve().name.removeprefix("s3rec_")
        return f"Amazon {name.replace('_', ' ').title().replace(' And ', ' and ')}"

    def tables(self, folder: Path) -> dict[str, Rows]:
        """`events` from the sequences, `items` with attribute ids as categories."""
        if self.find_all(folder, "sequences.parquet"):
            return self._from_parquet(folder)
        return self._from_text(folder)

    def _from_parquet(self, folder: Path) -> dict[str, Rows]:
        rows = self.read(folder / "sequences.parquet", ["user", "item", "pos"]).collect().sort("user", "pos")
        attributes = self.read(self.find(folder, "item_attributes.parquet"), ["item", "attributes"]).collect()
        return _tables(rows.select("user", "item"), attributes)

    def _from_text(self, folder: Path) -> dict[str, Rows]:
        file = self.find(folder, "*.txt")
        users: list[int] = []
        items: list[list[int]] = []
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                words = line.split()
                if not words:
                    continue
                try:
                    user, *sequence = (int(word) for word in words)
                except ValueError as error:
                    raise TableError(
                        "a line is not a user id followed by item ids",
                        table=file.name,
                        row=number,
                        value=line.strip(),
                        fix=self.how_to_get,
                    ) from error
                users.append(user)
                items.append(sequence)
        rows = pl.DataFrame(
            {"user": users, "item": items}, schema={"user": pl.Int64, "item": pl.List(pl.Int64)}
        )
        found = json.loads(self.find(folder, f"{file.stem}_item2attributes.json").read_text(encoding="utf-8"))
        attributes = pl.DataFrame(
            {"item": [int(item) for item in found], "attributes": list(found.values())},
            schema={"item": pl.Int64, "attributes": pl.List(pl.Int64)},
        )
        return _tables(rows.explode("item").drop_nulls(), attributes)


def _tables(rows: pl.DataFrame, attributes: pl.DataFrame) -> dict[str, Rows]:
    user, item = pl.col("user").cast(pl.Int64), pl.col("item").cast(pl.Int64)
    events = pseudo_time(rows.select(user.alias("user_id"), item.alias("item_id")))
    events = events.with_columns(pl.lit(["review"]).alias("actions"))
    items = attributes.sort("item").select(
        pl.col("item").cast(pl.Int64).alias("item_id"),
        pl.col("attributes").list.eval(pl.format("attribute {}", pl.element())).alias("attributes"),
    )
    return {"items": items, "events": events}
