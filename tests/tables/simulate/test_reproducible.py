"""Equal seeds give equal bytes, however the people are cut into chunks; chunks are bounded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from bowerbird.tables.simulate import SimulationConfig, Truth, simulate, stream
from bowerbird.tables.simulate.platform import build_platform

_N = 4_000


def _tables(**knobs: object) -> dict[str, pl.DataFrame]:
    chunks: dict[str, list[pl.DataFrame]] = {}
    for tables in stream(_N, **knobs):  # type: ignore[arg-type]
        for name, frame in tables.items():
            chunks.setdefault(name, []).append(frame)
    return {name: pl.concat(frames) for name, frames in chunks.items()}


def test_the_cut_into_chunks_changes_nothing() -> None:
    whole, cut = _tables(seed=1), _tables(seed=1, chunk_rows=150)
    assert set(whole) == {"items", "users", "events", "collections", "links", "labels"}
    for name in whole:
        assert_frame_equal(whole[name], cut[name])


def test_another_seed_is_another_platform() -> None:
    one, two = _tables(seed=1), _tables(seed=2)
    assert one["events"]["item_id"].to_list() != two["events"]["item_id"].to_list()
    assert one["items"]["title"].to_list() != two["items"]["title"].to_list()


def test_stores_of_one_seed_are_equal_and_so_is_their_truth(tmp_path: Path) -> None:
    one = simulate(tmp_path / "one", _N, seed=9)
    two = simulate(tmp_path / "two", _N, seed=9, chunk_rows=500)
    assert one.manifest.content_hash == two.manifest.content_hash
    first, second = Truth.open(tmp_path / "one"), Truth.open(tmp_path / "two")
    assert np.array_equal(first.people, second.people)
    assert np.array_equal(first.choice.bias, second.choice.bias)
    assert_frame_equal(first.requests().collect(), second.requests().collect())
    assert_frame_equal(first.propensities().collect(), second.propensities().collect())
    assert simulate(tmp_path / "three", _N, seed=10).manifest.content_hash != one.manifest.content_hash


@pytest.mark.parametrize("n_events", [1_000, 7_777])
def test_the_number_of_events_is_met_exactly(n_events: int) -> None:
    assert sum(tables["events"].height for tables in stream(n_events) if "events" in tables) == n_events


def test_a_chunk_is_bounded_unless_one_person_fills_it() -> None:
    busiest = int(build_platform(SimulationConfig(_N)).quota.max())
    for tables in stream(_N, chunk_rows=100):
        if "events" in tables:
            assert tables["events"].height <= max(100, busiest)
            assert tables["events"].height <= 100 or tables["users"].height == 1


def test_a_person_is_the_same_alone_and_in_company() -> None:
    platform = build_platform(SimulationConfig(_N))
    company = platform.people(np.arange(40))
    rows = platform.run(company).rows
    for number in (3, 17, 39):
        alone = platform.people(np.array([number]))
        assert np.array_equal(company[number : number + 1], alone)
        theirs, lone = rows[rows["person"] == number], platform.run(alone).rows
        for name in ("item", "time", "actions", "propensity"):
            assert np.array_equal(theirs[name], lone[name], equal_nan=name == "propensity")
