"""The HTTP layer: shapes, refusals, limits, and that no request of any kind makes the server fail."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import example, given
from hypothesis import strategies as st

from bowerbird.serve import request as asked
from bowerbird.serve import response as answered
from bowerbird.serve.api import create_app, messages
from bowerbird.serve.api.limits import MAX_BODY, host_name
from bowerbird.serve.api.routes.answers import UsualValues
from bowerbird.serve.engine import Engine
from bowerbird.serve.traffic import Busy
from bowerbird.tables.store import Store
from serve.api.fakes import MemorySink
from serve.models import generator
from serve.world import N_ITEMS, START


@pytest.fixture(scope="module")
def client(engine: Engine) -> Iterator[TestClient]:
    with TestClient(
        create_app(engine), base_url="http://localhost:8000", raise_server_exceptions=False
    ) as found:
        yield found


@pytest.fixture(scope="module")
def uni(store: Store) -> Iterator[TestClient]:
    """A server whose model ranks, and which takes events."""
    app = create_app(Engine(store, generator(store)), events=MemorySink())
    with TestClient(app, base_url="http://localhost:8000", raise_server_exceptions=False) as found:
        yield found


def ask(client: TestClient, **body: Any) -> dict[str, Any]:
    answer = client.post("/v1/recommendations", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def faults(answer: Any) -> list[tuple[str | None, str]]:
    return [(fault["field"], fault["message"]) for fault in answer.json()["errors"]]


def test_recommendations_carry_everything_the_engine_says(client: TestClient, engine: Engine) -> None:
    body = ask(client, user="u00", k=3, outcomes={"save": 1, "any": 1})
    first = body["items"][0]
    assert set(body) == {
        "items",
        "notes",
        "stage",
        "shares",
        "history_used",
        "timings_ms",
        "release",
        "values",
    }
    assert set(first) == {"rank", "item", "score", "why", "probabilities", "looked_at"} and first["rank"] == 1
    assert set(first["item"]) == {"id", "title", "categories", "facts", "events"}
    assert set(first["why"]) == {"stage", "outcome", "step", "offset", "ranked"}
    assert first["probabilities"] == {} and first["looked_at"] == [] and body["values"] == {}
    assert body["stage"] == "model" and body["notes"] == [] and "total" in body["timings_ms"]


def test_what_the_engine_is_asked_and_answers_is_mirrored_field_by_field() -> None:
    for message, mirrored in (
        (messages.RecommendationRequest, asked.Request), (messages.PastEvent, asked.PastEvent),
        (messages.Recommendations, answered.Response), (messages.Recommendation, answered.Recommendation),
        (messages.Why, answered.Why), (messages.Looked, answered.Looked), (messages.Share, answered.Share),
        (messages.Similar, answered.Similar), (messages.Timeline, answered.Timeline),
    ):  # fmt: skip
        assert set(message.model_fields) == {field.name for field in dataclasses.fields(mirrored)}, message
    sent = {
        "user": 7, "values": {"save": 2.5, "hide": -1}, "at_most": {"genres": 2}, "explain": True, "deadline_ms": 30.5,
        "outcomes": {"any": 1}, "k": 3, "exclude_seen": False, "surface": "home", "time": START,
        "history": [{"item": "f01", "action": "save", "time": START}],
    }  # fmt: skip
    assert messages.RecommendationRequest.model_validate(sent).to_engine() == asked.Request(
        user=7, values={"save": 2.5, "hide": -1.0}, at_most={"genres": 2}, explain=True, deadline_ms=30.5,
        outcomes={"any": 1.0}, k=3, exclude_seen=False, surface="home", time=START,
        history=(asked.PastEvent("f01", "save", START),),
    )  # fmt: skip


def test_a_model_that_ranks_says_how_likely_and_what_it_looked_at(uni: TestClient) -> None:
    body = ask(uni, user="u00", k=5, values={"save": 2, "hide": -1}, explain=True, at_most={"genres": 4})
    assert body["values"] == {"click": 0, "save": 2, "hide": -1}
    assert {"rank", "explain", "total"} <= set(body["timings_ms"])
    for entry in body["items"]:
        likely = entry["probabilities"]
        assert entry["why"]["ranked"] == "actions" and set(likely) == {"click", "save", "hide"}
        assert entry["score"] == pytest.approx(2 * likely["save"] - likely["hide"], abs=1e-5)
        weights = [looked["weight"] for looked in entry["looked_at"]]
        assert len(weights) == 3 and weights == sorted(weights, reverse=True) and 0 <= sum(weights) <= 1.0001
        assert set(entry["looked_at"][0]) == {"item", "time", "actions", "weight"}
    assert ask(uni, user="u00", k=5)["items"][0]["looked_at"] == [], "only where asked for"


def test_about_says_what_can_be_weighed_and_posted(client: TestClient, uni: TestClient) -> None:
    plain, ranking = client.get("/v1/about").json(), uni.get("/v1/about").json()
    assert plain["ranks"] is False and plain["values"] == {} and plain["takes_events"] is False
    assert ranking["ranks"] is True and ranking["takes_events"] is True
    assert ranking["values"] == ask(uni, user="u03", k=1)["values"], (
        "what counts where a request says nothing"
    )
    assert ranking["values"]["save"] > ranking["values"]["click"] > 0 > ranking["values"]["hide"]


def test_usual_worths_are_looked_up_once_a_release_and_never_wait_for_a_busy_engine() -> None:
    about = SimpleNamespace(release="r1")
    answer = SimpleNamespace(stage="model", notes=(), release="r1", values={"save": 2.0})
    calls: list[Any] = []

    class Fake:
        busy = False

        def users(self, search: str, limit: int) -> Any:
            return (SimpleNamespace(id="u"),)

        def recommend(self, request: Any) -> Any:
            calls.append(request)
            if self.busy:
                raise Busy("the model", 1.0)
            return answer

    engine = Fake()
    usual = UsualValues(engine)  # type: ignore[arg-type]
    assert usual.of("r1") == usual.of("r1") == {"save": 2.0} and len(calls) == 1
    answer.release = about.release = "r2"
    assert usual.of("r1") == {"save": 2.0} and usual.of("r2") == {"save": 2.0} and len(calls) == 2
    engine.busy = True
    assert usual.of("r3") == {} and usual.of("r2") == {"save": 2.0}


def test_unknown_users_are_answered_and_told(client: TestClient) -> None:
    body = ask(client, user="nobody", k=2)
    assert (
        body["stage"] == "popularity"
        and body["notes"][0]["code"] == "unknown_user"
        and len(body["items"]) == 2
    )


def test_k_beyond_the_catalogue(client: TestClient) -> None:
    body = ask(client, k=1000)
    assert len(body["items"]) == N_ITEMS + 1 and body["notes"][-1]["code"] == "fewer_items"


def test_filters_and_history_arrive(client: TestClient) -> None:
    history = [{"item": "f40"}, {"item": "f42", "action": "save", "time": START}]
    body = ask(client, history=history, k=4, filters={"exclude": {"genres": ["Sea"]}})
    assert body["history_used"] == 2 and all(
        "Sea" not in entry["item"]["categories"] for entry in body["items"]
    )


def test_browsing(client: TestClient) -> None:
    users = client.get("/v1/users", params={"search": "u1", "limit": 3}).json()["users"]
    assert len(users) == 3 and users[0]["id"].startswith("u1") and users[0]["events"] == 13
    timeline = client.get("/v1/users/u00/history", params={"limit": 2}).json()
    assert timeline["total"] == 13 and timeline["events"][0]["actions"] == ["hide"]
    assert client.get("/v1/items", params={"search": "sea 07"}).json()["items"][0]["title"] == "The Sea 07"
    assert client.get("/v1/items/f03").json()["facts"] == {"year": 1983}
    similar = client.get("/v1/similar/f10", params={"k": 4}).json()
    assert len(similar["items"]) == 4 and similar["item"]["id"] == "f10"
    assert client.get("/v1/similar/no/such%2Fitem").json()["notes"][0]["code"] == "unknown_item"
    about = client.get("/v1/about").json()
    assert about["dataset"] == "two circles" and about["facets"][0]["column"] == "genres"
    assert client.get("/v1/health").json()["status"] == "ok"


def test_what_is_not_there_is_404(client: TestClient) -> None:
    for path in ("/v1/users/nobody/history", "/v1/items/gone", "/v1/nothing", "/console/none.js"):
        answer = client.get(path)
        assert answer.status_code == 404 and answer.json()["errors"][0]["message"], path
    assert client.get("/v1/recommendations").status_code == 405


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        ({"user": "u00", "outcome": {"save": 1}}, "outcome", "Extra inputs are not permitted"),
        ({"user": "u00", "outcomes": {"svae": 1}}, "outcomes", "did you mean 'save'"),
        ({"user": "u00", "outcomes": {"save": -1}}, "outcomes.save", "greater than or equal to 0"),
        ({"user": "u00", "outcomes": {"save": 0}}, "outcomes", "above 0"),
        ({"user": "u00", "k": 0}, "k", "greater than or equal to 1"),
        ({"user": "u00", "k": "ten"}, "k", "valid integer"),
        ({"user": 1.5}, "user", "an id is text of 1 to 512 characters, or a whole number"),
        ({"user": True}, "user", "an id is text"),
        ({"user": ""}, "user", "an id is text"),
        ({"history": [{"action": "save"}]}, "history.0.item", "required"),
        ({"history": [{"item": "f01", "action": "sold"}]}, "history.action", "unknown action 'sold'"),
        ({"filters": {"include": {"genre": ["Sea"]}}}, "filters", "did you mean 'genres'"),
        ({"time": 10**18}, "time", "less than or equal"),
        ({"user": "u00", "values": {"svae": 1}}, "values", "did you mean 'save'"),
        ({"user": "u00", "values": {"save": 0}}, "values", "worth something"),
        ({"user": "u00", "values": {"save": 1e9}}, "values.save", "less than or equal"),
        ({"user": "u00", "at_most": {"genre": 2}}, "at_most", "did you mean 'genres'"),
        ({"user": "u00", "at_most": {"genres": 0}}, "at_most.genres", "greater than or equal to 1"),
        ({"user": "u00", "deadline_ms": -1}, "deadline_ms", "greater than or equal to 0"),
        ({"user": "u00", "explain": "perhaps"}, "explain", "boolean"),
    ],
)
def test_a_wrong_request_is_told_what_and_where(client: TestClient, body: Any, field: str, says: str) -> None:
    answer = client.post("/v1/recommendations", json=body)
    assert answer.status_code == 422
    found = dict(faults(answer))
    assert field in found and says in found[field], found


def test_broken_bodies(client: TestClient) -> None:
    for body in (
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"user": NaN}',
        b'{"user": "\\ud800"}',
        b"{" * 5000,
    ):
        answer = client.post(
            "/v1/recommendations", content=body, headers={"content-type": "application/json"}
        )
        assert answer.status_code in (400, 422), (body[:20], answer.status_code)
        assert answer.json()["errors"]


def test_large_bodies_are_refused_declared_or_not(client: TestClient) -> None:
    body = json.dumps({"user": "x" * MAX_BODY}).encode()
    declared = client.post("/v1/recommendations", content=body)
    assert declared.status_code == 413 and declared.json()["errors"][0]["code"] == "too_large"

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(body), 10_000):
            yield body[start : start + 10_000]

    streamed = client.post("/v1/recommendations", content=pieces())
    assert streamed.status_code == 413 and streamed.json()["errors"][0]["code"] == "too_large"


def test_only_local_host_names_are_answered(engine: Engine) -> None:
    app = create_app(engine)
    for name, status in (
        ("localhost", 200),
        ("127.0.0.1:9", 200),
        ("[::1]:9", 200),
        ("evil.example", 421),
        ("", 421),
    ):
        answer = TestClient(app).get("/v1/health", headers={"host": name})
        assert answer.status_code == status, name
    assert (
        TestClient(create_app(engine, hosts=None)).get("/v1/health", headers={"host": "any"}).status_code
        == 200
    )
    assert host_name("[::1]:80") == "::1" and host_name("LocalHost") == "localhost"


def test_an_unexpected_error_leaks_nothing(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("secret path /home/me")

    client = TestClient(create_app(Broken()), base_url="http://localhost", raise_server_exceptions=False)  # type: ignore[arg-type]
    answer = client.get("/v1/users")
    assert answer.status_code == 500 and "secret" not in answer.text and "Traceback" not in answer.text
    reference = answer.json()["errors"][0]["message"].split()[-1]
    assert reference in caplog.text and "secret" in caplog.text


def test_the_page_and_its_files_are_served_and_bring_all_they_need(client: TestClient) -> None:
    page = client.get("/")
    assert page.url.path == "/console/" and "<title>Bowerbird</title>" in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'self'")
    for name in ("css/base.css", "js/main.js", "js/views/results.js", "mark.svg"):
        found = client.get(f"/console/{name}")
        assert found.status_code == 200, name
        assert "https://" not in found.text and "http://" not in found.text.replace(
            "http://www.w3.org", ""
        ), name
    assert client.get("/console/../api/app.py").status_code == 404
    assert client.get("/console/%2e%2e/engine.py").status_code == 404


def test_the_openapi_document_names_every_answer_and_its_examples_work(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    for path, methods in document["paths"].items():
        for method, entry in methods.items():
            content = entry["responses"]["200"]["content"]["application/json"]
            assert "$ref" in content["schema"], (method, path, "an untyped answer")
            assert entry["responses"]["422"]["content"]["application/json"]["schema"]["$ref"].endswith(
                "/Faults"
            )
            assert entry["summary"] and entry["description"], path
    examples = document["components"]["schemas"]["RecommendationRequest"]["examples"]
    for request in examples:
        answer = client.post("/v1/recommendations", json=request)
        assert answer.status_code in (200, 422), answer.text  # outcome names are those of another catalogue


WORDS = ["any", "click", "save", "hide", "genres", "Sea", "home", "u00", "f01", ""]
NAMES = st.sampled_from(WORDS) | st.text(max_size=8)
IDS = NAMES | st.integers() | st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False)
TIMES = st.none() | st.integers() | st.integers(START, START + 10**10)
EVENTS = st.fixed_dictionaries({"item": IDS}, optional={"action": NAMES | st.none(), "time": TIMES})
GROUPS = st.dictionaries(NAMES, st.lists(NAMES, max_size=3), max_size=2)
BODIES = st.fixed_dictionaries(
    {},
    optional={
        "user": IDS,
        "history": st.none() | st.lists(EVENTS, max_size=4),
        "surface": NAMES | st.none(),
        "outcomes": st.dictionaries(st.sampled_from(["any", "click", "save"]), st.floats(0, 1), max_size=3)
        | st.dictionaries(NAMES, st.floats(allow_nan=False) | st.integers(-1, 3), max_size=3),
        "k": st.integers(1, 70) | st.integers(),
        "exclude_seen": st.booleans() | NAMES,
        "filters": st.fixed_dictionaries({}, optional={"include": GROUPS, "exclude": GROUPS}),
        "time": TIMES,
        "values": st.dictionaries(st.sampled_from(["click", "save", "hide"]), st.floats(-3, 3), max_size=3)
        | st.dictionaries(NAMES, st.floats() | NAMES, max_size=3),
        "at_most": st.dictionaries(NAMES, st.integers(-1, 4), max_size=2),
        "explain": st.booleans(),
        "deadline_ms": st.none() | st.floats(-1, 50) | st.integers(),
    },
)
ANYTHING = st.recursive(
    IDS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3)
)


@given(body=BODIES)
@example(body={"user": "u00", "outcomes": {"save": 5e-324}, "k": 3})
@example(body={"history": [{"item": "f01", "time": -62_135_596_800_000}], "time": -62_135_596_800_000})
def test_no_request_makes_the_server_fail(client: TestClient, uni: TestClient, body: Any) -> None:
    for server in (client, uni):
        # Characters outside ASCII travel as escapes, so lone surrogates reach the server as well.
        answer = server.post("/v1/recommendations", content=json.dumps(body).encode())
        assert answer.status_code in (200, 400, 422), answer.text
        found = answer.json()
        assert found["items"] or found["notes"] if answer.status_code == 200 else found["errors"]


@given(body=ANYTHING)
def test_no_json_makes_the_server_fail(client: TestClient, body: Any) -> None:
    answer = client.post("/v1/recommendations", content=json.dumps(body).encode())
    assert answer.status_code in (200, 422), answer.text


@given(text=st.text(max_size=12), limit=st.integers(-2, 1100))
def test_no_search_makes_the_server_fail(client: TestClient, text: str, limit: int) -> None:
    query = {"search": text.encode("utf-8", "replace").decode(), "limit": limit}
    for path in ("/v1/users", "/v1/items"):
        answer = client.get(path, params=query)
        assert answer.status_code == (200 if 1 <= limit <= 1000 else 422), answer.text


@given(item=st.text(min_size=1, max_size=12).filter(lambda text: not set(text) & set("?#")))
def test_no_id_makes_the_server_fail(client: TestClient, item: str) -> None:
    from urllib.parse import quote

    path = quote(item.encode("utf-8", "replace").decode(), safe="")
    assert client.get(f"/v1/similar/{path}").status_code in (200, 404)
    assert client.get(f"/v1/users/{path}/history").status_code in (200, 404)
