"""Edge files and PyTorch Geometric: what goes out comes back."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl
import pytest

from bowerbird.graph import (
    UNDATED,
    EdgeList,
    Edges,
    Graph,
    GraphError,
    from_edges,
    from_geometric,
    read_edges,
    to_geometric,
    write_edges,
)
from graph.building.truth import as_dict


@pytest.fixture
def graph(tmp_path: Path) -> Graph:
    likes = Edges(["zoe", "ann", "zoe"], [30, 7, 7], [1, 2, 0.5], [UNDATED, 5, 9])
    friends = Edges(["ann", "bob"], ["zoe", "zoe"])
    lists = [
        EdgeList("user-item", "user", "item", likes, raw=True),
        EdgeList("friend", "user", "user", friends, raw=True, symmetric=True),
    ]
    return from_edges(tmp_path / "g", lists)


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_edges_go_out_and_come_back(
    graph: Graph, tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bowerbird.graph.interop.files._CHUNK", 2)  # several pieces
    likes = write_edges(graph, "user-item", tmp_path / f"likes.{ending}")
    frame = pl.read_parquet(likes) if ending == "parquet" else pl.read_csv(likes)
    assert sorted(frame.rows(), key=str) == [("ann", 7, 2.0, 5), ("zoe", 30, 1.0, None), ("zoe", 7, 0.5, 9)]
    friends = write_edges(graph, "friend", tmp_path / f"friends.{ending}")
    assert len(pl.read_parquet(friends) if ending == "parquet" else pl.read_csv(friends)) == 4
    lists = [read_edges(likes, "user-item", "user", "item"), read_edges(friends, "friend", "user", "user")]
    back = from_edges(tmp_path / "back", lists)
    assert back.ids("user").to_list() == ["ann", "bob", "zoe"] and back.ids("item").to_list() == [7, 30]
    assert as_dict(back.relation("user-item")) == as_dict(graph.relation("user-item"))
    assert as_dict(back.relation("friend")).keys() == as_dict(graph.relation("friend")).keys()


def test_dense_ids_go_out_and_come_back(graph: Graph, tmp_path: Path) -> None:
    file = write_edges(graph, "item-user", tmp_path / "edges.parquet", raw=False)
    assert pl.read_parquet(file)["source"].to_list() == [0, 0, 1]
    back = from_edges(
        tmp_path / "back", read_edges(file, "item-user", "item", "user", raw=False), counts={"user": 3}
    )
    assert as_dict(back.relation("item-user")) == as_dict(graph.relation("item-user"))


def test_columns_of_other_names_and_dates(tmp_path: Path) -> None:
    file = tmp_path / "follows.parquet"
    days = [date(2020, 1, 1), None]
    pl.DataFrame({"who": ["a", "b"], "whom": ["b", "c"], "on": days, "strength": [None, 3]}).write_parquet(
        file
    )
    edges = read_edges(file, "follows", "user", "user", columns=("who", "whom"), weight="strength", time="on")
    found = from_edges(tmp_path / "g", edges)
    assert as_dict(found.relation("follows")) == {(0, 1): (1.0, 1_577_836_800_000), (1, 2): (3.0, UNDATED)}
    with pytest.raises(GraphError, match=r"(?s)no column 'source'.*columns=\(\.\.\.\)") as error:
        read_edges(file, "follows", "user", "user")
    assert "follows.parquet" in str(error.value)


def test_files_that_are_none(graph: Graph, tmp_path: Path) -> None:
    with pytest.raises(GraphError, match="there is no file"):
        read_edges(tmp_path / "nothing.csv", "r", "a", "b")
    (tmp_path / "edges.txt").write_text("a b")
    with pytest.raises(GraphError, match="unknown ending"):
        read_edges(tmp_path / "edges.txt", "r", "a", "b")
    with pytest.raises(GraphError, match="unknown ending"):
        write_edges(graph, "friend", tmp_path / "out.txt")
    with pytest.raises(GraphError, match=r"no relation 'fiend'.*did you mean 'friend'"):
        write_edges(graph, "fiend", tmp_path / "out.csv")


def test_without_geometric_the_error_says_how_to_get_it(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch_geometric", None)
    monkeypatch.setitem(sys.modules, "torch_geometric.data", None)
    with pytest.raises(GraphError, match="pip install torch-geometric"):
        to_geometric(graph)


class Store(dict):  # type: ignore[type-arg]
    """What `HeteroData` keeps for one type: attributes in a dictionary."""

    __getattr__ = dict.get
    __setattr__ = dict.__setitem__


class StandIn(dict):  # type: ignore[type-arg]
    """The part of `HeteroData` that is used here, for machines without PyTorch Geometric."""

    def __missing__(self, key: Any) -> Store:
        self[key] = Store()
        return self[key]

    @property
    def edge_types(self) -> list[tuple[str, str, str]]:
        return [key for key in self if isinstance(key, tuple)]

    @property
    def node_types(self) -> list[str]:
        return [key for key in self if isinstance(key, str)]


@pytest.fixture(params=["stand-in", "installed"])
def geometric(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> type:
    if request.param == "installed":
        found: type = pytest.importorskip("torch_geometric.data").HeteroData
        return found
    package, module = ModuleType("torch_geometric"), ModuleType("torch_geometric.data")
    module.HeteroData = StandIn  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch_geometric", package)
    monkeypatch.setitem(sys.modules, "torch_geometric.data", module)
    return StandIn


def test_geometric_and_back(graph: Graph, tmp_path: Path, geometric: type) -> None:
    data = to_geometric(graph, features={"item": np.eye(2, dtype=np.float32)})
    assert isinstance(data, geometric)
    assert data["user"].num_nodes == 3 and data["item"].x.shape == (2, 2)
    assert sorted(data.edge_types) == [
        ("item", "item-user", "user"),
        ("user", "friend", "user"),
        ("user", "user-item", "item"),
    ]
    likes = data["user", "user-item", "item"]
    assert likes.edge_index.tolist() == [[0, 2, 2], [0, 0, 1]]
    assert likes.edge_weight.tolist() == [2.0, 0.5, 1.0] and likes.time.tolist() == [5, 9, UNDATED]
    back = from_geometric(tmp_path / "back", data, symmetric=["friend"])
    assert set(back.relations) == set(graph.relations)
    for name in graph.relations:
        assert as_dict(back.relation(name)) == as_dict(graph.relation(name)), name
        assert back.reverse(name) == graph.reverse(name)


def test_reverses_by_the_name_of_to_undirected(tmp_path: Path, geometric: type) -> None:
    import torch

    data = geometric()
    data["user"].num_nodes, data["item"].num_nodes = 3, 4
    data["item", "rev_buys", "user"].edge_index = torch.tensor([[1], [0]])
    data["user", "buys", "item"].edge_index = torch.tensor([[0], [1]])
    graph = from_geometric(tmp_path / "g", data)
    assert list(graph.relations) == ["buys", "buys:reverse"]
    assert dict(graph.counts) == {"user": 3, "item": 4}
    both = from_geometric(tmp_path / "h", data, relations=[("item", "rev_buys", "user")])
    assert list(both.relations) == ["rev_buys", "rev_buys:reverse"]
    with pytest.raises(GraphError, match="no edge type"):
        from_geometric(tmp_path / "i", data, relations=[("user", "sells", "item")])


def test_features_and_names_that_do_not_fit(graph: Graph, geometric: type) -> None:
    with pytest.raises(GraphError, match="has 2 nodes, its features 5 rows"):
        to_geometric(graph, features={"item": np.zeros((5, 2))})
    with pytest.raises(GraphError, match="no node type 'itme'"):
        to_geometric(graph, features={"itme": np.zeros((5, 2))})
    with pytest.raises(GraphError, match="no relation 'x'"):
        to_geometric(graph, relations=["x"])
    assert to_geometric(graph, relations=["friend"]).edge_types == [("user", "friend", "user")]
