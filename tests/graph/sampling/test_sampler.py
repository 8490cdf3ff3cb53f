"""The sampler on graphs whose answer is known."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from bowerbird.graph import Graph, GraphError
from bowerbird.graph.sampling import Neighbourhoods, Sampler, Slot, Subset
from bowerbird.graph.sampling.space import Space
from bowerbird.graph.sampling.threads import over_blocks
from graph.sampling.worlds import BOTH, SAVES, World, all_scores, assert_equal, communities

METHODS = ("push", "reference", "walks", "exact")
PRECISE: dict[str, dict[str, Any]] = {
    "push": {"budget": 1_000_000},
    "reference": {"budget": 10_000},
    "walks": {"budget": 100_000},
    "exact": {},
}
WITHIN = {"push": 1e-5, "reference": 5e-4, "walks": 5e-3, "exact": 1e-6}


@pytest.fixture(scope="module")
def graph() -> Graph:
    return communities().graph()


def _precise(graph: Graph, subset: Subset, method: Any, **options: Any) -> Sampler:
    return Sampler(graph, [subset], method=method, **{**PRECISE[method], **options})


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("weighted", [False, True])
def test_scores_are_those_of_the_linear_system(method: str, weighted: bool) -> None:
    small = communities(items=40, collections=12, groups=2).graph(weighted=True)
    sampler = _precise(small, BOTH, method, weighted=weighted)
    found = sampler.sample("item", [0, 7])
    space = Space(small, BOTH, weighted=weighted)
    truth = all_scores(space, 0.2)
    for slot, ids, scores in zip(found.slots, found.ids, found.scores, strict=True):
        low = space.span(slot.node_type)[0]
        for row, source in enumerate((0, 7)):
            wanted = truth[source + space.span("item")[0]][ids[row] + low]
            np.testing.assert_allclose(scores[row], wanted, atol=WITHIN[method])


@pytest.mark.parametrize("method", METHODS)
def test_two_nodes(method: str) -> None:
    pair = World(1, 1, ((0, 0, 1.0),), ()).graph()
    subset = Subset("saves", ("item-collection",), {"collection": 2, "item": 1})
    found = _precise(pair, subset, method, restart=0.25).sample("item", [0])
    assert found.ids[0].tolist() == [[0, -1]] and found.ids[1].tolist() == [[-1]]
    assert found.scores[0][0, 0] == pytest.approx(
        0.75 / 1.75, abs=WITHIN[method]
    )  # c (1 - c) / (1 - (1 - c)^2)
    assert found.scores[0][0, 1] == 0 and found.mask[0].tolist() == [[True, False]]


@pytest.mark.parametrize("method", METHODS)
def test_ties_go_to_the_smaller_id(method: str) -> None:
    # Item 5 is in four collections that are alike; walks get them alike only when they are few, so one walk each.
    star = World(6, 9, tuple((5, collection, 1.0) for collection in (7, 1, 8, 3)), ()).graph()
    subset = Subset("saves", ("item-collection",), {"collection": 3})
    sampler = Sampler(star, [subset], method=method)  # type: ignore[arg-type]
    found = sampler.sample("item", [5])
    if method == "walks":
        scores = found.scores[0][0]
        assert (np.diff(scores) <= 0).all()
    else:
        assert found.ids[0].tolist() == [[1, 3, 7]]
        assert len(set(found.scores[0][0].tolist())) == 1


@pytest.mark.parametrize("method", METHODS)
def test_nodes_without_edges_get_empty_rows_and_disturb_nobody(graph: Graph, method: str) -> None:
    sampler = Sampler(graph, [SAVES], method=method, budget=300)  # type: ignore[arg-type]
    found = sampler.sample("item", [3, 240, 4])
    alone = sampler.sample("item", [3, 4])
    for ids, scores, mask in zip(found.ids, found.scores, found.mask, strict=True):
        assert (ids[1] == -1).all() and (scores[1] == 0).all() and not mask[1].any()
    for mine, theirs in zip(found.ids, alone.ids, strict=True):
        np.testing.assert_array_equal(mine[[0, 2]], theirs)


def test_a_type_that_a_subset_does_not_know_gets_empty_rows(graph: Graph) -> None:
    led = Subset("led", ("item-item",), {"item": 5})
    found = Sampler(graph, [SAVES, led]).sample("collection", [0, 1])
    assert (found.ids[found.slot("led", "item")] == -1).all()
    assert found.mask[found.slot("saves", "item")].any()


def test_the_source_is_dropped_and_rows_are_sorted_and_padded_at_the_end(graph: Graph) -> None:
    items = np.arange(241)
    found = Sampler(graph, [SAVES, BOTH], budget=2000).sample("item", items)
    assert found.slots == (
        Slot("saves", "item", 6), Slot("saves", "collection", 4), Slot("both", "item", 5), Slot("both", "collection", 3)
    )  # fmt: skip
    assert len(found) == 241 and found.width == 18
    for slot, ids, scores, mask in zip(found.slots, found.ids, found.scores, found.mask, strict=True):
        assert ids.shape == scores.shape == mask.shape == (241, slot.k)
        assert (ids.dtype, scores.dtype, mask.dtype) == (np.int64, np.float32, np.bool_)
        if slot.node_type == "item":
            assert not (ids == items[:, None]).any()
        assert (
            (np.diff(scores, axis=1) <= 0).all() and (scores[mask] > 0).all() and (scores[~mask] == 0).all()
        )
        assert (mask == (ids >= 0)).all() and (np.diff(mask.astype(int), axis=1) <= 0).all()
        for row in ids:
            assert len(set(row[row >= 0].tolist())) == (row >= 0).sum()


def test_a_restart_close_to_one_stays_with_direct_neighbours(graph: Graph) -> None:
    restart = 0.999
    subset = Subset("both", BOTH.relations, {"item": 241, "collection": 61})
    space = Space(graph, subset)
    found = Sampler(graph, [subset], restart=restart, budget=1000).sample("item", [0])
    near = space.matrix()[[space.span("item")[0]]].toarray()[0]
    for slot, ids, scores in zip(found.slots, found.ids, found.scores, strict=True):
        low, high = space.span(slot.node_type)
        direct = np.flatnonzero(near[low:high])
        assert set(ids[0][: len(direct)].tolist()) == set(direct.tolist())
        np.testing.assert_allclose(scores[0][: len(direct)], (1 - restart) / near.sum(), rtol=5e-3)
        assert scores[0][len(direct) :].max() < 0.01 * scores[0][len(direct) - 1]


@pytest.mark.parametrize("method", ["push", "exact"])
def test_a_restart_close_to_zero_forgets_the_source(method: Any) -> None:
    # Undirected, connected and not bipartite: what is left is the stationary distribution, in proportion to degree.
    ring = World(7, 1, (), (*((i, (i + 1) % 7, 1.0) for i in range(7)), (0, 3, 1.0), (0, 4, 1.0))).graph()
    subset = Subset("led", ("item-item",), {"item": 7})
    found = Sampler(ring, [subset], restart=0.002, budget=100_000, method=method).sample("item", [5])
    degree = np.bincount([0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 0, 0, 3, 0, 4]) / 18
    order = found.ids[0][0][found.mask[0][0]]
    np.testing.assert_allclose(found.scores[0][0][: len(order)], degree[order], rtol=0.03)
    assert order[0] == 0 and set(order[1:3].tolist()) == {3, 4}


@pytest.mark.parametrize("method", METHODS)
def test_a_walk_ends_where_no_edge_leaves(method: str) -> None:
    path = World(3, 1, (), ((0, 1, 1.0), (1, 2, 1.0)), symmetric=False).graph()
    subset = Subset("led", ("item-item",), {"item": 3}, directed=True)
    found = _precise(path, subset, method).sample("item", [0, 2])
    assert found.ids[0].tolist() == [[1, 2, -1], [-1, -1, -1]]
    np.testing.assert_allclose(found.scores[0][0], [0.2 * 0.8, 0.2 * 0.64, 0], atol=WITHIN[method])


def _equals_a_graph_without_the_edge(
    method: str, world: World, item: int, collection: int, weighted: bool
) -> None:
    subset = Subset("both", BOTH.relations, {"item": 6, "collection": world.collections})
    cut = _precise(world.graph(weighted=True), subset, method, weighted=weighted).sample(
        "item", [item], without=[collection], without_type="collection"
    )
    never = _precise(world.without(item, collection).graph(weighted=True), subset, method, weighted=weighted)
    plain = never.sample("item", [item])
    assert collection not in cut.ids[1][0].tolist()
    left = {
        int(c): s
        for c, s in zip(plain.ids[1][0], plain.scores[1][0], strict=True)
        if c not in (collection, -1)
    }
    mine = {int(c): s for c, s in zip(cut.ids[1][0], cut.scores[1][0], strict=True) if c >= 0}
    assert set(mine) == set(left) or method == "walks"
    for node in set(mine) & set(left):
        assert mine[node] == pytest.approx(left[node], abs=2 * WITHIN[method])
    np.testing.assert_allclose(cut.scores[0], plain.scores[0], atol=2 * WITHIN[method])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("weighted", [False, True])
def test_without_is_a_graph_without_the_edge(method: str, weighted: bool) -> None:
    world = communities(items=40, collections=12, groups=2)
    item, collection, _ = world.saves[5]
    _equals_a_graph_without_the_edge(method, world, item, collection, weighted)


@pytest.mark.parametrize("method", METHODS)
def test_without_the_only_edge_nothing_is_left(method: str) -> None:
    graph = World(2, 1, ((0, 0, 1.0), (1, 0, 1.0)), ()).graph()
    sampler = Sampler(graph, [SAVES], method=method, budget=100)  # type: ignore[arg-type]
    cut = sampler.sample("item", [0, 0, 1], without=[0, -1, -1], without_type="collection")
    assert not cut.mask[0][0].any() and not cut.mask[1][0].any()
    plain = sampler.sample("item", [0, 1])
    for mine, theirs in zip(cut.ids, plain.ids, strict=True):
        np.testing.assert_array_equal(mine[1:], theirs)  # the cut left nothing behind


@pytest.mark.parametrize("method", METHODS)
def test_without_a_node_of_the_same_type_takes_out_both_directions(method: str) -> None:
    ring = World(4, 1, (), ((0, 1, 1.0), (1, 2, 1.0), (2, 3, 1.0), (3, 0, 1.0))).graph()
    subset = Subset("led", ("item-item",), {"item": 4})
    found = _precise(ring, subset, method).sample("item", [0, 2], without=[1, 2])
    assert found.ids[0][0].tolist() == [3, 2, -1, -1], "a path 0 3 2 1 is left, and 1 is not returned"
    truth = all_scores(Space(World(4, 1, (), ((1, 2, 1.0), (2, 3, 1.0), (3, 0, 1.0))).graph(), subset), 0.2)
    np.testing.assert_allclose(found.scores[0][0][:2], truth[0][[3, 2]], atol=WITHIN[method])
    assert set(found.ids[0][1].tolist()) == {0, 1, 3, -1}, "without oneself is without nobody"


@pytest.mark.parametrize("method", ["push", "walks", "exact"])
def test_threads_batches_and_order_change_nothing(graph: Graph, method: Any) -> None:
    items = np.random.default_rng(1).permutation(np.repeat(np.arange(0, 240, 3), 2))
    one = Sampler(graph, [SAVES, BOTH], method=method, budget=400, threads=1)
    many = Sampler(graph, [SAVES, BOTH], method=method, budget=400, threads=5)
    found = one.sample("item", items)
    assert_equal(found, many.sample("item", items))
    assert_equal(found, one.sample("item", items))
    back = many.sample("item", items[::-1])
    for mine, theirs in zip(found.ids, back.ids, strict=True):
        np.testing.assert_array_equal(mine, theirs[::-1])


def test_many_callers_at_once_get_what_one_gets(graph: Graph) -> None:
    sampler = Sampler(graph, [SAVES], budget=2000, threads=2)
    wanted = sampler.sample("item", np.arange(240))
    answers: list[Neighbourhoods] = []
    callers = [
        threading.Thread(target=lambda: answers.append(sampler.sample("item", np.arange(240))))
        for _ in range(6)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(answers) == 6
    for answer in answers:
        assert_equal(wanted, answer)


def test_an_error_in_a_thread_reaches_the_caller() -> None:
    done = []

    def work(begin: int, end: int) -> None:
        if begin == 4:
            raise ValueError("here")
        done.append((begin, end))

    with pytest.raises(ValueError, match="here"):
        over_blocks(work, 9, 2, threads=3)
    over_blocks(lambda begin, end: done.append((begin, end)), 0, 2, threads=3)
    assert (4, 6) not in done


def test_an_empty_batch(graph: Graph) -> None:
    found = Sampler(graph, [SAVES]).sample("item", [])
    assert len(found) == 0 and found.ids[0].shape == (0, 6)


def test_a_subset_brings_the_reverse_of_its_relations_unless_directed(graph: Graph) -> None:
    both = Sampler(graph, [SAVES])
    one = Sampler(graph, [Subset("saves", ("item-collection",), {"collection": 4}, directed=True)])
    assert both.relations == ("collection-item", "item-collection") and one.relations == ("item-collection",)
    assert_equal(
        both.sample("item", [1, 2]),
        Sampler(graph, [Subset("saves", ("collection-item", "item-collection"), SAVES.keep)]).sample(
            "item", [1, 2]
        ),
    )


def test_wide_ids_are_walked_like_narrow_ones(graph: Graph) -> None:
    wide = communities().graph()
    for name, relation in wide.relations.items():
        wide._relations[name] = type(relation)(
            name, relation.source, relation.target, relation.indptr, relation.indices.astype(np.int64)
        )
    for method in ("push", "walks", "exact"):
        options: dict[str, Any] = {"method": method, "budget": 300}
        assert_equal(
            Sampler(graph, [SAVES], **options).sample("item", np.arange(20)),
            Sampler(wide, [SAVES], **options).sample("item", np.arange(20)),
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"restart": 0.0}, "restart must lie between 0 and 1"),
        ({"restart": 1.0}, "restart must lie between 0 and 1"),
        ({"restart": float("nan")}, "restart must lie between 0 and 1"),
        ({"budget": 0}, "budget must be from 1"),
        ({"method": "walk"}, "did you mean 'walks'"),
        ({"closing": -1}, "closing must be from 0"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"tolerance": 0.0}, "tolerance must lie between 0 and 1"),
        ({"seed": -1}, "seed must be from 0"),
    ],
)
def test_settings_out_of_range(graph: Graph, change: dict[str, Any], message: str) -> None:
    with pytest.raises(GraphError, match=message):
        Sampler(graph, [SAVES], **change)


def test_subsets_that_the_graph_does_not_hold(graph: Graph) -> None:
    with pytest.raises(GraphError, match="did you mean 'item-collection'"):
        Sampler(graph, [Subset("a", ("item-colection",), {"item": 1})])
    with pytest.raises(GraphError, match="node type 'collection' is at no end of item-item"):
        Sampler(graph, [Subset("a", ("item-item",), {"collection": 1})])
    with pytest.raises(GraphError, match="two subsets have one name"):
        Sampler(graph, [SAVES, SAVES])
    with pytest.raises(GraphError, match="at least one subset"):
        Sampler(graph, [])
    with pytest.raises(GraphError, match="tuple of names"):
        Subset("a", "item-item", {"item": 1})  # type: ignore[arg-type]
    with pytest.raises(GraphError, match="cannot keep 0 nodes"):
        Subset("a", ("item-item",), {"item": 0})
    with pytest.raises(GraphError, match="keeps nothing"):
        Subset("a", ("item-item",), {})


def test_sources_that_do_not_exist(graph: Graph) -> None:
    sampler = Sampler(graph, [SAVES])
    with pytest.raises(GraphError, match=r"ids, position 1: no item has the dense id 241; there are 241"):
        sampler.sample("item", [0, 241])
    with pytest.raises(GraphError, match="position 0: no item has the dense id -1"):
        sampler.sample("item", [-1])
    with pytest.raises(GraphError, match="did you mean 'item'"):
        sampler.sample("items", [0])
    with pytest.raises(GraphError, match="whole numbers in one dimension"):
        sampler.sample("item", [0.5])
    with pytest.raises(GraphError, match="without has 1 nodes for 2 sources"):
        sampler.sample("item", [0, 1], without=[3])
    with pytest.raises(GraphError, match="without, position 0: no collection has the dense id 99"):
        sampler.sample("item", [0], without=[99], without_type="collection")
    with pytest.raises(GraphError, match=r"no slot for node type 'user'"):
        sampler.sample("item", [0]).slot("saves", "user")
