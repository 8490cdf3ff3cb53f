"""What is counted in a history, against a plain walk through it."""

from __future__ import annotations

import math

import numpy as np
import torch

from bowerbird.recommend.examples import Tokens
from bowerbird.recommend.ranking.matches import HALF_LIVES_HOURS, HistoryMatches

ITEMS, ACTIONS = 9, 3


def _bag(rng: np.random.Generator, most: int) -> tuple[np.ndarray, np.ndarray]:
    counts = rng.integers(0, most + 1, ITEMS)
    codes = [np.sort(rng.choice(5, count, replace=False)) for count in counts]
    return np.concatenate(codes).astype(np.int32), np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _tokens(rng: np.random.Generator) -> Tokens:
    shape, lengths = (4, 6), torch.tensor([6, 3, 0, 1])
    return Tokens(
        item=torch.from_numpy(rng.integers(0, ITEMS + 2, shape)),  # ids past the catalogue are no items
        time=torch.from_numpy(np.sort(rng.integers(0, 10**9, shape), axis=1)),
        action=torch.zeros(shape, dtype=torch.long),
        deeds=torch.from_numpy(rng.integers(0, 1 << ACTIONS, shape)),
        surface=torch.zeros(shape, dtype=torch.long),
        lengths=lengths,
    )


def _walk(
    bags: dict[str, tuple[np.ndarray, np.ndarray]], tokens: Tokens, item: int, time: int, row: int, seen: int
) -> list[float]:
    def codes(name: str, i: int) -> set[int]:
        values, offsets = bags[name]
        return set(values[offsets[i] : offsets[i + 1]].tolist()) if 0 <= i < ITEMS else set()

    tests = [lambda past: True, lambda past: past == item]
    tests += [lambda past, name=name: bool(codes(name, past) & codes(name, item)) for name in bags]
    out = []
    for test in tests:
        for half_life in HALF_LIVES_HOURS:
            sums = [0.0] * (1 + ACTIONS)
            for n in range(seen):
                if not test(int(tokens.item[row, n])):
                    continue
                weight = 0.5 ** ((time - int(tokens.time[row, n])) / (half_life * 3_600_000))
                deeds = int(tokens.deeds[row, n])
                for place, happened in enumerate(
                    [int(deeds != 0), *((deeds >> c) & 1 for c in range(ACTIONS))]
                ):
                    sums[place] += weight * happened
            out += [math.log1p(total) for total in sums]
    return out


def test_counts_are_those_of_a_walk_through_the_history() -> None:
    rng = np.random.default_rng(0)
    bags = {"category_kind": _bag(rng, 1), "category_tags": _bag(rng, 3)}
    matches, tokens = HistoryMatches(bags, ACTIONS), _tokens(rng)
    items = torch.from_numpy(rng.integers(-1, ITEMS, (4, 5)))
    seen = torch.tensor([[6, 2, 0, 5, 6], [3, 1, 2, 3, 0], [0] * 5, [1, 0, 1, 1, 0]])
    times = torch.from_numpy(rng.integers(10**9, 2 * 10**9, (4, 5)))
    found = matches(tokens, items, times, seen)
    assert found.shape == (4, 5, matches.width)
    for b in range(4):
        for k in range(5):
            asked = int(items[b, k]), int(times[b, k]), b, int(seen[b, k])
            np.testing.assert_allclose(found[b, k], _walk(bags, tokens, *asked), atol=1e-5)
    # candidates of one request share its moment
    shared = matches(tokens, items, times[:, :1], seen[:, :1])
    each = matches(tokens, items, times[:, :1].expand(4, 5), seen[:, :1].expand(4, 5))
    torch.testing.assert_close(shared, each, atol=1e-6, rtol=1e-6)


def test_what_happened_later_does_not_count() -> None:
    rng = np.random.default_rng(1)
    matches, tokens = HistoryMatches({"category_kind": _bag(rng, 2)}, ACTIONS), _tokens(rng)
    items = torch.tensor([[1, 2, 3]]).expand(4, 3)
    ask = torch.full((4, 1), 10**9), torch.tensor([[4], [3], [0], [1]])
    before = matches(tokens, items, *ask)[0]
    for name in ("item", "deeds", "time"):
        getattr(tokens, name)[0, 4:] = 1
    assert torch.equal(matches(tokens, items, *ask)[0], before)
