"""Counts, known items, features, edges and lists: nothing past the wall."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bowerbird.tables.errors import WallError
from bowerbird.tables.store import UNKNOWN_TIME
from bowerbird.tables.view import LastOut, View

from .world import shown, world


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 3),
    wall=st.integers(0, 260),
    window=st.tuples(st.integers(0, 260), st.integers(0, 260)),
    action=st.sampled_from([None, 0, 1, 2]),
    positives=st.booleans(),
)
def test_item_counts_equal_brute_force(seed, wall, window, action, positives):
    store = world(seed)
    since, until = min(window), min(max(window), wall)
    counts = View(store, wall).item_counts(since=since, until=until, action=action, positives_only=positives)
    wanted = np.zeros(store.n_items, np.int64)
    for row in shown(store, wall):
        counted = row.actions >> action & 1 if action is not None else row.positive or not positives
        if since <= row.time < until and counted:
            wanted[row.item] += 1
    assert counts.tolist() == wanted.tolist()


def test_counting_past_the_wall_raises():
    view = View(world(0), 100)
    with pytest.raises(WallError, match=r"item_counts\(until=101 ms\) looks past the wall"):
        view.item_counts(until=101)
    with pytest.raises(WallError, match="action code 3 does not exist"):
        view.item_counts(action=3)
    with pytest.raises(WallError, match="a moment is needed"):
        view.item_counts(since=LastOut(1))
    assert View(world(0)).item_counts(until=10**6).sum() == View(world(0)).item_counts().sum()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 3), wall=st.integers(-1, 260))
def test_known_items_are_seen_or_made_before_the_wall(seed, wall):
    store = world(seed)
    seen = {row.item for row in shown(store, wall)}
    table = store.item_table
    known = View(store, wall).known_items()
    for item in range(store.n_items):
        made = table.has_row[item] and (table.created[item] == UNKNOWN_TIME or table.created[item] < wall)
        assert known[item] == (item in seen or made)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 3), wall=st.integers(-1, 260))
def test_items_made_later_have_no_features(seed, wall):
    store = world(seed)
    full, masked = store.item_table, View(store, wall).item_table()
    late = (full.created >= wall) & (full.created != UNKNOWN_TIME)
    assert masked.frame["item_id"].equals(full.frame["item_id"])
    features = [name for name in full.frame.columns if name != "item_id"]
    keep = pl.Series(~late)
    assert masked.frame.filter(keep).equals(full.frame.filter(keep))
    assert masked.frame.filter(~keep).select(pl.all_horizontal(pl.col(features).is_null()).all()).item()
    assert (masked.created[late] == UNKNOWN_TIME).all() and (masked.creator[late] == -1).all()
    assert not masked.has_row[late].any() and (masked.has_row[~late] == full.has_row[~late]).all()
    assert View(store).item_table() is full


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 3), wall=st.integers(-1, 260))
def test_edges_and_lists_are_dated_before_the_wall(seed, wall):
    store = world(seed)
    view = View(store, wall)
    links = store.table("links").collect()
    found = view.links().collect()
    assert sorted(found["target_id"]) == sorted(
        t
        for t, when in zip(links["target_id"], links["timestamp"], strict=True)
        if when is None or when < wall
    )
    assert view.links(undated=False).collect()["timestamp"].null_count() == 0
    assert set(view.links("same series").collect()["relation"]) <= {"same series"}
    lists = view.collections().collect()
    assert (lists["timestamp"] < wall).all() and lists.height == min(max(-(-wall // 6), 0), 40)


def test_side_tables_have_no_back_door_to_events_or_items():
    view = View(world(0), 100)
    with pytest.raises(WallError, match=r"view\.events"):
        view.table("events")
    with pytest.raises(WallError, match=r"view\.item_table"):
        view.table("items")
    assert view.table("users").collect().height == 14
    assert view.table("users", undated=False).collect().height == 0
