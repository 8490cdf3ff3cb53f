"""Graphs of a store: every relation against rows counted by hand, at every wall; and growing with the wall."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from bowerbird.graph import (
    UNDATED,
    EdgesRejectedError,
    Graph,
    GraphError,
    ItemCollection,
    ItemCreator,
    ItemItem,
    LinkRelation,
    QueryItem,
    UserItem,
    build_graph,
    default_relations,
    extend_graph,
)
from bowerbird.tables.errors import ConfigError
from bowerbird.tables.store import Store, build_store
from bowerbird.tables.view import LastOut, View
from graph.building.truth import as_dict, assert_same_arrays

WALLS = [None, 1, 40, 41, 120, 10_000]
N_USERS, N_ITEMS = 7, 15


def tables() -> dict[str, pl.DataFrame]:
    rng = np.random.default_rng(0)
    n = 160
    return {
        "events": pl.DataFrame(
            {
                "user_id": [f"u{user}" for user in rng.integers(0, N_USERS, n)],
                "item_id": rng.integers(0, N_ITEMS, n),
                "timestamp": rng.permutation(n) + 1,  # no ties: every order below is the only one
                "query": rng.choice(["cats", "dogs", None], n).tolist(),
                "weight": rng.choice([1.0, 0.5, 2.0], n),
                "actions": rng.choice(["click", "save", "hide", ""], n).tolist(),
            }
        ).with_columns(
            pl.when(pl.col("actions") == "")
            .then(pl.lit([], dtype=pl.List(pl.String)))
            .otherwise(pl.concat_list("actions"))
            .alias("actions")
        ),
        "items": pl.DataFrame(
            {
                "item_id": range(N_ITEMS),
                "title": [f"thing {i}" for i in range(N_ITEMS)],
                "creator_id": [None if i == 3 else f"c{i % 4}" for i in range(N_ITEMS)],
                "created_at": [None if i % 5 == 0 else 10 * i for i in range(N_ITEMS)],
            }
        ),
        "collections": pl.DataFrame(
            {
                "collection_id": [f"list {9 - i // 3}" for i in range(24)],
                "item_id": [(i * 7) % N_ITEMS for i in range(24)],
                "title": ["a list"] * 24,
                "timestamp": [None if i % 8 == 0 else 6 * i for i in range(24)],
                "weight": [None if i == 5 else 1.0 + i % 2 for i in range(24)],
            }
        ),
        "links": pl.DataFrame(
            {
                "source_type": ["item"] * 8 + ["user"] * 3,
                "source_id": [str(i) for i in range(8)] + ["u0", "u1", "u1"],
                "target_type": ["item"] * 6 + ["tag"] * 2 + ["user"] * 3,
                "target_id": [str(i + 1) for i in range(6)] + ["new", "art"] + ["u1", "u0", "u2"],
                "relation": ["cites"] * 6 + ["tagged"] * 2 + ["friend"] * 3,
                "timestamp": [20, 60, None, 100, 140, 40, 30, 90, 10, 50, None],
            }
        ),
    }


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return build_store(
        tmp_path_factory.mktemp("view") / "store",
        tables(),
        actions=["click", "save", "hide"],
        negative_actions=["hide"],
    )


@cache
def rows(name: str) -> list[dict[str, Any]]:
    return tables()[name].to_dicts()


def shown(name: str, before: int | None) -> list[dict[str, Any]]:
    limit = np.inf if before is None else before
    return [row for row in rows(name) if row["timestamp"] is None or row["timestamp"] < limit]


def positives(before: int | None) -> list[dict[str, Any]]:
    found = [row for row in shown("events", before) if set(row["actions"]) & {"click", "save"}]
    return sorted(found, key=lambda row: (row["user_id"], row["timestamp"]))


class Tally(defaultdict):  # type: ignore[type-arg]
    """Edges by raw id: weight and latest time."""

    def __init__(self) -> None:
        super().__init__(lambda: (0.0, UNDATED))

    def add(self, source: object, target: object, weight: float, time: int | None) -> None:
        old = self[source, target]
        self[source, target] = (old[0] + weight, max(old[1], UNDATED if time is None else time))


def raw_edges(graph: Graph, name: str) -> dict[tuple[Any, Any], tuple[float, int]]:
    relation = graph.relation(name)
    source, target = graph.ids(relation.source).to_list(), graph.ids(relation.target).to_list()
    return {(source[u], target[v]): value for (u, v), value in as_dict(relation).items()}


def expected(before: int | None) -> dict[str, Tally]:
    found: dict[str, Tally] = defaultdict(Tally)
    for row in shown("collections", before):
        found["item-collection"].add(
            row["item_id"], row["collection_id"], row["weight"] or 1.0, row["timestamp"]
        )
    for row in positives(before):
        found["user-item"].add(row["user_id"], row["item_id"], row["weight"], row["timestamp"])
        if row["query"]:
            found["query-item"].add(row["query"], row["item_id"], row["weight"], row["timestamp"])
    for one, two in pairwise(positives(before)):
        if one["user_id"] == two["user_id"] and one["item_id"] != two["item_id"]:
            found["item-item"].add(one["item_id"], two["item_id"], 1.0, two["timestamp"])
            found["item-item"].add(two["item_id"], one["item_id"], 1.0, two["timestamp"])
    for row in rows("items"):
        if row["creator_id"] and (row["created_at"] is None or before is None or row["created_at"] < before):
            found["item-creator"].add(row["item_id"], row["creator_id"], 1.0, row["created_at"])
    for row in shown("links", before):
        source, target = (
            int(row[f"{side}_id"]) if row[f"{side}_type"] == "item" else row[f"{side}_id"]
            for side in ("source", "target")
        )
        found[row["relation"]].add(source, target, 1.0, row["timestamp"])
    return found


@pytest.mark.parametrize("before", WALLS)
def test_every_relation_at_every_wall(store: Store, tmp_path: Path, before: int | None) -> None:
    view = View(store, before)
    graph = build_graph(view, tmp_path / "g", pruning=None)
    truth = expected(before)
    assert {graph.manifest.relations[name].base for name in graph.relations} == truth.keys()
    for name, edges in truth.items():
        assert raw_edges(graph, name) == edges, name
        assert raw_edges(graph, graph.reverse(name)) == {(v, u): value for (u, v), value in edges.items()}
    limit = np.inf if before is None else before
    for relation in graph.relations.values():
        assert relation.time is None or relation.time.max() < limit
    assert graph.counts["item"] == N_ITEMS and graph.counts["user"] == N_USERS
    assert graph.ids("item").equals(store.items.ids)
    assert graph.ids("collection").to_list() == sorted(
        {row["collection_id"] for row in shown("collections", before)}
    )
    assert graph.manifest.data["view"] == view.fingerprint
    assert graph.manifest.rejected == {}


def test_a_row_at_the_wall_is_past_it(store: Store, tmp_path: Path) -> None:
    def edges(before: int) -> dict[tuple[Any, Any], Any]:
        specs = [LinkRelation(relation="cites", source_type="item", target_type="item", undated=False)]
        return raw_edges(build_graph(View(store, before), tmp_path / "g", specs, overwrite=True), "cites")

    assert (5, 6) not in edges(40) and (5, 6) in edges(41)  # the link dated 40
    assert (2, 3) not in edges(41)  # undated


def test_rows_past_the_wall_change_nothing(tmp_path: Path, store: Store) -> None:
    # The same store with everything from 80 on thrown into disorder: a graph before 80 must not notice.
    changed = tables()
    late = pl.col("timestamp") >= 80
    changed["events"] = changed["events"].with_columns(
        pl.when(late)
        .then((pl.col("item_id") * 3 + 1) % N_ITEMS)
        .otherwise(pl.col("item_id"))
        .alias("item_id"),
        pl.when(late).then(9.0).otherwise(pl.col("weight")).alias("weight"),
    )
    changed["collections"] = changed["collections"].with_columns(
        pl.when(late).then(pl.lit("aaa")).otherwise(pl.col("collection_id")).alias("collection_id")
    )
    changed["links"] = changed["links"].filter(~late | pl.col("timestamp").is_null())
    order = {"actions": ["click", "save", "hide"], "negative_actions": ["hide"]}
    other = build_store(tmp_path / "store", {"users": users(store), **changed}, **order)  # type: ignore[arg-type]
    one = build_graph(View(store, 80), tmp_path / "one")
    two = build_graph(View(other, 80), tmp_path / "two")
    for name in one.relations:
        assert raw_edges(one, name) == raw_edges(two, name)


def users(store: Store) -> pl.DataFrame:
    return pl.DataFrame({"user_id": store.users.ids})


def test_a_last_out_wall_hides_the_last_positives(store: Store, tmp_path: Path) -> None:
    graph = build_graph(View(store, LastOut(1)), tmp_path / "g", [UserItem()], pruning=None)
    tally = Tally()
    found = positives(None)
    for row, following in zip(found, [*found[1:], None], strict=True):
        if following is not None and following["user_id"] == row["user_id"]:
            tally.add(row["user_id"], row["item_id"], row["weight"], row["timestamp"])
    assert raw_edges(graph, "user-item") == tally


def test_window_reach_direction_and_actions(store: Store, tmp_path: Path) -> None:
    spec = ItemItem(window_ms=25, reach=3, directed=True, actions=("save",))
    graph = build_graph(View(store, 150), tmp_path / "g", [spec], pruning=None)
    tally = Tally()
    saves = [row for row in positives(150) if "save" in row["actions"]]
    for place, one in enumerate(saves):
        for two in saves[place + 1 : place + 4]:
            near = two["timestamp"] - one["timestamp"] <= 25
            if one["user_id"] == two["user_id"] and near and one["item_id"] != two["item_id"]:
                tally.add(one["item_id"], two["item_id"], 1.0, two["timestamp"])
    assert tally and raw_edges(graph, "item-item") == tally
    assert graph.reverse("item-item") == "item-item:reverse"
    with pytest.raises(ConfigError, match="no action 'svae'; did you mean 'save'"):
        build_graph(View(store), tmp_path / "h", [ItemItem(actions=("svae",))])
    with pytest.raises(ConfigError, match="reach"):
        ItemItem(reach=0)


def test_chunks_never_cut_a_pair(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = build_graph(View(store), tmp_path / "whole")
    monkeypatch.setattr("bowerbird.graph.building.view.events.CHUNK", 3)
    monkeypatch.setattr("bowerbird.graph.building.view.tables.CHUNK", 3)
    assert_same_arrays(whole, build_graph(View(store), tmp_path / "pieces", memory=1 << 10))


def test_undirected_links(store: Store, tmp_path: Path) -> None:
    spec = LinkRelation(relation="friend", source_type="user", target_type="user", undirected=True)
    graph = build_graph(View(store), tmp_path / "g", [spec])
    assert raw_edges(graph, "friend") == {
        ("u0", "u1"): (2.0, 50),
        ("u1", "u0"): (2.0, 50),
        ("u1", "u2"): (1.0, UNDATED),
        ("u2", "u1"): (1.0, UNDATED),
    }


def test_default_relations_name_what_is_there(store: Store, tmp_path: Path) -> None:
    names = [spec.name for spec in default_relations(View(store))]
    assert names == [
        "item-collection",
        "item-item",
        "user-item",
        "query-item",
        "item-creator",
        "cites",
        "friend",
        "tagged",
    ]
    events = tables()["events"].drop("query")
    bare = build_store(tmp_path / "bare", {"events": events})
    assert [spec.name for spec in default_relations(View(bare))] == ["item-item", "user-item"]
    with pytest.raises(GraphError, match="shows nothing that could be an edge"):
        build_graph(View(bare, 0), tmp_path / "g")


def test_link_names_that_clash_are_told_apart(tmp_path: Path) -> None:
    links = pl.DataFrame(
        {
            "source_type": ["item", "user", "user"],
            "source_id": ["i", "u", "u"],
            "target_type": ["tag", "tag", "item"],
            "target_id": ["t", "t", "i"],
            "relation": ["has", "has", "user-item"],
        }
    )
    events = pl.DataFrame({"user_id": ["u"], "item_id": ["i"], "timestamp": [1], "actions": [["click"]]})
    store = build_store(tmp_path / "store", {"events": events, "links": links})
    graph = build_graph(View(store), tmp_path / "g")
    bases = {entry.base for entry in graph.manifest.relations.values()}
    assert bases == {"item-item", "user-item", "has:item-tag", "has:user-tag", "links:user-item"}
    assert graph.ids("tag").to_list() == ["t"]


def test_links_to_nobody_are_rejected_by_their_raw_id(tmp_path: Path) -> None:
    kinds = {"source_type": ["item"] * 2, "target_type": ["item"] * 2, "relation": ["cites"] * 2}
    links = pl.DataFrame({**kinds, "source_id": ["i", "i"], "target_id": ["j", "ghost"]})
    events = pl.DataFrame(
        {"user_id": ["u"] * 2, "item_id": ["i", "j"], "timestamp": [1, 2], "actions": [["click"]] * 2}
    )
    store = build_store(tmp_path / "store", {"events": events, "links": links})
    with pytest.raises(EdgesRejectedError, match="'i' -> 'ghost'"):
        build_graph(View(store), tmp_path / "g")
    graph = build_graph(View(store), tmp_path / "g", max_rejected_share=0.5)
    assert raw_edges(graph, "cites").keys() == {("i", "j")}
    assert '"ghost"' in (graph.path / "rejected.jsonl").read_text()


def test_links_between_creators_who_made_nothing_are_told_and_stop_nothing(tmp_path: Path) -> None:
    kinds = {"source_type": ["creator"] * 2, "target_type": ["creator"] * 2, "relation": ["follows"] * 2}
    links = pl.DataFrame({**kinds, "source_id": ["a", "a"], "target_id": ["b", "quiet"]})
    items = pl.DataFrame({"item_id": ["i", "j"], "creator_id": ["a", "b"]})
    events = pl.DataFrame({"user_id": ["u"], "item_id": ["i"], "timestamp": [1], "actions": [["click"]]})
    store = build_store(tmp_path / "store", {"events": events, "links": links, "items": items})
    graph = build_graph(View(store), tmp_path / "g")
    assert raw_edges(graph, "follows").keys() == {("a", "b")}
    told = (graph.path / "rejected.jsonl").read_text()
    assert '"quiet"' in told and "an end without a node" in told


@pytest.mark.parametrize("walls", [(1, 40), (40, 41, 120), (60, 10_000)])
def test_a_graph_that_follows_the_wall(store: Store, tmp_path: Path, walls: tuple[int, ...]) -> None:
    specs = [
        ItemCollection(),
        ItemItem(window_ms=30, reach=2),
        UserItem(),
        QueryItem(actions=("click",)),
        ItemCreator(),
        LinkRelation(relation="tagged", source_type="item", target_type="tag"),
    ]
    build_graph(View(store, walls[0]), tmp_path / "grown", specs, seed=3)
    for wall in walls[1:]:
        grown = extend_graph(tmp_path / "grown", View(store, wall), memory=1 << 11)
    rebuilt = build_graph(View(store, walls[-1]), tmp_path / "rebuilt", specs, seed=3)
    assert_same_arrays(grown, rebuilt)
    assert grown.manifest.data == rebuilt.manifest.data


def test_what_cannot_follow(store: Store, tmp_path: Path) -> None:
    build_graph(View(store, 50), tmp_path / "g", [UserItem()])
    for view in (View(store, 49), View(store), View(store, LastOut(1))):
        with pytest.raises(GraphError, match="later wall"):
            extend_graph(tmp_path / "g", view)
    with pytest.raises(GraphError, match="evaluation rows"):
        extend_graph(tmp_path / "g", View(store, 60, evaluation_rows=True))
    build_graph(View(store), tmp_path / "open", [UserItem()])
    with pytest.raises(GraphError, match="not built from a view with a wall"):
        extend_graph(tmp_path / "open", View(store, 60))
