"""Slates equal a brute-force grouping, are cut at the wall, and their histories end strictly before them."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bowerbird.tables.errors import WallError
from bowerbird.tables.view import View

from .world import Row, rows_of, world


def grouped(rows: list[Row]) -> dict[tuple[int, int], list[Row]]:
    slates: dict[tuple[int, int], list[Row]] = defaultdict(list)
    for row in rows:
        if row.request >= 0:
            slates[row.user, row.request].append(row)
    return {key: found for key, found in slates.items() if not found[0].surface.startswith("evaluation:")}


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 3), wall=st.integers(0, 260), gap=st.integers(0, 40))
def test_slates_equal_brute_force(seed, wall, gap):
    store = world(seed)
    wanted = grouped([r for r in rows_of(store) if r.time < wall])
    slates = View(store, wall).slates(gap_ms=gap)
    assert len(slates) == len(wanted)
    mine = defaultdict(list)
    for row in rows_of(store):
        mine[row.user].append(row)
    for number, slate in enumerate(slates):
        rows = wanted[slate.user, slate.request]
        assert slate.rows.tolist() == [r.row for r in rows]
        assert slate.items.tolist() == [r.item for r in rows]
        assert slate.actions.tolist() == [r.actions for r in rows]
        assert slate.time == rows[0].time == slates.time[number]
        before = [r.row for r in mine[slate.user] if r.time < slate.time - gap]
        first = int(store.events.user_start[slate.user])
        assert slate.history_end == first + len(before)
        union = 0
        for row in rows:
            union |= row.actions
        assert slates.actions[number] == union
        assert slates.size[number] == len(rows)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 3), wall=st.integers(0, 260), positives=st.booleans())
def test_a_history_never_holds_its_slate_or_anything_of_its_moment(seed, wall, positives):
    view = View(world(seed), wall)
    for batch in view.slates().batches(16):
        history = view.histories(batch.user, 500, end=batch.history_end, positives_only=positives)
        late = np.where(history.mask, history.time, -1) >= batch.time[:, None]
        assert not late.any()
        for b in range(len(batch)):
            assert not set(history.row[b, : history.lengths[b]]) & set(batch.row[b, : batch.sizes[b]])


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 3), walls=st.tuples(st.integers(0, 260), st.integers(0, 260)))
def test_slates_after_an_earlier_view_begin_past_its_wall(seed, walls):
    store = world(seed)
    early, late = View(store, min(walls)), View(store, max(walls))
    after = late.slates(after=early)
    wanted = {
        key
        for key, rows in grouped([r for r in rows_of(store) if r.time < max(walls)]).items()
        if rows[0].time >= min(walls)
    }
    assert {(s.user, s.request) for s in after} == wanted


def test_slates_of_one_surface():
    view = View(world(0))
    every, home = view.slates(), view.slates(surfaces=["home"])
    code = int(view.surfaces.encode(["home"])[0])
    assert 0 < len(home) < len(every)
    assert (home.surface == code).all() and len(home) == int((every.surface == code).sum())
    with pytest.raises(WallError, match=r"no surface 'cellar'.*home"):
        view.slates(surfaces=["cellar"])


def test_evaluation_slates_are_hidden_from_training():
    store = world(0)
    code = int(store.surfaces.encode(["evaluation:random"])[0])
    assert (View(store).slates().surface != code).all()
    assert (View(store).with_evaluation_rows().slates().surface == code).any()


def test_chosen_rows_of_a_batch():
    slates = View(world(0)).slates()
    numbers = np.flatnonzero(slates.size >= 3)[:4]
    keep = np.ones(int(slates.size[numbers].sum()), dtype=bool)
    keep[0] = False
    full, cut = slates.batch(numbers), slates.batch(numbers, choose=keep)
    assert cut.sizes[0] == full.sizes[0] - 1 and (cut.sizes[1:] == full.sizes[1:]).all()
    assert cut.row[0, : cut.sizes[0]].tolist() == full.row[0, 1 : full.sizes[0]].tolist()
    assert (cut.history_end == full.history_end).all()
