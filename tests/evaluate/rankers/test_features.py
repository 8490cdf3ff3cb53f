"""Features: every count and moment checked against a slow, obvious computation over the rows."""

from __future__ import annotations

import numpy as np
import pytest

from bowerbird.evaluate.rankers.content import Bag
from bowerbird.evaluate.rankers.features import HOUR_MS, WINDOW_MS, Features
from bowerbird.evaluate.slates import slate_cases, training_slates
from bowerbird.tables.view import TimeWall, View
from bowerbird.tables.view.counts import NEVER, STRENGTH, EventLog, KeyedCounts
from evaluate.slates.world import platform

WALL = 1_800_000


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return platform(tmp_path_factory.mktemp("features"), n_slates=90, n_users=12, n_items=14)


@pytest.fixture(scope="module")
def views(store):
    return View(store), View(store, TimeWall(WALL))


class Slow:
    """Counts by looking at every row for every question."""

    def __init__(self, store, cases):
        self.events, self.cases = store.events, cases
        self.table = cases.view.item_table()

    def rows(self, r, same, *, own, since=None):
        cases, events = self.cases, self.events
        slate = cases.slate_of_row[r]
        until = cases.known_before[slate]
        wall = WALL if not cases.live and not own else 2**60
        return [
            n
            for n in range(len(events.time))
            if events.time[n] < min(until, wall)
            and (since is None or events.time[n] >= until - since)
            and (not own or events.user[n] == cases.user[slate])
            and same(n)
        ]

    def rate(self, found, prior, c, strength=STRENGTH):
        done = sum(int(self.events.actions[n]) >> c & 1 for n in found)
        return (done + strength * prior) / (len(found) + strength)

    def overall(self, r, c):
        found = self.rows(r, lambda n: True, own=False)
        return (sum(int(self.events.actions[n]) >> c & 1 for n in found) + 0.5) / (len(found) + 1)

    def codes(self, name, item):
        if name == "creator":
            return {int(self.table.creator[item])} - {-1}
        value = self.table.frame[name][int(item)]
        return set(value) if name == "tags" else {value}


@pytest.mark.parametrize(("live", "gap"), [(True, 0), (False, 0), (True, 40_000)])
def test_features_are_what_had_been_counted_before_the_slate(store, views, live, gap):
    cases = slate_cases(*views, live=live, gap_ms=gap, min_size=1).sample(14, 0)
    table = Features(views[1])(cases)
    values = {name: table.values[:, place] for place, name in enumerate(table.names)}
    slow, events = Slow(store, cases), store.events
    assert len(values) == len(table.names)
    for r in range(cases.n_rows):
        slate, item = cases.slate_of_row[r], cases.item[r]
        time, user = cases.time[slate], cases.user[slate]
        overall = [slow.overall(r, c) for c in range(3)]
        mine = slow.rows(r, lambda n: True, own=True)
        habits = [slow.rate(mine, overall[c], c) for c in range(3)]

        def check(name, found, prior, *, last=True, time=time, r=r):
            assert values[f"{name}: rows"][r] == pytest.approx(np.log1p(len(found)), rel=1e-5)
            for c, action in enumerate(cases.action_names):
                expected = slow.rate(found, prior[c], c)
                assert values[f"{name}: rate of {action}"][r] == pytest.approx(expected, rel=1e-4)
            if last and found:
                hours = (time - max(int(events.time[n]) for n in found)) / HOUR_MS
                assert values[f"{name}: since last"][r] == pytest.approx(np.log1p(hours), rel=1e-4)
            elif last:
                assert np.isnan(values[f"{name}: since last"][r])

        def same_item(n, item=item):
            return events.item[n] == item

        def same_surface(n, slate=slate):
            return events.surface[n] == cases.surface[slate]

        check("item", slow.rows(r, same_item, own=False), overall)
        check("item, last day", slow.rows(r, same_item, own=False, since=WINDOW_MS), overall, last=False)
        check("user", mine, overall)
        check("user x item", slow.rows(r, same_item, own=True), habits)
        check("surface", slow.rows(r, same_surface, own=False), overall)
        for name in ("kind", "tags", "creator"):
            for own in (False, True):
                # A row that shares two tags counts twice: once for each.
                wanted = slow.codes(name, item)
                found = [
                    n
                    for n in slow.rows(r, lambda n: True, own=own)
                    for _ in wanted & slow.codes(name, events.item[n])
                ]
                check(f"user x {name}" if own else name, found, habits if own else overall)
        shown = slow.rows(r, same_item, own=False)
        first = (time - min(int(events.time[n]) for n in shown)) / HOUR_MS if shown else np.nan
        assert values["item: age"][r] == pytest.approx(np.log1p(first), rel=1e-4, nan_ok=True)
        looks = np.array(slow.table.frame["look"].to_list(), float)
        looks /= np.linalg.norm(looks, axis=1, keepdims=True)
        liked = [n for n in range(len(events.time)) if events.user[n] == user and events.time[n] < time - gap]
        liked = [n for n in liked if int(events.actions[n]) & 3][-50:]
        mean = looks[[events.item[n] for n in liked]].sum(axis=0)
        expected = mean @ looks[item] / np.linalg.norm(mean) if liked else 0.0
        assert values["likeness look"][r] == pytest.approx(expected, abs=1e-5)
        assert values["time of day, sine"][r] == pytest.approx(
            np.sin(2 * np.pi * time / (24 * HOUR_MS)), abs=1e-5
        )


def test_training_rows_do_not_know_their_own_slate_or_its_millisecond(store, views):
    cases = training_slates(views[1])
    table = Features(views[1])(cases)
    rows = np.expm1(table.values[:, table.names.index("user: rows")]).round().astype(int)
    start = np.asarray(store.events.user_start)[cases.user]
    assert (rows == (cases.history_end - start)[cases.slate_of_row]).all()


def test_counts_are_strict_and_unknown_keys_are_empty():
    log = EventLog(
        user=np.zeros(4, np.int32),
        item=np.array([1, 1, 2, 1], np.int32),
        time=np.array([10, 20, 20, 30]),
        surface=np.zeros(4, np.int16),
        done=np.array([[1], [0], [1], [1]], bool),
    )
    found = KeyedCounts(log, log.item).at(
        np.array([1, 1, 1, 1, 2, 7, -1]), np.array([10, 11, 30, 99, 20, 99, 99])
    )
    assert found.count.tolist() == [0, 1, 2, 3, 0, 0, 0]
    assert found.done[:, 0].tolist() == [0, 1, 1, 2, 0, 0, 0]
    assert found.first.tolist() == [NEVER, 10, 10, 10, NEVER, NEVER, NEVER]
    assert found.last.tolist() == [NEVER, 10, 20, 30, NEVER, NEVER, NEVER]
    nothing = KeyedCounts(log, np.full(4, -1)).at(np.array([1]), np.array([99]))
    assert nothing.count.tolist() == [0] and nothing.last.tolist() == [NEVER]


def test_bags_give_the_codes_of_each_item():
    bag = Bag(np.array([5, 6, 7], np.int32), np.array([0, 2, 2, 3]), 8)
    owner, code = bag.of(np.array([2, 0, 1, 0]))
    assert owner.tolist() == [0, 1, 1, 3, 3] and code.tolist() == [7, 5, 6, 5, 6]
