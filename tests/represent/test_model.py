"""The network and its loss: causality, gradients everywhere, every switch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bowerbird.learn.train import TrainConfig
from bowerbird.learn.train.optimiser import Optimiser
from bowerbird.represent.config import OmniSageConfig
from bowerbird.represent.examples import OmniSageExamples
from bowerbird.represent.model import OmniSage
from bowerbird.represent.tasks.spaces import OldSpace
from bowerbird.represent.user import UserModel
from bowerbird.represent.world.world import World

from .worlds import TINY


def model_of(world: World, config: OmniSageConfig = TINY, spaces: tuple[OldSpace, ...] = ()) -> OmniSage:
    torch.manual_seed(0)
    return OmniSage(config, world.contents, world.slots, spaces)


@pytest.mark.parametrize("residual", [True, False])
def test_the_future_does_not_reach_earlier_user_vectors(residual: bool) -> None:
    torch.manual_seed(0)
    user = UserModel(
        8, width=8, layers=2, heads=2, dropout=0.0, length=6, use_time=True, residual=residual
    ).eval()
    e_SLD = torch.nn.functional.normalize(torch.randn(1, 6, 8), dim=-1)
    time_SL = torch.arange(6)[None] * 3_600_000
    other = e_SLD.clone()
    other[:, 4:] = -other[:, 4:]
    with torch.no_grad():
        one, changed = (user(x, torch.tensor([6]), time_SL) for x in (e_SLD, other))
    torch.testing.assert_close(one[:, :4], changed[:, :4])
    assert not torch.allclose(one[:, 4:], changed[:, 4:], atol=1e-3)


@pytest.mark.parametrize("kind", ["transformer", "mean", "pinsage", "graphsage", "gat", "none"])
def test_every_parameter_is_optimised_and_touched(world: World, kind: str) -> None:
    config = replace(TINY, aggregator=kind, use_time=True)  # type: ignore[arg-type]
    space = OldSpace("old", np.eye(40, 12, dtype=np.float32) + 0.1, np.ones(40, dtype=bool))
    model = model_of(world, config, (space,)).train()
    source = OmniSageExamples(world, config, seed=0).epoch(0)
    for _ in range(4):
        model.loss(next(source)).total.backward()
    optimised = {
        id(p) for group in Optimiser(model, TrainConfig())._adam.param_groups for p in group["params"]
    }
    untouched = [
        name for name, p in model.named_parameters()
        if p.requires_grad and (id(p) not in optimised or p.grad is None or not bool(p.grad.any()))
    ]  # fmt: skip
    assert untouched == []


@pytest.mark.parametrize("task", ["pair", "feature", "user"])
def test_each_task_alone_reaches_the_node_embedders(world: World, task: str) -> None:
    weights = {f"{name}_weight": float(name == task) for name in ("pair", "feature", "user")}
    config = replace(TINY, **weights)
    model = model_of(world, config)
    found = model.loss(next(OmniSageExamples(world, config, seed=0).epoch(0)))
    found.total.backward()
    assert set(model.scales) == {task}
    assert {name.split()[0] for name in found.parts} == {task}
    for part in ("types.item.head.0", "near.item.0", "features.item.parts.f0.linear"):
        assert bool(model.nodes.get_submodule(part).weight.grad.any()), part


def test_chunks_do_not_change_the_loss(world: World) -> None:
    batch = next(OmniSageExamples(world, TINY, seed=0).epoch(0))
    found = []
    for rows in (7, 10_000):
        model = model_of(world, replace(TINY, chunk_rows=rows, dropout=0.0, user_dropout=0.0, id_dropout=0.0))
        loss = model.loss(batch).total
        loss.backward()
        found.append((loss.detach(), model.nodes.types["item"].head[0].weight.grad))
    torch.testing.assert_close(found[0][0], found[1][0])
    torch.testing.assert_close(found[0][1], found[1][1])


def test_collapse_is_in_the_log(world: World) -> None:
    found = model_of(world).loss(next(OmniSageExamples(world, TINY, seed=0).epoch(0)))
    assert -1 <= float(found.figures["mean_cosine"]) <= 1
    assert 1 <= float(found.figures["effective_rank"]) <= TINY.dim


def test_the_scale_is_held_at_a_hundred(world: World) -> None:
    model = model_of(world).train()
    with torch.no_grad():
        model.scales["pair"].log_scale.fill_(9.0)
    found = model.loss(next(OmniSageExamples(world, TINY, seed=0).epoch(0)))
    assert float(found.scales["pair"].detach()) == pytest.approx(100.0)
