"""What is around an item in the graph: its own circle, never a user, and a clear answer where there is no graph."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from bowerbird.graph import EdgeList, Edges, GraphError, build_graph, from_edges
from bowerbird.serve.api import create_app
from bowerbird.serve.engine import Engine, UnknownEntityError
from bowerbird.serve.neighbourhood import GraphNeighbours, NoGraphError
from bowerbird.serve.request import RequestError
from bowerbird.serve.service import Service
from bowerbird.tables.store import Store
from bowerbird.tables.view import View
from serve.knn import KnnGenerator
from serve.world import LONELY


@pytest.fixture(scope="module")
def graph(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_graph(View(store), tmp_path_factory.mktemp("graph") / "graph").path


@pytest.fixture(scope="module")
def near(graph: Path) -> GraphNeighbours:
    return GraphNeighbours.open(graph)


@pytest.fixture(scope="module")
def walking(store: Store, near: GraphNeighbours) -> Engine:
    return Engine(store, KnnGenerator(store), graph=near)


@pytest.fixture(scope="module")
def client(walking: Engine) -> Iterator[TestClient]:
    app = create_app(walking)
    with TestClient(app, base_url="http://localhost:8000", raise_server_exceptions=False) as found:
        yield found


def test_the_neighbourhood_of_an_item_is_its_circle(walking: Engine) -> None:
    for item in ("f05", "f40"):
        found = walking.neighbourhood(item, 12)
        assert [one.type for one in found.types] == ["item"], "users are left out"
        nodes = found.types[0].nodes
        assert len(nodes) == 12 and all((node.id < "f30") == (item < "f30") for node in nodes)
        scores = [node.score for node in nodes]
        assert scores == sorted(scores, reverse=True) and 0 < sum(scores) < 1
        assert all(node.item is not None and node.item.id == node.id != item for node in nodes)
        assert found.notes == () and found.item.id == item and "walk" in found.timings_ms


def test_direct_relations_are_those_of_the_graph(walking: Engine, near: GraphNeighbours) -> None:
    ids = near.graph.ids("item").to_list()
    relation = near.graph.relation("item-item")
    direct = {ids[target] for target in relation.targets(ids.index("f05"))}
    direct |= {ids[node] for node in range(len(ids)) if ids.index("f05") in relation.targets(node)}
    nodes = walking.neighbourhood("f05", 50).types[0].nodes
    assert {node.id for node in nodes if node.through} == direct & {node.id for node in nodes}
    assert {node.through for node in nodes} == {("item-item",), ()}, "some are joined directly, some are not"


def test_no_user_is_named(client: TestClient) -> None:
    text = client.get("/v1/items/f05/neighbourhood?k=50").text
    assert '"user"' not in text and not any(f'"u{u:02d}"' in text for u in range(40))


def test_every_other_type_is_told_by_raw_ids(store: Store, tmp_path: Path) -> None:
    lists = [
        EdgeList("item-collection", "item", "collection", Edges([0, 1, 1], [0, 0, 1])),
        EdgeList("query-item", "query", "item", Edges([0, 0], [1, 0])),
        EdgeList("item-creator", "item", "creator", Edges([0], [0])),
        EdgeList("tagged", "item", "tag", Edges([0, 1], [0, 0])),
        EdgeList("user-item", "user", "item", Edges([0, 0], [0, 1])),
    ]
    ids = {
        "item": ["f00", "long gone", "f31"], "collection": ["summer", "books"], "query": ["the sea"],
        "creator": [7], "tag": ["wet"], "user": ["u00"],
    }  # fmt: skip
    graph = GraphNeighbours(from_edges(tmp_path / "graph", lists, ids=ids))
    assert graph.types == ("item", "collection", "query", "creator", "tag")
    engine = Engine(store, KnnGenerator(store), graph=graph)
    found = {one.type: one.nodes for one in engine.neighbourhood("f00", 5).types}
    assert [node.id for node in found["collection"]] == ["summer", "books"]
    assert [node.through for node in found["collection"]] == [("item-collection",), ()]
    assert found["query"][0].id == "the sea" and found["query"][0].through == ("item-query",)
    assert found["creator"][0].id == 7 and found["tag"][0].through == ("tagged",)
    assert [(node.id, node.item) for node in found["item"]] == [("long gone", None)], "not in the catalogue"
    assert [note.code for note in engine.neighbourhood("f31", 5).notes] == ["no_neighbours"]
    late = engine.neighbourhood("f02", 5)
    assert late.types == () and [note.code for note in late.notes] == ["not_in_graph"]


def test_what_cannot_be_answered_is_told(engine: Engine, walking: Engine, client: TestClient) -> None:
    with pytest.raises(NoGraphError, match="--graph"):
        engine.neighbourhood("f05")
    with pytest.raises(UnknownEntityError):
        walking.neighbourhood("f99")
    for k in (0, 51):
        with pytest.raises(RequestError):
            walking.neighbourhood("f05", k)
        assert client.get(f"/v1/items/f05/neighbourhood?k={k}").status_code == 422
    assert client.get("/v1/items/f99/neighbourhood").json()["errors"][0]["code"] == "not_found"
    assert [note.code for note in walking.neighbourhood(LONELY).notes] == ["no_neighbours"]
    with TestClient(create_app(engine), base_url="http://localhost:8000") as bare:
        answer = bare.get("/v1/items/f05/neighbourhood")
        assert answer.status_code == 404 and answer.json()["errors"][0]["code"] == "no_graph"
        assert bare.get("/v1/about").json()["graph"] is False
    assert client.get("/v1/about").json()["graph"] is True


def test_the_answer_has_the_documented_shape(client: TestClient) -> None:
    body = client.get("/v1/items/f05/neighbourhood?k=3").json()
    assert set(body) == {"item", "types", "notes", "timings_ms"}
    assert set(body["types"][0]) == {"type", "nodes"} and len(body["types"][0]["nodes"]) == 3
    assert set(body["types"][0]["nodes"][0]) == {"id", "score", "through", "item"}


def test_threads_share_one_sampler(near: GraphNeighbours) -> None:
    alone = {item: near.near(item, 10) for item in ("f01", "f11", "f33", "f44")}
    differing: list[str] = []

    def ask(item: str) -> None:
        for _ in range(25):
            if near.near(item, 10) != alone[item]:
                differing.append(item)

    threads = [threading.Thread(target=ask, args=(item,)) for item in alone for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert differing == []


def test_where_a_graph_is_looked_for(store: Store, graph: Path, tmp_path: Path) -> None:
    assert GraphNeighbours.for_store(tmp_path) is None
    found = GraphNeighbours.for_store(tmp_path, graph)
    assert found is not None and found.graph.path == graph
    (tmp_path / "graph").symlink_to(graph)
    inside = GraphNeighbours.for_store(tmp_path)
    assert inside is not None and inside.graph.counts == found.graph.counts
    with pytest.raises(GraphError, match="gone"):
        GraphNeighbours.for_store(store.path, tmp_path / "gone")
    friends = EdgeList("friends", "user", "user", Edges(np.array([0]), np.array([1])), symmetric=True)
    with pytest.raises(GraphError, match="item"):
        GraphNeighbours(from_edges(tmp_path / "friends", friends))


def test_a_service_answers_both(store: Store, near: GraphNeighbours) -> None:
    service = Service(Engine(store, KnnGenerator(store), graph=near), graph=near)
    try:
        assert service.about.graph and service.about.map
        assert service.neighbourhood("f05", 4).types[0].type == "item"
        assert service.map().release == "item-knn-test"  # type: ignore[union-attr]
    finally:
        service.close()
