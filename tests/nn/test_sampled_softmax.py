"""The loss: its limit is full softmax, true items are never negatives, and relaxation picks targets as it says."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from bowerbird.nn import Negatives, draw_negatives, negative_logsumexp, sampled_softmax

ITEMS, DIM, ROWS = 30, 8, 12
SCALE = torch.tensor(6.0)


def world() -> tuple[Tensor, Tensor, Tensor]:
    """Anchors, all item vectors, one target id per anchor."""
    torch.manual_seed(0)
    anchor = F.normalize(torch.randn(ROWS, DIM), dim=1)
    return anchor, F.normalize(torch.randn(ITEMS, DIM), dim=1), torch.randint(ITEMS, (ROWS,))


@pytest.mark.parametrize("chunk_rows", [None, 5])
def test_with_all_items_as_negatives_it_is_cross_entropy(chunk_rows: int | None) -> None:
    anchor, vectors, target = world()
    anchor.requires_grad_()
    vectors.requires_grad_()
    negatives = Negatives(torch.arange(ITEMS), vectors, torch.zeros(ITEMS))
    lse = negative_logsumexp(
        anchor, negatives, SCALE, blocked_RX=negatives.locate(target)[:, None], chunk_rows=chunk_rows
    )
    positive = SCALE * (anchor * vectors[target]).sum(1, keepdim=True)
    loss = sampled_softmax(positive, lse)
    expected = F.cross_entropy(SCALE * anchor @ vectors.T, target, reduction="none")
    torch.testing.assert_close(loss, expected, atol=1e-5, rtol=0)
    got = torch.autograd.grad(loss.sum(), (anchor, vectors))
    for mine, theirs in zip(got, torch.autograd.grad(expected.sum(), (anchor, vectors)), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-4)


def test_blocked_items_are_no_negatives_and_positives_stay() -> None:
    anchor, vectors, target = world()
    ids = torch.tensor([0, 3, 4, 9, 11, 20])
    target[:] = 4
    feed = torch.tensor([[4, 9]]).expand(ROWS, 2)  # the rest of the target set
    user = torch.arange(ROWS) % 2
    history = torch.zeros(2, len(ids), dtype=torch.bool)
    history[1, 5] = True  # user 1 has item 20

    def loss(vectors: Tensor) -> Tensor:
        negatives = Negatives(ids, vectors[ids], torch.zeros(len(ids)))
        lse = negative_logsumexp(
            anchor, negatives, SCALE, blocked_RX=negatives.locate(feed), blocked_BM=history, window_R=user
        )
        return sampled_softmax(SCALE * (anchor @ vectors[4])[:, None], lse)

    vectors.requires_grad_()
    before = loss(vectors)
    assert torch.isfinite(before).all()
    for item, who in ((9, user < 0), (20, user == 0), (3, user >= 0)):
        moved = vectors.detach().clone()
        moved[item] = -moved[item]
        assert torch.equal((loss(moved) - before).abs() > 1e-6, who), (
            f"item {item} is a negative of exactly these rows"
        )
    # the positive is pulled, never pushed: raising its own logit lowers every loss
    gradient = torch.autograd.grad(before.sum(), vectors)[0]
    assert (gradient[4] * anchor.mean(0)).sum() < 0
    assert gradient[9].abs().sum() == 0


def test_locating_ids_in_the_pool() -> None:
    negatives = Negatives(torch.tensor([2, 5, 9]), torch.zeros(3, DIM), torch.zeros(3))
    assert negatives.locate(torch.tensor([[2, 9], [4, -1], [10, 5]])).tolist() == [[0, 2], [-1, -1], [-1, 1]]
    empty = Negatives(torch.zeros(0, dtype=torch.long), torch.zeros(0, DIM), torch.zeros(0))
    assert empty.locate(torch.tensor([3])).tolist() == [-1]


rows_of_logits = st.lists(st.floats(-20, 20), min_size=1, max_size=5)


@given(rows_of_logits, st.floats(-20, 20), st.integers(0, 2))
def test_relaxation(logits: list[float], lse: float, padding: int) -> None:
    row = torch.tensor([logits + [float("-inf")] * padding], dtype=torch.float64)
    negative = torch.tensor([lse], dtype=torch.float64)
    each = [math.log1p(math.exp(-abs(lse - x))) + max(lse - x, 0.0) for x in logits]
    losses = {
        relax: float(sampled_softmax(row, negative, relax)) for relax in ("none", "min", "mean", "softmin")
    }  # type: ignore[arg-type]
    assert math.isclose(losses["none"], each[0], rel_tol=1e-6, abs_tol=1e-6)
    assert math.isclose(losses["min"], min(each), rel_tol=1e-6, abs_tol=1e-6)
    assert math.isclose(losses["mean"], sum(each) / len(each), rel_tol=1e-6, abs_tol=1e-6)
    assert losses["min"] - 1e-9 <= losses["softmin"] <= losses["mean"] + 1e-9
    assert losses["min"] <= losses["none"] + 1e-9
    if len(logits) == 1:
        assert max(losses.values()) - min(losses.values()) < 1e-9


def test_the_gradient_of_the_minimum_flows_through_the_easiest_target_only() -> None:
    row = torch.tensor([[0.0, 2.0, 1.0, float("-inf")]], requires_grad=True)
    sampled_softmax(row, torch.tensor([1.5]), "min").sum().backward()
    assert (row.grad != 0).tolist() == [[False, True, False, False]]
    row.grad = None
    sampled_softmax(row, torch.tensor([1.5]), "mean").sum().backward()
    assert (row.grad != 0).tolist() == [[True, True, True, False]]


def test_a_pool_is_sorted_distinct_and_from_its_sources() -> None:
    rng = torch.Generator().manual_seed(0)
    positives = torch.tensor([7, 7, 7, 2, 25])
    share = torch.full((ITEMS,), 1 / ITEMS).log()
    drawn = draw_negatives(positives, ITEMS, in_batch=10, random=0, log_share=share, rng=rng)
    assert drawn.ids_M.tolist() == [2, 7, 25]
    expected = [5 / ITEMS, 5 / ITEMS / 3, 5 / ITEMS]
    torch.testing.assert_close(drawn.log_q_M, torch.tensor(expected).log(), atol=1e-6, rtol=0)
    capped = draw_negatives(positives, ITEMS, in_batch=2, random=0, log_share=share, rng=rng, correct=False)
    assert set(capped.ids_M.tolist()) <= {2, 7, 25}
    assert capped.log_q_M.neg().exp().sum().round() == 2, "two draws, however many ids"
    uniform = draw_negatives(positives, ITEMS, in_batch=0, random=500, log_share=share, rng=rng)
    assert uniform.ids_M.tolist() == list(range(ITEMS))
    nothing = draw_negatives(positives, ITEMS, in_batch=0, random=0, log_share=share, rng=rng)
    assert len(nothing.ids_M) == 0


def test_the_corrected_pool_estimates_the_sum_over_the_catalogue() -> None:
    rng = torch.Generator().manual_seed(0)
    popularity = torch.arange(1, ITEMS + 1).float().reciprocal()
    share = popularity / popularity.sum()
    value = torch.rand(ITEMS, generator=rng) * 5
    estimates = []
    for _ in range(400):
        positives = torch.multinomial(share, 40, replacement=True, generator=rng)
        drawn = draw_negatives(positives, ITEMS, in_batch=40, random=20, log_share=share.log(), rng=rng)
        estimates.append((value[drawn.ids_M] / drawn.log_q_M.exp()).sum())
    assert math.isclose(float(torch.stack(estimates).mean()), float(value.sum()), rel_tol=0.03)
