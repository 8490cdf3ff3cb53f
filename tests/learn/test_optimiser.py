"""Which parameters decay, the learning rate of each step, and settings that make no sense."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from bowerbird.learn.train import TrainConfig
from bowerbird.learn.train.optimiser import Optimiser, decays
from bowerbird.tables.errors import ConfigError

from .toy import Regression


def test_decay_is_for_matrices_only() -> None:
    model = Regression()
    model.hashed = nn.Parameter(torch.zeros(10, 3))
    model.hashed.no_decay = True
    model.bag = nn.EmbeddingBag(5, 2)
    model.scale = nn.Parameter(torch.zeros(()))
    model.frozen = nn.Linear(2, 2).requires_grad_(False)
    assert decays(model) == {
        "hashed": False, "scale": False, "table.weight": False, "bag.weight": False,
        "mix.weight": True, "mix.bias": False, "norm.weight": False, "norm.bias": False,
        "out.weight": True, "out.bias": False,
    }  # fmt: skip


def test_tied_table_is_listed_once_and_does_not_decay() -> None:
    model = nn.Module()
    model.table = nn.Embedding(5, 3)
    model.out = nn.Linear(3, 5, bias=False)
    model.out.weight = model.table.weight
    assert decays(model) == {"table.weight": False}


def test_decay_shrinks_exactly_the_chosen() -> None:
    model = nn.Sequential(nn.Embedding(3, 2), nn.Linear(2, 2))
    before = {n: p.detach().clone() for n, p in model.named_parameters()}
    optimiser = Optimiser(model, TrainConfig(weight_decay=0.5))
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step(0.1)
    after = dict(model.named_parameters())
    torch.testing.assert_close(after["1.weight"].detach(), before["1.weight"] * (1 - 0.1 * 0.5))
    for name in ("0.weight", "1.bias"):
        assert torch.equal(after[name].detach(), before[name])


def test_own_rule_for_decay() -> None:
    model = nn.Linear(2, 2)
    optimiser = Optimiser(model, TrainConfig(weight_decay=0.5), decay=lambda name, p: name == "bias")
    before = model.weight.detach().clone(), model.bias.detach().clone()
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step(1.0)
    assert torch.equal(model.weight.detach(), before[0])
    torch.testing.assert_close(model.bias.detach(), before[1] * 0.5)


def test_model_without_parameters() -> None:
    with pytest.raises(ConfigError, match="no trainable parameters"):
        Optimiser(nn.ReLU(), TrainConfig())


def test_known_rates() -> None:
    cosine = TrainConfig(learning_rate=1.0, warmup_steps=4, schedule="cosine", final_rate=0.1)
    assert [cosine.rate(s, 24) for s in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert cosine.rate(14, 24) == pytest.approx(0.55)
    assert cosine.rate(9, 24) == pytest.approx(0.1 + 0.9 * (0.5 + math.sqrt(2) / 4))
    assert cosine.rate(24, 24) == pytest.approx(0.1)
    assert cosine.rate(99, 24) == pytest.approx(0.1)
    linear = TrainConfig(learning_rate=2.0, schedule="linear")
    assert [linear.rate(s, 4) for s in range(6)] == pytest.approx([2.0, 1.5, 1.0, 0.5, 0.0, 0.0])
    constant = TrainConfig(learning_rate=2.0, schedule="constant", warmup_steps=2)
    assert [constant.rate(s, 4) for s in range(4)] == [1.0, 2.0, 2.0, 2.0]


@given(
    warmup=st.integers(0, 50), total=st.integers(1, 200), final=st.floats(0, 1),
    schedule=st.sampled_from(["constant", "linear", "cosine"]),
)  # fmt: skip
def test_rates_rise_then_never_rise_again(warmup: int, total: int, final: float, schedule) -> None:
    config = TrainConfig(learning_rate=0.3, warmup_steps=warmup, schedule=schedule, final_rate=final)
    rates = [config.rate(step, total) for step in range(total + 5)]
    assert all(0 <= rate <= 0.3 + 1e-12 for rate in rates)
    rising, falling = rates[:warmup], rates[warmup:]
    assert rising == sorted(rising)
    assert all(later <= earlier + 1e-12 for earlier, later in itertools.pairwise(falling))


def test_total_steps_round_each_epoch_up() -> None:
    assert TrainConfig(epochs=3, accumulate=2).total_steps(5) == 9
    assert TrainConfig(epochs=3, steps=11).total_steps(5) == 11


@pytest.mark.parametrize(
    "settings",
    [
        {"epochs": 0}, {"learning_rate": 0.0}, {"accumulate": 0}, {"ema": 1.0}, {"final_rate": 2.0},
        {"betas": (0.9, 1.0)}, {"weight_decay": -1.0}, {"log_every_steps": 0}, {"learning_rate": math.nan},
    ],
)  # fmt: skip
def test_settings_that_make_no_sense(settings: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        TrainConfig(**settings)
