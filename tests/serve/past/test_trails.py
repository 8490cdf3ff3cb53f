"""A kept and continued past is the past read afresh, whatever was posted in between."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bowerbird.serve.online import OnlineEvent, OnlineHistory
from bowerbird.serve.past.trails import Trail, Trails
from bowerbird.tables.store import Store
from bowerbird.tables.view import View
from serve.world import DAY, START

LATER = START + 200 * DAY


@pytest.fixture(scope="module")
def history(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnlineHistory]:
    with OnlineHistory.for_store(tmp_path_factory.mktemp("online") / "online.sqlite", store) as found:
        yield found


def trails(store: Store, history: OnlineHistory | None, readable: np.ndarray | None = None) -> Trails:
    return Trails(store, View(store), 8, history=history, readable=readable)


def same(one: Trail, other: Trail) -> None:
    assert one.window.after(other.window) == 0 and len(one.window) == len(other.window)
    assert (one.events, one.posted, one.unreadable) == (other.events, other.posted, other.unreadable)
    assert one.seen.tolist() == other.seen.tolist() and one.recent.tolist() == other.recent.tolist()


def test_the_stores_rows_alone(store: Store) -> None:
    trail = trails(store, None).of("u00")
    whole = View(store).histories(np.array([0], np.int32), 100)
    assert trail.events == 12 and trail.window.start == 4
    assert trail.window.item.tolist() == whole.item[0, 4:12].tolist()
    assert trail.recent.tolist() == whole.item[0, 7:12].tolist()
    assert len(trail.seen) == 13, "what was hidden was seen, too"
    nobody = trails(store, None).of("nobody")
    assert (nobody.user, nobody.events, len(nobody.seen)) == (-1, 0, 0)
    quiet = trails(store, None).of("quiet")
    assert quiet.user >= 0 and len(quiet.window) == 0 and len(quiet.seen) == 1


EVENT = st.tuples(
    st.sampled_from(["f01", "f30", "f59", "gone"]),
    st.sampled_from([(), ("click",), ("click", "save"), ("hide",)]),
    st.sampled_from([None, "home"]),
    st.integers(-3, 30),  # days after the end of the log; below 0 lies inside it, or is late
)
number = iter(range(10**9))


def moment(days: int) -> int:
    return LATER + days * DAY if days >= 0 else START + 10 * DAY - days


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    posts=st.lists(st.lists(EVENT, max_size=4), min_size=1, max_size=6),
    known=st.booleans(),
    some=st.booleans(),
)
def test_a_continued_past_is_the_past_read_afresh(
    store: Store, history: OnlineHistory, posts: list[list[tuple[str, tuple[str, ...], str | None, int]]],
    known: bool, some: bool,
) -> None:  # fmt: skip
    readable = None
    if some:
        readable = np.ones(store.n_items, bool)
        readable[store.items.encode(["f01", "f05"])] = False
    user = "u06" if known else f"new {next(number)}"
    kept = trails(store, history, readable)
    for post in posts:
        events = [
            OnlineEvent(f"e{next(number)}", user, item, moment(days), actions, surface)
            for item, actions, surface, days in post
        ]  # fmt: skip
        history.append(events)
        same(kept.of(user), trails(store, history, readable).of(user))


def test_nothing_new_costs_one_question(store: Store, history: OnlineHistory) -> None:
    asked: list[str] = []

    class Counting:
        append, exported = history.append, history.exported

        def version(self, user):  # type: ignore[no-untyped-def]
            asked.append("version")
            return history.version(user)

        def read(self, user, limit, *, after=0):  # type: ignore[no-untyped-def]
            asked.append(f"read {limit}")
            return history.read(user, limit, after=after)

    kept = trails(store, Counting())  # type: ignore[arg-type]
    kept.of("u08")
    asked.clear()
    assert kept.of("u08") is kept.of("u08") and asked == ["version", "version"]
    history.append([OnlineEvent("once", "u08", "f01", LATER, ("click",))])
    asked.clear()
    kept.of("u08")
    assert asked == ["version", "read 1"]


def test_events_that_the_store_has_count_once(store: Store, history: OnlineHistory) -> None:
    history.append([OnlineEvent("exported", "u10", "f01", LATER, ("click",))])
    before = trails(store, history).of("u10")

    class Exported:
        append, version, read = history.append, history.version, history.read

        def exported(self, _: Store) -> int:
            return history.high_water()

    after = trails(store, Exported()).of("u10")  # type: ignore[arg-type]
    assert (before.posted, after.posted, before.events - after.events) == (1, 0, 1)


def test_an_event_older_than_the_stores_newest_takes_its_place(store: Store, history: OnlineHistory) -> None:
    kept = trails(store, history)
    before = kept.of("u12")
    history.append([OnlineEvent("between", "u12", "f59", int(before.window.time[-2]) + 1, ("click",))])
    after = kept.of("u12")
    assert store.items.decode(after.window.item[-2:-1]) == ["f59"]
    same(after, trails(store, history).of("u12"))
