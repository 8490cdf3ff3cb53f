"""Splits by lot, for data without times: a seeded draw says what trains, and made-up days put it on its side of a wall.

A wall in time cannot cut a log that has no times. So the adapter draws the split itself and dates each part: training
rows get one made-up day, validation rows the next, test rows the one after. A `View` with its wall at one of the two
midnights then shows exactly the rows on this side of the draw, in `events` and in `collections` alike, and everything
else in the project (histories, counts, graphs, leak audits) works as it does on a log with times. Inside a day a user's
rows stand one second apart in an order fixed by a hash: the data have no order, and none is learnt.

Shape letter: N rows.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bowerbird.tables.datasets.base import DAY_MS, PSEUDO_EPOCH_MS, DatasetAdapter, hashed_order
from bowerbird.tables.errors import ConfigError, TableError
from bowerbird.tables.given import GivenSplit
from bowerbird.tables.store.keys import mix

TRAIN, VALID, TEST = 0, 1, 2
SECOND_MS = 1000
_MOST_A_DAY = DAY_MS // SECOND_MS


class LotAdapter(DatasetAdapter):
    """An adapter that draws its own split.

    Args:
        seed: Of the draw; another seed gives another split of the same rows.

    Attributes:
        drawn: What one lot decides about, as the report says it ("saves", "articles").
        valid_share, test_share: Parts of what is drawn, exact up to rounding.
        first_day_ms: The made-up day of the training rows, ms UTC.
        ends: Whether the test ends with its day (True where rows of no part lie after it).
    """

    drawn: ClassVar[str]
    valid_share: ClassVar[float] = 0.1
    test_share: ClassVar[float] = 0.2
    first_day_ms: ClassVar[int] = PSEUDO_EPOCH_MS
    ends: ClassVar[bool] = False

    def __init__(self, seed: int = 0) -> None:
        if seed < 0:
            raise ConfigError(f"{self.name}: seed {seed} is negative; choose 0 or more")
        self.seed = seed

    def seeded(self, seed: int) -> Self:
        """The same adapter with another draw."""
        return type(self)(seed)

    def split(self) -> GivenSplit:
        """Where a wall must stand to see one part, with the rule in words."""
        days = [self.first_day_ms + part * DAY_MS for part in (TRAIN, VALID, TEST)]
        train, valid, test = (datetime.fromtimestamp(day / 1000, UTC).date().isoformat() for day in days)
        kept = 1 - self.test_share
        rule = (
            f"Split by lot, seed {self.seed}: {self.test_share:.0%} of the {self.drawn} test and "
            f"{self.valid_share:.0%} validate; the {kept:.0%} that do not test train once validation is over. Days are "
            f"made up (training {train}, validation {valid}, test {test}), and so is the order inside a day"
        )
        until = days[TEST] + DAY_MS if self.ends else None
        return GivenSplit(
            rule=rule, valid_from=days[VALID], test_from=days[TEST], until=until, seed=self.seed
        )


def draw(frame: pl.DataFrame, columns: tuple[str, ...], seed: int) -> NDArray[np.uint64]:
    """The lot of each row: a hash of the seed and some integer columns, uint64 (N,)."""
    lots = mix(np.full(frame.height, seed, dtype=np.uint64) ^ np.uint64(0x5EED))
    for column in columns:
        lots = mix(lots ^ mix(frame[column].cast(pl.Int64).to_numpy().astype(np.uint64)))
    return lots


def parts_of(lots: NDArray[np.uint64], valid_share: float, test_share: float) -> NDArray[np.int8]:
    """Which part each row belongs to: the smallest lots test, the next ones validate.

    Args:
        lots: uint64 (N,).
        valid_share, test_share: Parts of the rows; the counts are rounded to whole rows.

    Returns:
        int8 (N,): `TRAIN`, `VALID` or `TEST`.
    """
    order = np.argsort(lots, kind="stable")
    n_test, n_valid = round(test_share * len(lots)), round(valid_share * len(lots))
    parts = np.full(len(lots), TRAIN, dtype=np.int8)
    parts[order[:n_test]] = TEST
    parts[order[n_test : n_test + n_valid]] = VALID
    return parts


def dated(frame: pl.DataFrame, first_day_ms: int, seed: int) -> pl.DataFrame:
    """Adds `timestamp`: the day of each row's part, a second for each place in the user's hashed order.

    Args:
        frame: Rows with integer `user_id`, `item_id`, each pair once, and `part`.
        first_day_ms: The day of part 0; part k has the k-th day after it.
        seed: Of the order inside a day.

    Returns:
        The rows by user, then time.

    Raises:
        TableError: A user has more rows in one part than a day has seconds.
    """
    rows = hashed_order(frame, time=False, seed=seed)
    place = pl.int_range(pl.len(), dtype=pl.Int64).over("user_id", "part")
    rows = rows.with_columns(place.alias("__place"))
    if rows.height and int(rows["__place"].max()) >= _MOST_A_DAY:  # type: ignore[arg-type]
        crowded = rows.filter(pl.col("__place") >= _MOST_A_DAY)["user_id"][0]
        raise TableError(
            f"a user has more than {_MOST_A_DAY:,} rows, more than a made-up day has seconds",
            table="events",
            column="user_id",
            value=crowded,
            fix="leave this user out",
        )
    time = first_day_ms + pl.col("part").cast(pl.Int64) * DAY_MS + pl.col("__place") * SECOND_MS
    rows = rows.with_columns(time.alias("timestamp")).drop("__place")
    return rows.sort("user_id", "timestamp", maintain_order=True)
