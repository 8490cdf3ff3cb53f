"""Open Bandit Dataset: logged impressions of a fashion shop with the propensity of each."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from bowerbird.tables.datasets.base import DatasetAdapter, DatasetError, Rows
from bowerbird.tables.view.rows.source import EVALUATION_PREFIX

_POLICIES = ("bts", "random")
_CAMPAIGNS = ("men", "women", "all")
_USER_FEATURES = [f"user_feature_{n}" for n in range(4)]
_ITEM_FEATURES = [f"item_feature_{n}" for n in range(4)]


class OpenBandit(DatasetAdapter):
    """Impressions and clicks; no user ids.

    Users: the log has none, so every request is a user of its own, and no history can be built. (Rows with
    equal
    hashed features are many people: joining them would invent histories.) The features of the person are in
    the `users` table. Surface = policy/campaign. Rows of the uniform random policy lie on `evaluation:`
    surfaces: no training view shows them. Items of different campaigns are different items, although their
    numbers overlap. Event weight = 1 / propensity of the logging policy, for inverse propensity estimates;
    clip it.
    """

    name = "openbandit"
    title = "Open Bandit"
    licence = "CC BY 4.0 for the data (not verified), Apache-2.0 for the repository."
    how_to_get = (
        "Download https://research.zozo.com/data.html or take the small version in "
        "https://github.com/st-tech/zr-obp (obd/): {bts,random}/{men,women,all}/{campaign}.csv with "
        "item_context.csv (or {policy}_{campaign}.parquet with item_context_{campaign}.parquet)."
    )
    citation = (
        "Yuta Saito, Shunsuke Aihara, Megumi Matsutani, Yusuke Narita. 2020. Open Bandit Dataset and "
        "Pipeline: Towards Realistic and Reproducible Off-Policy Evaluation. arXiv:2008.07146"
    )
    actions = ("click",)
    item_roles = {  # noqa: RUF012 declared in the base
        "campaign": "category",
        "item_feature_0": "number",
        **dict.fromkeys(_ITEM_FEATURES[1:], "category"),
    }
    slate_rule = (
        "A slate is the impressions of one policy and campaign with the same microsecond and user features "
        "(in the small version nearly always a single one of the three slots)."
    )
    tie_rule = "events of one slate are ordered by slot"

    def tables(self, folder: Path) -> dict[str, Rows]:
        """`events` of all policies and campaigns in the folder, `items` by campaign, `users` with their
        features.
        """
        events: list[pl.DataFrame] = []
        items: dict[str, pl.DataFrame] = {}
        for policy in _POLICIES:
            for campaign in _CAMPAIGNS:
                files = self.find_all(
                    folder, f"{policy}_{campaign}.parquet", f"{policy}/{campaign}/{campaign}.csv"
                )
                if files:
                    events.append(self._events(files[0], policy, campaign))
                    if campaign not in items:
                        items[campaign] = self._items(folder, policy, campaign)
        if not events:
            raise DatasetError(f"openbandit: {folder} has no log, such as bts_men.parquet. {self.how_to_get}")
        rows = pl.concat(events)
        users = rows.select("user_id", *_USER_FEATURES).unique("user_id", keep="first", maintain_order=True)
        return {
            "users": users,
            "items": pl.concat([items[campaign] for campaign in sorted(items)]),
            "events": rows.drop(_USER_FEATURES),
        }

    def _events(self, file: Path, policy: str, campaign: str) -> pl.DataFrame:
        propensity = "action_prob" if "action_prob" in self.columns_of(file) else "propensity_score"
        columns = ["timestamp", "item_id", "position", "click", propensity, *_USER_FEATURES]
        rows = self.read(file, columns).collect()
        surface = f"{EVALUATION_PREFIX if policy == 'random' else ''}{policy}/{campaign}"
        time = pl.col("timestamp").str.to_datetime(time_unit="us", time_zone="UTC")
        request = pl.struct("timestamp", *_USER_FEATURES).rank("dense")
        clicked = pl.when(pl.col("click") == 1).then(pl.lit(["click"]))
        return (
            rows.with_columns(request.alias("__request"), time.alias("__time"))
            .sort("__time", "__request", "position", maintain_order=True)
            .select(
                pl.format("{}/{}/{}", pl.lit(policy), pl.lit(campaign), "__request").alias("user_id"),
                pl.format("{}/{}", pl.lit(campaign), "item_id").alias("item_id"),
                pl.col("__time").dt.epoch("ms").alias("timestamp"),
                pl.lit(surface).alias("surface"),
                pl.format("{}/{}/{}", pl.lit(policy), pl.lit(campaign), "__request").alias("request_id"),
                (pl.col("position") - 1).cast(pl.Int16).alias("position"),
                clicked.otherwise(pl.lit([], dtype=pl.List(pl.String))).alias("actions"),
                (1.0 / pl.col(propensity)).cast(pl.Float32).alias("weight"),
                *_USER_FEATURES,
            )
        )

    def _items(self, folder: Path, policy: str, campaign: str) -> pl.DataFrame:
        file = self.find(folder, f"item_context_{campaign}.parquet", f"{policy}/{campaign}/item_context.csv")
        rows = self.read(file, ["item_id", *_ITEM_FEATURES]).collect().sort("item_id")
        return rows.select(
            pl.format("{}/{}", pl.lit(campaign), "item_id").alias("item_id"),
            pl.lit(campaign).alias("campaign"),
            pl.col("item_feature_0").cast(pl.Float64),
            *(pl.col(name).cast(pl.String) for name in _ITEM_FEATURES[1:]),
        )
