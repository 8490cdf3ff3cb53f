"""From edges to CSR: known graphs, any graph against a dictionary, streams, vocabularies, reports."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bowerbird.graph import UNDATED, BuildReport, EdgeList, Edges, Graph, GraphError, from_edges
from graph.building.truth import Row, as_dict, assert_same_arrays, merged, turned

rows = st.lists(
    st.tuples(
        st.integers(0, 7),
        st.integers(0, 7),
        st.integers(1, 64).map(lambda eighths: eighths / 8),
        st.one_of(st.just(UNDATED), st.integers(-5, 5)),
    ),
    max_size=60,
)


def listed(found: list[Row], *, weighted: bool = True, dated: bool = True) -> Edges:
    source, target, weight, time = (
        (list(column) for column in zip(*found, strict=True)) if found else ([],) * 4
    )
    return Edges(
        np.array(source, np.int64),
        np.array(target, np.int64),
        np.array(weight, np.float64) if weighted else None,
        np.array(time, np.int64) if dated else None,
    )


def test_a_small_graph(tmp_path: Path) -> None:
    saves = Edges(source=[2, 0, 0, 2], target=[1, 1, 0, 1], weight=[1, 2, 0.5, 3], time=[5, UNDATED, 7, 4])
    graph = from_edges(tmp_path / "g", EdgeList("item-collection", "item", "collection", saves))
    assert dict(graph.counts) == {"item": 3, "collection": 2}
    assert graph.reverse("item-collection") == "collection-item"
    assert graph.reverse("collection-item") == "item-collection"
    there, back = graph.relation("item-collection"), graph.relation("collection-item")
    assert there.indptr.tolist() == [0, 2, 2, 3]
    assert there.indices.tolist() == [0, 1, 1]
    assert there.indices.dtype == np.uint32
    assert there.weight is not None and there.weight.tolist() == [0.5, 2, 4]
    assert there.time is not None and there.time.tolist() == [7, UNDATED, 5]
    assert (back.source, back.target) == ("collection", "item")
    assert back.indptr.tolist() == [0, 1, 3]
    assert back.indices.tolist() == [0, 0, 2]
    assert back.weight is not None and back.weight.tolist() == [0.5, 2, 4]
    assert there.targets(0).tolist() == [0, 1] and there.weights(0).tolist() == [0.5, 2]
    assert there.degrees().tolist() == [2, 0, 1]
    assert graph.ids("item").to_list() == [0, 1, 2]


def test_counts_are_weights_and_ones_are_not_stored(tmp_path: Path) -> None:
    once = from_edges(tmp_path / "once", EdgeList("a", "x", "y", Edges([0, 1], [1, 0])))
    assert once.relation("a").weight is None and once.relation("a").time is None
    assert once.relation("a").weights(1).tolist() == [1]
    twice = from_edges(tmp_path / "twice", EdgeList("a", "x", "y", Edges([0, 1, 0], [1, 0, 1])))
    assert twice.relation("a").weights(0).tolist() == [2]
    assert twice.reverse("a") == "a:reverse"


@given(rows, st.booleans(), st.booleans())
@settings(max_examples=40)
def test_any_edges_equal_a_dictionary(found: list[Row], weighted: bool, dated: bool) -> None:
    truth = merged([(u, v, w if weighted else 1.0, t if dated else UNDATED) for u, v, w, t in found])
    edges = EdgeList("user-item", "user", "item", listed(found, weighted=weighted, dated=dated))
    with tempfile.TemporaryDirectory() as folder:
        graph = from_edges(Path(folder) / "g", edges, counts={"user": 8, "item": 9})
        assert as_dict(graph.relation("user-item")) == truth
        assert as_dict(graph.relation("item-user")) == turned(truth)
        for relation in graph.relations.values():
            assert (np.diff(relation.indptr) >= 0).all()
            for node in range(relation.n_source):
                assert (np.diff(relation.targets(node).astype(np.int64)) > 0).all()
        graph.verify()


@given(rows)
@settings(max_examples=20)
def test_a_symmetric_relation_is_its_own_reverse(found: list[Row]) -> None:
    found = [row for row in found if row[0] != row[1]]
    with tempfile.TemporaryDirectory() as folder:
        edges = EdgeList("item-item", "item", "item", listed(found), symmetric=True)
        graph = from_edges(Path(folder) / "g", edges, counts={"item": 8})
        assert list(graph.relations) == ["item-item"]
        assert graph.reverse("item-item") == "item-item"
        assert as_dict(graph.relation("item-item")) == merged(found, symmetric=True)


@given(rows, st.randoms(use_true_random=False), st.integers(1, 20))
@settings(max_examples=20)
def test_neither_order_nor_batches_matter(found: list[Row], random, size: int) -> None:  # type: ignore[no-untyped-def]
    shuffled = random.sample(found, len(found))
    batches = [listed(shuffled[low : low + size]) for low in range(0, len(shuffled), size)]
    counts = {"a": 8, "b": 8}
    with tempfile.TemporaryDirectory() as folder:
        one = from_edges(Path(folder) / "one", EdgeList("r", "a", "b", listed(found)), counts=counts)
        two = from_edges(Path(folder) / "two", EdgeList("r", "a", "b", batches), counts=counts)
        assert_same_arrays(one, two)


def test_sums_do_not_depend_on_order_where_floats_would(tmp_path: Path) -> None:
    weight = np.array([1e9, 1e-9, 3e-9, 0.1, 1e9, 7e-9] * 50)
    ones = np.zeros(len(weight), np.int64)
    graphs = []
    for number, order in enumerate((slice(None), slice(None, None, -1), np.argsort(weight))):
        edges = EdgeList("r", "a", "b", Edges(ones, ones, weight[order]))
        graphs.append(from_edges(tmp_path / str(number), edges))
    assert_same_arrays(graphs[0], graphs[1])
    assert_same_arrays(graphs[0], graphs[2])


def test_a_sum_stops_at_the_largest_weight(tmp_path: Path) -> None:
    largest = float((1 << 32) - 1)
    edges = Edges([0] * 5 + [1], [0] * 5 + [1], [largest] * 5 + [0.5])
    graph = from_edges(tmp_path / "g", EdgeList("r", "a", "b", edges))
    assert graph.relation("r").weights(0).tolist() == [np.float32(largest)]


@pytest.mark.parametrize("memory", [1 << 10, 1 << 14])
def test_little_memory_gives_the_same_graph(tmp_path: Path, memory: int) -> None:
    rng = np.random.default_rng(0)
    n = 3000
    hubs = rng.zipf(1.5, n) % 300  # one node holds most edges: its bucket has to be split again
    edges = Edges(hubs, rng.integers(0, 2000, n), rng.integers(1, 9, n) / 4, rng.integers(0, 99, n))
    lists = [
        EdgeList("r", "a", "b", edges),
        EdgeList("s", "b", "b", Edges(edges.target, (np.asarray(edges.target) + 1) % 2000), symmetric=True),
    ]
    whole = from_edges(tmp_path / "whole", lists)
    spilled = from_edges(tmp_path / "spilled", lists, memory=memory)
    assert_same_arrays(whole, spilled)
    report = BuildReport.read_from(spilled.path)
    assert report.relations["r"].spilled > 24 * n
    assert BuildReport.read_from(whole.path).relations["r"].spilled == 0
    assert report.read == 2 * n and report.rejected == 0
    assert not (spilled.path / "scratch").exists()


def test_one_edge_given_more_often_than_fits_in_memory(tmp_path: Path) -> None:
    ones = np.zeros(5000, np.int64)
    edges = EdgeList("r", "a", "b", Edges(ones, ones + 3, time=np.arange(5000)))
    graph = from_edges(tmp_path / "g", edges, memory=1 << 10)
    assert as_dict(graph.relation("r")) == {(0, 3): (5000.0, 4999)}


def test_raw_ids_get_a_sorted_vocabulary(tmp_path: Path) -> None:
    edges = Edges(["zoe", "ann", "zoe"], [30, 7, 7])
    graph = from_edges(tmp_path / "g", EdgeList("likes", "user", "item", edges, raw=True))
    assert graph.ids("user").to_list() == ["ann", "zoe"]
    assert graph.ids("item").to_list() == [7, 30]
    assert as_dict(graph.relation("likes")).keys() == {(1, 1), (0, 0), (1, 0)}


def test_given_ids_keep_their_order(tmp_path: Path) -> None:
    edges = EdgeList("likes", "user", "item", Edges(["zoe", "ann"], [30, 7]), raw=True)
    edges = EdgeList("likes", "user", "item", Edges(pl.Series(["zoe", "ann"]), pl.Series([30, 7])), raw=True)
    graph = from_edges(tmp_path / "g", edges, ids={"user": ["zoe", "ann", "bob"], "item": pl.Series([30, 7])})
    assert graph.ids("user").to_list() == ["zoe", "ann", "bob"]
    assert as_dict(graph.relation("likes")).keys() == {(0, 0), (1, 1)}


def test_no_edges_and_no_nodes(tmp_path: Path) -> None:
    graph = from_edges(tmp_path / "g", EdgeList("r", "a", "b", Edges([], [])))
    assert dict(graph.counts) == {"a": 0, "b": 0}
    assert graph.n_edges == 0
    Graph.open(graph.path).verify()


def test_ids_beyond_32_bits_are_kept_as_64(tmp_path: Path) -> None:
    edges = EdgeList("r", "a", "b", Edges([0, 1], [5, 0]))
    # The far side of a relation costs memory by its number of nodes, so its reverse is not built here.
    from bowerbird.graph.building.sorting.csr import index_type

    assert index_type((1 << 32) + 1) == np.int64 and index_type(1 << 32) == np.uint32
    with pytest.raises(GraphError, match="too many for one graph"):
        from_edges(tmp_path / "g", edges, counts={"a": 1 << 33, "b": 1 << 33})


@pytest.mark.parametrize(
    ("lists", "settings", "message"),
    [
        ([], {}, "at least one relation"),
        (["r", "r"], {}, "two relations are called 'r'"),
        (["r"], {"counts": {"a": -1}}, "0 or more"),
        (["r"], {"counts": {"a": 3}, "ids": {"a": ["x"]}}, "1 raw ids, but a count of 3"),
        (["r"], {"ids": {"a": ["x", "x"]}}, "1 repeated"),
        (["r"], {"memory": 0}, "memory"),
        (["r"], {"max_rejected_share": 2}, "from 0 to 1"),
    ],
)
def test_contradictions_are_errors(tmp_path: Path, lists: list[str], settings: dict, message: str) -> None:  # type: ignore[type-arg]
    edges = [EdgeList(name, "a", "b", Edges([0], [0])) for name in lists]
    with pytest.raises(GraphError, match=message):
        from_edges(tmp_path / "g", edges, **settings)
    assert not (tmp_path / "g").exists()


def test_lists_that_make_no_sense(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match="one node type"):
        EdgeList("r", "a", "b", Edges([0], [0]), symmetric=True)
    with pytest.raises(GraphError, match="own reverse"):
        EdgeList("r", "a", "a", Edges([0], [0]), symmetric=True, reverse="s")
    with pytest.raises(GraphError, match="read only once"):
        from_edges(tmp_path / "g", EdgeList("r", "a", "b", iter([Edges([0], [0])])))
    with pytest.raises(GraphError, match="differ in length: 1 source, 2 target"):
        from_edges(tmp_path / "g", EdgeList("r", "a", "b", Edges([0], [0, 1])))
    with pytest.raises(GraphError, match="whole numbers"):
        from_edges(tmp_path / "g", EdgeList("r", "a", "b", Edges([0.5], [0])))
    with pytest.raises(GraphError, match="weights must be numbers"):
        from_edges(tmp_path / "g", EdgeList("r", "a", "b", Edges([0], [0], ["x"])))
    with pytest.raises(GraphError, match="whole milliseconds"):
        from_edges(tmp_path / "g", EdgeList("r", "a", "b", Edges([0], [0], None, [0.5])))
    mixed = [EdgeList("r", "a", "b", Edges([0], [0])), EdgeList("s", "a", "b", Edges(["x"], ["y"]), raw=True)]
    with pytest.raises(GraphError, match="one relation gives raw ids"):
        from_edges(tmp_path / "g", mixed)


def test_a_stream_is_read_once_where_the_counts_are_known(tmp_path: Path) -> None:
    stream = (Edges([u], [u + 1]) for u in range(5))
    graph = from_edges(tmp_path / "g", EdgeList("r", "a", "b", stream), counts={"a": 5, "b": 6})
    assert as_dict(graph.relation("r")).keys() == {(u, u + 1) for u in range(5)}


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    edges = EdgeList("r", "a", "b", Edges([0], [0]))
    from_edges(tmp_path / "g", edges)
    with pytest.raises(GraphError, match="is a graph already"):
        from_edges(tmp_path / "g", edges)
    again = from_edges(tmp_path / "g", EdgeList("r", "a", "b", Edges([0, 1], [0, 0])), overwrite=True)
    assert again.n_edges == 4
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"cat")
    with pytest.raises(GraphError, match="not a graph"):
        from_edges(tmp_path / "photos", edges, overwrite=True)
    assert (tmp_path / "photos" / "cat.jpg").exists()


def test_a_failing_stream_leaves_the_old_graph(tmp_path: Path) -> None:
    from_edges(tmp_path / "g", EdgeList("r", "a", "b", Edges([0], [0])))

    def broken():  # type: ignore[no-untyped-def]
        yield Edges([0], [1])
        raise RuntimeError("the disk is on fire")

    with pytest.raises(RuntimeError, match="on fire"):
        from_edges(tmp_path / "g", EdgeList("r", "a", "b", broken()), counts={"a": 1, "b": 2}, overwrite=True)
    graph = Graph.open(tmp_path / "g")
    graph.verify()
    assert dict(graph.counts) == {"a": 1, "b": 1}
    assert not list(tmp_path.glob(".writing-*"))
