"""Amazon Grocery with product relations, in the ReChorus layout: what goes with what, and what replaces what."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from bowerbird.tables.datasets.base import DatasetAdapter, Rows, hashed_order
from bowerbird.tables.datasets.links import all_links, link_rows
from bowerbird.tables.errors import TableError


class GroceryRelations(DatasetAdapter):
    """A review is taken as a purchase, dated by day; any category in the same layout works.

    `links` hold `complement` and `substitute`, item to item, directed as published. They were mined by the shop from
    what was bought and viewed over the whole period, and have no date: under a wall they know something of what came
    after it, as in every published figure on this set. Report with and without them.

    Where the folder holds train, dev and test files, all their events are read: walls make the split.
    """

    name = "grocery"
    title = "Amazon Grocery and Gourmet Food, ReChorus"
    licence = "ReChorus is MIT; the data derive from Amazon reviews. Do not put into a public tree."
    how_to_get = (
        "Take data/Grocery_and_Gourmet_Food from https://github.com/THUwangcy/ReChorus: train.csv, dev.csv, test.csv "
        "(user_id, item_id, time; tab separated) with item_meta.csv (item_id, i_category, r_complement, r_substitute), "
        "or the same as interactions.parquet with item_meta.parquet."
    )
    citation = (
        "Chenyang Wang, Min Zhang, Weizhi Ma, Yiqun Liu, Shaoping Ma. 2020. Make It a Chorus: Knowledge- and "
        "Time-aware Item Modeling for Sequential Recommendation. SIGIR. Data: Julian McAuley et al. 2015. SIGIR."
    )
    actions = ("review",)
    item_roles = {"category": "category"}  # noqa: RUF012 declared in the base
    slate_rule = "No slates: the log has no requests, and its times are days."
    tie_rule = "reviews of one user and day in a fixed random order (a hash of user and item)"

    def tables(self, folder: Path) -> dict[str, Rows]:
        """`events` from the interactions, `items` and `links` from the item file."""
        parts = self.find_all(folder, "interactions.parquet") or [
            self.find(folder, "train.csv", "interactions.parquet"),
            *self.find_all(folder, "dev.csv"),
            *self.find_all(folder, "test.csv"),
        ]
        rows = pl.concat(
            [self.read(part, ["user_id", "item_id", "time"], separator="\t").collect() for part in parts]
        ).select(
            pl.col("user_id", "item_id").cast(pl.Int64),
            (pl.col("time").cast(pl.Int64) * 1000).alias("timestamp"),
            pl.lit(["review"]).alias("actions"),
        )
        file = self.find(folder, "item_meta.parquet", "item_meta.csv")
        columns = ["item_id", "i_category", "r_complement", "r_substitute"]
        meta = self.read(file, columns, separator="\t").collect().sort("item_id")
        return {
            "items": meta.select(
                pl.col("item_id").cast(pl.Int64), pl.format("category {}", "i_category").alias("category")
            ),
            "events": hashed_order(rows.unique(maintain_order=True)),
            "links": all_links(
                *(self._relation(meta, file, name) for name in ("complement", "substitute")),
            ),
        }

    def _relation(self, meta: pl.DataFrame, file: Path, name: str) -> pl.DataFrame:
        """Edges of a column of lists; in text files a list is written [1, 2]."""
        column = f"r_{name}"
        if not isinstance(meta.schema[column], pl.List):
            text = meta[column].cast(pl.String).fill_null("[]")
            odd = ~text.str.contains(r"^\[(\s*\d+\s*(,\s*\d+\s*)*)?\s*\]$")
            if odd.any():
                row = int(odd.arg_true()[0])
                raise TableError(
                    "a list of items must read [1, 2]",
                    table=file.name,
                    column=column,
                    row=row + 1,
                    value=text[row][:80],
                    fix=self.how_to_get,
                )
            meta = meta.with_columns(text.str.extract_all(r"\d+").alias(column))
        edges = meta.select("item_id", column).explode(column).drop_nulls().unique(maintain_order=True)
        return link_rows(edges, ("item", "item_id"), ("item", column), name)
