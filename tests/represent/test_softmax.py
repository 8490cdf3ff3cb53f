"""The shared sampled softmax against sums written out by hand, and chunked against full."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bowerbird.represent.tasks.collapse import collapse_figures
from bowerbird.represent.tasks.softmax import Candidates, pool_of, softmax_rows


def _unit(rows: int, seed: int, dim: int = 5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, dim, generator=generator, dtype=torch.float64)
    return torch.nn.functional.normalize(x, dim=-1)


def _case(seed: int = 0, rows: int = 7, drawn: int = 9) -> tuple[torch.Tensor, Candidates, Candidates]:
    generator = torch.Generator().manual_seed(seed)
    share = torch.full((rows,), 1 / 12, dtype=torch.float64).log()
    positives = Candidates(torch.randint(12, (rows,), generator=generator), _unit(rows, seed + 1), share)
    random = Candidates(
        torch.randint(12, (drawn,), generator=generator), _unit(drawn, seed + 2),
        torch.full((drawn,), 1 / 12, dtype=torch.float64).log(),
    )  # fmt: skip
    return _unit(rows, seed + 3), positives, random


def _by_hand(
    query: torch.Tensor, positives: Candidates, random: Candidates, population: int, scale: float,
    right: dict[int, set[int]],
) -> list[float]:  # fmt: skip
    """The loss row by row, from Eq. 1."""
    pool = [
        (int(i), v, float(s))
        for c in (positives, random)
        for i, v, s in zip(c.ids, c.vectors, c.log_share, strict=True)
    ]
    found = []
    for row, (q, own) in enumerate(zip(query, positives.ids.tolist(), strict=True)):

        def score(vector: torch.Tensor, log_share: float, q: torch.Tensor = q) -> float:
            expected = len(positives.ids) * math.exp(log_share) + len(random.ids) / population
            return scale * float(q @ vector) - math.log(expected)

        top = score(positives.vectors[row], float(positives.log_share[row]))
        others = [score(v, s) for i, v, s in pool if i != own and i not in right.get(row, set())]
        found.append(-top + math.log(sum(map(math.exp, [top, *others]))))
    return found


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000))
def test_it_is_the_sum_written_out(seed: int) -> None:
    query, positives, random = _case(seed)
    scale = torch.tensor(3.0, dtype=torch.float64)
    own = torch.tensor([5, -1, 3, -1, 0, 1, 2])
    right = torch.tensor([[0, 4], [7, -1]])
    window = torch.tensor([0, 0, 0, 1, 1, 1, 1])
    loss = softmax_rows(
        query, positives, pool_of(positives, random, 12), scale, own_R=own, right_WX=right, window_R=window
    )
    allowed = {
        row: {i for i in (int(own[row]), *right[window[row]].tolist()) if i >= 0} for row in range(len(query))
    }
    assert loss.tolist() == pytest.approx(_by_hand(query, positives, random, 12, 3.0, allowed), abs=1e-9)


@pytest.mark.parametrize("rows", [1, 2, 7, 100])
def test_chunked_is_full_with_all_gradients(rows: int) -> None:
    found = []
    for chunk in (None, rows):
        query, positives, random = _case(4)
        scale = torch.tensor(9.0, dtype=torch.float64, requires_grad=True)
        leaves = [t.requires_grad_() for t in (query, positives.vectors, random.vectors)]
        loss = softmax_rows(query, positives, pool_of(positives, random, 12), scale, chunk_rows=chunk)
        loss.sum().backward()
        found.append([loss.detach(), *(leaf.grad for leaf in (*leaves, scale))])
    for full, chunked in zip(*found, strict=True):
        torch.testing.assert_close(chunked, full, rtol=0, atol=1e-12)


def test_without_correction_all_negatives_weigh_alike() -> None:
    _, positives, random = _case(1)
    pool = pool_of(positives, random, 12, corrected=False)
    assert torch.equal(pool.negatives.log_q_M, torch.zeros(16, dtype=torch.float64))


def test_in_batch_negatives_alone() -> None:
    query, positives, _ = _case(2)
    pool = pool_of(positives, None, 0)
    assert len(pool.negatives.ids_M) == len(positives.ids)
    assert torch.isfinite(softmax_rows(query, positives, pool, torch.tensor(2.0, dtype=torch.float64))).all()


def test_a_row_whose_whole_pool_is_right_costs_nothing() -> None:
    vectors = _unit(2, 0)
    share = torch.zeros(2, dtype=torch.float64)
    same = Candidates(torch.tensor([3, 3]), vectors, share)
    loss = softmax_rows(vectors, same, pool_of(same, None, 0), torch.tensor(5.0, dtype=torch.float64))
    assert loss.tolist() == [0.0, 0.0]


def test_collapse_is_seen() -> None:
    same = torch.tensor([[1.0, 0.0, 0.0, 0.0]]).repeat(6, 1)
    found = collapse_figures(same)
    assert float(found["mean_cosine"]) == pytest.approx(1.0)
    assert float(found["effective_rank"]) == pytest.approx(1.0)
    spread = collapse_figures(torch.eye(4).repeat(2, 1)[:4])
    assert float(spread["mean_cosine"]) == pytest.approx(0.0)
    assert float(spread["effective_rank"]) == pytest.approx(4.0)
