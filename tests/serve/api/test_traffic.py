"""What `/v1/traffic` says: figures of a stretch of time, and the state of what serves."""

from __future__ import annotations

from types import SimpleNamespace

from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from bowerbird.serve.api import Metrics, create_app
from bowerbird.serve.api.routes.figures import figures, quantile, read
from bowerbird.serve.api.routes.traffic import Window, pool_of
from bowerbird.serve.engine import Engine
from bowerbird.tables.store import Store
from serve.api.fakes import MemoryReleases, MemorySink
from serve.models import generator
from serve.world import START


def test_quantiles_are_interpolated_inside_buckets() -> None:
    inf = float("inf")
    assert quantile([(1.0, 10), (2.0, 20), (inf, 20)], 0.5) == 1.0
    assert quantile([(1.0, 10), (2.0, 20), (inf, 20)], 0.75) == 1.5
    assert quantile([(1.0, 0), (2.0, 4), (inf, 4)], 0.5) == 1.5, "an empty bucket adds nothing"
    assert quantile([(1.0, 1), (inf, 100)], 0.99) == 1.0, "no further than the last end"


@given(seconds=st.lists(st.floats(0.0001, 20), min_size=1, max_size=60))
def test_a_median_is_in_the_bucket_of_the_true_one(seconds: list[float]) -> None:
    metrics = Metrics()
    for value in seconds:
        metrics.request("GET", "/r", 200, value)
    route = figures(read(metrics.registry), {}, 1.0).routes[0]
    assert sum(bucket.requests for bucket in route.buckets) == route.requests == len(seconds)
    ends = [0.0] + [bucket.to_ms for bucket in route.buckets[:-1]]  # type: ignore[list-item]
    true = sorted(seconds)[max(0, -(-len(seconds) // 2) - 1)] * 1000
    assert route.p50_ms is not None
    low = max(end for end in ends if end < true)
    high = min((end for end in ends if end >= true), default=ends[-1])
    assert min(low, ends[-1]) - 1e-3 <= route.p50_ms <= high + 1e-3
    assert route.p50_ms <= route.p95_ms <= route.p99_ms  # type: ignore[operator]


def test_figures_are_those_of_their_stretch_of_time() -> None:
    now, metrics = 0.0, Metrics()
    window = Window(metrics.registry, clock=lambda: now)

    def happens(number: int, status: int = 200) -> None:
        for _ in range(number):
            metrics.request("POST", "/v1/recommendations", status, 0.003)
            metrics.stages("/v1/recommendations", {"rank": 1.0, "encode": 2.0, "total": 4.0})

    metrics.request("GET", "/v1/traffic", 200, 0.001)
    happens(4)
    now = 2.0
    recent, total = window.look()
    assert recent == total and total.requests == 4 and total.per_s == 2.0 and total.seconds == 2.0
    assert [(one.stage, one.answers, one.mean_ms, one.share) for one in total.stages] == [
        ("rank", 4, 1.0, 0.25), ("encode", 4, 2.0, 0.5),
    ]  # fmt: skip
    happens(30)
    now = 50.0
    window.look()
    happens(5, status=503)
    metrics.refused("rate")
    now = 110.0
    recent, total = window.look()
    assert (recent.requests, recent.seconds, total.requests) == (5, 60.0, 39)
    assert recent.routes[0].failures == 5 and recent.refused == {"rate": 1}
    assert sum(bucket.requests for bucket in recent.routes[0].buckets) == 5
    now = 5000.0
    assert window.look()[0].requests == 0, "since the last look, where that is longer ago"


def test_traffic_shows_requests_release_pool_and_history(store: Store) -> None:
    engine, metrics = Engine(store, generator(store)), Metrics()
    engine.start_batching(observer=metrics.batcher("model"))
    app = create_app(engine, events=MemorySink(), releases=MemoryReleases(), metrics=metrics)
    with TestClient(app, base_url="http://localhost:8000") as client:
        for user in ("u00", "u00", "u01"):
            assert client.post("/v1/recommendations", json={"user": user, "k": 3}).status_code == 200
        event = {"event_id": "e", "user": "u00", "item": "f01", "time": START, "actions": ["click"]}
        assert client.post("/v1/events", json={"events": [event]}).status_code == 200
        found = client.get("/v1/traffic").json()
    engine.close()
    total = found["total"]
    routes = {one["route"]: one for one in total["routes"]}
    assert routes["/v1/recommendations"]["requests"] == 3 and "/v1/traffic" not in routes
    assert total["requests"] == 4 and total["events"] == {"accepted": 1}
    assert total["batches"][0] == {**total["batches"][0], "batcher": "model", "batches": 3, "mean_size": 1.0}
    assert {one["stage"] for one in total["stages"]} >= {
        "history",
        "encode",
        "generate",
        "retrieve",
        "rank",
        "guard",
    }
    assert (found["pool"]["misses"], found["pool"]["hits"]) == (2, 1)
    assert found["history"]["ok"] is True
    assert (found["serving"], found["active"], found["previous"], found["refused"]) == (
        "r2",
        "r2",
        "r1",
        False,
    )


def test_traffic_of_a_model_without_memory_and_a_server_without_events(engine: Engine) -> None:
    with TestClient(create_app(engine), base_url="http://localhost:8000") as client:
        found = client.get("/v1/traffic").json()
    assert found["pool"] is None and found["history"] is None and found["active"] is None
    assert found["serving"] == engine.about.release
    for told in ({}, {"pool": None}, {"pool": {"slots": 3}}):
        assert pool_of(SimpleNamespace(describe=lambda told=told: told)) is None  # type: ignore[arg-type]
    assert pool_of(object()) is None  # type: ignore[arg-type]


def test_a_history_that_is_not_well_shows_in_the_traffic(engine: Engine) -> None:
    sink = MemorySink()
    sink.ok = False
    with TestClient(create_app(engine, events=sink), base_url="http://localhost:8000") as client:
        assert client.get("/v1/traffic").json()["history"]["ok"] is False
    sink.health = None  # type: ignore[method-assign, assignment]
    with TestClient(create_app(engine, events=sink), base_url="http://localhost:8000") as client:
        assert client.get("/v1/traffic").json()["history"]["ok"] is False, (
            "one that cannot be asked is not well"
        )
