"""Forward push: what it guarantees, and that the compiled one does what the readable one does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bowerbird.graph import Pruning
from bowerbird.graph.sampling import Sampler, Subset
from bowerbird.graph.sampling.methods.reference import ReferenceScorer
from bowerbird.graph.sampling.space import Space
from graph.sampling.worlds import (
    BOTH,
    ONE_WAY,
    SAVES,
    World,
    all_scores,
    assert_equal,
    communities,
    overlap,
    worlds,
)

ROUNDING = 1e-5
"""Of float32 sums of a few hundred numbers below 1."""


def _push(space: Space, restart: float, budget: int) -> ReferenceScorer:
    slots = np.array([[0, len(space), 1]], np.int64)
    return ReferenceScorer(space, slots, restart=restart, budget=budget, closing=0, seed=0)


@settings(max_examples=40)
@given(
    worlds(), st.sampled_from([SAVES, BOTH, ONE_WAY]), st.booleans(), st.floats(0.05, 0.9), st.integers(1, 500),
    st.integers(0, 10**6),
)  # fmt: skip
def test_settled_and_residual_together_are_the_whole_score(
    world: World, subset: Subset, weighted: bool, restart: float, budget: int, at: int
) -> None:
    space = Space(world.graph(weighted=weighted), subset, weighted=weighted)
    source = at % len(space)
    settled, residual, edges = _push(space, restart, budget).push(source)
    truth = all_scores(space, restart)
    np.testing.assert_allclose(settled + residual @ truth, truth[source], atol=ROUNDING)
    assert edges <= budget / restart * (1 + ROUNDING), "the work bound holds in any graph"
    assert (residual <= np.maximum(space.degree, 1) / budget * (1 + ROUNDING)).all()


@settings(max_examples=40)
@given(
    worlds(), st.sampled_from([SAVES, BOTH]), st.floats(0.05, 0.9), st.integers(1, 500), st.integers(0, 10**6)
)
def test_the_error_is_at_most_delta_times_degree(
    world: World, subset: Subset, restart: float, budget: int, at: int
) -> None:
    undirected = World(world.items, world.collections, world.saves, world.links if world.symmetric else ())
    graph = undirected.graph()
    space = Space(graph, subset)
    item = at % world.items
    source = item + space.span("item")[0]
    truth = all_scores(space, restart)[source]
    bound = space.degree / budget + ROUNDING
    settled, _, _ = _push(space, restart, budget).push(source)
    assert (truth - settled <= bound).all() and (truth - settled >= -ROUNDING).all()
    keep_all = Subset("all", subset.relations, {"item": world.items, "collection": world.collections})
    for closing in (0, 5, 32):
        found = Sampler(graph, [keep_all], restart=restart, budget=budget, closing=closing).sample(
            "item", [item]
        )
        for slot, ids, scores in zip(found.slots, found.ids, found.scores, strict=True):
            place = ids[0][ids[0] >= 0] + space.span(slot.node_type)[0]
            assert (np.abs(truth[place] - scores[0][: len(place)]) <= bound[place]).all(), (
                "closing keeps the bound"
            )


@settings(max_examples=30)
@given(
    worlds(), st.booleans(), st.floats(0.05, 0.9), st.sampled_from([1, 7, 60, 900]), st.sampled_from([0, 3, 8]),
    st.integers(-1, 4), st.integers(0, 3),
)  # fmt: skip
def test_compiled_and_numpy_agree_bit_by_bit(
    world: World, weighted: bool, restart: float, budget: int, closing: int, collection: int, seed: int
) -> None:
    graph = world.graph(weighted=weighted)
    options = {"restart": restart, "budget": budget, "closing": closing, "weighted": weighted, "seed": seed}
    items = np.arange(world.items)
    without = np.full(world.items, min(collection, world.collections - 1))
    answers = [
        Sampler(graph, [SAVES, BOTH, ONE_WAY], method=method, **options).sample(  # type: ignore[arg-type]
            "item", items, without=without, without_type="collection"
        )
        for method in ("push", "reference")
    ]
    assert_equal(*answers)


@pytest.mark.parametrize("weighted", [False, True])
def test_compiled_and_numpy_agree_on_a_graph_with_hubs(weighted: bool) -> None:
    for pruning in (None, Pruning(exponent=0.5, floor=3)):
        graph = communities().graph(weighted=weighted, pruning=pruning)
        items = np.arange(0, 241, 60)
        answers = [
            Sampler(graph, [SAVES, BOTH], budget=400, weighted=weighted, method=method).sample("item", items)  # type: ignore[arg-type]
            for method in ("push", "reference")
        ]
        assert_equal(*answers)


def test_closing_puts_more_of_the_right_nodes_first_for_the_same_push() -> None:
    graph, items = communities().graph(), np.arange(240)
    subset = Subset("saves", ("item-collection",), {"item": 10, "collection": 10})
    truth = Sampler(graph, [subset], method="exact").sample("item", items)
    shares = [
        overlap(Sampler(graph, [subset], budget=500, closing=closing).sample("item", items), truth)
        for closing in (0, 32)
    ]
    assert shares[1] > shares[0] + 0.03


def test_closing_goes_against_the_direction_of_pruned_lists() -> None:
    graph, items = communities().graph(pruning=Pruning(exponent=0.5, floor=2)), np.arange(240)
    subset = Subset("saves", ("item-collection",), {"item": 10, "collection": 10})
    space = Space(graph, subset)
    assert not space.undirected and (space.entering_total / np.maximum(space.total, 1)).max() > 1.5
    truth = Sampler(graph, [subset], method="exact").sample("item", items)
    shares = [
        overlap(Sampler(graph, [subset], budget=500, closing=closing).sample("item", items), truth)
        for closing in (0, 32)
    ]
    assert shares[1] > shares[0] + 0.02


def test_a_larger_budget_comes_closer_and_works_more() -> None:
    graph, items = communities().graph(), np.arange(240)
    truth = Sampler(graph, [SAVES], method="exact").sample("item", items)
    shares, work = [], []
    for budget in (30, 300, 30_000):
        sampler = Sampler(graph, [SAVES], budget=budget)
        shares.append(overlap(sampler.sample("item", items), truth))
        work.append(sampler.work("item", items)[:, 0].mean())
    assert shares == sorted(shares) and shares[-1] > 0.97
    assert work == sorted(work) and work[0] < work[-1]
