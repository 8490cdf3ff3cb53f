"""The tiled log-sum-exp equals plain autograd, in one piece or in chunks, with every mask and bias."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from bowerbird.nn import Negatives, negative_logsumexp
from bowerbird.nn.losses.logsumexp import tiles

ROWS, NEGATIVES, DIM, WINDOWS, GROUPS = 23, 40, 6, 4, 3


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles, "_TILE_LOGITS", 16 * NEGATIVES)  # two tiles, the second one smaller


class Case:
    """Inputs, and the same quantity by plain torch."""

    def __init__(self, seed: int, dtype: torch.dtype = torch.float64, blocked: float = 0.2) -> None:
        make = torch.Generator().manual_seed(seed)

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=make, dtype=dtype)

        self.anchor = F.normalize(normal(ROWS, DIM), dim=1).requires_grad_()
        self.vectors = F.normalize(normal(NEGATIVES, DIM), dim=1).requires_grad_()
        self.scale = torch.tensor(9.0, dtype=dtype).requires_grad_()
        self.bias = normal(GROUPS, NEGATIVES).requires_grad_()
        self.log_q = normal(NEGATIVES)
        self.window = torch.randint(WINDOWS, (ROWS,), generator=make)
        self.group = torch.randint(GROUPS, (ROWS,), generator=make)
        self.blocked_RX = torch.randint(-2, NEGATIVES, (ROWS, 3), generator=make).clamp(min=-1)
        self.blocked_BM = torch.rand(WINDOWS, NEGATIVES, generator=make) < blocked
        self.weight = normal(ROWS)

    @property
    def leaves(self) -> tuple[Tensor, ...]:
        return self.anchor, self.vectors, self.scale, self.bias

    def mask(self) -> Tensor:
        mask = self.blocked_BM[self.window].clone()
        for row, columns in enumerate(self.blocked_RX.tolist()):
            mask[row, [column for column in columns if column >= 0]] = True
        return mask

    def plain(self) -> Tensor:
        logits = self.scale * self.anchor @ self.vectors.T - self.log_q + self.bias[self.group]
        return logits.masked_fill(self.mask(), float("-inf")).logsumexp(dim=1)

    def tiled(self, chunk_rows: int | None, compute: torch.dtype) -> Tensor:
        negatives = Negatives(torch.arange(NEGATIVES), self.vectors, self.log_q)
        return negative_logsumexp(
            self.anchor, negatives, self.scale, blocked_RX=self.blocked_RX, blocked_BM=self.blocked_BM,
            window_R=self.window, bias_GM=self.bias, group_R=self.group, chunk_rows=chunk_rows, compute=compute,
        )  # fmt: skip

    def gradients(self, lse: Tensor) -> list[Tensor]:
        return list(torch.autograd.grad((lse * self.weight).sum(), self.leaves))


@given(st.integers(0, 1000), st.sampled_from([None, 1, 5, 16, 1000]))
@settings(max_examples=30)
def test_values_and_gradients_equal_plain_autograd(seed: int, chunk_rows: int | None) -> None:
    case = Case(seed)
    lse, expected = case.tiled(chunk_rows, torch.float64), case.plain()
    torch.testing.assert_close(lse, expected, atol=1e-10, rtol=0)
    for got, wanted in zip(case.gradients(lse), case.gradients(expected), strict=True):
        torch.testing.assert_close(got, wanted, atol=1e-10, rtol=1e-9)


@pytest.mark.parametrize("chunk_rows", [None, 7])
def test_float32_is_close_to_float64(chunk_rows: int | None) -> None:
    case = Case(0, torch.float32)
    lse, expected = case.tiled(chunk_rows, torch.float32), case.plain()
    assert lse.dtype == torch.float32
    torch.testing.assert_close(lse, expected, atol=1e-5, rtol=0)
    for got, wanted in zip(case.gradients(lse), case.gradients(expected), strict=True):
        torch.testing.assert_close(got, wanted, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("chunk_rows", [None, 7])
def test_bfloat16_products_keep_a_float32_loss(chunk_rows: int | None) -> None:
    case = Case(0, torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        lse = case.tiled(chunk_rows, torch.bfloat16)
        exact = case.tiled(chunk_rows, torch.float32)
    assert lse.dtype == torch.float32
    torch.testing.assert_close(lse, case.plain(), atol=0.05, rtol=0)
    torch.testing.assert_close(exact, case.plain(), atol=1e-5, rtol=0)  # autocast does not reach into it
    for got, wanted in zip(case.gradients(lse), case.gradients(case.plain()), strict=True):
        assert torch.cosine_similarity(got.flatten(), wanted.flatten(), dim=0) > 0.999


@pytest.mark.parametrize("chunk_rows", [None, 7])
def test_rows_without_any_negative_are_minus_infinity_and_push_nothing(chunk_rows: int | None) -> None:
    case = Case(1)
    case.blocked_BM[2] = True
    lse = case.tiled(chunk_rows, torch.float64)
    empty = case.window == 2
    assert empty.any()
    assert torch.equal(lse == float("-inf"), empty)
    loss = F.softplus(lse - 0.3)
    assert (loss[empty] == 0).all()
    for gradient in torch.autograd.grad(loss.sum(), case.leaves):
        assert torch.isfinite(gradient).all()
    d_anchor = torch.autograd.grad(F.softplus(case.tiled(chunk_rows, torch.float64)).sum(), case.anchor)[0]
    assert (d_anchor[empty] == 0).all() and (d_anchor[~empty] != 0).any(dim=1).all()


@pytest.mark.parametrize("chunk_rows", [None, 7])
def test_the_graph_can_be_walked_twice(chunk_rows: int | None) -> None:
    case = Case(2)
    lse = case.tiled(chunk_rows, torch.float64).sum()
    first = torch.autograd.grad(lse, case.leaves, retain_graph=True)
    second = torch.autograd.grad(lse, case.leaves)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_without_masks_and_biases() -> None:
    case = Case(3)
    negatives = Negatives(torch.arange(NEGATIVES), case.vectors, case.log_q)
    lse = negative_logsumexp(case.anchor, negatives, case.scale, compute=torch.float64)
    plain = (case.scale * case.anchor @ case.vectors.T - case.log_q).logsumexp(dim=1)
    torch.testing.assert_close(lse, plain, atol=1e-10, rtol=0)
    for got, wanted in zip(
        torch.autograd.grad(lse.sum(), case.leaves[:3]),
        torch.autograd.grad(plain.sum(), case.leaves[:3]),
        strict=True,
    ):
        torch.testing.assert_close(got, wanted, atol=1e-10, rtol=1e-9)


def test_large_logits_do_not_overflow() -> None:
    case = Case(4, torch.float32)
    with torch.no_grad():
        case.scale.fill_(100.0)
        case.bias.mul_(300.0)
    lse, expected = case.tiled(None, torch.float32), case.plain()
    torch.testing.assert_close(lse, expected, atol=1e-3, rtol=1e-5)
    assert torch.isfinite(lse).all() and lse.max() > 300


@pytest.mark.parametrize("rows", [0, 3])
@pytest.mark.parametrize("size", [0, 2])
def test_nothing_to_sum_over(rows: int, size: int) -> None:
    negatives = Negatives(torch.arange(size), torch.randn(size, DIM), torch.zeros(size))
    lse = negative_logsumexp(torch.randn(rows, DIM), negatives, torch.tensor(1.0))
    assert lse.shape == (rows,)
    assert torch.isfinite(lse).all() if size else (lse == float("-inf")).all()


def test_arguments_that_belong_together() -> None:
    negatives = Negatives(torch.arange(2), torch.randn(2, DIM), torch.zeros(2))
    anchor, scale = torch.randn(3, DIM), torch.tensor(1.0)
    with pytest.raises(ValueError, match="belong together"):
        negative_logsumexp(anchor, negatives, scale, blocked_BM=torch.zeros(1, 2, dtype=torch.bool))
    with pytest.raises(ValueError, match="belong together"):
        negative_logsumexp(anchor, negatives, scale, bias_GM=torch.zeros(1, 2))
    with pytest.raises(ValueError, match="chunk_rows"):
        negative_logsumexp(anchor, negatives, scale, chunk_rows=0)
