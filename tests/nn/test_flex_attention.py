"""FlexAttention and the other kernels give the same numbers and the same gradients."""

from __future__ import annotations

import shutil

import pytest
import torch
from torch import Tensor

from bowerbird.nn import Decoder, DecoderConfig
from bowerbird.nn.backbone.attention import candidate_attention, candidate_blocks, wants_flex

WIDTH, N, K = 16, 7, 5
LENGTHS = torch.tensor([7, 0, 3])

pytestmark = pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")


@pytest.fixture
def model() -> Decoder:
    torch.manual_seed(0)
    decoder = Decoder(DecoderConfig(width=WIDTH, layers=2, heads=2, max_positions=12)).eval()
    with torch.no_grad():
        for parameter in decoder.parameters():  # far from the small initial values, so that every path matters
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return decoder


@pytest.fixture
def inputs() -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(1)
    seen_BK = (torch.rand(3, K) * (LENGTHS[:, None] + 1)).long()
    return torch.randn(3, N, WIDTH), torch.randn(3, K, WIDTH), seen_BK


def by(kernel: str, model: Decoder) -> Decoder:
    model.attention = kernel  # type: ignore[assignment]
    return model


@pytest.mark.parametrize("partly", [False, True], ids=["whole history", "a part of it each"])
def test_a_dense_pass_is_the_same_by_either_kernel(
    model: Decoder, inputs: tuple[Tensor, Tensor, Tensor], partly: bool
) -> None:
    x_BND, candidates_BKD, seen_BK = inputs
    seen = seen_BK if partly else None
    with torch.no_grad():
        past, expected = by("sdpa", model)(x_BND, LENGTHS, candidates_BKD, seen_BK=seen)
        same_past, found = by("flex", model)(x_BND, LENGTHS, candidates_BKD, seen_BK=seen)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(same_past, past, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "device",
    ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))],
)
def test_gradients_are_the_same_whichever_kernel_is_asked_for(
    model: Decoder, inputs: tuple[Tensor, Tensor, Tensor], device: str
) -> None:
    """A CPU has no gradient of FlexAttention: asked for it, it learns by the other kernel."""
    x_BND, candidates_BKD, seen_BK = (x.to(device) for x in inputs)
    model.to(device)
    weight = torch.randn_like(candidates_BKD)

    def run(kernel: str) -> list[Tensor]:
        model.zero_grad()
        given = x_BND.clone().requires_grad_(), candidates_BKD.clone().requires_grad_()
        _, z_BKD = by(kernel, model)(given[0], LENGTHS.to(device), given[1], seen_BK=seen_BK)
        (z_BKD * weight).sum().backward()
        return [x.grad.clone() for x in (*given, *model.parameters()) if x.grad is not None]

    expected, found = run("sdpa"), run("flex")
    assert len(found) == len(expected) > 10
    for mine, other in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, other, atol=1e-4, rtol=1e-3)


def test_scores_on_a_cached_history_are_the_same_by_either_kernel(
    model: Decoder, inputs: tuple[Tensor, Tensor, Tensor]
) -> None:
    x_BND, candidates_BKD, _ = inputs
    with torch.no_grad():
        _, cache = model.prefill(x_BND, LENGTHS, room=2)
        expected = by("sdpa", model).score(candidates_BKD, cache)
        found = by("flex", model).score(candidates_BKD, cache)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
        told = model.score(candidates_BKD, cache, used=int(LENGTHS.max()))
        torch.testing.assert_close(told, expected, atol=1e-5, rtol=0)
        more = model.score(candidates_BKD, cache, used=cache.capacity)  # slots without meaning stay unseen
        torch.testing.assert_close(more, expected, atol=1e-5, rtol=0)


def test_candidates_stay_blind_to_each_other(model: Decoder, inputs: tuple[Tensor, Tensor, Tensor]) -> None:
    x_BND, candidates_BKD, _ = inputs
    with torch.no_grad():
        _, cache = by("flex", model).prefill(x_BND, LENGTHS)
        expected = model.score(candidates_BKD, cache)
        for k in range(K):
            alone = model.score(candidates_BKD[:, k : k + 1], cache)
            torch.testing.assert_close(alone[:, 0], expected[:, k], atol=1e-5, rtol=0)


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch compiles kernels for a CPU with g++")
@pytest.mark.filterwarnings("ignore")
def test_the_compiled_kernel_gives_the_same_numbers() -> None:
    torch.manual_seed(2)
    n, k = 40, 24
    q, own_k, own_v = (torch.randn(2, 2, k, 16) for _ in range(3))
    past_k, past_v = (torch.randn(2, 2, n, 16) for _ in range(2))
    seen_BX = torch.tensor([[33], [0]])
    with torch.inference_mode():
        expected = candidate_attention(q, own_k, own_v, past_k, past_v, seen_BX)
        compiled = torch.compile(candidate_attention, dynamic=False)
        blocks = candidate_blocks(seen_BX, n, k)
        found = compiled(q, own_k, own_v, past_k, past_v, seen_BX, blocks)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_a_cpu_gets_the_kernels_it_has_unless_told_otherwise() -> None:
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    assert not wants_flex("flex", cpu, 64), "no gradient of it on a CPU"
    with torch.no_grad():
        assert wants_flex("flex", cpu, 64)
        assert not wants_flex("auto", cpu, 64)
    assert not wants_flex("sdpa", cuda, 64)
    assert not wants_flex("auto", cuda, 8)  # too narrow for an accelerator's tiles


def test_an_unknown_kernel_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'flash'; choose one of auto, sdpa, flex"):
        Decoder(DecoderConfig(width=WIDTH), attention="flash")  # type: ignore[arg-type]
