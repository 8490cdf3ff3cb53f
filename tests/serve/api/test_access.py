"""The gate: what needs which scope, how often, and that nothing is open by mistake."""

from __future__ import annotations

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from bowerbird.serve.api import create_app
from bowerbird.serve.api.gate import scope_of
from bowerbird.serve.api.keys import Key
from bowerbird.serve.engine import Engine
from bowerbird.serve.traffic import Rates
from serve.api.fakes import Served, served

EVENT = {"event_id": "e1", "user": "u00", "item": "f01", "time": 1_700_000_000_000}
NEEDS = {
    ("GET", "/v1/about"): "read",
    ("GET", "/v1/traffic"): "read",
    ("GET", "/v1/users"): "read",
    ("GET", "/v1/users/u00/history"): "read",
    ("GET", "/v1/items"): "read",
    ("GET", "/v1/items/f01"): "read",
    ("GET", "/v1/items/f01/neighbourhood"): "read",
    ("GET", "/v1/map"): "read",
    ("GET", "/v1/similar/f01"): "read",
    ("POST", "/v1/recommendations"): "read",
    ("GET", "/v1/release"): "read",
    ("GET", "/v1/metrics"): "read",
    ("POST", "/v1/events"): "write",
    ("POST", "/v1/admin/rollback"): "admin",
}
LET_IN = {"/v1/items/f01/neighbourhood": 404}
"""What whoever is let in is answered, where it is not 200: this server has no graph."""
BODIES = {"/v1/recommendations": {"user": "u00"}, "/v1/events": {"events": [EVENT]}}


@pytest.mark.parametrize(("method", "path"), NEEDS)
def test_each_route_opens_to_its_scope_alone(door: Served, method: str, path: str) -> None:
    body = BODIES.get(path)
    bare = door.client.request(method, path, json=body)
    assert bare.status_code == 401 and bare.headers["www-authenticate"] == "Bearer"
    assert bare.json()["errors"][0]["code"] == "unauthorized"
    for scope in ("read", "write", "admin"):
        answer = door.client.request(method, path, json=body, headers=door.headers(scope))
        wanted = LET_IN.get(path, 200) if NEEDS[method, path] == scope else 403
        assert answer.status_code == wanted, (scope, answer.text)
        if answer.status_code == 403:
            assert f"needs the scope {NEEDS[method, path]}" in answer.json()["errors"][0]["message"]
    answer = door.client.request(method, path, json=body, headers=door.headers("every"))
    assert answer.status_code in (LET_IN.get(path, 200), 409)


def test_every_route_is_in_the_table_above_or_meant_to_be_open(door: Served) -> None:
    with_keys = {scope_of(path.replace("u00", "{user}").replace("f01", "{item}")) for _, path in NEEDS}
    assert with_keys == {"read", "write", "admin"}
    known = {path.replace("u00", "{user}").replace("f01", "{item}") for _, path in NEEDS}
    paths = {path.replace(":path}", "}") for path in _paths(door.app)}
    assert paths - known == {"/", "/v1/health", "/v1/ready", "/openapi.json"}, (
        "one more route: say what it needs"
    )


def _paths(app) -> set[str]:  # type: ignore[no-untyped-def]
    found: set[str] = set()
    pending = list(app.router.routes)
    while pending:
        route = pending.pop()
        inner = getattr(route, "original_router", None) or getattr(route, "router", None)
        if inner is not None:
            pending += inner.routes
        elif isinstance(route, APIRoute) or getattr(route, "methods", None):
            found.add(route.path)
    return found


def test_open_paths_need_nothing(door: Served) -> None:
    for path in ("/", "/console/", "/console/js/main.js", "/v1/health", "/v1/ready", "/openapi.json"):
        assert door.client.get(path).status_code == 200, path


@given(path=st.text(st.characters(codec="latin-1", exclude_characters="?#"), max_size=20))
def test_whatever_else_needs_a_key(path: str) -> None:
    needed = scope_of(f"/{path}")
    assert needed is not None or f"/{path}" in ("/", "/console") or path.startswith("console/")


def test_odd_spellings_of_a_path_are_not_a_way_round(door: Served) -> None:
    for path in (
        "//v1/about", "/V1/about", "/v1/about/", "/v1//about", "/console/../v1/about", "/console/%2e%2e/v1/about",
        "/v1/health/../about", "/%76%31/about", "/v1/about;a", "/console//v1/about", "/v1/admin/rollback/",
    ):  # fmt: skip
        answer = door.client.get(path)
        assert answer.status_code in (401, 404), (path, answer.status_code)
    for path in ("/v1/events/", "/v1/admin/../events", "//v1/events", "/v1/items/../events"):
        answer = door.client.post(
            path, json={"events": [EVENT]}, headers=door.headers("read"), follow_redirects=False
        )
        assert answer.status_code in (403, 404, 405, 307), (path, answer.status_code)
    assert door.sink.kept == {}


def test_a_mounted_application_is_no_less_guarded(door: Served) -> None:
    from fastapi import FastAPI

    outer = FastAPI()
    outer.mount("/bower", door.app)
    client = TestClient(outer, base_url="http://localhost")
    assert client.get("/bower/v1/health").status_code == 200
    assert client.get("/bower/v1/about").status_code == 401
    read = door.headers("read")
    assert client.post("/bower/v1/events", json={"events": [EVENT]}, headers=read).status_code == 403
    assert client.get("/bower/v1/about", headers=read).status_code == 200


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Basic dTpw", "Bearer x", "bearer\tx", "Bearer " + "x" * 10_000, "\xff"],
)
def test_what_is_no_key_is_401(door: Served, header: str) -> None:
    answer = door.client.get("/v1/about", headers={"authorization": header.encode("latin-1")})
    assert answer.status_code == 401 and answer.json()["errors"][0]["code"] == "unauthorized"


def test_the_scheme_is_read_in_any_case(door: Served) -> None:
    text = door.keys["read"].text
    assert door.client.get("/v1/about", headers={"authorization": f"bEaReR {text}"}).status_code == 200
    assert door.client.get("/v1/about", params={"key": text}).status_code == 401, "not in the address"


def test_a_refused_body_is_not_read(door: Served) -> None:
    def pieces():  # type: ignore[no-untyped-def]
        raise AssertionError("the body was asked for")
        yield b""

    scope = {
        "type": "http", "method": "POST", "path": "/v1/events", "query_string": b"", "root_path": "",
        "headers": [(b"host", b"localhost")], "client": ("127.0.0.1", 1), "server": ("localhost", 80),
        "scheme": "http", "http_version": "1.1",
    }  # fmt: skip
    sent = []

    async def receive():  # type: ignore[no-untyped-def]
        next(pieces())

    async def send(message):  # type: ignore[no-untyped-def]
        sent.append(message)

    import asyncio

    asyncio.run(door.app(scope, receive, send))
    assert sent[0]["status"] == 401


def test_a_key_has_its_rate(engine: Engine) -> None:
    with served(engine, access={"per_key": Rates(per_second=0.01, burst=3)}) as door:
        read = door.headers("read")
        answers = [door.client.get("/v1/items/f01", headers=read) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
        assert answers[3].json()["errors"][0]["code"] == "rate"
        assert 1 <= int(answers[3].headers["retry-after"]) <= 100
        assert door.client.get("/v1/items/f01", headers=door.headers("every")).status_code == 200, (
            "another key"
        )
        assert door.client.get("/v1/health").status_code == 200
        assert door.client.get("/console/js/main.js").status_code == 200


def test_an_address_without_a_key_has_its_rate(engine: Engine) -> None:
    with served(engine, access={"per_address": Rates(per_second=0.01, burst=2)}) as door:
        statuses = [door.client.get("/v1/about").status_code for _ in range(4)]
        assert statuses == [401, 401, 429, 429]
        assert door.client.get("/v1/about", headers=door.headers("read")).status_code == 200


def test_wrong_keys_are_limited_and_right_ones_still_pass(engine: Engine) -> None:
    with served(engine, access={"attempts": Rates(per_second=0.01, burst=3)}) as door:
        wrong = {"authorization": f"Bearer {Key.new().text}"}
        answers = [door.client.get("/v1/about", headers=wrong) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [401, 401, 401, 429, 429]
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert door.client.get("/v1/about", headers=door.headers("read")).status_code == 200
        text = door.app.state.metrics.text().decode()
        assert 'bowerbird_refused_total{reason="attempts"} 2.0' in text
        assert 'bowerbird_refused_total{reason="key"} 3.0' in text


def test_a_key_that_ends_while_the_server_runs(engine: Engine, tmp_path) -> None:  # type: ignore[no-untyped-def]
    from bowerbird.serve.api import Access
    from bowerbird.serve.api.keys import KeyFile, KeyRing

    file = KeyFile(tmp_path / "keys.json")
    key = file.create("x", ["read"])
    app = create_app(engine, access=Access(KeyRing(file)))
    client = TestClient(app, base_url="http://localhost", headers={"authorization": f"Bearer {key.text}"})
    assert client.get("/v1/about").status_code == 200
    file.revoke(key.id)
    answer = client.get("/v1/about")
    assert answer.status_code == 401 and "revoked" in answer.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    ("host", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("192.0.2.1", {}, 401),
        ("127.0.0.1", {"x-forwarded-for": "192.0.2.1"}, 401),
        ("127.0.0.1", {"forwarded": "for=127.0.0.1"}, 401),
        ("127.0.0.1", {"authorization": "Bearer x"}, 401),
    ],
)
def test_metrics_are_open_to_this_machine(
    door: Served, host: str, headers: dict[str, str], status: int
) -> None:
    client = TestClient(door.app, base_url="http://localhost", client=(host, 5))
    assert client.get("/v1/metrics", headers=headers).status_code == status
    assert client.get("/v1/about").status_code == 401, "and nothing else is"


def test_without_keys_pages_of_other_sites_change_nothing(engine: Engine) -> None:
    from serve.api.fakes import MemoryReleases, MemorySink

    sink, releases = MemorySink(), MemoryReleases()
    app = create_app(engine, events=sink, releases=releases)
    client = TestClient(app, base_url="http://localhost:8000")
    foreign = {"origin": "https://evil.example"}
    assert client.post("/v1/admin/rollback", headers=foreign).status_code == 403
    assert client.post("/v1/admin/rollback", headers={"origin": "null"}).status_code == 403
    assert client.post("/v1/events", json={"events": [EVENT]}, headers=foreign).status_code == 403
    assert sink.kept == {} and releases.now.serving == "r2"
    own = {"origin": "http://localhost:8000"}
    assert client.post("/v1/events", json={"events": [EVENT]}, headers=own).status_code == 200
    assert client.post("/v1/admin/rollback").status_code == 200, "no browser, no origin"
    assert client.get("/v1/about", headers=foreign).status_code == 200, (
        "unreadable for the page: no CORS header"
    )
    assert "access-control-allow-origin" not in client.get("/v1/about", headers=foreign).headers


def test_no_websockets(door: Served) -> None:
    from starlette.websockets import WebSocketDisconnect

    with pytest.raises(WebSocketDisconnect), door.client.websocket_connect("/console/x"):
        pass


def test_the_document_says_which_scope(door: Served) -> None:
    document = door.client.get("/openapi.json").json()
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    for path, methods in document["paths"].items():
        for operation in methods.values():
            scope = scope_of(path)
            assert ("security" in operation) == (scope is not None) == ("401" in operation["responses"]), path
            assert scope is None or f"`{scope}`" in operation["description"]
    plain = create_app(object()).openapi()  # type: ignore[arg-type]
    assert "securitySchemes" not in plain["components"]
