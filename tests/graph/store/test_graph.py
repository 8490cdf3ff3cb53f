"""Opening graphs: instant, and a clear error for every file that is not what the manifest says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from bowerbird.graph import EdgeList, Edges, Graph, GraphError, Pruning, from_edges
from bowerbird.graph.store.arrays import ArrayWriter, map_array, read_slice, write_array


@pytest.fixture
def graph(tmp_path: Path) -> Graph:
    rng = np.random.default_rng(0)
    edges = Edges(
        rng.integers(0, 20, 200), rng.integers(0, 30, 200), rng.random(200) + 1, rng.integers(0, 9, 200)
    )
    return from_edges(
        tmp_path / "g",
        EdgeList("user-item", "user", "item", edges),
        ids={"user": [f"u{u}" for u in range(20)]},
        counts={"item": 30},
        pruning=Pruning(0.5, 2, 5),
        seed=7,
    )


def files(graph: Graph) -> list[str]:
    found = sorted(path.relative_to(graph.path).as_posix() for path in graph.path.rglob("*.npy"))
    assert len(found) == 12  # two directions with weights and times, and the base
    return found


def test_opening_maps_and_parses_nothing(graph: Graph) -> None:
    opened = Graph.open(str(graph.path))
    for name, relation in opened.relations.items():
        for array in (relation.indptr, relation.indices, relation.weight, relation.time):
            assert isinstance(array, np.memmap) and not array.flags.writeable
            np.testing.assert_array_equal(array, np.load(array.filename))  # type: ignore[arg-type]
        assert relation.n_source == opened.counts[relation.source], name
        assert len(relation.sources()) == len(relation) == relation.indptr[-1]
    assert opened.manifest.seed == 7
    assert opened.ids("user").to_list() == [f"u{u}" for u in range(20)]
    assert opened.ids("item").to_list() == list(range(30))
    assert "20 user" in repr(opened)


@pytest.mark.parametrize("damage", ["cut short", "too long", "missing"])
def test_a_file_of_a_wrong_size_is_noticed_at_open(graph: Graph, damage: str) -> None:
    for name in [*files(graph), "ids/00.parquet"]:
        path = graph.path / name
        content = path.read_bytes()
        path.unlink()  # not written in place: the base may share the file
        if damage == "cut short":
            path.write_bytes(content[:-1])
        elif damage == "too long":
            path.write_bytes(content + b"\0")
        with pytest.raises(GraphError, match=f"{name} is {damage}"):
            Graph.open(graph.path)
        path.write_bytes(content)
    Graph.open(graph.path).verify()


def test_a_header_cut_off_or_of_another_type_is_noticed_at_open(graph: Graph) -> None:
    name = next(name for name in files(graph) if name.endswith("indices.npy"))
    path = graph.path / name
    good = path.read_bytes()
    path.unlink()
    path.write_bytes(good.replace(b"<u4", b"<f4", 1))
    with pytest.raises(GraphError, match="the manifest says"):
        Graph.open(graph.path)
    path.write_bytes(b"\0" * len(good))
    with pytest.raises(GraphError, match="is not an array of a graph"):
        Graph.open(graph.path)


def test_every_flipped_bit_is_found_by_verify(graph: Graph) -> None:
    graph.verify()
    everything = [*files(graph), "ids/00.parquet"]
    for name in everything:
        path = graph.path / name
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        shutil.copy(path, path.with_suffix(".kept"))
        path.unlink()
        path.write_bytes(content)
        with pytest.raises(GraphError, match=f"{name} is damaged"):
            graph.verify()
        path.with_suffix(".kept").replace(path)
    (graph.path / files(graph)[0]).unlink()
    with pytest.raises(GraphError, match="missing"):
        graph.verify()


def test_rows_that_do_not_fit_the_edges_are_noticed_at_open(graph: Graph) -> None:
    entry = graph.manifest.relations["user-item"].arrays["indptr"]
    (graph.path / entry.file).unlink()
    write_array(graph.path / entry.file, np.zeros(21, np.int64))
    with pytest.raises(GraphError, match=r"relation 'user-item': the rows do not fit 20 nodes"):
        Graph.open(graph.path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is not a graph"),
        (b"{", "cannot be read"),
        (b"[]", "is not the manifest of a graph"),
        (b'{"format": "something else"}', "is not the manifest of a graph"),
        (b'{"format": "bowerbird-graph", "version": 99}', "newer program"),
        (b'{"format": "bowerbird-graph", "version": 1}', "lacks or mistypes"),
    ],
)
def test_manifests_that_are_none(graph: Graph, content: bytes | None, message: str) -> None:
    path = graph.path / "manifest.json"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(GraphError, match=message):
        Graph.open(graph.path)


def test_manifest_says_how_it_was_built(graph: Graph) -> None:
    told = json.loads((graph.path / "manifest.json").read_text())
    assert told["format"] == "bowerbird-graph" and told["version"] == 1 and told["seed"] == 7
    assert told["pruning"] == {"exponent": 0.5, "floor": 2, "cap": 5, "ends": "own", "keep": "random"}
    assert told["nodes"]["item"]["count"] == 30
    assert told["relations"]["user-item"]["reverse"] == "item-user"
    assert told["base"]["user-item"]["edges"] >= told["relations"]["user-item"]["edges"]
    assert len(told["relations"]["user-item"]["arrays"]["indices"]["checksum"]) == 32


def test_unknown_names(graph: Graph) -> None:
    with pytest.raises(GraphError, match="did you mean 'user-item'"):
        graph.relation("user-itme")
    with pytest.raises(GraphError, match="no relation 'x'"):
        graph.reverse("x")
    with pytest.raises(GraphError, match="no node type 'itme'"):
        graph.ids("itme")
    path = graph.path / "ids" / "00.parquet"
    path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(GraphError, match="raw ids of 'user' cannot be read"):
        Graph.open(graph.path).ids("user")


def test_unpruned_directions_share_their_files_with_the_base(tmp_path: Path) -> None:
    graph = from_edges(tmp_path / "g", EdgeList("r", "a", "b", Edges([0, 1], [1, 0])))
    one = graph.path / graph.manifest.relations["r"].arrays["indices"].file
    two = graph.path / graph.manifest.base["r"].arrays["indices"].file
    assert one.samefile(two)


def test_arrays_written_in_pieces(tmp_path: Path) -> None:
    with ArrayWriter(tmp_path / "x.npy", np.uint32) as writer:
        for low in range(0, 100, 7):
            writer.append(np.arange(low, min(low + 7, 100)))
    assert np.load(tmp_path / "x.npy").tolist() == list(range(100))
    assert map_array(tmp_path / "x.npy").tolist() == list(range(100))
    assert read_slice(tmp_path / "x.npy", 10, 15).tolist() == [10, 11, 12, 13, 14]
    write_array(tmp_path / "empty.npy", np.empty(0, np.int64))
    assert len(map_array(tmp_path / "empty.npy")) == 0 and len(read_slice(tmp_path / "empty.npy", 0, 0)) == 0
