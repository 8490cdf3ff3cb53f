"""What every known data set says about itself, and the steps their adapters share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl

from bowerbird.tables.errors import BowerbirdError, ConfigError, TableError, did_you_mean
from bowerbird.tables.given import GivenSplit
from bowerbird.tables.store import Store, build_store
from bowerbird.tables.store.keys import mix

Rows = pl.DataFrame | pl.LazyFrame | Iterator[pl.DataFrame]

PSEUDO_EPOCH_MS = 946_684_800_000
"""2000-01-01 UTC: where the made-up time of a log without times begins."""

DAY_MS = 86_400_000

HASHED_TIES = "events of one user in one millisecond in a fixed random order (a hash of user and item)"


class DatasetError(BowerbirdError):
    """A data set's folder lacks a file. The message names the file and says how to get the data."""


class DatasetAdapter(ABC):
    """Turns the published files of one data set into a store.

    Attributes:
        name: Key in `DATASETS`.
        title: Name for people.
        licence: What its owners allow.
        how_to_get: Where the files come from and which of them are needed.
        citation: What to cite.
        actions: Action names in bit order.
        negative_actions: Actions that do not make an event positive.
        item_roles: Roles of item columns that are not to be guessed.
        slate_rule: How slates are cut, printed in every report.
        tie_rule: How events of one user and millisecond are ordered, printed in every report.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    licence: ClassVar[str]
    how_to_get: ClassVar[str]
    citation: ClassVar[str]
    actions: ClassVar[tuple[str, ...]]
    negative_actions: ClassVar[tuple[str, ...]] = ()
    item_roles: ClassVar[Mapping[str, str]] = {}
    slate_rule: ClassVar[str]
    tie_rule: ClassVar[str] = HASHED_TIES

    @abstractmethod
    def tables(self, folder: Path) -> dict[str, Rows]:
        """The tables of the data contract, read from the published files.

        Raises:
            DatasetError: A file is missing.
            TableError: A file lacks a column.
        """

    def dataset_name(self, folder: Path) -> str:
        """Name for reports; adapters of several sets add which one it is."""
        return self.title

    def split(self) -> GivenSplit | None:
        """The split the data set brings with it, or None where the reader chooses one."""
        return None

    def seeded(self, seed: int) -> Self:
        """The same adapter with another draw of its split.

        Raises:
            ConfigError: This data set draws nothing.
        """
        raise ConfigError(f"data set {self.name!r} draws no split of its own; leave out the seed ({seed})")

    def load(self, folder: str | Path, store_path: str | Path, *, overwrite: bool = False) -> Store:
        """Reads the published files in `folder` and writes a store.

        Args:
            folder: Where the published files lie.
            store_path: Folder of the store to write.
            overwrite: Replace a store that is already there.

        Returns:
            The store, opened.
        """
        source = Path(folder)
        if not source.is_dir():
            raise DatasetError(f"{self.name}: no folder {source}. {self.how_to_get}")
        split = self.split()
        drawn = f" {split.rule}." if split else ""
        return build_store(
            store_path,
            self.tables(source),
            actions=self.actions,
            negative_actions=self.negative_actions,
            item_roles=self.item_roles,
            slate_rule=f"{self.slate_rule}{drawn} Order of reading: {self.tie_rule}.",
            tie_rule="input",
            dataset=self.dataset_name(source),
            config=split.to_config() if split else None,
            overwrite=overwrite,
        )

    def find(self, folder: Path, *names: str) -> Path:
        """The first of these files or globs that exists.

        Raises:
            DatasetError: None does.
        """
        found = self.find_all(folder, *names)
        if not found:
            raise DatasetError(f"{self.name}: {folder} has no {' or '.join(names)}. {self.how_to_get}")
        return found[0]

    def find_all(self, folder: Path, *names: str) -> list[Path]:
        """Every file that matches the first of these names or globs that matches anything."""
        for name in names:
            found = sorted(folder.glob(name))
            if found:
                return found
        return []

    def columns_of(self, file: Path) -> list[str]:
        """Column names of a CSV or Parquet file."""
        frame = pl.scan_parquet(file) if file.suffix == ".parquet" else pl.scan_csv(file)
        return frame.collect_schema().names()

    def read(self, files: Path | Sequence[Path], columns: Sequence[str], **csv: Any) -> pl.LazyFrame:
        """Some columns of a CSV (plain or gz) or Parquet file, or of several alike.

        Raises:
            TableError: A column is missing.
        """
        paths = [files] if isinstance(files, Path) else list(files)
        if paths[0].suffix == ".parquet":
            frame = pl.scan_parquet(paths)
        else:
            frame = pl.scan_csv(paths, infer_schema_length=10_000, **csv)
        there = frame.collect_schema().names()
        for column in columns:
            if column not in there:
                raise TableError(
                    f"the file lacks this column of the published layout; {did_you_mean(column, there)}",
                    table=paths[0].name,
                    column=column,
                    fix=self.how_to_get,
                )
        return frame.select(columns)


def hashed_order(frame: pl.DataFrame, *, time: bool = True, seed: int = 0) -> pl.DataFrame:
    """Rows by user, then time, then a hash of (seed, user, item): a fixed order that carries no information.

    Published files are often sorted by item id inside a second; keeping that order would let a model learn
    it.

    Args:
        frame: Rows with integer `user_id`, `item_id` and, unless `time` is False, `timestamp`.
        time: False: no times, the hash alone orders each user's rows.
        seed: Another seed gives another order.
    """
    user = frame["user_id"].to_numpy().astype(np.uint64)
    item = frame["item_id"].to_numpy().astype(np.uint64)
    tie = pl.Series("__tie", mix(mix(mix(user + np.uint64(seed)) ^ user) ^ item))
    keys = ["user_id", "timestamp", "__tie"] if time else ["user_id", "__tie"]
    return frame.with_columns(tie).sort(keys, maintain_order=True).drop("__tie")


def cut_sessions(
    frame: pl.DataFrame, gap_ms: int, *, within: Sequence[str] = (), most: int = 0
) -> pl.DataFrame:
    """Adds `request_id`: a new slate begins after a pause longer than `gap_ms`, or where `within` changes.

    Args:
        frame: Rows sorted by `user_id`, then `timestamp`.
        gap_ms: Longest pause inside a slate.
        within: Columns that may not change inside a slate.
        most: Longest slate; longer runs are cut into pieces of this size. 0 = no limit.
    """
    same_user = pl.col("user_id") == pl.col("user_id").shift(1)
    near = (pl.col("timestamp") - pl.col("timestamp").shift(1)) <= gap_ms
    same = same_user & near
    for column in within:
        same &= pl.col(column).eq_missing(pl.col(column).shift(1))
    numbered = frame.with_columns((~same.fill_null(False)).cast(pl.Int64).cum_sum().alias("request_id"))
    if most:
        piece = pl.int_range(pl.len()).over("request_id") // most
        numbered = numbered.with_columns(piece.alias("__piece")).with_columns(
            pl.struct("request_id", "__piece").rle_id().cast(pl.Int64).alias("request_id")
        )
        numbered = numbered.drop("__piece")
    return numbered


def pseudo_time(frame: pl.DataFrame) -> pl.DataFrame:
    """Adds `timestamp`: one day a position in each user's sequence, from 2000-01-01 UTC. Rows must be in
    order.
    """
    position = pl.int_range(pl.len(), dtype=pl.Int64).over("user_id")
    return frame.with_columns((PSEUDO_EPOCH_MS + position * DAY_MS).alias("timestamp"))


def star_actions(rating: str = "rating", *, least: float = 2.0) -> pl.Expr:
    """Star ratings as outcomes, each rarer than the one before: rate, like (>= 4), love (5); dislike (<=
    `least`).

    A dislike is the only action of its row, so the row is not positive: a film somebody hated is neither
    history nor target. Returns a list-of-text expression named `actions`.
    """
    stars = pl.col(rating)
    return (
        pl.when(stars <= least)
        .then(pl.lit(["dislike"]))
        .when(stars < 4)
        .then(pl.lit(["rate"]))
        .when(stars < 5)
        .then(pl.lit(["rate", "like"]))
        .otherwise(pl.lit(["rate", "like", "love"]))
        .alias("actions")
    )


def by_users(
    frame: pl.LazyFrame, user: str, files: Sequence[Path], part_bytes: int = 1 << 29
) -> Iterator[pl.DataFrame]:
    """The rows in parts that hold whole users, so that a big log is never in memory at once.

    Args:
        frame: Lazy rows.
        user: Integer user column.
        files: The files behind `frame`; their size says how many parts to make.
        part_bytes: Bytes of file a part.
    """
    parts = max(1, -(-sum(path.stat().st_size for path in files) // part_bytes))
    for part in range(parts):
        yield frame.filter(pl.col(user) % parts == part).collect(engine="streaming")
