"""Running it: health, readiness, metrics, releases, request ids, and what happens under too much load."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient

from bowerbird.serve.api import Load, Metrics, create_app
from bowerbird.serve.engine import Engine
from bowerbird.serve.request import Request
from bowerbird.serve.traffic import Batcher, Busy, deadlines
from serve.api.fakes import Served, served

LONG = 20.0


class Wrapped:
    """An engine whose `recommend` can be replaced."""

    def __init__(self, engine: Engine, recommend: Any) -> None:
        self._engine, self.recommend = engine, recommend

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


def ask(door: Served, **body: Any) -> Any:
    return door.client.post("/v1/recommendations", json=body, headers=door.headers("read"))


# --- alive and ready


def test_alive_is_not_ready(door: Served) -> None:
    assert door.client.get("/v1/health").json()["status"] == "ok"
    ready = door.client.get("/v1/ready")
    assert ready.status_code == 200
    assert ready.json() == {"ready": True, "checks": {"release": True, "history": True, "accepting": True}}
    door.app.state.lifecycle.draining = True
    draining = door.client.get("/v1/ready")
    assert draining.status_code == 503 and draining.json()["checks"]["accepting"] is False
    assert door.client.get("/v1/health").status_code == 200
    assert ask(door, user="u00").status_code == 200, "still answers"


def test_a_history_that_cannot_be_reached_is_not_ready(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    class Raises:
        @property
        def ok(self) -> bool:
            raise RuntimeError("secret/path")

    with served(engine) as door:
        door.sink.ok = False
        answer = door.client.get("/v1/ready")
        assert answer.status_code == 503 and answer.json()["checks"]["history"] is False
        door.sink.ok = True
        assert door.client.get("/v1/ready").status_code == 503, "looked at once a second at most"
    with served(engine) as door:
        door.sink.health = Raises  # type: ignore[method-assign]
        answer = door.client.get("/v1/ready")
        assert answer.status_code == 503 and "secret" not in answer.text and "secret" in caplog.text


# --- releases


def test_releases_are_told_and_gone_back_from(door: Served, caplog: pytest.LogCaptureFixture) -> None:
    read, admin = door.headers("read"), door.headers("admin")
    before = door.client.get("/v1/release", headers=read).json()
    assert before == {
        "serving": "r2", "active": "r2", "created": 2000, "learner": "pinrec", "metrics": {"recall": 0.25},
        "previous": "r1", "refused": False,
    }  # fmt: skip
    assert door.client.post("/v1/admin/rollback", headers=admin).json()["serving"] == "r1"
    assert door.client.get("/v1/release", headers=read).json()["serving"] == "r1"
    again = door.client.post("/v1/admin/rollback", headers=admin)
    assert again.status_code == 409 and again.json()["errors"][0]["code"] == "rollback"
    assert "/srv" not in again.text and "/srv" in caplog.text


# --- request ids


def test_request_ids_come_back_and_are_in_the_log(door: Served, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "bowerbird.serve.access")
    own = door.client.get("/v1/items/f01", headers={**door.headers("read"), "x-request-id": "order-66"})
    assert own.headers["x-request-id"] == "order-66"
    line = next(record.getMessage() for record in caplog.records if "order-66" in record.getMessage())
    assert line.startswith("GET /v1/items/{item} 200 ") and f"key={door.keys['read'].id}" in line
    assert "f01" not in line
    for bad in ("", "x" * 65, "a b", "<script>", "-x"):
        made = door.client.get("/v1/health", headers={"x-request-id": bad}).headers["x-request-id"]
        assert re.fullmatch("[0-9a-f]{16}", made)
    for refused in (door.client.get("/v1/about"), door.client.get("/v1/health", headers={"host": "evil"})):
        assert refused.status_code in (401, 421) and refused.headers["x-request-id"]


def test_what_the_engine_logs_carries_the_id_of_its_request(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    from bowerbird.serve.api.trace import log_to_stderr

    logger = logging.getLogger("bowerbird.serve")
    level = logger.level

    def recommend(request: Request) -> Any:
        logger.warning("deep inside")
        raise RuntimeError("on purpose")

    log_to_stderr(logging.INFO)
    log_to_stderr(logging.INFO)
    try:
        with served(Wrapped(engine, recommend)) as door:
            answer = door.client.post(
                "/v1/recommendations", json={}, headers={**door.headers("read"), "x-request-id": "deep-1"}
            )
    finally:
        added = [handler for handler in logger.handlers if handler.filters]
        for handler in added:
            logger.removeHandler(handler)
        logger.setLevel(level)
    assert len(added) == 1
    said = capsys.readouterr().err
    assert answer.status_code == 500 and said.count("[deep-1] bowerbird.serve: deep inside") == 1
    assert "request deep-1 failed" in said and "500" in said.splitlines()[-1]


# --- metrics


def test_metrics_count_requests_stages_batches_and_the_release(engine: Engine) -> None:
    metrics = Metrics()
    hits = {"hit": 3, "miss": 1}
    metrics.follow(
        "bowerbird_kv_lookups", "Look-ups in the pool.", lambda: hits, kind="counter", label="outcome"
    )
    metrics.follow("bowerbird_kv_bytes", "Memory of the pool.", lambda: 512)
    metrics.follow("bowerbird_broken", "Left out.", lambda: 1 // 0)
    with served(engine, metrics=metrics) as door:
        ask(door, user="u00")
        ask(door, user="u00", k=0)
        door.client.get("/v1/items/f01", headers=door.headers("read"))
        door.client.request("BREW", "/v1/no/such/place", headers=door.headers("read"))
        with Batcher(lambda jobs: jobs, observer=metrics.batcher("rank"), max_batch=4) as batcher:
            batcher.call(1)
        answer = door.client.get("/v1/metrics", headers=door.headers("read"))
    assert answer.headers["content-type"].startswith("text/plain")
    text = answer.text
    for line in (
        'bowerbird_requests_total{method="POST",route="/v1/recommendations",status="200"} 1.0',
        'bowerbird_requests_total{method="POST",route="/v1/recommendations",status="422"} 1.0',
        'bowerbird_requests_total{method="GET",route="/v1/items/{item}",status="200"} 1.0',
        'bowerbird_request_seconds_count{route="/v1/recommendations"} 2.0',
        'bowerbird_stage_seconds_count{route="/v1/recommendations",stage="total"} 1.0',
        'bowerbird_stage_seconds_count{route="/v1/recommendations",stage="history"} 1.0',
        'bowerbird_batch_size_sum{batcher="rank"} 1.0',
        'bowerbird_queue_seconds_count{batcher="rank"} 1.0',
        'bowerbird_queue_length{batcher="rank"} 0.0',
        'bowerbird_kv_lookups_total{outcome="hit"} 3.0',
        "bowerbird_kv_bytes 512.0",
        'bowerbird_release_info{release="r2"} 1.0',
        "bowerbird_requests_waiting 0.0",
    ):
        assert line in text, f"{line}\n{text}"
    assert "bowerbird_broken" not in text and 'method="other"' in text and "no/such" not in text


def test_two_applications_count_apart(engine: Engine) -> None:
    apps = [create_app(engine), create_app(engine)]
    clients = [TestClient(app, base_url="http://localhost") for app in apps]
    clients[0].get("/v1/about")
    assert b'route="/v1/about"' in apps[0].state.metrics.text()
    assert b'route="/v1/about"' not in apps[1].state.metrics.text()


def test_paths_that_do_not_exist_share_one_label(engine: Engine) -> None:
    app = create_app(engine)
    client = TestClient(app, base_url="http://localhost")
    for n in range(30):
        client.get(f"/v1/nothing/{n}")
        client.get(f"/console/nothing-{n}")
        client.get(f"/v1/items/unknown-{n}")
    text = app.state.metrics.text().decode()
    assert len(set(re.findall(r'requests_total\{method="GET",route="([^"]*)"', text))) <= 3


# --- too much


def test_busy_is_429_with_the_time_to_wait(engine: Engine) -> None:
    def recommend(request: Request) -> Any:
        raise Busy("the model", 2.3)

    with served(Wrapped(engine, recommend)) as door:
        answer = ask(door, user="u00")
    assert answer.status_code == 429 and answer.headers["retry-after"] == "3"
    assert answer.json()["errors"][0] == {
        "code": "busy", "field": None, "message": "the model is busy; try again in 2.30 s",
    }  # fmt: skip


def test_a_request_past_its_time_is_504_and_the_deadline_reaches_the_queue(engine: Engine) -> None:
    hold, seen = threading.Event(), []

    def run(jobs: list[Request]) -> list[Any]:
        assert hold.wait(LONG)
        seen.extend(jobs)
        return [engine.recommend(job) for job in jobs]

    with Batcher(run) as batcher:
        try:
            with served(Wrapped(engine, batcher.call), load=Load(timeout_s=0.05)) as door:
                first, second = ask(door, user="u00"), ask(door, user="u01")
                hold.set()
        finally:
            hold.set()
    assert (first.status_code, second.status_code) == (504, 504)
    assert first.json()["errors"][0]["code"] == "deadline"
    assert [job.user for job in seen] == ["u00"], "the second had not started by its deadline and never was"


def test_the_timeout_holds_for_an_engine_that_hangs(engine: Engine) -> None:
    hold, lefts = threading.Event(), []

    def recommend(request: Request) -> Any:
        lefts.append(deadlines.left(deadlines.current()))
        hold.wait(LONG)

    with served(Wrapped(engine, recommend), load=Load(threads=1, max_waiting=1, timeout_s=0.05)) as door:
        statuses = [ask(door, user="u00").status_code for _ in range(3)]
        alive = door.client.get("/v1/health").status_code, door.client.get("/v1/ready").status_code
        text = door.client.get("/v1/metrics", headers=door.headers("read")).text
        hold.set()
    assert statuses == [504, 504, 504] and alive == (200, 200)
    assert lefts and lefts[0] is not None and 0 < lefts[0] <= 0.05
    assert 'bowerbird_refused_total{reason="deadline"} 3.0' in text


def test_more_than_can_wait_is_turned_away(engine: Engine) -> None:
    hold, inside = threading.Event(), threading.Semaphore(0)

    def recommend(request: Request) -> Any:
        inside.release()
        assert hold.wait(LONG)
        return engine.recommend(request)

    with (
        served(Wrapped(engine, recommend), load=Load(threads=2, max_waiting=1)) as door,
        ThreadPoolExecutor(8) as pool,
    ):
        answers = [pool.submit(ask, door, user="u00") for _ in range(6)]
        for _ in range(2):
            assert inside.acquire(timeout=LONG)
        ended = time.monotonic() + LONG
        while sum(answer.done() for answer in answers) < 3 and time.monotonic() < ended:
            time.sleep(0.01)
        hold.set()
        found = sorted(answer.result(LONG).status_code for answer in answers)
    assert found == [200, 200, 200, 429, 429, 429]


def test_a_body_that_does_not_arrive_is_408(engine: Engine) -> None:
    from bowerbird.serve.api.limits import Limits

    async def session() -> list[Any]:
        guarded = Limits(create_app(engine), None, body_seconds=0.02)
        sent: list[Any] = []
        pieces = [{"type": "http.request", "body": b'{"user"', "more_body": True}]

        async def receive() -> Any:
            if pieces:
                return pieces.pop()
            return await asyncio.sleep(LONG)

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http", "method": "POST", "path": "/v1/recommendations", "query_string": b"", "root_path": "",
            "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
            "client": ("127.0.0.1", 1), "server": ("localhost", 80), "scheme": "http", "http_version": "1.1",
        }  # fmt: skip
        await guarded(scope, receive, send)
        return sent

    start = asyncio.run(session())[0]
    assert start["status"] == 408 and (b"connection", b"close") in start["headers"]
