"""Neighbourhoods on a grid of scores: known answers, what rounding keeps, and what a far edge changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bowerbird.graph import GraphError
from bowerbird.graph.sampling import Sampler, Subset
from bowerbird.graph.sampling.steady import SPARE, steady
from graph.sampling.worlds import SAVES, World, communities


def test_scores_within_a_step_are_ties_and_the_smaller_id_wins() -> None:
    ids, scores = steady(np.array([[9, 5, 2, -1]]), np.array([[0.30, 0.29, 0.26, 0]], np.float32), 2, 1)
    assert ids.tolist() == [[2, 5]] and scores.tolist() == [[0.25, 0.25]]
    ids, scores = steady(np.array([[9, 5, 2, -1]]), np.array([[0.30, 0.29, 0.26, 0]], np.float32), 4, 64)
    assert ids.tolist() == [[9, 5, 2, -1]] and scores[0, 3] == 0 and (np.diff(scores[0]) < 0).all()


@given(
    st.lists(st.floats(2.0**-40, 1, width=32), min_size=1, max_size=12), st.integers(1, 64), st.integers(1, 8)
)
def test_rounding_takes_less_than_a_step_and_never_adds(scores: list[float], grid: int, k: int) -> None:
    given_1K = -np.sort(-np.array([scores], np.float32))
    ids, found = steady(np.arange(len(scores))[None], given_1K, k, grid)
    before = given_1K[0, ids[0]]
    assert (found[0] <= before * 1.000001).all() and (found[0] * 2 ** (1 / grid) >= before * 0.999999).all()
    assert (np.diff(found[0]) <= 0).all() and len(set(ids[0])) == len(ids[0])
    again = steady(ids, found, k, grid)
    assert (again[0] == ids).all()


def test_a_sampler_on_a_grid_rounds_a_longer_list() -> None:
    graph, sources = communities().graph(), np.arange(12)
    longer = Subset(SAVES.name, SAVES.relations, {name: SPARE * k for name, k in SAVES.keep.items()})
    plain = Sampler(graph, [longer], budget=10_000).sample("item", sources)
    coarse = Sampler(graph, [SAVES], budget=10_000, grid=2).sample("item", sources)
    for slot, ids, scores, longer_ids, longer_scores in zip(
        coarse.slots, coarse.ids, coarse.scores, plain.ids, plain.scores, strict=True
    ):
        wanted = steady(longer_ids, longer_scores, slot.k, 2)
        assert np.array_equal(ids, wanted[0]) and np.array_equal(scores, wanted[1])
    alone = Sampler(graph, [SAVES], budget=10_000, grid=2, threads=1).sample("item", sources[3:4])
    assert np.array_equal(alone.ids[0][0], coarse.ids[0][3])
    with pytest.raises(GraphError, match="grid must be from 0 to 1024"):
        Sampler(graph, [SAVES], grid=-1)


def test_an_edge_far_away_moves_exact_scores_and_leaves_steady_ones() -> None:
    world = communities()
    edge = (world.items - 1, 0, 1.0)
    assert edge[:2] not in {(item, collection) for item, collection, _ in world.saves}
    more = World(world.items, world.collections, (*world.saves, edge), world.links, world.symmetric)
    sources = np.arange(world.items)

    def changed(**options: int) -> float:
        before, after = (
            Sampler(w.graph(), [SAVES], method="exact", **options).sample("item", sources)
            for w in (world, more)
        )
        same = [
            (a == b).all(axis=1)
            for a, b in zip((*before.ids, *before.scores), (*after.ids, *after.scores), strict=True)
        ]
        return 1 - float(np.all(same, axis=0).mean())

    assert changed(grid=2) < 0.5 * changed()
