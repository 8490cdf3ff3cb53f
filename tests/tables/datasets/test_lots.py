"""Splits by lot: exact shares, a draw that depends on nothing but its keys, and walls that show exactly one part."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bowerbird.tables.datasets import dataset
from bowerbird.tables.datasets.base import DAY_MS, PSEUDO_EPOCH_MS
from bowerbird.tables.datasets.lots import TEST, TRAIN, VALID, dated, draw, parts_of
from bowerbird.tables.errors import ConfigError, TableError
from bowerbird.tables.store import build_store
from bowerbird.tables.view import given_split

PAIRS = st.sets(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=200)


def frame(pairs) -> pl.DataFrame:
    return pl.DataFrame(pairs, schema={"user_id": pl.Int64, "item_id": pl.Int64}, orient="row")


@settings(max_examples=40)
@given(pairs=PAIRS, seed=st.integers(0, 2**31), valid=st.floats(0, 0.5), test=st.floats(0, 0.5))
def test_shares_are_exact_and_the_draw_ignores_the_order_of_the_rows(pairs, seed, valid, test):
    rows = frame(sorted(pairs))
    turned = rows.reverse()
    parts = parts_of(draw(rows, ("user_id", "item_id"), seed), valid, test)
    assert (parts == TEST).sum() == round(test * len(pairs))
    assert (parts == VALID).sum() == min(round(valid * len(pairs)), len(pairs) - (parts == TEST).sum())
    again = parts_of(draw(turned, ("user_id", "item_id"), seed), valid, test)
    assert np.array_equal(again[::-1], parts)


def test_lots_differ_by_seed_and_are_spread_evenly():
    rows = frame([(u, i) for u in range(100) for i in range(100)])
    first, second = (draw(rows, ("user_id", "item_id"), seed) for seed in (0, 1))
    assert not (first == second).any() and len(np.unique(first)) == len(first)
    both = np.mean((parts_of(first, 0, 0.2) == TEST) & (parts_of(second, 0, 0.2) == TEST))
    assert 0.03 < both < 0.05  # independent draws meet in 4 %
    test = parts_of(first, 0, 0.2).reshape(100, 100) == TEST
    assert test.mean(axis=0).std() < 0.06 and test.mean(axis=1).std() < 0.06  # binomial: .04


@settings(max_examples=40)
@given(pairs=PAIRS.filter(bool), seed=st.integers(0, 9))
def test_every_part_has_its_day_and_every_row_of_a_user_its_second(pairs, seed):
    rows = frame(sorted(pairs)).with_columns(
        pl.Series("part", [sum(p) % 3 for p in sorted(pairs)], dtype=pl.Int8)
    )
    found = dated(rows, PSEUDO_EPOCH_MS, seed)
    assert set(found.select("user_id", "item_id").iter_rows()) == pairs
    assert ((found["timestamp"] - PSEUDO_EPOCH_MS) // DAY_MS).to_list() == found["part"].to_list()
    for _, mine in found.group_by("user_id", "part"):
        seconds = (mine["timestamp"] - PSEUDO_EPOCH_MS) % DAY_MS
        assert sorted(seconds) == [1000 * place for place in range(len(mine))]
    assert dated(rows.reverse(), PSEUDO_EPOCH_MS, seed).equals(found)


def test_the_order_inside_a_day_is_not_by_item():
    rows = frame([(u, i) for u in range(50) for i in range(40)]).with_columns(
        pl.lit(TRAIN, pl.Int8).alias("part")
    )
    found = dated(rows, 0, 0)
    rising = found.filter(pl.col("user_id") == pl.col("user_id").shift(1)).height
    up = (found["item_id"].diff() > 0) & (found["user_id"].diff() == 0)
    assert 0.45 < up.sum() / rising < 0.55


def test_more_rows_than_a_day_has_seconds_are_refused():
    rows = frame([(7, i) for i in range(86_401)]).with_columns(pl.lit(TRAIN, pl.Int8).alias("part"))
    with pytest.raises(TableError, match=r"user_id.*86,400"):
        dated(rows, 0, 0)


def test_a_seed_needs_an_adapter_that_draws(tmp_path):
    with pytest.raises(ConfigError, match="'movielens' draws no split"):
        dataset("movielens").seeded(3)
    with pytest.raises(ConfigError, match="seed -1 is negative"):
        dataset("citeulike").seeded(-1)
    assert dataset("citeulike").seeded(5).seed == 5  # type: ignore[attr-defined]
    assert "seed 5" in dataset("citeulike-cold").seeded(5).split().rule


def test_a_store_without_a_split_of_its_own_says_so(tmp_path):
    rows = frame([(1, 2)]).with_columns(timestamp=pl.lit(1))
    with pytest.raises(ConfigError, match=r"brings no split.*time_split"):
        given_split(build_store(tmp_path / "s", {"events": rows}))
