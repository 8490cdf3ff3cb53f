"""Degree pruning: the rule, its bounds, and that it depends on nothing but the set of edges, seed and relation."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bowerbird.graph import EdgeList, Edges, Graph, Pruning, from_edges
from bowerbird.tables.errors import ConfigError
from graph.building.truth import as_dict, assert_same_arrays, turned

SMALL = Pruning(exponent=0.5, floor=2, cap=4)


def random_edges(seed: int, n: int = 400, left: int = 25, right: int = 40) -> Edges:
    rng = np.random.default_rng(seed)
    source = np.minimum(rng.zipf(1.4, n) - 1, left - 1)
    weight = rng.integers(1, 5, n).astype(float)
    return Edges(source, rng.integers(0, right, n), weight, rng.integers(0, 99, n))


def built(path: Path, edges: Edges, pruning: Pruning | None, **settings) -> Graph:  # type: ignore[no-untyped-def]
    return from_edges(
        path, EdgeList("a-b", "a", "b", edges), counts={"a": 25, "b": 40}, pruning=pruning, **settings
    )


def test_the_rule_of_the_paper() -> None:
    degrees = [0, 1, 9, 10, 11, 20, 50, 1000, 10_000, 44_800, 10**7]
    assert Pruning().kept(degrees).tolist() == [0, 1, 9, 10, 10, 13, 29, 380, 2754, 10_000, 10_000]
    assert Pruning(exponent=1).kept(degrees).tolist() == [
        0,
        1,
        9,
        10,
        11,
        20,
        50,
        1000,
        10_000,
        10_000,
        10_000,
    ]
    assert Pruning(floor=5, cap=2).kept([3, 100]).tolist() == [3, 5]


@given(
    st.lists(st.integers(0, 10**6), min_size=1),
    st.floats(0.05, 1),
    st.integers(1, 50),
    st.integers(1, 500),
)
def test_the_rule_is_bounded_and_grows_with_the_degree(
    degrees: list[int], exponent: float, floor: int, cap: int
) -> None:
    degrees.sort()
    kept = Pruning(exponent=exponent, floor=floor, cap=cap).kept(degrees)
    assert (kept <= degrees).all() and (kept >= np.minimum(degrees, floor)).all()
    assert (kept <= max(floor, cap)).all() and (np.diff(kept) >= 0).all()


@pytest.mark.parametrize("keep", ["random", "heaviest"])
@pytest.mark.parametrize("ends", ["own", "either", "both"])
def test_what_each_end_keeps(tmp_path: Path, ends: str, keep: str) -> None:
    edges = random_edges(0)
    whole = built(tmp_path / "whole", edges, None)
    own = built(tmp_path / "own", edges, Pruning(0.5, 2, 4, keep=keep))  # type: ignore[arg-type]
    lists = {name: as_dict(own.relation(name)) for name in own.relations}
    for name, relation in own.relations.items():
        before = whole.relation(name)
        wanted = SMALL.kept(before.degrees())
        assert relation.degrees().tolist() == wanted.tolist()  # every list is cut to its target exactly
        assert lists[name].items() <= as_dict(before).items()  # and keeps weights and times
    mine, theirs = lists["a-b"], turned(lists["b-a"])
    pruned = built(tmp_path / "pruned", edges, Pruning(0.5, 2, 4, ends=ends, keep=keep))  # type: ignore[arg-type]
    found = {name: as_dict(pruned.relation(name)) for name in pruned.relations}
    if ends == "either":
        assert found["a-b"] == mine | theirs == turned(found["b-a"])
    elif ends == "both":
        assert found["a-b"] == dict(mine.items() & theirs.items()) == turned(found["b-a"])
    else:
        assert found == lists
    assert 0 < len(found["a-b"]) < len(as_dict(whole.relation("a-b")))


def test_the_heaviest_edges_stay(tmp_path: Path) -> None:
    edges = random_edges(1)
    whole = built(tmp_path / "whole", edges, None).relation("a-b")
    pruned = built(tmp_path / "pruned", edges, Pruning(0.5, 2, 4, keep="heaviest")).relation("a-b")
    for node in range(25):
        wanted = np.sort(whole.weights(node))[::-1][: len(pruned.targets(node))]
        assert np.sort(pruned.weights(node))[::-1].tolist() == wanted.tolist()


@given(
    st.integers(0, 20), st.sampled_from(["own", "either", "both"]), st.sampled_from(["random", "heaviest"])
)
@settings(max_examples=8)
def test_order_batches_and_memory_do_not_matter(seed: int, ends: str, keep: str) -> None:
    edges = random_edges(seed)
    order = np.random.default_rng(seed).permutation(len(edges.source))  # type: ignore[arg-type]
    columns = [np.asarray(column)[order] for column in (edges.source, edges.target, edges.weight, edges.time)]
    batches = [Edges(*(column[low : low + 37] for column in columns)) for low in range(0, len(order), 37)]
    pruning = Pruning(0.6, 2, 6, ends=ends, keep=keep)  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as folder:
        one = built(Path(folder) / "one", edges, pruning)
        two = built(Path(folder) / "two", batches, pruning, memory=1 << 11)  # type: ignore[arg-type]
        assert_same_arrays(one, two)


def test_seed_and_relation_choose_differently(tmp_path: Path) -> None:
    edges = random_edges(2)
    lists = [EdgeList("r", "a", "b", edges), EdgeList("s", "a", "b", edges)]
    one = from_edges(tmp_path / "one", lists, pruning=SMALL, seed=1)
    two = from_edges(tmp_path / "two", lists, pruning=SMALL, seed=2)
    assert as_dict(one.relation("r")) != as_dict(two.relation("r"))
    assert as_dict(one.relation("r")) != as_dict(one.relation("s"))
    assert (one.manifest.seed, one.manifest.pruning) == (
        1,
        {"exponent": 0.5, "floor": 2, "cap": 4, "ends": "own", "keep": "random"},
    )


def test_a_new_edge_only_changes_the_lists_of_its_ends(tmp_path: Path) -> None:
    edges = random_edges(3)
    more = Edges(
        np.append(edges.source, 7),
        np.append(edges.target, 11),
        np.append(edges.weight, 1),
        np.append(edges.time, 5),
    )  # type: ignore[arg-type]
    one, two = built(tmp_path / "one", edges, SMALL), built(tmp_path / "two", more, SMALL)
    for name, changed in (("a-b", 7), ("b-a", 11)):
        for node in range(one.relation(name).n_source):
            if node != changed:
                assert one.relation(name).targets(node).tolist() == two.relation(name).targets(node).tolist()


def test_every_edge_of_a_hub_is_as_likely_as_any_other(tmp_path: Path) -> None:
    # 64 hubs over the same 60 leaves, each keeps 15: a leaf is kept by 16 hubs on average, spread like a binomial.
    source, target = (grid.ravel() for grid in np.meshgrid(np.arange(64), np.arange(60), indexing="ij"))
    edges = EdgeList("r", "a", "b", Edges(source, target))
    graph = from_edges(tmp_path / "g", edges, pruning=Pruning(0.5, 15, 15))
    counts = np.bincount(graph.relation("r").indices, minlength=60)
    expected, spread = 64 * 0.25, np.sqrt(64 * 0.25 * 0.75)
    assert counts.sum() == 64 * 15
    assert abs(counts - expected).max() < 4.5 * spread
    assert ((counts - expected) ** 2).sum() / spread**2 < 110  # chi-square with about 59 degrees of freedom


def test_nothing_to_prune_is_the_whole_graph(tmp_path: Path) -> None:
    edges = random_edges(4)
    whole = built(tmp_path / "whole", edges, None)
    for ends in ("own", "either", "both"):
        same = built(tmp_path / ends, edges, Pruning(1, 1, 10**6, ends=ends))  # type: ignore[arg-type]
        assert_same_arrays(whole, same)


def test_a_symmetric_relation_is_pruned_from_both_ends(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    star = Edges(np.zeros(50, np.int64), rng.permutation(50) + 1)
    edges = EdgeList("i", "n", "n", star, symmetric=True)
    kept = {
        ends: from_edges(tmp_path / ends, edges, pruning=Pruning(0.5, 3, 5, ends=ends)).relation("i")  # type: ignore[arg-type]
        for ends in ("own", "either", "both")
    }
    assert len(kept["own"].targets(0)) == 5  # the hub's list is cut, every leaf still lists the hub
    assert all(kept["own"].targets(leaf).tolist() == [0] for leaf in range(1, 51))
    assert len(kept["either"]) == 100
    assert len(kept["both"]) == 10
    assert set(kept["both"].targets(0).tolist()) == set(kept["own"].targets(0).tolist())


@pytest.mark.parametrize(
    "settings",
    [{"exponent": 0}, {"exponent": 1.1}, {"floor": 0}, {"cap": 0}, {"ends": "all"}, {"keep": "best"}],
)
def test_settings_out_of_range(settings: dict) -> None:  # type: ignore[type-arg]
    with pytest.raises(ConfigError, match=next(iter(settings))):
        Pruning(**settings)
