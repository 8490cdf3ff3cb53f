"""Equal seeds give equal bytes, however people are cut into chunks; the random streams behind it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from scipy import stats

from bowerbird.tables.simulate import SimulationConfig, Truth, simulate, stream
from bowerbird.tables.simulate.behaviour.randomness import (
    exponential,
    integer,
    normal,
    open_stream,
    pick,
    uniform,
)
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


def _stream(seed: int, person: int, purpose: int = 1) -> np.ndarray:
    state = np.zeros(1, np.uint64)
    open_stream(state, seed, person, purpose)
    return state


def _draws(draw: object, state: np.ndarray, *args: object) -> np.ndarray:
    return np.array([draw(state, *args) for _ in range(_N)])  # type: ignore[operator]


def test_equal_keys_give_equal_streams_and_others_do_not() -> None:
    first = _draws(uniform, _stream(5, 7))
    assert np.array_equal(first, _draws(uniform, _stream(5, 7)))
    for other in (_stream(6, 7), _stream(5, 8), _stream(5, 7, 2)):
        assert abs(np.corrcoef(first, _draws(uniform, other))[0, 1]) < 0.08


@pytest.mark.parametrize(
    ("draw", "args", "law"),
    [
        (uniform, (), stats.uniform()),
        (normal, (), stats.norm()),
        (exponential, (3.0,), stats.expon(scale=3.0)),
    ],
)
def test_draws_follow_their_law(draw: object, args: tuple[float, ...], law: object) -> None:
    sample = _draws(draw, _stream(1, 2), *args)
    assert stats.kstest(sample, law.cdf).pvalue > 1e-4  # type: ignore[attr-defined]


def test_people_next_to_each_other_have_independent_first_draws() -> None:
    firsts = np.array([uniform(_stream(0, person)) for person in range(_N)])
    assert stats.kstest(firsts, "uniform").pvalue > 1e-4
    assert abs(np.corrcoef(firsts[1:], firsts[:-1])[0, 1]) < 0.08


def test_integer_is_even_and_pick_follows_its_weights() -> None:
    counts = np.bincount(_draws(integer, _stream(3, 3), 8), minlength=8)
    assert stats.chisquare(counts).pvalue > 1e-4
    weights = np.array([1.0, 0.0, 3.0, 6.0, 99.0])
    chosen = np.bincount(_draws(pick, _stream(4, 4), weights, 4), minlength=5)
    assert chosen[1] == chosen[4] == 0
    assert stats.chisquare(chosen[[0, 2, 3]], _N * np.array([0.1, 0.3, 0.6])).pvalue > 1e-4
