"""Walls: where they may stand, what a view shows of them, and that none can be climbed."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bowerbird.tables.errors import WallError
from bowerbird.tables.store import Store
from bowerbird.tables.store.columns import EventColumns
from bowerbird.tables.view import LastOut, TimeWall, View
from bowerbird.tables.view.walls import as_wall

from .world import rows_of, shown, world

wall = st.one_of(st.integers(-5, 260).map(TimeWall), st.integers(1, 6).map(LastOut))


def test_moments_in_every_notation_are_one_wall():
    noon = datetime(2018, 5, 1, tzinfo=UTC)
    ways = [
        1525132800000,
        np.int64(1525132800000),
        noon,
        date(2018, 5, 1),
        "2018-05-01",
        "2018-05-01T02:00+02:00",
    ]
    assert {as_wall(way) for way in ways} == {TimeWall(1525132800000)}
    assert str(TimeWall(1525132800000)) == "before 2018-05-01 00:00:00 UTC"


@pytest.mark.parametrize("moment", [datetime(2018, 5, 1), "last week", True, 1.5])
def test_an_unreadable_moment_raises_with_a_fix(moment):
    with pytest.raises(WallError, match="Fix: "):
        View(world(0), moment)


def test_last_out_needs_at_least_one():
    with pytest.raises(WallError, match="at least 1"):
        LastOut(0)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 3), before=st.integers(-5, 260))
def test_a_time_wall_shows_exactly_the_earlier_rows(seed, before):
    store = world(seed)
    view = View(store, before)
    rows = shown(store, before)
    events = view.events
    assert sorted(events.row.tolist()) == [r.row for r in sorted(rows, key=lambda r: r.row)]
    assert view.n_events == len(events) == len(rows)
    assert view.users.tolist() == sorted({r.user for r in rows})
    assert view.end_time == before
    assert view.visible.sum() == sum(r.time < before for r in rows_of(store))
    by_chunk = [chunk.row for chunk in events.chunks(37)]
    assert np.concatenate([*by_chunk, np.empty(0, np.int64)]).tolist() == events.row.tolist()
    positives = {r.row for r in rows if r.positive}
    assert set(view.positives.row.tolist()) == positives


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 3), steps=st.lists(wall, min_size=1, max_size=4))
def test_narrowing_never_shows_more(seed, steps):
    view = View(world(seed))
    for step in steps:
        try:
            narrower = view.narrow(step)
        except WallError:
            later = isinstance(step, TimeWall) and step.before > view.end_time
            weaker = isinstance(step, LastOut) and isinstance(view._walls[-1], LastOut)
            outer = any(isinstance(w, TimeWall) and isinstance(step, TimeWall) for w in view._walls)
            assert later or weaker or outer
            continue
        assert (narrower.visible <= view.visible).all()
        assert narrower.end_time <= view.end_time or view.wall == "no wall"
        view = narrower


def test_narrowing_outwards_raises():
    view = View(world(0), 100)
    with pytest.raises(WallError, match=r"narrow\(before 101 ms\) looks past the wall .*before 100 ms.*Fix"):
        view.narrow(101)
    with pytest.raises(WallError, match="hold out at least 2"):
        View(world(0), LastOut(2)).narrow(LastOut(1))
    assert view.narrow(100).n_events == view.n_events


def test_last_out_after_a_time_wall_holds_out_what_that_wall_shows():
    store = world(0)
    view = View(store, 100).narrow(LastOut(1))
    for user in range(store.n_users):
        mine = [r for r in shown(store, 100) if r.user == user and r.positive]
        expected = mine[-1].row - store.events.user_start[user] if mine else 0
        assert view.visible[user] == expected


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 3), walls=st.tuples(st.integers(0, 260), st.integers(0, 260)))
def test_held_out_is_exactly_the_rows_between_two_walls(seed, walls):
    store = world(seed)
    early, late = View(store, min(walls)), View(store, max(walls))
    held = late.held_out(early)
    wanted = [r for r in shown(store, max(walls)) if r.time >= min(walls)]
    assert held.row.tolist() == [r.row for r in wanted]
    assert held.item.tolist() == [r.item for r in wanted]
    assert held.positive.tolist() == [r.positive for r in wanted]
    assert len(held) + early.n_events == late.n_events
    assert len(early.held_out(early)) == 0


def test_held_out_the_wrong_way_round_or_across_stores_raises():
    early, late = View(world(0), 100), View(world(0), 200)
    with pytest.raises(WallError, match=r"shows rows of user .* past the wall"):
        early.held_out(late)
    with pytest.raises(WallError, match="two views of one"):
        late.held_out(View(world(1), 100))
    with pytest.raises(WallError, match="two views of one"):
        late.slates(after=View(world(1), 100))


def test_no_public_attribute_leads_to_the_store_or_its_columns():
    view = View(world(0), 100)
    for name in dir(view):
        if not name.startswith("_"):
            assert not isinstance(getattr(view, name), Store | EventColumns), name
    for name in dir(view.events):
        if not name.startswith("_"):
            assert not isinstance(getattr(view.events, name), Store | EventColumns), name


def test_the_wall_cannot_be_moved_by_writing_to_it():
    view = View(world(0), 100)
    with pytest.raises(ValueError, match="read-only"):
        view.visible[0] = 999
    with pytest.raises(AttributeError):
        view.visible = np.zeros(1)


def test_fingerprint_names_data_and_wall():
    view = View(world(0), 100)
    facts = view.fingerprint
    assert facts["content_hash"] == world(0).manifest.content_hash
    assert facts["wall"] == "before 100 ms" and facts["events"] == view.n_events
    assert facts != View(world(0), 101).fingerprint != View(world(1), 101).fingerprint


def test_events_refuse_unknown_columns_and_empty_chunks():
    events = View(world(0), 100).events
    with pytest.raises(AttributeError, match="no column 'price'"):
        events.price  # noqa: B018
    with pytest.raises(WallError, match="at least 1"):
        list(events.chunks(0))


def test_an_empty_view_answers_with_nothing():
    view = View(world(0), -1)
    assert view.n_events == 0 and len(view.users) == 0 and len(view.slates()) == 0
    assert view.item_counts().sum() == 0
    assert view.histories(np.arange(3), 4).lengths.tolist() == [0, 0, 0]
    assert (view.trends([10], 5).row(100) == 0).all()
