"""Slate cases: the right slates, the right rows, a history that ends before them, no order to read."""

from __future__ import annotations

import numpy as np
import pytest

from bowerbird.evaluate.slates import slate_cases, training_slates
from bowerbird.tables.errors import ConfigError, WallError
from bowerbird.tables.view import TimeWall, View
from evaluate.slates.world import platform

WALL = 2_000_000


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return platform(tmp_path_factory.mktemp("cases"))


@pytest.fixture(scope="module")
def views(store):
    return View(store), View(store, TimeWall(WALL))


def by_hand(store, low, high, min_size=2):
    """request -> (user, first time, sorted [(item, actions, position)]) straight from the columns."""
    events, found = store.events, {}
    for row in range(len(events.time)):
        found.setdefault((int(events.user[row]), int(events.request[row])), []).append(row)
    slates = {}
    for (user, _), rows in found.items():
        first = int(events.time[rows].min())
        if low <= first < high and len(rows) >= min_size:
            members = sorted((int(events.item[r]), int(events.actions[r])) for r in rows)
            slates[user, first, tuple(members)] = min(rows)
    return slates


def test_every_slate_after_the_wall_with_all_its_rows(store, views):
    cases = slate_cases(*views)
    expected = by_hand(store, WALL, 10**12)
    found = {
        (
            int(cases.user[s]),
            int(cases.time[s]),
            tuple(
                sorted(
                    zip(
                        cases.item[cases.offsets[s] : cases.offsets[s + 1]].tolist(),
                        cases.actions[cases.offsets[s] : cases.offsets[s + 1]].tolist(),
                        strict=True,
                    )
                )
            ),
        )
        for s in range(len(cases))
    }
    assert found == set(expected) and len(found) == len(cases) > 20
    assert cases.n_rows == cases.sizes.sum() and (cases.actions == 0).any()
    assert (cases.earlier is views[1]) and "before 2000000 ms" in cases.protocol.walls
    together = len(cases) + len(slate_cases(views[1], views[1].narrow(0)))
    assert together == len(by_hand(store, 0, 10**12))


def test_histories_end_before_the_slate_and_its_first_millisecond(store, views):
    for gap in (0, 60_000):
        cases = slate_cases(*views, gap_ms=gap)
        events = store.events
        start = np.asarray(events.user_start)[cases.user]
        for s in range(len(cases)):
            before = [
                r
                for r in range(start[s], start[s] + int(events.user_count[cases.user[s]]))
                if events.time[r] < cases.time[s] - gap
            ]
            assert cases.history_end[s] == start[s] + len(before)
        history = cases.histories(50, positives_only=False)
        assert (np.where(history.mask, history.time, -1).max(axis=1) < cases.known_before).all()
        assert (cases.known_before == cases.time - gap).all()


def test_rows_are_shuffled_by_the_seed_and_carry_their_own_labels(views):
    first, same, other = slate_cases(*views), slate_cases(*views), slate_cases(*views, seed=1)
    assert (first.item == same.item).all() and not (first.item == other.item).all()
    for cases in (first, other):
        orders = np.concatenate([np.argsort(p) for p in np.split(cases.position, cases.offsets[1:-1])])
        identity = np.concatenate([np.arange(size) for size in cases.sizes])
        assert not (orders == identity).all()
    key = [np.lexsort((c.item, c.slate_of_row)) for c in (first, other)]
    assert (first.actions[key[0]] == other.actions[key[1]]).all()
    assert first.action_names == ["click", "save", "hide"]
    assert (first.labels == np.stack([(first.actions >> bit) & 1 for bit in range(3)], axis=1)).all()


def test_users_surfaces_size_and_history_choose_slates(views):
    cases = slate_cases(*views, min_size=1)
    known, new = slate_cases(*views, users="known"), slate_cases(*views, users="new")
    assert set(known.user) <= set(views[1].users) and not set(new.user) & set(views[1].users)
    assert len(known) + len(new) == len(slate_cases(*views)) < len(cases)
    assert len(new) == 0 or new.summary()["new_users"] == len(set(new.user))
    one = slate_cases(*views, surfaces=["s1"])
    assert set(views[0].surfaces.decode(one.surface)) == {"s1"}
    old = slate_cases(*views, min_history=5)
    assert (old.histories(9).lengths >= 5).all() and "fewer than 5" in " ".join(old.protocol.notes)
    few = slate_cases(*views, limit=7, seed=3)
    assert len(few) == 7 and "7 of" in few.protocol.notes[-1] and (np.diff(few.history_end) != 0).all()


def test_subsets_and_chunks_are_the_same_rows(views):
    cases = slate_cases(*views, min_size=1)
    parts = list(cases.chunks(7))
    assert all(part.n_rows <= 7 or len(part) == 1 for part in parts) and len(parts) > 5
    assert (np.concatenate([part.item for part in parts]) == cases.item).all()
    assert (np.concatenate([part.time for part in parts]) == cases.time).all()
    assert [len(part) for part in cases.chunks(1)] == [1] * len(cases)
    back = cases.subset(np.arange(len(cases))[::-1]).subset(slice(None, None, -1))
    assert (back.actions == cases.actions).all() and (back.offsets == cases.offsets).all()
    assert (cases.padded(cases.item, -1)[cases.mask] == cases.item).all()
    assert (cases.padded(cases.item, -1)[~cases.mask] == -1).all()
    empty = cases.subset(slice(0, 0))
    assert len(empty) == 0 and empty.summary()["rows"] == 0 and list(empty.chunks(5)) == []


def test_training_slates_stay_behind_the_wall(store, views):
    cases = training_slates(views[1])
    assert len(cases) == len(by_hand(store, 0, WALL, min_size=1)) and cases.earlier is None
    assert (cases.time < WALL).all() and cases.summary()["new_users"] == 0


def test_the_summary_counts_what_can_be_ranked(views):
    cases = slate_cases(*views)
    summary = cases.summary()
    for place, name in enumerate(cases.action_names):
        parts = np.split(cases.labels[:, place], cases.offsets[1:-1])
        assert summary["rankable_slates"][name] == sum(part.any() and not part.all() for part in parts)
        assert summary["rate"][name] == pytest.approx(cases.labels[:, place].mean())
    assert summary["rows_without_action"] == int((cases.actions == 0).sum())


def test_bad_requests_name_the_value(views):
    with pytest.raises(ConfigError, match="users='old'"):
        slate_cases(*views, users="old")
    with pytest.raises(ConfigError, match="min_size=0"):
        slate_cases(*views, min_size=0)
    with pytest.raises(WallError, match="gap_ms=-1"):
        slate_cases(*views, gap_ms=-1)
    with pytest.raises(WallError, match="no surface 'home'"):
        slate_cases(*views, surfaces=["home"])
    with pytest.raises(ConfigError, match="max_rows=0"):
        next(slate_cases(*views).chunks(0))
