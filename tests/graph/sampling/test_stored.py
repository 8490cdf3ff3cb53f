"""Precomputed neighbourhoods: the same answers, safe against being killed, bound to their graph."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bowerbird.graph import Graph, GraphError
from bowerbird.graph.sampling import Sampler, StoredNeighbourhoods, Subset, precompute
from graph.sampling.worlds import BOTH, SAVES, World, assert_equal, communities


@pytest.fixture(scope="module")
def graph() -> Graph:
    return communities().graph()


@pytest.fixture
def sampler(graph: Graph) -> Sampler:
    return Sampler(graph, [SAVES, BOTH], budget=300)


class KilledError(Exception):
    pass


def test_stored_equals_on_the_fly(sampler: Sampler, graph: Graph, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    stored = precompute(
        sampler, "item", tmp_path / "near", chunk=100, progress=lambda *done: seen.append(done)
    )
    assert seen == [(100, 241), (200, 241), (241, 241)]
    ids = np.array([240, 3, 3, 0, 117])
    assert_equal(stored.take(ids), sampler.sample("item", ids))
    opened = StoredNeighbourhoods.open(tmp_path / "near", graph)
    assert_equal(opened.take(np.arange(241)), sampler.sample("item", np.arange(241)))
    assert len(opened) == 241 and opened.node_type == "item" and opened.slots == sampler.slots
    assert opened.settings == sampler.settings()
    assert len(opened.take([])) == 0
    opened.verify()


def test_a_killed_run_goes_on_where_it_was(
    sampler: Sampler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(done: int, _: int) -> None:
        if done >= 100:
            raise KilledError

    with pytest.raises(KilledError):
        precompute(sampler, "item", tmp_path / "near", chunk=50, progress=kill)
    with pytest.raises(GraphError, match=r"unfinished: 100 of 241 nodes.*\n.*run precompute again"):
        StoredNeighbourhoods.open(tmp_path / "near")
    sampled: list[int] = []
    original = Sampler.sample

    def spy(self: Sampler, node_type: str, ids: np.ndarray) -> object:
        sampled.extend(ids.tolist())
        return original(self, node_type, ids)

    monkeypatch.setattr(Sampler, "sample", spy)
    stored = precompute(sampler, "item", tmp_path / "near", chunk=60)
    assert sampled == list(range(100, 241))
    sampled.clear()
    precompute(sampler, "item", tmp_path / "near")
    assert sampled == [], "what is finished is not sampled again"
    monkeypatch.undo()
    assert_equal(stored.take(np.arange(241)), sampler.sample("item", np.arange(241)))


def test_another_graph_or_sampler_is_refused(sampler: Sampler, graph: Graph, tmp_path: Path) -> None:
    folder = tmp_path / "near"
    precompute(sampler, "item", folder)
    other = communities(seed=1).graph()
    with pytest.raises(GraphError, match="of another graph than"):
        StoredNeighbourhoods.open(folder, other)
    with pytest.raises(GraphError, match=r"another graph\.\n.*overwrite=True"):
        precompute(Sampler(other, [SAVES, BOTH], budget=300), "item", folder)
    with pytest.raises(GraphError, match="another sampler"):
        precompute(Sampler(graph, [SAVES, BOTH], budget=301), "item", folder)
    with pytest.raises(GraphError, match="another node type"):
        precompute(sampler, "collection", folder)
    StoredNeighbourhoods.open(folder, communities().graph())  # the same content elsewhere is the same graph
    fresh = Sampler(graph, [SAVES], budget=301)
    stored = precompute(fresh, "item", folder, overwrite=True)
    assert_equal(stored.take([5]), fresh.sample("item", [5]))


def test_relations_that_are_not_walked_do_not_matter(tmp_path: Path) -> None:
    world = communities()
    graph = world.graph()
    changed = World(world.items, world.collections, world.saves, world.links[:-1]).graph()
    precompute(Sampler(graph, [SAVES], budget=50), "collection", tmp_path / "saves")
    StoredNeighbourhoods.open(tmp_path / "saves", changed)
    precompute(Sampler(graph, [BOTH], budget=50), "collection", tmp_path / "both")
    with pytest.raises(GraphError, match="another graph"):
        StoredNeighbourhoods.open(tmp_path / "both", changed)


def test_damage_is_noticed(sampler: Sampler, tmp_path: Path) -> None:
    folder = tmp_path / "near"
    precompute(sampler, "item", folder)
    scores = folder / "slot-01-scores.npy"
    content = scores.read_bytes()
    scores.write_bytes(content[:-4] + b"\0\0\x80\x3f")
    opened = StoredNeighbourhoods.open(folder)
    with pytest.raises(GraphError, match=r"slot-01-scores\.npy has changed"):
        opened.verify()
    scores.write_bytes(content[:-4])
    with pytest.raises(GraphError, match=r"slot-01-scores\.npy is .* bytes long, not"):
        StoredNeighbourhoods.open(folder)
    scores.unlink()
    with pytest.raises(GraphError, match="is missing"):
        StoredNeighbourhoods.open(folder)
    (folder / "manifest.json").write_text("{")
    with pytest.raises(GraphError, match="cannot be read"):
        StoredNeighbourhoods.open(folder)
    (folder / "manifest.json").write_text(json.dumps({"format": "other"}))
    with pytest.raises(GraphError, match="not the manifest of neighbourhoods"):
        StoredNeighbourhoods.open(folder)
    with pytest.raises(GraphError, match="holds no neighbourhoods"):
        StoredNeighbourhoods.open(tmp_path / "nowhere")


def test_bad_requests(sampler: Sampler, tmp_path: Path) -> None:
    stored = precompute(sampler, "item", tmp_path / "near")
    with pytest.raises(GraphError, match="position 1: no item has the dense id 241"):
        stored.take([0, 241])
    with pytest.raises(GraphError, match="position 0: no item has the dense id -2"):
        stored.take([-2])
    with pytest.raises(GraphError, match="whole numbers"):
        stored.take([[1, 2]])
    with pytest.raises(GraphError, match="chunk must be at least 1"):
        precompute(sampler, "item", tmp_path / "x", chunk=0)
    with pytest.raises(GraphError, match="no node type 'board'"):
        precompute(sampler, "board", tmp_path / "x")


def test_two_runs_at_once_are_kept_apart(sampler: Sampler, tmp_path: Path) -> None:
    def again(*_: int) -> None:
        precompute(sampler, "item", tmp_path / "near")

    with pytest.raises(GraphError, match="another process is writing"):
        precompute(sampler, "item", tmp_path / "near", progress=again)


def test_a_type_without_nodes(tmp_path: Path) -> None:
    graph = World(2, 0, (), ((0, 1, 1.0),)).graph()
    led = Sampler(graph, [Subset("led", ("item-item",), {"item": 2})])
    stored = precompute(led, "collection", tmp_path / "near")
    assert len(stored) == 0 and stored.take([]).ids[0].shape == (0, 2)
