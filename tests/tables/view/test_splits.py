"""Splits never overlap, cover everything, and say how they were cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bowerbird.tables.errors import ConfigError, WallError
from bowerbird.tables.view import Split, TimeWall, View, WithoutUsers, leave_last_out, time_split, user_split

from .world import shown, world


def parts(split: Split) -> tuple[set[int], set[int], set[int]]:
    return (
        set(split.train.events.row.tolist()),
        set(split.valid.held_out(split.train).row.tolist()),
        set(split.test.held_out(split.valid).row.tolist()),
    )


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 3), valid=st.floats(0.05, 0.4), test=st.floats(0.05, 0.4))
def test_time_split_parts_are_disjoint_complete_and_in_order(seed, valid, test):
    store = world(seed)
    split = time_split(store, valid, test)
    train, middle, last = parts(split)
    assert not train & middle and not train & last and not middle & last
    every = shown(store)
    assert train | middle | last == {r.row for r in every}
    time = {r.row: r.time for r in every}
    assert max(time[r] for r in train) < min(time[r] for r in middle)
    assert max(time[r] for r in middle) < min(time[r] for r in last)
    # Ties go to the later part, so a part may only be larger than asked by rows of one moment.
    most = max(np.bincount([r.time for r in every]))
    assert abs(len(last) - test * len(every)) <= most + 1


def test_time_split_at_given_moments():
    split = time_split(world(0), valid_from=100, test_from=150, until=200)
    assert split.train.end_time == 100 and split.valid.end_time == 150 and split.test.end_time == 200
    assert "train before 100 ms" in split.description and "twenty ticks" in split.description
    assert "equal timestamps" in split.description


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"valid_fraction": 0.0}, "above"),
        ({"valid_fraction": 0.5, "test_fraction": 0.5}, "above"),
        ({"valid_from": 100}, "both"),
        ({"valid_from": 150, "test_from": 100}, "exchange"),
        ({"valid_from": 100, "test_from": 10_000}, "no events in test"),
        ({"until": -1}, "too few"),
    ],
)
def test_senseless_splits_raise(settings_, message):
    with pytest.raises(ConfigError, match=message):
        time_split(world(0), **settings_)


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 3))
def test_leave_last_out_holds_one_positive_a_user(seed):
    store = world(seed)
    split = leave_last_out(store)
    train, middle, last = parts(split)
    assert not train & middle and not train & last and not middle & last
    for user in range(store.n_users):
        positives = [r.row for r in shown(store) if r.user == user and r.positive]
        assert [r for r in positives if r in last] == positives[-1:]
        assert [r for r in positives if r in middle] == positives[-2:-1]
        assert [r for r in positives if r in train] == positives[:-2]
    assert "not leak-free" in split.description


def test_leave_last_out_without_enough_events_raises(tmp_path):
    import polars as pl

    from bowerbird.tables.store import build_store

    events = pl.DataFrame(
        {"user_id": [1, 1], "item_id": [1, 2], "timestamp": [1, 2], "actions": [["a"], ["a"]]}
    )
    store = build_store(tmp_path / "s", {"events": events})
    with pytest.raises(ConfigError, match="three positive events"):
        leave_last_out(store)


def test_validation_items_are_in_the_test_history():
    split = time_split(world(0), 0.2, 0.2)
    held = split.test.held_out(split.valid)
    users, first = np.unique(held.user, return_index=True)
    batch = split.test.histories(users, 1000, end=held.row[first], positives_only=False)
    before = split.valid.histories(users, 1000, positives_only=False)
    assert (batch.lengths == before.lengths).all() and (batch.row == before.row).all()
    assert isinstance(split.test, View)


def test_hidden_users_leave_no_trace_before_the_test():
    store = world(0)
    split, whole = user_split(store, 0.4, seed=3), time_split(store)
    hidden = WithoutUsers(0.4, 3).hides(store.n_users)
    assert 0 < hidden.sum() < store.n_users
    for part, uncut in ((split.train, whole.train), (split.valid, whole.valid)):
        assert part.events.row.tolist() == [
            r for r, u in zip(uncut.events.row, uncut.events.user, strict=True) if not hidden[u]
        ]
        assert not hidden[part.users].any()
        for name in ("users", "collections"):
            users = part.table(name).collect()["user"].drop_nulls().to_numpy()
            assert len(users) and not hidden[users].any()
        assert part.with_all_users().events.row.tolist() == uncut.events.row.tolist()
        assert part.end_time == uncut.end_time
    assert split.test.events.row.tolist() == whole.test.events.row.tolist()
    assert f"{int(hidden.sum())} are hidden" in split.description and "seed 3" in split.train.wall
    narrower = split.valid.narrow(TimeWall(50))
    assert not hidden[narrower.users].any() and narrower.events.time.max() < 50


def test_who_is_hidden_does_not_depend_on_how_many_there_are():
    wall = WithoutUsers(0.1, 1)
    few, many = wall.hides(1000), wall.hides(100_000)
    assert (few == many[:1000]).all() and abs(many.mean() - 0.1) < 0.005
    assert (WithoutUsers(0.1, 2).hides(1000) != few).any()
    with pytest.raises(WallError, match="between 0 and 1"):
        WithoutUsers(1.0)
