"""Trend tables equal the definition: decayed counts of rows strictly before the grid time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bowerbird.tables.errors import WallError
from bowerbird.tables.view import TrendTable, View

from .world import shown, world

HALF_LIVES = (7.0, 60.0)


def reference(store, wall: int, step: int, time: int, *, positives: bool = True) -> np.ndarray:
    grid = time // step * step
    values = np.zeros((store.n_items, len(HALF_LIVES)))
    for row in shown(store, wall):
        if row.time < grid and (row.positive or not positives):
            values[row.item] += [2.0 ** (-(grid - row.time) / h) for h in HALF_LIVES]
    return values


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 3),
    wall=st.integers(0, 260),
    step=st.integers(1, 60),
    time=st.integers(-20, 400),
    positives=st.booleans(),
)
def test_row_equals_the_definition(seed, wall, step, time, positives):
    store = world(seed)
    table = View(store, wall).trends(HALF_LIVES, step, positives_only=positives)
    found = table.row(time)
    assert found.dtype == np.float32 and found.shape == (store.n_items, 2)
    np.testing.assert_allclose(
        found, reference(store, wall, step, time, positives=positives), rtol=2e-6, atol=1e-9
    )


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 3), data=st.data())
def test_at_equals_row(seed, data):
    store = world(seed)
    table = View(store, 200).trends(HALF_LIVES, 9)
    times = np.array(data.draw(st.lists(st.integers(-5, 300), min_size=1, max_size=5)))
    items = np.array(
        [[data.draw(st.integers(-2, store.n_items + 1)) for _ in range(4)] for _ in times], dtype=np.int32
    )
    found = table.at(times, items)
    for r, time in enumerate(times):
        row = table.row(int(time))
        for k, item in enumerate(items[r]):
            wanted = row[item] if 0 <= item < store.n_items else np.zeros(2, np.float32)
            assert (found[r, k] == wanted).all()
    assert (table.at(times, items[:, 0]) == found[:, 0]).all()


def test_the_grid_step_of_an_event_does_not_count_it_but_the_next_does():
    table = TrendTable(
        [(np.array([0, 0], np.int32), np.array([100, 109]))], n_items=1, half_lives_ms=[10], step_ms=10
    )
    assert table.row(100)[0, 0] == table.row(109)[0, 0] == 0
    assert table.row(110)[0, 0] == pytest.approx(0.5 + 2**-0.1)
    assert table.row(120)[0, 0] == pytest.approx((0.5 + 2**-0.1) / 2)
    assert (table.grid_time(np.array([99, 100, 109, 110])) == [90, 100, 100, 110]).all()


def test_chunks_do_not_matter():
    rng = np.random.default_rng(0)
    item, time = rng.integers(0, 5, 3000).astype(np.int32), np.sort(rng.integers(0, 4000, 3000))
    parts = [(item[i : i + 100], time[i : i + 100]) for i in range(0, 3000, 100)]
    one = TrendTable([(item, time)], n_items=5, half_lives_ms=HALF_LIVES, step_ms=3)
    many = TrendTable(parts, n_items=5, half_lives_ms=HALF_LIVES, step_ms=3)
    np.testing.assert_allclose(one.row(4000), many.row(4000), rtol=1e-6)
    assert one.nbytes < 3000 * 30


def test_one_action_only():
    store = world(0)
    saves = View(store).trends([1e9], 1, action=1).row(10**4)[:, 0]
    np.testing.assert_allclose(saves, View(store).item_counts(action=1), rtol=1e-4)


@pytest.mark.parametrize(("half_lives", "step"), [([], 10), ([0], 10), ([5], 0)])
def test_senseless_settings_raise(half_lives, step):
    with pytest.raises(WallError, match="trends"):
        View(world(0)).trends(half_lives, step)
