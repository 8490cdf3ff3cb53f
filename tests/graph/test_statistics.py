"""Degrees, components and descriptions of graphs whose right answer is known."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bowerbird.graph import (
    UNDATED,
    EdgeList,
    Edges,
    GraphError,
    Pruning,
    append_edges,
    components,
    degree_statistics,
    describe,
    from_edges,
    plot_degrees,
)
from bowerbird.graph.statistics import time_range


def test_degrees_of_a_star(tmp_path: Path) -> None:
    star = Edges(np.zeros(150, np.int64), np.arange(1, 151))
    graph = from_edges(tmp_path / "g", EdgeList("i", "n", "n", star, symmetric=True), counts={"n": 200})
    found = degree_statistics(graph.relation("i"))
    assert (found.mean, found.median, found.largest, found.isolated) == (300 / 200, 1, 150, 49)
    assert found.hub_share == pytest.approx(151 / 300)  # the two nodes with the most edges: 150 and 1
    assert (found.p90, found.p99) == (1, 1)
    empty = from_edges(tmp_path / "e", EdgeList("r", "a", "b", Edges([], [])), counts={"b": 2})
    assert degree_statistics(empty.relation("r")).largest == 0
    assert math.isnan(degree_statistics(empty.relation("r:reverse")).hub_share)


def test_components_across_types(tmp_path: Path) -> None:
    lists = [
        EdgeList("user-item", "user", "item", Edges([0, 1, 2], [0, 0, 3])),
        EdgeList("item-tag", "item", "tag", Edges([3, 1], [0, 1])),
    ]
    graph = from_edges(tmp_path / "g", lists, counts={"user": 4, "item": 5, "tag": 2})
    found = components(graph)
    # {u0, u1, i0} and {u2, i3, t0} have three nodes, {i1, t1} two; u3, i2 and i4 are alone.
    assert found.sizes.tolist() == [3, 3, 2, 1, 1, 1]
    assert found.labels["user"].tolist() == [0, 0, 1, 3]
    assert found.labels["item"].tolist() == [0, 2, 4, 1, 5]
    assert found.labels["tag"].tolist() == [1, 2]
    assert (len(found), found.isolated, found.largest_share) == (6, 3, 3 / 11)
    only = components(graph, ["user-item"])
    assert only.sizes.tolist() == [3, 2, 1, 1, 1, 1, 1, 1]
    with pytest.raises(GraphError, match="no relation 'x'"):
        components(graph, ["x"])


@given(st.lists(st.tuples(st.integers(0, 14), st.integers(0, 14)), max_size=20), st.integers(1, 5))
@settings(max_examples=30)
def test_components_do_not_depend_on_the_pieces(pairs: list[tuple[int, int]], chunk: int) -> None:
    pairs = [(u, v) for u, v in pairs if u != v]
    source, target = (list(column) for column in zip(*pairs, strict=True)) if pairs else ([], [])
    parent = list(range(15))

    def root(node: int) -> int:
        return node if parent[node] == node else root(parent[node])

    for u, v in pairs:
        parent[root(u)] = root(v)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("bowerbird.graph.statistics._CHUNK", chunk)
        patch.setattr("os.fsync", lambda handle: None)
        graph = from_edges(
            Path(folder) / "g", EdgeList("r", "n", "n", Edges(source, target)), counts={"n": 15}
        )
        label = components(graph).labels["n"]
    for u in range(15):
        for v in range(15):
            assert (label[u] == label[v]) == (root(u) == root(v))


def test_a_description_is_plain_and_complete(tmp_path: Path) -> None:
    source, target = np.divmod(np.arange(600), 30)
    edges = Edges(source, target, np.ones(600) * 2, np.where(source > 0, source, UNDATED))
    graph = from_edges(
        tmp_path / "g", EdgeList("user-item", "user", "item", edges), pruning=Pruning(0.5, 2, 4), seed=9
    )
    append_edges(graph.path, EdgeList("user-item", "user", "item", Edges([0], [0])))
    found = json.loads(json.dumps(describe(graph)))
    assert found["nodes"] == {"user": 20, "item": 30}
    assert [row["name"] for row in found["relations"]] == ["user-item", "item-user"]
    first = found["relations"][0]
    assert (first["edges"], first["unpruned"], first["largest"]) == (80, 600, 4)
    assert first["weighted"] and first["dated"] and first["reverse"] == "item-user"
    assert (found["seed"], found["pending"], found["wall"], found["rejected"]) == (9, 1, None, {})
    assert found["edges"] == graph.n_edges and found["bytes"] > 600 * 4
    assert time_range(graph.relation("user-item")) == (1, 19)


def test_a_plot_of_the_degrees(tmp_path: Path) -> None:
    edges = Edges([0, 0, 0, 1], [0, 1, 2, 0])
    graph = from_edges(tmp_path / "g", EdgeList("user-item", "user", "item", edges), counts={"user": 9})
    figure = plot_degrees(graph, tmp_path / "degrees.svg")
    (axes,) = figure.axes
    labels = [line.get_label() for line in axes.lines]
    assert labels == ["user-item (4 edges)", "item-user (4 edges)"]
    x, y = axes.lines[0].get_data()
    assert list(zip(x, y, strict=True)) == [(1, 2), (3, 1)]  # two users have an edge, one has three
    assert "<svg" in (tmp_path / "degrees.svg").read_text()
    plot_degrees(from_edges(tmp_path / "e", EdgeList("r", "a", "b", Edges([], []))), tmp_path / "none.png")
    assert (tmp_path / "none.png").exists()
