"""Deltas: a graph that grew equals the graph rebuilt from all edges, to the byte; pruned, remapped, spilled."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bowerbird.graph import (
    BuildReport,
    EdgeList,
    Edges,
    Graph,
    GraphError,
    Pruning,
    append_edges,
    from_edges,
    merge_deltas,
)
from graph.building.truth import as_dict, assert_same_arrays

PRUNINGS = [
    None,
    Pruning(0.5, 2, 4),
    Pruning(0.5, 2, 4, ends="both", keep="heaviest"),
    Pruning(0.6, 1, 3, ends="either"),
]

rows = st.lists(
    st.tuples(
        st.integers(0, 9), st.integers(0, 9), st.sampled_from([0.1, 0.25, 1.0, 3.0, 1e-9]), st.integers(0, 9)
    ),
    max_size=40,
)


def edges_of(found: list) -> Edges:  # type: ignore[type-arg]
    columns = zip(*found, strict=True) if found else ([], [], [], [])
    source, target, weight, time = (list(column) for column in columns)
    return Edges(np.array(source, int), np.array(target, int), np.array(weight, float), np.array(time, int))


@given(st.lists(rows, min_size=1, max_size=4), st.sampled_from(PRUNINGS), st.booleans())
@settings(max_examples=20)
def test_grown_equals_rebuilt(parts: list, pruning: Pruning | None, one_by_one: bool) -> None:  # type: ignore[type-arg]
    parts = [[row for row in part if row[0] != row[1]] for part in parts]

    def lists(found: list) -> list[EdgeList]:  # type: ignore[type-arg]
        return [
            EdgeList("user-item", "user", "item", edges_of(found)),
            EdgeList("item-item", "item", "item", edges_of(found), symmetric=True),
        ]

    with tempfile.TemporaryDirectory() as name:
        folder, counts = Path(name), {"user": 10, "item": 10}
        from_edges(folder / "grown", lists(parts[0]), counts=counts, pruning=pruning, seed=4)
        for part in parts[1:]:
            append_edges(folder / "grown", lists(part))
            if one_by_one:
                merge_deltas(folder / "grown")
        grown = merge_deltas(folder / "grown", memory=1 << 11)
        whole = [row for part in parts for row in part]
        rebuilt = from_edges(folder / "whole", lists(whole), counts=counts, pruning=pruning, seed=4)
        assert_same_arrays(grown, rebuilt)
        grown.verify()
        assert grown.pending == 0


@given(
    st.lists(
        st.lists(
            st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("pqrstuvw")), min_size=1, max_size=15
        ),
        min_size=2,
        max_size=4,
    ),
    st.booleans(),
)
@settings(max_examples=15)
def test_new_raw_ids_take_their_sorted_place(parts: list, merge_each: bool) -> None:  # type: ignore[type-arg]
    def listed(found: list) -> EdgeList:  # type: ignore[type-arg]
        source, target = (list(column) for column in zip(*found, strict=True))
        return EdgeList("likes", "user", "item", Edges(source, target), raw=True)

    pruning = Pruning(0.5, 1, 2)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        from_edges(folder / "grown", listed(parts[0]), pruning=pruning)
        for part in parts[1:]:
            append_edges(folder / "grown", listed(part))
            if merge_each:
                merge_deltas(folder / "grown")
        grown = merge_deltas(folder / "grown")
        rebuilt = from_edges(
            folder / "whole", listed([row for part in parts for row in part]), pruning=pruning
        )
        assert_same_arrays(grown, rebuilt)


def test_dense_ids_of_a_delta_are_those_that_people_see(tmp_path: Path) -> None:
    from_edges(tmp_path / "g", EdgeList("likes", "user", "item", Edges(["m"], ["x"]), raw=True))
    append_edges(tmp_path / "g", EdgeList("likes", "user", "item", Edges(["a"], ["y"]), raw=True))
    # "a" will come before "m", but until the merge node 0 is still "m".
    append_edges(tmp_path / "g", EdgeList("likes", "user", "item", Edges([0], [0])))
    graph = merge_deltas(tmp_path / "g")
    assert graph.ids("user").to_list() == ["a", "m"]
    assert as_dict(graph.relation("likes")) == {(0, 1): (1.0, -(2**63)), (1, 0): (2.0, -(2**63))}


def test_new_nodes_of_counted_and_of_named_types(tmp_path: Path) -> None:
    ids = ["x", "y"]
    first = EdgeList("r", "user", "item", Edges([0], [1]))
    from_edges(tmp_path / "g", first, counts={"user": 1}, ids={"item": ids})
    append_edges(
        tmp_path / "g",
        EdgeList("r", "user", "item", Edges([2], [2])),
        counts={"user": 3},
        ids={"item": [*ids, "b"]},
    )
    more = EdgeList("r", "user", "item", Edges([0], [3]))
    append_edges(tmp_path / "g", more, ids={"item": [*ids, "b", "a"]})
    grown = merge_deltas(tmp_path / "g")
    assert dict(grown.counts) == {"user": 3, "item": 4}
    assert grown.ids("item").to_list() == ["x", "y", "b", "a"]
    whole = EdgeList("r", "user", "item", Edges([0, 2, 0], [1, 2, 3]))
    assert_same_arrays(
        grown, from_edges(tmp_path / "w", whole, counts={"user": 3}, ids={"item": [*ids, "b", "a"]})
    )


def test_readers_see_the_old_graph_until_the_merge(tmp_path: Path) -> None:
    old = from_edges(tmp_path / "g", EdgeList("r", "a", "b", Edges([0], [0])), counts={"a": 2, "b": 2})
    append_edges(tmp_path / "g", EdgeList("r", "a", "b", Edges([1], [1])))
    seen = Graph.open(tmp_path / "g")
    assert seen.pending == 1 and seen.n_edges == 2
    merged = merge_deltas(tmp_path / "g")
    assert merged.pending == 0 and merged.n_edges == 4
    assert old.relation("r").indices.tolist() == [0]  # what is mapped stays readable
    report = BuildReport.read_from(tmp_path / "g").relations["r"]
    assert (report.distinct, report.stored) == (2, {"r": 2, "r:reverse": 2})


def test_merging_nothing_changes_nothing(tmp_path: Path) -> None:
    edges = EdgeList("r", "a", "b", Edges([0, 1, 1], [0, 1, 1]))
    one = from_edges(tmp_path / "one", edges, pruning=Pruning())
    two = from_edges(tmp_path / "two", edges, pruning=Pruning())
    assert_same_arrays(one, merge_deltas(two.path))


def test_an_unfinished_delta_is_not_there(tmp_path: Path) -> None:
    from_edges(tmp_path / "g", EdgeList("r", "a", "b", Edges([0], [0])), counts={"a": 2, "b": 2})

    def broken():  # type: ignore[no-untyped-def]
        yield Edges([1], [1])
        raise RuntimeError("cut off")

    with pytest.raises(RuntimeError, match="cut off"):
        append_edges(tmp_path / "g", EdgeList("r", "a", "b", broken()))
    assert Graph.open(tmp_path / "g").pending == 0
    assert merge_deltas(tmp_path / "g").n_edges == 2


def test_what_a_delta_cannot_do(tmp_path: Path) -> None:
    path = tmp_path / "g"
    from_edges(path, [EdgeList("r", "a", "b", Edges([0], [0]))], ids={"a": ["x"]}, counts={"b": 2})
    one = Edges([0], [0])
    with pytest.raises(GraphError, match="takes no edges of 'other'; known: r"):
        append_edges(path, EdgeList("other", "a", "b", one))
    with pytest.raises(GraphError, match="takes no edges of 'r:reverse'"):
        append_edges(path, EdgeList("r:reverse", "b", "a", one))
    with pytest.raises(GraphError, match="joins 'a' and 'b', not 'b' and 'a'"):
        append_edges(path, EdgeList("r", "b", "a", one))
    with pytest.raises(GraphError, match="cannot shrink"):
        append_edges(path, EdgeList("r", "a", "b", one), counts={"b": 1})
    with pytest.raises(GraphError, match="no node type 'c'"):
        append_edges(path, EdgeList("r", "a", "b", one), counts={"c": 1})
    with pytest.raises(GraphError, match="do not begin with"):
        append_edges(path, EdgeList("r", "a", "b", one), ids={"a": ["z", "x"]})
    with pytest.raises(GraphError, match="has raw ids"):
        append_edges(path, EdgeList("r", "a", "b", one), counts={"a": 2})
    from_edges(tmp_path / "fixed", EdgeList("r", "a", "b", one), growable=False)
    assert not (tmp_path / "fixed" / "base").exists()
    for change in (lambda p: append_edges(p, EdgeList("r", "a", "b", one)), merge_deltas):
        with pytest.raises(GraphError, match="growable=False"):
            change(tmp_path / "fixed")
    with pytest.raises(GraphError, match="not a graph"):
        merge_deltas(tmp_path / "nothing")
    assert sorted(found.name for found in tmp_path.iterdir() if not found.name.startswith(".lock")) == [
        "fixed",
        "g",
    ]


def test_a_writer_that_was_killed_is_cleaned_up_after(tmp_path: Path) -> None:
    path = tmp_path / "g"
    from_edges(path, EdgeList("r", "a", "b", Edges([0], [0])), counts={"a": 2, "b": 2})
    append_edges(path, EdgeList("r", "a", "b", Edges([1], [1])))
    # Killed after the old graph was moved aside and before the new one was put in its place ...
    path.rename(tmp_path / ".writing-123-old-g")
    (tmp_path / ".writing-graph-g" / "relations").mkdir(parents=True)
    merged = merge_deltas(path)
    assert as_dict(merged.relation("r")).keys() == {(0, 0), (1, 1)}
    # ... or just after that.
    (tmp_path / ".writing-123-old-g").mkdir()
    append_edges(path, EdgeList("r", "a", "b", Edges([0], [1])))
    assert merge_deltas(path).n_edges == 6
    assert not list(tmp_path.glob(".writing-*"))


def test_two_writers(tmp_path: Path) -> None:
    from bowerbird.graph.building.assemble import locked

    edges = EdgeList("r", "a", "b", Edges([0], [0]))
    from_edges(tmp_path / "g", edges)
    with locked(tmp_path / "g"):
        for change in (
            lambda p: append_edges(p, edges),
            merge_deltas,
            lambda p: from_edges(p, edges, overwrite=True),
        ):
            with pytest.raises(GraphError, match="another process is writing"):
                change(tmp_path / "g")
    assert merge_deltas(tmp_path / "g").n_edges == 2
