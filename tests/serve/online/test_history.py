"""What is appended is read back: once, in order, whatever arrives how often and when."""

from __future__ import annotations

import dataclasses
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bowerbird.serve.online import (
    OnlineError,
    OnlineEvent,
    OnlineHistory,
    Receipt,
    StoredEvent,
    Tail,
    Version,
)
from serve.online.conftest import NOW, Open


def event(number: int, user: str = "ada", **fields: object) -> OnlineEvent:
    """An event of `user`; larger numbers are later, one second each."""
    return OnlineEvent(
        **{
            "event_id": f"e{number}",
            "user": user,
            "item": f"i{number}",
            "time": NOW - 100_000 + number * 1000,
            **fields,
        }
    )  # type: ignore[arg-type]


def ids(found: list[StoredEvent]) -> list[str]:
    return [one.event_id for one in found]


def test_every_field_comes_back(history: OnlineHistory) -> None:
    full = OnlineEvent(
        "é-1", "ada 🐦", "item'; --", NOW, ("save", "click", "click"), "home", "r1", 7, "sea % _ \\ birds"
    )
    bare = OnlineEvent("2", "ada 🐦", 12, NOW)
    assert history.append([full, bare]) == Receipt(accepted=2)
    first, second = history.tail("ada 🐦", 10)
    assert first == StoredEvent(**{**dataclasses.asdict(full), "actions": ("click", "save")}, sequence=1)
    assert second == StoredEvent("2", "ada 🐦", "12", NOW, (), None, None, None, None, sequence=2)


def test_a_tail_is_the_newest_events_oldest_first(history: OnlineHistory) -> None:
    history.append([event(number) for number in range(5)])
    history.append([event(9, user="bob")])
    assert ids(history.tail("ada", 3)) == ["e2", "e3", "e4"]
    assert ids(history.tail("ada", 3, after=4)) == ["e4"]
    assert history.tail("ada", 0) == [] and history.tail("ada", -1) == []
    assert history.tail("nobody", 3) == [] and history.version("nobody") == Version(0, 0)
    assert history.read("nobody", 3) == Tail()
    assert history.read("ada", 0) == history.read("ada", 3, after=6) == Tail(Version(5, 0), ())


def test_equal_times_keep_the_order_of_arrival_and_late_events_are_placed_by_time(
    history: OnlineHistory,
) -> None:
    history.append([event(5, time=NOW - 5), event(6, time=NOW - 5)])
    assert history.version("ada") == (2, 0), "an equal time is in order: it goes to the end"
    history.append([event(1, time=NOW - 9)])
    assert history.version("ada") == (3, 1)
    history.append([event(7, time=NOW - 5)])
    assert history.version("ada") == (4, 1)
    found = history.tail("ada", 10)
    assert ids(found) == ["e1", "e5", "e6", "e7"]
    assert [one.sequence for one in found] == [3, 1, 2, 4]


def test_the_version_tells_whether_new_events_stand_at_the_end(history: OnlineHistory) -> None:
    history.append([event(2), event(3)])
    then = history.read("ada", 10)
    history.append([event(4)])
    now = history.read("ada", 10)
    assert now.version.late == then.version.late
    assert now.events == (*then.events, *history.tail("ada", now.version.events - then.version.events))
    # A late event and one in order after it: a flag for the last append alone would hide the late one.
    history.append([event(1)])
    history.append([event(5)])
    assert history.version("ada") == (5, 1) and history.version("ada").late != now.version.late
    history.append([event(8, user="bob")])
    assert history.version("ada") == (5, 1), "somebody else's events do not touch it"


def test_the_same_event_again_is_a_duplicate_and_changes_nothing(history: OnlineHistory) -> None:
    first = event(1, actions=("click", "save"))
    history.append([first])
    before = history.read("ada", 10)
    assert history.append([first, event(1, actions=("save", "click", "save"))]) == Receipt(duplicates=2)
    assert history.append([first, event(2), event(2)]) == Receipt(accepted=1, duplicates=2)
    assert history.read("ada", 10).events[0] == before.events[0]
    assert history.version("ada") == (2, 0) and history.high_water() == 2


def test_other_content_under_the_same_id_is_refused_and_the_rest_is_kept(history: OnlineHistory) -> None:
    kept = event(1, surface="home")
    history.append([kept])
    changes = {
        "user": "bob",
        "item": "other",
        "time": NOW,
        "actions": ("hide",),
        "surface": None,
        "request": "r",
        "position": 0,
        "query": "q",
    }
    for field, value in changes.items():
        assert history.append([event(1, **{"surface": "home", field: value})]) == Receipt(
            conflicts=("e1",)
        ), field
    assert history.append([event(1), event(2), event(2, item="x")]) == Receipt(1, 0, ("e1", "e2"))
    assert ids(history.tail("ada", 10)) == ["e1", "e2"] and history.tail("bob", 10) == []
    assert history.tail("ada", 10)[0].surface == "home" and history.version("ada") == (2, 0)


def test_events_are_there_after_opening_again(opened: Open) -> None:
    first = opened()
    first.append([event(1), event(2)])
    name = first.name
    first.close()
    again = opened()
    assert (
        ids(again.tail("ada", 10)) == ["e1", "e2"] and again.version("ada") == (2, 0) and again.name == name
    )
    assert again.append([event(1), event(3)]) == Receipt(accepted=1, duplicates=1)
    assert again.tail("ada", 1)[0].sequence == 3


def test_two_histories_of_one_database_see_each_other_at_once(opened: Open) -> None:
    one, two = opened(), opened()
    for number in range(0, 6, 2):
        one.append([event(number)])
        assert ids(two.tail("ada", 1)) == [f"e{number}"]
        two.append([event(number + 1)])
        assert ids(one.tail("ada", 1)) == [f"e{number + 1}"]
    assert two.append([event(0), event(2, item="x")]) == Receipt(duplicates=1, conflicts=("e2",))
    assert one.version("ada") == two.version("ada") == (6, 0)
    assert [e.sequence for e in one.tail("ada", 10)] == [1, 2, 3, 4, 5, 6]


def test_integer_ids_are_one_person_as_text_or_number(opened: Open) -> None:
    history = opened(id_types={"user": "integer", "item": "integer"})
    history.append(
        [event(1, user=7, item=2**63 - 1), event(2, user="7", item="-3"), event(3, user=" 07", item="0")]
    )
    assert [(one.user, one.item) for one in history.tail("7", 9)] == [(7, 2**63 - 1), (7, -3), (7, 0)]
    assert history.tail(7, 9) == history.tail("7", 9)
    assert history.tail("seven", 9) == [] and history.version(2**70) == (0, 0)
    history.close()
    assert opened().id_types == {"user": "integer", "item": "integer"}, "the database knows"
    with pytest.raises(
        OnlineError, match=r"user ids are integers, those of the store are strings.*another platform"
    ):
        opened(id_types={"user": "string", "item": "integer"})


def test_nothing_to_append_is_no_transaction(history: OnlineHistory) -> None:
    assert history.append([]) == Receipt() and history.high_water() == 0


def test_a_closed_history_says_so(opened: Open) -> None:
    history = opened()
    history.close()
    history.close()
    with pytest.raises(OnlineError, match="closed"):
        history.append([event(1)])


def test_health(history: OnlineHistory, url: str) -> None:
    history.append([event(1)])
    found = history.health()
    assert (found.ok, found.problem, found.events, found.waiting) == (True, None, 1, 0)
    assert found.database == ("postgresql" if url.startswith("postgresql") else "sqlite")


RUNS = count()

posts = st.lists(
    st.lists(
        st.builds(
            OnlineEvent,
            event_id=st.sampled_from([f"e{n}" for n in range(12)]),
            user=st.sampled_from(["ada", "bob"]),
            item=st.sampled_from(["x", "y"]),
            time=st.integers(NOW - 3, NOW),
            actions=st.sampled_from([(), ("click",), ("click", "save"), ("save", "click")]),
        ),
        max_size=5,
    ),
    max_size=8,
)  # fmt: skip


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(posts=posts)
def test_it_does_what_a_list_does(history: OnlineHistory, posts: list[list[OnlineEvent]]) -> None:
    """The same appends against the plainest thing that could work: a list, scanned."""
    model: list[OnlineEvent] = []
    versions: dict[str, list[int]] = {}
    start = history.high_water()
    run = next(RUNS)  # every example shares the database: its ids and users are its own
    for post in posts:
        renamed = [dataclasses.replace(e, event_id=f"{run}{e.event_id}", user=f"{run}{e.user}") for e in post]
        accepted, duplicates, conflicts = 0, 0, []
        for one in renamed:
            plain = dataclasses.replace(one, actions=tuple(sorted(one.actions)))
            same = [e for e in model if e.event_id == one.event_id]
            if same and same[0] == plain:
                duplicates += 1
            elif same:
                conflicts.append(one.event_id)
            else:
                newest = max((e.time for e in model if e.user == one.user), default=0)
                version = versions.setdefault(str(one.user), [0, 0])
                version[0] += 1
                version[1] += one.time < newest
                model.append(plain)
                accepted += 1
        assert history.append(renamed) == Receipt(accepted, duplicates, tuple(conflicts))
    for name in ("ada", "bob"):
        user = f"{run}{name}"
        ordered = [
            StoredEvent(**dataclasses.asdict(e), sequence=start + number)
            for number, e in enumerate(model, 1) if e.user == user
        ]  # fmt: skip
        ordered.sort(key=lambda e: e.time)
        assert history.tail(user, 100) == ordered
        assert history.tail(user, 2) == ordered[-2:]
        assert history.version(user) == tuple(versions.get(user, (0, 0)))
    assert history.high_water() == start + len(model)
