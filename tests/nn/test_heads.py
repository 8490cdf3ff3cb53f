"""Heads: conditions add up like one layer on their concatenation, and 0 means unspecified."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from bowerbird.nn import ActionHeads, OutcomeHead

WIDTH, DIM = 10, 6


def head(residual: bool = True, *, actions: int = 3, surfaces: int = 2, offsets: int = 4) -> OutcomeHead:
    torch.manual_seed(0)
    made = OutcomeHead(WIDTH, DIM, actions=actions, surfaces=surfaces, offsets=offsets, residual=residual)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_()
    return made


@pytest.mark.parametrize("residual", [True, False])
def test_the_head_is_a_perceptron_on_the_concatenation(residual: bool) -> None:
    made, h = head(residual), torch.randn(5, WIDTH)
    codes = torch.tensor([[0, 1, 2, 3, 1], [0, 2, 1, 0, 2], [4, 0, 1, 2, 3]])
    hots = [
        F.one_hot(code, table.num_embeddings).float() for code, table in zip(codes, tables(made), strict=True)
    ]
    weight = torch.cat([made.hidden.weight, *(table.weight.T for table in tables(made))], dim=1)
    expected = made.out(F.gelu(F.linear(torch.cat([h, *hots], dim=1), weight, made.hidden.bias)))
    if residual:
        gate = 1 + sum(table.weight[code] for table, code in zip(gates(made), codes, strict=True))
        expected = expected + made.skip(gate * h)
    out = made(h, *codes)
    torch.testing.assert_close(out, F.normalize(expected, dim=1), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.norm(dim=1), torch.ones(5), atol=1e-6, rtol=0)


def tables(made: OutcomeHead) -> list[torch.nn.Embedding]:
    return [made.action, made.surface, made.offset]  # type: ignore[list-item]


def gates(made: OutcomeHead) -> list[torch.nn.Embedding]:
    return [made.action_gate, made.surface_gate, made.offset_gate]  # type: ignore[list-item]


def test_every_condition_starts_with_the_same_linear_path() -> None:
    made, h = OutcomeHead(WIDTH, WIDTH, actions=2, offsets=2), torch.randn(3, WIDTH)
    with torch.no_grad():
        made.out.weight.zero_()
    for code in range(3):
        codes = torch.full((3,), code)
        torch.testing.assert_close(made(h, codes, None, codes), F.normalize(h, dim=1))


def test_the_null_condition_is_the_unconditioned_head() -> None:
    made, h = head(), torch.randn(4, WIDTH)
    zero = torch.zeros(4, dtype=torch.long)
    torch.testing.assert_close(made(h), made(h, zero, zero, zero), atol=1e-6, rtol=0)
    for codes in ((zero + 1, zero, zero), (zero, zero + 1, zero), (zero, zero, zero + 1)):
        assert (made(h) - made(h, *codes)).abs().amax() > 0.01


def test_every_pair_of_conditions_at_once_equals_one_at_a_time() -> None:
    made, h = head(), torch.randn(4, WIDTH)
    actions, offsets, surface = torch.tensor([0, 2, 3]), torch.tensor([1, 4]), torch.tensor([0, 1, 2, 1])
    grid = made(h[:, None, None], actions[:, None], surface[:, None, None], offsets[None, :])
    assert grid.shape == (4, 3, 2, DIM)
    for a, action in enumerate(actions):
        for o, offset in enumerate(offsets):
            one = made(h, action.expand(4), surface, offset.expand(4))
            torch.testing.assert_close(grid[:, a, o], one, atol=1e-6, rtol=0)


def test_codes_of_a_condition_left_out_change_nothing() -> None:
    made, h = head(actions=0, offsets=0), torch.randn(4, WIDTH)
    codes = torch.tensor([1, 2, 3, 4])
    assert torch.equal(made(h, codes, None, codes), made(h))


def test_each_action_has_its_own_perceptron() -> None:
    torch.manual_seed(0)
    made, h = ActionHeads(WIDTH, 3), torch.randn(2, 5, WIDTH)
    logits = made(h)
    assert logits.shape == (2, 5, 3)
    inner = made.inner
    for action in range(3):
        rows = slice(action * inner, (action + 1) * inner)
        hidden = F.gelu(F.linear(h, made.hidden.weight[rows], made.hidden.bias[rows]))
        torch.testing.assert_close(logits[..., action], hidden @ made.weight[action] + made.bias[action])
    logits[..., 1].sum().backward()
    assert made.weight.grad[[0, 2]].abs().sum() == 0, "an action's loss leaves the other actions' heads alone"
