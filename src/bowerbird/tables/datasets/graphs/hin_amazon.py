"""Amazon ratings on a heterogeneous graph: dated stars, brands, categories and views."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from bowerbird.tables.datasets.base import DatasetAdapter, Rows, hashed_order, star_actions
from bowerbird.tables.datasets.links import all_links, link_rows


class HinAmazon(DatasetAdapter):
    """Ratings as outcomes (see `star_actions`), dated by day.

    `links` hold `viewed with` (item to `view`: a space of its own, not items), `category` and `brand`. Brand and
    categories are features as well. Views are undated and were taken from the site at the end of the log, so they may
    know something of what happened past a wall: report with and without that relation.
    """

    name = "hin-amazon"
    title = "Amazon, heterogeneous graph"
    licence = "none stated; derived from Amazon reviews. Do not put into a public tree."
    how_to_get = (
        "Take Amazon/ from https://github.com/librahu/HIN-Datasets-for-Recommendation-and-Network-Embedding and write "
        "user_item (user, item, rating, ts in seconds), item_view (item, view), item_category (item, category) and "
        "item_brand (item, brand) as Parquet or CSV with a header."
    )
    citation = (
        "Chuan Shi, Binbin Hu, Wayne Xin Zhao, Philip S. Yu. 2019. Heterogeneous Information Network Embedding for "
        "Recommendation. IEEE TKDE 31, 2."
    )
    actions = ("rate", "like", "love", "dislike")
    negative_actions = ("dislike",)
    item_roles = {"categories": "categories", "brand": "category"}  # noqa: RUF012 declared in the base
    slate_rule = "No slates: the log has no requests, and its times are days."
    tie_rule = "ratings of one user and day in a fixed random order (a hash of user and item)"

    def tables(self, folder: Path) -> dict[str, Rows]:
        """`events` from ratings, `items` with brand and categories, `links` to views, categories and brands."""
        views, categories, brands = (
            self._pairs(folder, f"item_{name}", name) for name in ("view", "category", "brand")
        )
        ratings = self.read(
            self.find(folder, "user_item.parquet", "user_item.csv"), ["user", "item", "rating", "ts"]
        ).collect()
        rows = ratings.select(
            pl.col("user").cast(pl.Int64).alias("user_id"),
            pl.col("item").cast(pl.Int64).alias("item_id"),
            (pl.col("ts").cast(pl.Int64) * 1000).alias("timestamp"),
            star_actions(),
        ).unique(["user_id", "item_id", "timestamp"], keep="first", maintain_order=True)
        ids = pl.concat([rows["item_id"], views["item"], categories["item"], brands["item"]]).unique().sort()
        kinds = categories.group_by("item", maintain_order=True).agg(
            pl.format("category {}", "category").alias("categories")
        )
        # An item with several brands keeps the first as its feature; the links hold them all.
        brand = brands.unique("item", keep="first", maintain_order=True).select(
            "item", pl.format("brand {}", "brand").alias("brand")
        )
        items = pl.DataFrame({"item": ids})
        for feature in (kinds, brand):
            items = items.join(feature, on="item", how="left", maintain_order="left")
        return {
            "items": items.rename({"item": "item_id"}),
            "events": hashed_order(rows),
            "links": all_links(
                link_rows(views, ("item", "item"), ("view", "view"), "viewed with"),
                link_rows(categories, ("item", "item"), ("category", "category"), "category"),
                link_rows(brands, ("item", "item"), ("brand", "brand"), "brand"),
            ),
        }

    def _pairs(self, folder: Path, file: str, column: str) -> pl.DataFrame:
        """Distinct pairs of an item and something of it, in order."""
        frame = self.read(self.find(folder, f"{file}.parquet", f"{file}.csv"), ["item", column])
        return frame.select(pl.col("item", column).cast(pl.Int64)).unique().sort("item", column).collect()
