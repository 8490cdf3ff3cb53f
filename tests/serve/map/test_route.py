"""GET /v1/map: what it says, how it is cached, and what it answers while there is no map."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from bowerbird.serve.api import create_app
from bowerbird.serve.engine import Engine
from bowerbird.serve.map import Making, MapFailedError
from bowerbird.tables.store import Store
from serve.knn import KnnGenerator
from serve.map.test_layout import apart
from serve.models import generator


def client_of(engine: Any) -> TestClient:
    return TestClient(create_app(engine), base_url="http://localhost:8000", raise_server_exceptions=False)


@pytest.fixture(scope="module")
def client(engine: Engine) -> Iterator[TestClient]:
    with client_of(engine) as found:
        yield found


def test_the_two_circles_are_two_islands(client: TestClient) -> None:
    body = client.get("/v1/map").json()
    at = np.stack([body["x"], body["y"]], axis=1)
    assert apart(at, np.array([int(id >= "f30") for id in body["ids"]]))


def test_the_lists_have_one_entry_an_item(client: TestClient) -> None:
    body = client.get("/v1/map").json()
    lists = ("ids", "x", "y", "category", "size")
    assert {len(body[name]) for name in lists} == {56} and len(set(body["ids"])) == 56
    assert (body["total"], body["items"], body["method"], body["column"]) == (56, 61, "pca", "genres")
    assert set(body) == {
        *lists,
        "total",
        "items",
        "method",
        "column",
        "categories",
        "release",
        "source",
        "side",
    }
    assert all(0 <= place <= body["side"] for place in body["x"] + body["y"])
    assert all(client.get(f"/v1/items/{id}").status_code == 200 for id in body["ids"][:3])
    assert client.get("/v1/about").json()["map"] is True


def test_a_map_that_is_known_is_not_sent_again(client: TestClient, store: Store) -> None:
    first = client.get("/v1/map")
    etag = first.headers["etag"]
    assert first.headers["cache-control"] == "private, no-cache"
    for named in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = client.get("/v1/map", headers={"if-none-match": named})
        assert again.status_code == 304 and not again.content and again.headers["etag"] == etag
    assert client.get("/v1/map", headers={"if-none-match": '"other"'}).content == first.content
    with client_of(Engine(store, generator(store))) as other:
        found = other.get("/v1/map", headers={"if-none-match": etag})
        assert found.status_code == 200 and found.headers["etag"] != etag
        assert found.json()["release"] == found.json()["source"] == "uni-test"


def test_what_is_said_while_there_is_none(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(store, KnnGenerator(store))
    with client_of(engine) as client:
        monkeypatch.setattr(engine.maps, "get", lambda: Making(3.21, 2))
        waiting = client.get("/v1/map")
        assert waiting.status_code == 202 and waiting.headers["retry-after"] == "2"
        assert waiting.json() == {"making": True, "seconds": 3.2, "retry_after": 2}

        def fails() -> None:
            raise MapFailedError(12.3)

        monkeypatch.setattr(engine.maps, "get", fails)
        failed = client.get("/v1/map")
        assert (failed.status_code, failed.headers["retry-after"]) == (503, "13")
        assert failed.json()["errors"][0]["code"] == "map"


def test_a_model_without_vectors_has_no_map(store: Store) -> None:
    knn = KnnGenerator(store)
    knn.item_vectors = None
    with client_of(Engine(store, knn)) as client:
        answer = client.get("/v1/map")
        assert answer.status_code == 404 and answer.json()["errors"][0]["code"] == "no_map"
        assert client.get("/v1/about").json()["map"] is False
