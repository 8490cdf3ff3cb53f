"""Histories equal a brute-force reading of the rows, and never pass the wall."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bowerbird.tables.errors import WallError
from bowerbird.tables.view import LastOut, View

from .world import Row, rows_of, shown, world

walls = st.integers(-5, 260)
seeds = st.integers(0, 3)


def expected(rows: list[Row], length: int) -> list[Row]:
    return rows[max(len(rows) - length, 0) :]


@settings(max_examples=60, deadline=None)
@given(seed=seeds, wall=walls, length=st.integers(0, 25), positives=st.booleans(), data=st.data())
def test_history_is_the_last_qualifying_rows_before_the_end(seed, wall, length, positives, data):
    store = world(seed)
    view = View(store, wall)
    users = np.array(
        data.draw(st.lists(st.integers(0, store.n_users - 1), min_size=1, max_size=8)), dtype=np.int32
    )
    times = data.draw(st.lists(st.integers(-5, 260), min_size=len(users), max_size=len(users)))
    end = view.rows_before(users, np.array(times))
    batch = view.histories(users, length, end=end, positives_only=positives)
    visible = shown(store, wall)
    for b, (user, time) in enumerate(zip(users, times, strict=True)):
        mine = [r for r in visible if r.user == user and r.time < time and (r.positive or not positives)]
        wanted = expected(mine, length)
        n = int(batch.lengths[b])
        assert n == len(wanted)
        assert batch.row[b, :n].tolist() == [r.row for r in wanted]
        assert batch.item[b, :n].tolist() == [r.item for r in wanted]
        assert batch.time[b, :n].tolist() == [r.time for r in wanted]
        assert batch.actions[b, :n].tolist() == [r.actions for r in wanted]
        assert batch.request[b, :n].tolist() == [r.request for r in wanted]
        assert (batch.row[b, n:] == -1).all() and (batch.item[b, n:] == 0).all()
    assert (batch.mask.sum(axis=1) == batch.lengths).all()
    if len(users) == len(set(users.tolist())):
        sizes = view.history_sizes(users, end, positives_only=positives)
        assert (batch.lengths == np.minimum(sizes, length)).all()


@settings(max_examples=30, deadline=None)
@given(seed=seeds, wall=walls, mask=st.integers(1, 7))
def test_history_of_chosen_actions(seed, wall, mask):
    store = world(seed)
    view = View(store, wall)
    users = np.arange(store.n_users, dtype=np.int32)
    batch = view.histories(users, 500, actions=mask)
    for user in users:
        wanted = [r.row for r in shown(store, wall) if r.user == user and r.actions & mask]
        assert batch.row[user, : batch.lengths[user]].tolist() == wanted


@settings(max_examples=30, deadline=None)
@given(seed=seeds, k=st.integers(1, 9))
def test_last_out_hides_the_last_k_positives_and_all_after_them(seed, k):
    store = world(seed)
    view = View(store, LastOut(k))
    start = np.asarray(store.events.user_start)
    for user in range(store.n_users):
        mine = [r for r in rows_of(store) if r.user == user]
        positives = [r for r in mine if r.positive and not r.surface.startswith("evaluation:")]
        wanted = positives[-k].row - start[user] if len(positives) >= k else 0
        assert view.visible[user] == wanted


def test_evaluation_rows_are_seen_only_when_asked_for():
    store = world(0)
    hidden = {r.row for r in rows_of(store) if r.surface.startswith("evaluation:")}
    view = View(store)
    assert hidden and not hidden & set(view.events.row.tolist())
    assert hidden <= set(view.with_evaluation_rows().events.row.tolist())
    assert view.with_evaluation_rows().wall == view.wall


def test_an_end_past_the_wall_raises_and_says_what_to_do():
    view = View(world(0), 120)
    start, end = view.user_rows(view.users[:1])
    assert len(view.histories(view.users[:1], 5, end=end)) == 1
    with pytest.raises(WallError, match=rf"user {view.users[0]}, end=row {end[0] + 1}.*before 120 ms.*Fix: "):
        view.histories(view.users[:1], 5, end=end + 1)
    with pytest.raises(WallError, match="before the rows"):
        view.histories(view.users[:1], 5, end=start - 1)
    with pytest.raises(WallError, match="one end each"):
        view.histories(view.users[:2], 5, end=end)


def test_unknown_users_raise():
    view = View(world(0))
    with pytest.raises(WallError, match="user -1 is not a dense id"):
        view.histories(view.user_ids.encode(["nobody"]), 5)
    with pytest.raises(WallError, match="dense integer ids"):
        view.histories(np.array([0.5]), 5)


def test_take_refuses_rows_past_the_wall():
    store = world(0)
    view = View(store, 120)
    late = next(r.row for r in rows_of(store) if r.time >= 120)
    assert (view.take(view.events.row).time < 120).all()
    for bad in (late, -1, len(store.events)):
        with pytest.raises(WallError, match=rf"take\(row {bad}\)"):
            view.take(np.array([0 if view.visible[store.events.user[0]] else view.events.row[0], bad]))
