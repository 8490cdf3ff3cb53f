"""KuaiRand: short-video impressions with twelve kinds of feedback, and a log of random exposures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from bowerbird.tables.datasets.base import DatasetAdapter, Rows, by_users, cut_sessions, hashed_order
from bowerbird.tables.view.rows.source import EVALUATION_PREFIX

SLATE_GAP_MS = 5 * 60 * 1000
SLATE_MOST = 10
_CHINA_MS = 8 * 3600 * 1000
_RANDOM_REQUESTS = 1 << 40  # request ids of the random log begin here, apart from those of the standard logs

_FEEDBACK = {
    "is_click": "click",
    "long_view": "long_view",
    "is_like": "like",
    "is_follow": "follow",
    "is_comment": "comment",
    "is_forward": "forward",
    "is_profile_enter": "profile_enter",
    "is_hate": "hate",
}


class KuaiRand(DatasetAdapter):
    """KuaiRand-Pure, -1K or -27K, in the published layout.

    Every row is an impression; surface = tab; the eight binary signals are the actions, `hate` is negative.
    Rows of `log_random_*` (and rows with is_rand = 1) lie on `evaluation:` surfaces: no training view shows
    them, evaluation asks for them with `view.with_evaluation_rows()`. Videos exist from their upload day
    (midnight in China) on; `video_features_statistic` and `visible_status` are not read: they were taken over
    or after the whole month.
    """

    name = "kuairand"
    title = "KuaiRand"
    licence = "CC BY-SA 4.0."
    how_to_get = (
        "Download KuaiRand-Pure, -1K or -27K from https://kuairand.com and give its data folder, with "
        "log_standard_*.csv, log_random_*.csv, user_features_*.csv and video_features_basic_*.csv."
    )
    citation = (
        "Chongming Gao et al. 2022. KuaiRand: An Unbiased Sequential Recommendation Dataset with Randomly "
        "Exposed Videos. CIKM. doi:10.1145/3511808.3557624"
    )
    actions = tuple(_FEEDBACK.values())
    negative_actions = ("hate",)
    item_roles = {  # noqa: RUF012 declared in the base
        "tags": "categories",
        "video_type": "category",
        "upload_type": "category",
        "music_type": "category",
        "duration_s": "number",
    }
    slate_rule = (
        "A slate is up to 10 consecutive impressions of one user and tab with pauses of at most 5 minutes "
        "(the log has no request ids). Random exposures form one slate a user, tab and day."
    )

    def dataset_name(self, folder: Path) -> str:
        """The version, told by the file names."""
        for version in ("pure", "1k", "27k"):
            if self.find_all(folder, f"log_standard_*_{version}*.csv"):
                return f"KuaiRand-{version.title() if version == 'pure' else version.upper()}"
        return self.title

    def tables(self, folder: Path) -> dict[str, Rows]:
        """`events` of the standard and random logs, `items` from the basic video features, `users`."""
        found: dict[str, Rows] = {"items": self._items(folder)}
        users = self.find_all(folder, "user_features_*.csv")
        if users:
            found["users"] = pl.scan_csv(users, infer_schema_length=10_000)
        return {**found, "events": self._events(folder)}

    def _events(self, folder: Path) -> Iterator[pl.DataFrame]:
        columns = ["user_id", "video_id", "time_ms", *_FEEDBACK, "is_rand", "tab"]
        self.find(folder, "log_standard_*.csv")
        files = self.find_all(folder, "log_standard_*.csv") + self.find_all(folder, "log_random_*.csv")
        for part in by_users(self.read(files, columns), "user_id", files):
            yield from _one_part(part)

    def _items(self, folder: Path) -> pl.LazyFrame:
        columns = [
            "video_id",
            "author_id",
            "video_type",
            "upload_dt",
            "upload_type",
            "video_duration",
            "music_type",
            "tag",
        ]
        self.find(folder, "video_features_basic_*.csv")
        files = self.find_all(folder, "video_features_basic_*.csv")
        videos = self.read(files, columns, schema_overrides={"tag": pl.String, "upload_dt": pl.String})
        uploaded = pl.col("upload_dt").str.to_date(strict=False).cast(pl.Datetime("ms")).dt.epoch("ms")
        return videos.select(
            pl.col("video_id").cast(pl.Int64).alias("item_id"),
            pl.col("author_id").cast(pl.Int64).alias("creator_id"),
            (uploaded - _CHINA_MS).alias("created_at"),
            pl.col("tag").str.split(",").list.eval(pl.format("tag {}", pl.element())).alias("tags"),
            pl.col("video_type").cast(pl.String),
            pl.col("upload_type").cast(pl.String),
            pl.col("music_type").cast(pl.String),
            (pl.col("video_duration").cast(pl.Float64) / 1000).alias("duration_s"),
        ).sort("item_id")


def _one_part(rows: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Events of some users: standard rows in slates of impressions, random rows in slates of a day."""
    done = [pl.when(pl.col(flag) == 1).then(pl.lit(name)) for flag, name in _FEEDBACK.items()]
    events = rows.select(
        pl.col("user_id").cast(pl.Int64),
        pl.col("video_id").cast(pl.Int64).alias("item_id"),
        pl.col("time_ms").cast(pl.Int64).alias("timestamp"),
        "tab",
        pl.col("is_rand").cast(pl.Int8),
        pl.concat_list(done).list.drop_nulls().alias("actions"),
    )
    events = hashed_order(events)
    standard = events.filter(pl.col("is_rand") == 0).sort("user_id", "tab", "timestamp", maintain_order=True)
    if standard.height:
        standard = cut_sessions(standard, SLATE_GAP_MS, within=["tab"], most=SLATE_MOST)
        standard = standard.sort("user_id", "timestamp", maintain_order=True)
        yield _columns(standard, "tab {}")
    random = events.filter(pl.col("is_rand") != 0)
    if random.height:
        day = (pl.col("timestamp") + _CHINA_MS) // 86_400_000
        request = pl.struct("user_id", "tab", day.alias("day")).rank("dense").cast(pl.Int64)
        random = random.with_columns((request + _RANDOM_REQUESTS).alias("request_id"))
        yield _columns(random, EVALUATION_PREFIX + "tab {}")


def _columns(events: pl.DataFrame, surface: str) -> pl.DataFrame:
    return events.select(
        "user_id",
        "item_id",
        "timestamp",
        pl.format(surface, pl.col("tab")).alias("surface"),
        "request_id",
        "actions",
    )
