"""One small simulated platform shared by the tests: 30 000 events, about 600 people, 970 items."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from bowerbird.tables.simulate import Truth, simulate
from bowerbird.tables.store import Store


@dataclass(frozen=True)
class World:
    """A simulated store, its truth, and all rows joined with what only the truth knows.

    rows: one row per event in stored order: user, item (dense), time, mask, position, surface, request_id,
    propensity, moment (null for spam), asked (time of the request).
    """

    store: Store
    truth: Truth
    rows: pl.DataFrame

    @property
    def ordinary(self) -> pl.DataFrame:
        """The rows of people who are not spam accounts."""
        return self.rows.filter(pl.col("moment").is_not_null())


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder: Path = tmp_path_factory.mktemp("simulated") / "store"
    store = simulate(folder, 30_000, seed=11)
    truth = Truth.open(folder)
    events = store.events
    shown = truth.propensities().collect()
    columns = {"user": events.user, "item": events.item, "time": events.time, "mask": events.actions}
    rows = pl.DataFrame({name: np.asarray(values) for name, values in columns.items()}).hstack(shown)
    asked = truth.requests().select("request_id", "surface", "moment", pl.col("timestamp").alias("asked"))
    rows = rows.join(asked.collect(), on="request_id", how="left", maintain_order="left")
    return World(store, truth, rows)
