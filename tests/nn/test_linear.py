"""The faster linear layer gives PyTorch's numbers, learns as PyTorch's does, and steps aside where it must."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from bowerbird.nn import Linear, linear
from bowerbird.nn.linear import onednn_is_faster


@pytest.fixture(autouse=True, params=[False, True], ids=["MKL", "oneDNN"])
def chosen(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Either answer, whatever this processor is."""
    if request.param and not torch.backends.mkldnn.is_available():
        pytest.skip("this PyTorch has no oneDNN")
    monkeypatch.setattr(linear, "onednn_is_faster", lambda: request.param)
    return bool(request.param)


def layer(columns: int = 64, width: int = 96, bias: bool = True) -> tuple[Linear, nn.Linear]:
    torch.manual_seed(0)
    ours, theirs = Linear(columns, width, bias=bias), nn.Linear(columns, width, bias=bias)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


@given(st.integers(0, 40), st.integers(1, 3), st.booleans())
@settings(max_examples=30, deadline=None)
def test_it_answers_as_pytorch_does(rows: int, batch: int, bias: bool) -> None:
    ours, theirs = layer(bias=bias)
    x = torch.randn(batch, rows, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(ours.gelu(x), F.gelu(theirs(x)), atol=1e-5, rtol=1e-5)
        turned = torch.randn(rows, batch, 64).transpose(0, 1)
        torch.testing.assert_close(ours(turned), theirs(turned), atol=1e-5, rtol=1e-5)


def test_it_learns_as_pytorch_does() -> None:
    ours, theirs = layer()
    x = torch.randn(20, 64)

    def slopes(model: nn.Linear, after: Tensor) -> list[Tensor]:
        after.square().sum().backward()
        return [p.grad for p in model.parameters() if p.grad is not None]

    for mine, other in zip(slopes(ours, ours.gelu(x)), slopes(theirs, F.gelu(theirs(x))), strict=True):
        torch.testing.assert_close(mine, other, atol=0, rtol=0)


def test_it_follows_its_weights_and_other_types() -> None:
    ours, theirs = layer()
    x = torch.randn(20, 64)
    with torch.no_grad():
        ours(x)
        ours.weight.mul_(2.0)
        theirs.weight.mul_(2.0)
        torch.testing.assert_close(ours(x), theirs(x), atol=1e-5, rtol=1e-5)
        with torch.autocast("cpu", torch.bfloat16):
            assert ours(x).dtype == torch.bfloat16
        low, their_low = ours.to(torch.bfloat16), theirs.to(torch.bfloat16)
        torch.testing.assert_close(low(x.bfloat16()), their_low(x.bfloat16()), atol=0, rtol=0)


def test_a_copy_of_the_layer_is_a_layer_of_its_own() -> None:
    ours, _ = layer()
    x = torch.randn(20, 64)
    with torch.no_grad():
        before = ours(x)
        twin = copy.deepcopy(ours)
        thawed = pickle.loads(pickle.dumps(ours))
        ours.weight.zero_()
        for other in (twin, thawed):
            torch.testing.assert_close(other(x), before, atol=0, rtol=0)
            assert other.state_dict().keys() == {"weight", "bias"}
        torch.testing.assert_close(ours(x), ours.bias.expand(20, -1), atol=0, rtol=0)


def test_weights_put_in_another_place_are_seen() -> None:
    ours, theirs = layer()
    x = torch.randn(20, 64)
    for _ in range(5):
        with torch.no_grad():
            ours(x)
            fresh = torch.randn_like(ours.weight)
            ours.weight.data, theirs.weight.data = fresh, fresh.clone()
            torch.testing.assert_close(ours(x), theirs(x), atol=1e-5, rtol=1e-5)
    with torch.inference_mode():
        born, _ = layer()
        torch.testing.assert_close(born(x), F.linear(x, born.weight, born.bias), atol=1e-5, rtol=1e-5)


def test_the_choice_is_made_by_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    def on(name: str, avx512: bool) -> bool:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_f": avx512, "cpu_name": name})
        onednn_is_faster.cache_clear()
        return onednn_is_faster()

    try:
        assert on("AMD EPYC", True) == torch.backends.mkldnn.is_available()
        assert not on("AMD EPYC", False)
        assert not on("Intel(R) Xeon(R)", True)
    finally:
        onednn_is_faster.cache_clear()
