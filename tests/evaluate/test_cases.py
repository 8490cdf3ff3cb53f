"""Which questions are asked: targets, where histories end, what is seen, what is left out and said."""

from __future__ import annotations

import numpy as np
import pytest

from bowerbird.evaluate import future_cases, in_session_cases, leave_last_out_cases, next_event_cases
from bowerbird.evaluate.metrics import actions, popularity_buckets, warmth
from bowerbird.tables.errors import ConfigError
from bowerbird.tables.view import LastOut, TimeWall, View
from evaluate.world import make_store, random_store

ROWS = [
    # user, item, time, actions, request
    ("a", 0, 10, ["click"], "r1"),
    ("a", 1, 20, ["click"], "r1"),
    ("a", 5, 25, [], "r2"),
    ("a", 2, 110, ["click"], "r3"),
    ("a", 5, 115, ["hide"], "r3"),
    ("a", 0, 120, ["click"], "r3"),  # a repeat
    ("a", 3, 130, ["click", "save"], "r3"),
    ("a", 3, 140, ["save"], "r4"),
    ("b", 1, 50, ["click"], "r1"),
    ("b", 2, 150, ["click"], "r2"),
    ("c", 4, 160, ["click"], "r1"),  # new after the wall
]


@pytest.fixture(scope="module")
def views(tmp_path_factory):
    store = make_store(tmp_path_factory.mktemp("cases"), ROWS, n_items=7)
    return View(store), View(store, TimeWall(100)), store


def described(cases):
    """(user, number of history events, targets) of each case, in raw ids."""
    users = cases.view.user_ids.decode(cases.user)
    sizes = np.diff(cases.profiles().offsets)
    return [(users[c], int(sizes[c]), cases.targets_of(c).tolist()) for c in range(len(cases))]


def test_leave_last_out(views):
    view, _, store = views
    cases = leave_last_out_cases(view, View(store, LastOut(1)), exclude_seen=False)
    # The last positive of a is the second event with 3; b has one before; c has none and is left out.
    assert described(cases) == [("a", 5, [3]), ("b", 1, [2])]
    assert cases.time.tolist() == [140, 150]
    assert cases.protocol.notes == ("1 cases with fewer than 1 earlier positive events left out",)
    strict = leave_last_out_cases(view, View(store, LastOut(1)))
    assert described(strict) == [("b", 1, [2])]  # a's last item is a repeat
    assert "1 repeated targets left out, and with them 1 cases" in strict.protocol.notes


def test_validation_targets_are_the_events_before_the_last(views):
    _, _, store = views
    cases = leave_last_out_cases(View(store, LastOut(1)), View(store, LastOut(2)), exclude_seen=False)
    assert described(cases) == [("a", 4, [3])]


def test_next_event_rolls_and_never_contains_its_target(views):
    view, earlier, _ = views
    cases = next_event_cases(view, earlier, exclude_seen=False)
    assert described(cases) == [
        ("a", 2, [2]), ("a", 3, [0]), ("a", 4, [3]), ("a", 5, [3]), ("b", 1, [2]),
    ]  # fmt: skip
    assert cases.live
    strict = next_event_cases(view, earlier)
    assert described(strict) == [("a", 2, [2]), ("a", 4, [3]), ("b", 1, [2])]
    assert [strict.seen().of(c).tolist() for c in range(3)] == [[0, 1], [0, 1, 2, 0], [1]]


def test_next_event_of_some_users(views):
    view, earlier, store = views
    asked = store.users.encode(["b"])
    mask = np.zeros(store.n_users, dtype=bool)
    mask[asked] = True
    cases = next_event_cases(view, earlier, users=mask)
    assert described(cases) == [("b", 1, [2])] and "of some users only" in cases.protocol.targets


def test_next_event_inside_a_session(views):
    view, earlier, _ = views
    cases = next_event_cases(view, earlier, same_session_only=True, exclude_seen=False)
    assert described(cases) == [("a", 3, [0]), ("a", 4, [3])]


def test_from_the_middle_of_a_session_on(tmp_path):
    minute = 60_000
    rows = [("a", 0, 0, ["click"]), ("b", 1, 0, ["click"]), ("c", 2, 0, ["click"])]
    times = [100, 101, 103, 300, 301]  # two sessions
    rows += [("a", item + 3, time * minute, ["click"]) for item, time in enumerate(times)]
    rows += [("a", 5, 302 * minute, ["save"])]  # an item again
    rows += [("b", 3, 100 * minute, ["click"]), ("b", 4, 200 * minute, ["click"])]  # never inside a session
    rows += [
        ("c", 3, 100 * minute, ["click"]),
        ("c", 4, 110 * minute, ["hide"]),
        ("c", 5, 111 * minute, ["click"]),
    ]
    rows = [(*row, f"r{place}") for place, row in enumerate(rows)]
    store = make_store(tmp_path, rows, n_items=9)
    view, earlier = View(store), View(store, TimeWall(50 * minute))
    starts = set()
    for seed in range(30):
        cases = in_session_cases(view, earlier, seed=seed, exclude_seen=False)
        users = cases.view.user_ids.decode(cases.user)
        assert users == ["a", "c"] and cases.live
        low = int(cases.time[0] // minute)
        starts.add(low)
        later = [item + 3 for item, time in enumerate(times) if time >= low]
        assert cases.targets_of(0).tolist() == later + ([5] if 5 not in later else [])
        assert cases.histories(1).time[0, 0] < cases.time[0]
        assert cases.targets_of(1).tolist() == [5] and cases.time[1] == 111 * minute
    assert starts == {101, 103, 301, 302}
    saved = cases.target_actions[cases.target_item == 5][0]
    assert saved & 2  # the save is joined to the item
    assert not len(in_session_cases(view, earlier, gap_ms=minute // 2))


def test_sessions_are_found_when_they_interleave(tmp_path):
    rows = [("a", 0, 1, ["click"], "x"), ("a", 1, 2, ["click"], "y"), ("a", 2, 3, ["click"], "x")]
    store = make_store(tmp_path, rows)
    cases = next_event_cases(View(store), View(store, TimeWall(2)), same_session_only=True)
    assert described(cases) == [("a", 2, [2])]


def test_sessions_need_slates(tmp_path):
    store = make_store(tmp_path, [("a", 0, 1), ("a", 1, 2)])
    with pytest.raises(ConfigError, match="slates"):
        next_event_cases(View(store), View(store, TimeWall(2)), same_session_only=True)


def test_future_joins_repeated_items_and_stops_histories_at_the_wall(views):
    view, earlier, _ = views
    cases = future_cases(view, earlier)
    assert described(cases) == [("a", 2, [2, 3]), ("b", 1, [2])]
    assert cases.target_actions.tolist() == [1, 3, 1]  # click; click and save, save; click
    assert cases.target_time.tolist() == [110, 130, 150]
    assert cases.time.tolist() == [100, 100]
    assert not cases.live
    everybody = future_cases(view, earlier, exclude_seen=False, min_history=0)
    assert described(everybody) == [("a", 2, [2, 0, 3]), ("b", 1, [2]), ("c", 0, [4])]


def test_impressions_before_the_first_positive_do_not_move_the_wall(tmp_path):
    rows = [("a", 0, 1), ("a", 1, 10, [], None), ("a", 2, 11)]
    store = make_store(tmp_path, rows)
    cases = future_cases(View(store), View(store, TimeWall(5)))
    assert cases.history_end.tolist() == [1]


def test_parts_of_the_targets(views):
    view, earlier, _ = views
    cases = future_cases(view, earlier)
    assert cases.target_count.tolist() == [0, 0, 0]  # items 2 and 3 have no event before the wall
    later = future_cases(view, earlier, train=view)
    assert later.target_count.tolist() == [2, 2, 2]
    assert warmth(later).keys() == {"warm"} and warmth(cases).keys() == {"cold"}
    assert popularity_buckets(later, (0, 2, 3))["2"].all()
    assert {name: flags.tolist() for name, flags in actions(cases).items()} == {
        "click": [True, True, True],
        "save": [False, True, False],
    }


def test_sampling_keeps_order_and_is_said(tmp_path):
    store = random_store(tmp_path, n_events=400)
    view, earlier = View(store), View(store, TimeWall(500))
    cases = next_event_cases(view, earlier)
    some = next_event_cases(view, earlier, limit=20, seed=1)
    assert len(some) == 20 and (np.diff(some.history_end) != 0).all()
    assert set(some.history_end.tolist()) <= set(cases.history_end.tolist())
    assert some.protocol.notes[-1] == f"20 of {len(cases)} cases, drawn uniformly with seed 1"
    again = next_event_cases(view, earlier, limit=20, seed=1)
    np.testing.assert_array_equal(some.history_end, again.history_end)


def test_chunks_and_subsets_keep_every_column_together(tmp_path):
    store = random_store(tmp_path, n_events=400)
    cases = future_cases(View(store), View(store, TimeWall(400)))
    parts = list(cases.chunks(4))
    assert [len(part) for part in parts[:-1]] == [4] * (len(parts) - 1)
    for name in ("user", "history_end", "target_item", "target_actions", "target_time", "target_count"):
        np.testing.assert_array_equal(
            np.concatenate([getattr(part, name) for part in parts]), getattr(cases, name)
        )
    backwards = cases.subset(np.arange(len(cases))[::-1])
    assert [backwards.targets_of(c).tolist() for c in range(len(cases))] == [
        cases.targets_of(c).tolist() for c in reversed(range(len(cases)))
    ]


def test_histories_profiles_and_seen_agree_and_end_before_every_target(tmp_path):
    store = random_store(tmp_path, n_events=400)
    view, earlier = View(store), View(store, TimeWall(500))
    for build in (next_event_cases, future_cases):
        cases = build(view, earlier, exclude_seen=False)
        batch, profiles = cases.histories(50), cases.profiles()
        for case in range(len(cases)):
            history = batch.item[case, : batch.lengths[case]]
            assert profiles.of(case).tolist() == history.tolist()
            ends = batch.time[case, : batch.lengths[case]]
            assert len(ends) > 0 and ends.max() <= cases.target_time[cases.target_offsets[case]]
            assert (batch.row[case, : batch.lengths[case]] < cases.history_end[case]).all()
        strict = build(view, earlier)
        listed = [strict.seen().of(case).tolist() for case in range(len(strict))]
        assert all(set(strict.targets_of(case)).isdisjoint(found) for case, found in enumerate(listed))


def test_seen_contains_by_definition(tmp_path):
    store = random_store(tmp_path, n_events=300)
    cases = future_cases(View(store), View(store, TimeWall(500)))
    asked = np.tile(np.arange(-1, cases.n_items), (len(cases), 1))
    expected = [[item in set(found.tolist()) for item in asked[0]] for found in cases.seen().lists()]
    assert cases.seen().contains(asked).tolist() == expected


def test_the_protocol_says_its_rules(views):
    view, earlier, _ = views
    rules = future_cases(view, earlier).protocol.to_dict()
    assert rules["slates"] == "one slate a request"
    assert "7 items" in rules["universe"]
    assert "ascending dense item id" in rules["score_ties"]
    assert "order in which they were read" in rules["event_ties"]
    assert earlier.wall in rules["walls"] and view.wall in rules["walls"]
