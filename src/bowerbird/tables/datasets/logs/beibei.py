"""Beibei: carts and buys without times, the two-outcome set of GHCF."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from bowerbird.tables.datasets.base import DatasetAdapter, Rows, hashed_order, pseudo_time
from bowerbird.tables.store.keys import mix

ORDER_SEED = 20_200_101


class Beibei(DatasetAdapter):
    """One row a user-item pair, with the actions `cart` and `buy`.

    The log has no times, and its order is by item id. Each user's pairs get a random order fixed by a hash,
    then time
    is made up: one day a position. The published test buy comes last and a buy drawn by the same hash comes
    before it, so leave-last-out tests on the published pair and validates on a buy.

    The published carts contain every training buy and 62 % of the test buys, so "in the cart, not yet bought"
    would give the test away. Here a pair is one row: the test pair is not in the cart before it is bought (if
    it was in the carts, its own row carries both actions).
    """

    name = "beibei"
    title = "Beibei"
    licence = "none stated. Do not put into a public tree."
    how_to_get = (
        "Take Data/Beibei from https://github.com/chenchongthu/GHCF and write buy_train, buy_test and cart "
        "as Parquet or CSV with the columns user, item."
    )
    citation = (
        "Chong Chen et al. 2021. Graph Heterogeneous Multi-Relational Recommendation. AAAI. Beibei log: "
        "Chen Gao et al. 2019. Neural Multi-Task Recommendation from Multi-Behavior Data. ICDE."
    )
    actions = ("cart", "buy")
    slate_rule = (
        "No slates: the log has neither requests nor times. Each user's pairs are in a fixed random order "
        "with the published test buy last and another buy before it; time is made up, one day a position "
        "from 2000-01-01 UTC."
    )
    tie_rule = "none: positions are distinct"

    def tables(self, folder: Path) -> dict[str, Rows]:
        """`events` only: the items have no features."""
        train, test, cart = (
            self.read(self.find(folder, f"{name}.parquet", f"{name}.csv"), ["user", "item"])
            .select(
                pl.col("user").cast(pl.Int64).alias("user_id"), pl.col("item").cast(pl.Int64).alias("item_id")
            )
            .unique()
            .collect()
            for name in ("buy_train", "buy_test", "cart")
        )
        pairs = pl.concat(
            [
                cart.with_columns(pl.lit(0).alias("kind")),
                train.with_columns(pl.lit(1).alias("kind")),
                test.with_columns(pl.lit(2).alias("kind")),
            ]
        )
        rows = pairs.group_by("user_id", "item_id").agg(
            (pl.col("kind") == 0).any().alias("carted"),
            (pl.col("kind") > 0).any().alias("bought"),
            (pl.col("kind") == 2).any().alias("test"),
        )
        rows = hashed_order(rows, time=False, seed=ORDER_SEED)
        rows = rows.with_columns(_place(rows).alias("place")).sort("user_id", "place", maintain_order=True)
        cart_only, buy_only, both = (pl.lit(names) for names in (["cart"], ["buy"], ["cart", "buy"]))
        actions = (
            pl.when(pl.col("carted") & pl.col("bought"))
            .then(both)
            .when(pl.col("bought"))
            .then(buy_only)
            .otherwise(cart_only)
        )
        return {
            "events": pseudo_time(rows).select("user_id", "item_id", "timestamp", actions.alias("actions"))
        }


def _place(rows: pl.DataFrame) -> pl.Series:
    """0 for ordinary pairs, 1 for the one training buy that validates, 2 for the test buy. Rows are in hashed
    order.
    """
    user = rows["user_id"].to_numpy()
    training_buy = (rows["bought"] & ~rows["test"]).to_numpy()
    has_test = np.isin(user, user[rows["test"].to_numpy()])
    place = np.where(rows["test"].to_numpy(), 2, 0)
    candidates = np.flatnonzero(training_buy & has_test)
    item = rows["item_id"].to_numpy()[candidates].astype(np.uint64)
    draw = mix(mix(user[candidates].astype(np.uint64)) ^ item)
    order = candidates[np.lexsort((draw, user[candidates]))]
    first = np.ones(len(order), dtype=bool)
    first[1:] = user[order][1:] != user[order][:-1]
    place[order[first]] = 1
    return pl.Series(place)
