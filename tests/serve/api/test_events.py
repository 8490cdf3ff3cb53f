"""Posting events: what happens to each, and what a client hears when they cannot be kept."""

from __future__ import annotations

from typing import Any

import pytest

from bowerbird.serve.online import EventError, OnlineError, OnlineEvent
from serve.api.fakes import Served

TIME = 1_700_000_000_000


def event(id: str = "e1", **parts: Any) -> dict[str, Any]:
    return {"event_id": id, "user": "u00", "item": "f01", "time": TIME, **parts}


def post(door: Served, *events: Any) -> Any:
    return door.client.post("/v1/events", json={"events": list(events)}, headers=door.headers("write"))


def test_everything_arrives_as_posted(door: Served) -> None:
    full = event(
        "e1", user=7, actions=["click", "save"], surface="home", request="r", position=3, query="été"
    )
    answer = post(door, full, event("e2"))
    assert answer.status_code == 200
    assert answer.json() == {
        "accepted": 2, "duplicates": 0,
        "events": [{"event_id": "e1", "outcome": "kept"}, {"event_id": "e2", "outcome": "kept"}],
    }  # fmt: skip
    assert door.sink.kept["e1"] == OnlineEvent("e1", 7, "f01", TIME, ("click", "save"), "home", "r", 3, "été")
    assert door.sink.kept["e2"] == OnlineEvent("e2", "u00", "f01", TIME)


def test_each_event_has_its_outcome(door: Served) -> None:
    post(door, event("e1"), event("e2"))
    again = post(door, event("e1"))
    assert again.status_code == 200 and again.json()["duplicates"] == 1
    mixed = post(door, event("e3"), event("e2", item="f09"), event("e1"))
    assert mixed.status_code == 207
    assert [entry["outcome"] for entry in mixed.json()["events"]] == ["kept", "conflict", "kept"]
    assert mixed.json()["accepted"] == 1 and door.sink.kept["e2"].item == "f01"
    text = door.app.state.metrics.text().decode()
    assert 'bowerbird_events_total{outcome="accepted"} 3.0' in text
    assert 'bowerbird_events_total{outcome="duplicate"} 2.0' in text
    assert 'bowerbird_events_total{outcome="conflict"} 1.0' in text


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (event(""), "events.1.event_id"),
        (event("x" * 201), "events.1.event_id"),
        (event(time=1.5), "events.1.time"),
        (event(time="2020"), "events.1.time"),
        (event(user=None), "events.1.user"),
        (event(position=-1), "events.1.position"),
        (event(position=32768), "events.1.position"),
        (event(actions="click"), "events.1.actions"),
        (event(action="click"), "events.1.action"),
        ({"event_id": "e"}, "events.1.user"),
        ("e", "events.1"),
    ],
)
def test_a_malformed_event_is_named_and_nothing_is_kept(door: Served, wrong: Any, field: str) -> None:
    answer = post(door, event("good"), wrong)
    assert answer.status_code == 422 and field in [fault["field"] for fault in answer.json()["errors"]]
    assert door.sink.kept == {}


def test_bounds_of_a_post(door: Served) -> None:
    assert post(door).status_code == 422
    assert post(door, *(event(str(n)) for n in range(1001))).status_code == 422
    assert post(door, *(event(str(n)) for n in range(1000))).json()["accepted"] == 1000


def test_what_the_history_refuses_is_a_fault_of_the_request(door: Served) -> None:
    door.sink.failure = EventError("unknown action 'sold'; did you mean 'save'?", place=3, field="actions")
    answer = post(door, event())
    assert answer.status_code == 422 and answer.json()["errors"][0]["field"] == "events.3.actions"


@pytest.mark.parametrize(("wait", "header"), [(0.2, "1"), (30.0, "30"), (None, None)])
def test_a_busy_history_says_when_to_come_back_and_nothing_of_itself(
    door: Served, wait: float | None, header: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    door.sink.failure = OnlineError("it is locked", name="/srv/private/online.sqlite", retry_after=wait)
    answer = post(door, event())
    assert answer.status_code == 503 and answer.headers.get("retry-after") == header
    fault = answer.json()["errors"][0]
    assert fault["code"] == "history" and "private" not in answer.text and "again" in fault["message"]
    assert "private" in caplog.text and fault["message"].split()[-1].rstrip(")") in caplog.text


def test_without_a_history_there_is_no_such_route(engine) -> None:  # type: ignore[no-untyped-def]
    from fastapi.testclient import TestClient

    from bowerbird.serve.api import create_app

    client = TestClient(create_app(engine), base_url="http://localhost")
    assert client.post("/v1/events", json={"events": [event()]}).status_code == 404
    assert client.get("/v1/release").status_code == 404
    assert set(client.get("/v1/ready").json()["checks"]) == {"release", "accepting"}


def test_the_real_history_is_a_sink(engine, tmp_path) -> None:  # type: ignore[no-untyped-def]
    from fastapi.testclient import TestClient

    from bowerbird.serve.api import create_app
    from bowerbird.serve.online import OnlineHistory

    with OnlineHistory.for_store(tmp_path / "online.sqlite", engine.store) as history:
        client = TestClient(create_app(engine, events=history), base_url="http://localhost")
        body = {"events": [event("e1", actions=["click"]), event("e2", user="new")]}
        assert client.post("/v1/events", json=body).json()["accepted"] == 2
        assert client.post("/v1/events", json=body).json()["duplicates"] == 2
        body["events"][0]["item"] = "f02"
        mixed = client.post("/v1/events", json=body)
        assert mixed.status_code == 207
        assert [entry["outcome"] for entry in mixed.json()["events"]] == ["conflict", "kept"]
        unknown = client.post("/v1/events", json={"events": [event("e3"), event("e4", actions=["sold"])]})
        assert unknown.status_code == 422 and unknown.json()["errors"][0]["field"] == "events.1.actions"
        assert [kept.event_id for kept in history.tail("u00", 5)] == ["e1"]
        assert client.get("/v1/ready").json()["checks"]["history"] is True
    assert client.post("/v1/events", json={"events": [event("e5")]}).status_code == 503
