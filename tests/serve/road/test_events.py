"""Posted events change the next answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from bowerbird.serve.engine import Engine, NoHistoryError, UnknownEntityError
from bowerbird.serve.engine.trip import Trip
from bowerbird.serve.online import EventError, OnlineEvent, OnlineHistory
from bowerbird.serve.request import Request
from bowerbird.serve.response import Response
from bowerbird.tables.store import Store
from serve.knn import KnnGenerator
from serve.models import generator
from serve.world import DAY, START

LATER = START + 200 * DAY


@pytest.fixture
def history(store: Store, tmp_path: Path) -> Iterator[OnlineHistory]:
    with OnlineHistory.for_store(tmp_path / "online.sqlite", store) as found:
        yield found


@pytest.fixture
def engine(store: Store, history: OnlineHistory) -> Engine:
    return Engine(store, generator(store), history=history)


def ids(answer: Response) -> list[str]:
    return [str(entry.item.id) for entry in answer.items]


def click(item: str, user: str = "u00", time: int = LATER, name: str = "") -> OnlineEvent:
    return OnlineEvent(name or f"{user} {item} {time}", user, item, time, ("click",), "home")


def test_a_click_changes_the_next_answer(store: Store, history: OnlineHistory) -> None:
    engine = Engine(store, KnnGenerator(store), history=history)
    before = engine.recommend(Request(user="u00", k=6))
    clicked = ids(before)[0]
    receipt = engine.append_events([click(clicked)])
    assert receipt.accepted == 1
    after = engine.recommend(Request(user="u00", k=6))
    assert after.history_used == before.history_used + 1
    assert clicked not in ids(after) and ids(after) != ids(before)
    assert ids(
        Engine(store, KnnGenerator(store), history=history).recommend(Request(user="u00", k=6))
    ) == ids(after)


def test_only_the_click_is_encoded(engine: Engine, store: Store, history: OnlineHistory) -> None:
    """12 events are read as 8 (the window starts at 4); the 13th moves it, the 14th only appends."""
    engine.recommend(Request(user="u00", k=6))
    engine.append_events([click("f30")])
    moved = engine.recommend(Request(user="u00", k=6))
    pool = engine.describe()["pool"]
    assert moved.history_used == 7 and (pool["changed"], pool["appends"]) == (1, 0)
    engine.append_events([click("f31", time=LATER + 1)])
    warm = engine.recommend(Request(user="u00", k=6))
    pool = engine.describe()["pool"]
    assert warm.history_used == 8 and (pool["appends"], pool["events_appended"], pool["misses"]) == (1, 1, 1)
    fresh = Engine(store, generator(store, pool_bytes=0), history=history).recommend(Request(user="u00", k=6))
    assert ids(fresh) == ids(warm)
    assert [e.score for e in fresh.items] == pytest.approx([e.score for e in warm.items], abs=1e-3)


def test_an_event_that_comes_late_takes_its_place(
    engine: Engine, store: Store, history: OnlineHistory
) -> None:
    engine.append_events([click("f30", time=LATER + 5)])
    engine.recommend(Request(user="u00", k=6))
    engine.append_events([click("f31", time=LATER)])
    answer = engine.recommend(Request(user="u00", k=6))
    assert engine.describe()["pool"]["changed"] == 1
    assert store.items.decode(engine.trails.of("u00").window.item[-2:]) == ["f31", "f30"]
    fresh = Engine(store, generator(store, pool_bytes=0), history=history).recommend(Request(user="u00", k=6))
    assert ids(fresh) == ids(answer)


def test_somebody_new_has_a_history_after_the_first_click(engine: Engine) -> None:
    before = engine.recommend(Request(user="new", k=4))
    assert [note.code for note in before.notes] == ["unknown_user"]
    with pytest.raises(UnknownEntityError):
        engine.history("new")
    engine.append_events([click("f07", "new"), click("gone", "new")])
    after = engine.recommend(Request(user="new", k=4))
    assert (
        after.stage == "model" and after.history_used == 1 and after.notes == () and "f07" not in ids(after)
    )
    timeline = engine.history("new")
    assert [event.item.id for event in timeline.events] == ["gone", "f07"] and timeline.user == "new"
    assert timeline.events[1].item.title == "The Sea 07" and timeline.total == 2


def test_hiding_is_no_history_but_seen(engine: Engine) -> None:
    shown = ids(engine.recommend(Request(user="u02", k=4)))
    engine.append_events([OnlineEvent("h", "u02", shown[0], LATER, ("hide",))])
    answer = engine.recommend(Request(user="u02", k=4))
    assert answer.history_used == 8 and shown[0] not in ids(answer)
    assert [item for item in ids(answer) if item in shown] == shown[1:], "nothing else changed places"


def test_timelines_show_what_was_posted_first(engine: Engine) -> None:
    engine.append_events([click("f40")])
    timeline = engine.history("u00", limit=3)
    assert timeline.events[0].item.id == "f40"
    assert timeline.total == 14 and len(timeline.events) == 3 and timeline.events[0].positive


def test_what_is_posted_is_popular(engine: Engine) -> None:
    quiet = "f58"
    assert quiet not in ids(engine.recommend(Request(k=5)))
    engine.append_events([click(quiet, f"p{n}") for n in range(40)])
    assert ids(engine.recommend(Request(k=5)))[0] == quiet
    engine.append_events([click(quiet, f"p{n}") for n in range(40)])
    assert engine.popularity.counts[engine.store.items.encode([quiet])[0]] == 40, "a duplicate counts once"


def test_events_need_a_history_and_must_be_meant(store: Store, engine: Engine) -> None:
    with pytest.raises(NoHistoryError, match="no online history"):
        Engine(store, KnnGenerator(store)).append_events([click("f01")])
    with pytest.raises(EventError, match="unknown action"):
        engine.append_events([OnlineEvent("x", "u00", "f01", LATER, ("clikc",))])


def test_the_default_time_lies_after_what_was_posted(engine: Engine, store: Store) -> None:
    engine.append_events([click("f40")])
    trip = engine._preparing.trip(Request(user="u00"))
    assert trip.now == LATER + 1
    assert store.manifest.time_range is not None
    assert engine._preparing.trip(Request(user="u02")).now == store.manifest.time_range[1] + 1


def test_many_threads_share_batches(engine: Engine) -> None:
    expected = {f"u{n:02d}": ids(engine.recommend(Request(user=f"u{n:02d}", k=5))) for n in range(12)}
    engine.start_batching(window_ms=5.0, max_batch=8)
    found: dict[str, list[str]] = {}

    def ask(user: str) -> None:
        for _ in range(3):
            found[user] = ids(engine.recommend(Request(user=user, k=5, explain=user == "u00")))

    threads = [threading.Thread(target=ask, args=(user,)) for user in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected
    engine.close()


def test_a_deadline_that_passes_in_the_queue_is_answered_without_the_model(engine: Engine) -> None:
    engine.start_batching(window_ms=0.0)
    entered, go = threading.Event(), threading.Event()
    travel = engine.road.travel

    def held(trips: Sequence[Trip]) -> None:
        entered.set()
        go.wait(10)
        travel(trips)

    engine.road.travel = held  # type: ignore[method-assign]
    first = threading.Thread(target=lambda: engine.recommend(Request(user="u01", k=3)))
    first.start()
    entered.wait(10)
    answer = engine.recommend(Request(user="u00", k=3, deadline_ms=20))
    go.set()
    first.join()
    assert [note.code for note in answer.notes] == ["deadline"] and answer.stage == "popularity"
    assert len(answer.items) == 3
    engine.close()
