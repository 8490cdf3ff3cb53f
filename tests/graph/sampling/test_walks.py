"""Simulated walks: they converge to the exact scores, and are random in the right places only."""

from __future__ import annotations

import numpy as np
import pytest

from bowerbird.graph.sampling import Sampler, Subset
from bowerbird.graph.sampling.methods.random import draw, stream
from bowerbird.graph.sampling.space import Space
from graph.sampling.worlds import BOTH, all_scores, assert_equal, communities


@pytest.mark.parametrize("weighted", [False, True])
def test_the_error_shrinks_as_the_square_root_of_the_walks(weighted: bool) -> None:
    graph = communities(items=60, collections=20, groups=3).graph(weighted=True)
    subset = Subset("all", BOTH.relations, {"item": 61, "collection": 21})
    space = Space(graph, subset, weighted=weighted)
    sources = np.arange(0, 60, 5)
    truth = all_scores(space, 0.3)[sources + space.span("item")[0]]
    errors = []
    for walks in (1_000, 16_000):
        sampler = Sampler(graph, [subset], method="walks", budget=walks, restart=0.3, weighted=weighted)
        found = sampler.sample("item", sources)
        guess = np.zeros_like(truth)
        for slot, ids, scores in zip(found.slots, found.ids, found.scores, strict=True):
            for row in range(len(sources)):
                ok = ids[row] >= 0
                guess[row, ids[row][ok] + space.span(slot.node_type)[0]] = scores[row][ok]
        guess[np.arange(len(sources)), sources + space.span("item")[0]] = truth[
            np.arange(len(sources)), sources + space.span("item")[0]
        ]
        errors.append(np.sqrt(((guess - truth) ** 2).mean()))
    assert errors[1] < errors[0] * 0.35, "a quarter, were it not for chance"
    # a visit count has about the variance of a Poisson count, somewhat more as visits come in clusters
    assert errors[1] < 3 * np.sqrt(0.3 * truth.mean() / 16_000)


def test_scores_over_all_nodes_add_up_to_one() -> None:
    graph = communities().graph()
    subset = Subset("all", BOTH.relations, {"item": 241, "collection": 61})
    found = Sampler(graph, [subset], method="walks", budget=50_000).sample("item", [4])
    space = Space(graph, subset)
    own = all_scores(space, 0.2)[4 + space.span("item")[0], 4 + space.span("item")[0]]
    assert sum(scores.sum() for scores in found.scores) + own == pytest.approx(1.0, abs=0.01)


def test_the_seed_decides_and_nothing_else() -> None:
    graph = communities().graph()
    first, again, other = (
        Sampler(graph, [BOTH], method="walks", budget=500, seed=seed).sample("item", np.arange(50))
        for seed in (1, 1, 2)
    )
    assert_equal(first, again)
    assert any((a != b).any() for a, b in zip(first.scores, other.scores, strict=True))


def test_steps_are_as_many_as_the_restart_says() -> None:
    graph = communities().graph()
    work = Sampler(graph, [BOTH], method="walks", budget=20_000, restart=0.25).work("item", np.arange(5))
    np.testing.assert_allclose(work[:, 1], 20_000 * 0.75 / 0.25, rtol=0.05)
    assert (work[:, 0] == 0).all()


def test_streams_do_not_repeat_each_other() -> None:
    key = np.uint64(7)
    numbers = {int(draw(np.uint64(stream(key, walk)), place)) for walk in range(200) for place in range(50)}
    assert len(numbers) == 200 * 50
    bits = np.array([(int(number) >> 40) & 1 for number in numbers])
    assert abs(bits.mean() - 0.5) < 0.02
