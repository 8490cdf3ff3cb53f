"""Edges that cannot be in a graph: counted, listed with their reason, and a stop where there are too many."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import orjson
import pytest

from bowerbird.graph import (
    BuildReport,
    EdgeList,
    Edges,
    EdgesRejectedError,
    Graph,
    Pruning,
    append_edges,
    from_edges,
    merge_deltas,
)
from graph.building.truth import as_dict

NAN, INF = float("nan"), float("inf")

BAD = [
    (0, 5, 1.0, "unknown target id"),
    (0, -1, 1.0, "unknown target id"),
    (4, 0, 1.0, "unknown source id"),
    (-1, 9, NAN, "unknown source id"),  # the first thing wrong is the one that is told
    (1, 1, 1.0, "self loop"),
    (0, 1, NAN, "weight is not a number"),
    (0, 1, INF, "weight is infinite"),
    (0, 1, -INF, "weight is infinite"),
    (0, 1, -2.0, "weight is negative"),
    (0, 1, 0.0, "weight is zero"),
    (0, 1, 1e-12, "weight is outside 2^-30 to 2^32 - 1"),
    (0, 1, 1e12, "weight is outside 2^-30 to 2^32 - 1"),
]


def lines(path: Path) -> list[dict[str, object]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: f"{bad[3]}, {bad[2]}")
def test_one_bad_edge_among_good_ones(tmp_path: Path, bad: tuple[int, int, float, str]) -> None:
    source, target, weight, reason = bad
    edges = Edges([0, source, 2], [1, target, 3], [1, weight, 2.5], [10, 20, 30])
    graph = from_edges(
        tmp_path / "g", EdgeList("r", "n", "n", edges), counts={"n": 4}, max_rejected_share=0.5
    )
    assert as_dict(graph.relation("r")) == {(0, 1): (1.0, 10), (2, 3): (2.5, 30)}
    assert graph.manifest.rejected == {"r": {reason: 1}}
    assert graph.manifest.rejected_file == "rejected.jsonl"
    (line,) = lines(graph.path / "rejected.jsonl")
    told = {"relation": "r", "row": 2, "source": source, "target": target, "time": 20, "reason": reason}
    assert line == {**told, "weight": str(weight)}
    assert BuildReport.read_from(graph.path).relations["r"].rejected == {reason: 1}


def test_self_loops_are_fine_between_two_types(tmp_path: Path) -> None:
    graph = from_edges(tmp_path / "g", EdgeList("r", "a", "b", Edges([1, 0], [1, 0])))
    assert as_dict(graph.relation("r")).keys() == {(0, 0), (1, 1)}
    assert graph.manifest.rejected == {} and graph.manifest.rejected_file is None
    assert not (graph.path / "rejected.jsonl").exists()


def test_unknown_raw_ids_are_told_as_they_were_given(tmp_path: Path) -> None:
    edges = EdgeList("r", "user", "item", Edges(["ann", "eve", None], ["x", "x", "y"]), raw=True)
    ids = {"user": ["ann", "bob"], "item": ["x", "y"]}
    graph = from_edges(tmp_path / "g", edges, ids=ids, max_rejected_share=0.9)
    assert as_dict(graph.relation("r")).keys() == {(0, 0)}
    told = [
        (line["row"], line["source"], line["target"], line["reason"])
        for line in lines(graph.path / "rejected.jsonl")
    ]
    assert told == [(2, "eve", "x", "unknown source id"), (3, None, "y", "unknown source id")]


def test_too_many_stop_the_build(tmp_path: Path) -> None:
    edges = EdgeList("r", "n", "n", Edges([0, 1, 2], [1, 1, 0]))
    with pytest.raises(EdgesRejectedError, match=r"1 of 3 edges were rejected \(33.3%.*") as error:
        from_edges(tmp_path / "g", edges)
    assert "row 2, 1 -> 1" in str(error.value) and "max_rejected_share" in str(error.value)
    assert not (tmp_path / "g").exists()
    (line,) = lines(tmp_path / "g-rejected.jsonl")
    assert line["reason"] == "self loop"


def test_exactly_the_share_is_still_allowed(tmp_path: Path) -> None:
    edges = EdgeList("r", "n", "n", Edges([0, 1, 2, 3], [1, 1, 0, 0]))
    assert from_edges(tmp_path / "g", edges, max_rejected_share=0.25).n_edges == 6
    with pytest.raises(EdgesRejectedError):
        from_edges(tmp_path / "h", edges, max_rejected_share=0.249)


def test_a_hopeless_stream_is_not_read_to_its_end(tmp_path: Path) -> None:
    read = []

    def stream():  # type: ignore[no-untyped-def]
        for number in range(100):
            read.append(number)
            yield Edges(np.zeros(10_000, np.int64), np.zeros(10_000, np.int64))

    with pytest.raises(EdgesRejectedError, match="10,000 of 10,000"):
        from_edges(tmp_path / "g", EdgeList("r", "n", "n", stream()), counts={"n": 4})
    assert read == [0]


def test_every_edge_is_accounted_for(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    n = 5000
    source, target = rng.integers(-1, 30, n), rng.integers(0, 31, n)
    weight = rng.choice([1.0, 2.0, 0.0, -1.0, NAN, INF], n, p=[0.7, 0.2, 0.025, 0.025, 0.025, 0.025])
    edges = EdgeList("r", "n", "n", Edges(source, target, weight))
    graph = from_edges(tmp_path / "g", edges, counts={"n": 30}, max_rejected_share=1, pruning=Pruning())
    rejected = lines(graph.path / "rejected.jsonl")
    good = (source >= 0) & (target < 30) & (source != target) & (weight > 0) & (weight < INF)
    assert len(rejected) == n - good.sum() == BuildReport.read_from(graph.path).rejected
    assert {line["row"] for line in rejected} == set((np.flatnonzero(~good) + 1).tolist())
    whole = from_edges(tmp_path / "whole", edges, counts={"n": 30}, max_rejected_share=1)
    assert whole.relation("r").weight is not None
    assert whole.relation("r").weight.sum() == weight[good].sum()


def test_a_bad_delta_is_refused_and_a_small_rest_is_remembered(tmp_path: Path) -> None:
    from_edges(
        tmp_path / "g",
        EdgeList("r", "n", "n", Edges([0, 1], [1, 1])),
        counts={"n": 3},
        max_rejected_share=0.5,
    )
    with pytest.raises(EdgesRejectedError):
        append_edges(tmp_path / "g", EdgeList("r", "n", "n", Edges([0], [7])))
    assert Graph.open(tmp_path / "g").pending == 0
    good = EdgeList("r", "n", "n", Edges([0, 2, 0], [7, 0, 1]))
    assert append_edges(tmp_path / "g", good, max_rejected_share=0.5) == 2
    merged = merge_deltas(tmp_path / "g")
    assert as_dict(merged.relation("r")).keys() == {(0, 1), (2, 0)}
    assert merged.manifest.rejected == {"r": {"self loop": 1, "unknown target id": 1}}
    assert [line["reason"] for line in lines(merged.path / "rejected.jsonl")] == [
        "self loop",
        "unknown target id",
    ]
