"""Equalities and masks of the network, on an untrained model with random weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bowerbird.nn.features.catalogue import CatalogueEncoder
from bowerbird.recommend.config import PinRecConfig
from bowerbird.recommend.examples import PinRecExamples, history_tokens
from bowerbird.recommend.inputs.conditions import Conditions
from bowerbird.recommend.model import PinRec
from bowerbird.recommend.retrieval.generation import Plan, generate
from bowerbird.recommend.retrieval.opened import OpenPinRec
from bowerbird.tables.store import Store
from bowerbird.tables.view import View


def _untrained(store: Store, config: PinRecConfig) -> tuple[PinRec, Conditions, View]:
    view = View(store)
    torch.manual_seed(3)
    conditions = Conditions.of(view)
    share = torch.full((view.n_items,), -np.log(view.n_items))
    model = OpenPinRec.network(
        config, conditions, CatalogueEncoder.fit(view.item_table()), view, share, facts={}
    )
    for parameter in model.parameters():  # zero-initialised parts would hide what is wired to them
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.3)
    return model.eval(), conditions, view


@pytest.mark.parametrize("input_action", ["none", "add", "concat"])
def test_cached_generation_equals_re_encoding_the_whole_sequence(
    outcomes: Store, tiny: PinRecConfig, input_action: str
) -> None:
    config = replace(tiny, input_action=input_action, offset_buckets=4, targets_per_anchor=2)  # type: ignore[arg-type]
    model, conditions, view = _untrained(outcomes, config)
    users = np.arange(5, dtype=np.int32)
    start, _ = view.user_rows(users)
    tokens = history_tokens(view, users, start + np.array([1, 3, 7, 2, 12]), 12, conditions)
    surface, now = torch.ones(5, dtype=torch.long), torch.full((5,), 10**12)
    plan = Plan(outcomes={"any": 0.2, "save": 0.4, "click": 0.4}, steps=4, offsets=(1, 0, 3))
    found = generate(
        model,
        conditions,
        model.read(tokens, model.items(tokens.item), room=plan.steps - 1),
        plan,
        surface_B=surface,
        time_B=now,
    )

    feedback = np.random.default_rng(plan.seed)
    actions = [0, conditions.action("save"), conditions.action("click")]
    chosen = [feedback.choice(3, size=5, p=np.array([0.2, 0.4, 0.4])) for _ in range(plan.steps)]
    with torch.no_grad():
        for b in range(5):
            length = int(tokens.lengths[b])
            e = model.items(tokens.item[b : b + 1, :length])
            times, surfaces = tokens.time[b, :length].tolist(), tokens.surface[b, :length].tolist()
            taken = tokens.action[b, :length].tolist()
            for step in range(plan.steps):
                x = model.token_vectors(e, *(torch.tensor([values]) for values in (times, surfaces, taken)))
                h = model.decoder(x, torch.tensor([len(times)]))[0, -1]
                vectors = torch.stack(
                    [
                        model.head(h[None], torch.tensor([a]), surface[:1], torch.tensor([offset]))[0]
                        for a in actions
                        for offset in plan.offsets
                    ]
                )
                cached = found.vectors_BME[b, step * 9 : (step + 1) * 9]
                torch.testing.assert_close(cached, vectors, atol=1e-5, rtol=0)
                which = int(chosen[step][b])
                e = torch.cat([e, vectors[which * 3][None, None]], dim=1)
                times, surfaces, taken = [*times, 10**12], [*surfaces, 1], [*taken, actions[which]]


def test_vectors_are_unit_and_outcome_names_are_in_order(outcomes: Store, tiny: PinRecConfig) -> None:
    model, conditions, view = _untrained(outcomes, tiny)
    tokens = history_tokens(view, np.arange(3, dtype=np.int32), None, 12, conditions)
    found = generate(
        model, conditions, model.read(tokens, model.items(tokens.item), room=1),
        Plan(outcomes={"save": 1, "click": 1}, steps=2),
        surface_B=torch.zeros(3, dtype=torch.long), time_B=torch.zeros(3, dtype=torch.long),
    )  # fmt: skip
    assert found.outcome == ["save", "click"] * 2 and found.step == [1, 1, 2, 2]
    torch.testing.assert_close(found.vectors_BME.norm(dim=-1), torch.ones(3, 4))
    torch.testing.assert_close(model.items.embed_all().norm(dim=-1), torch.ones(view.n_items))


def test_appending_an_event_changes_no_earlier_hidden_state(outcomes: Store, tiny: PinRecConfig) -> None:
    model, conditions, view = _untrained(outcomes, tiny)
    users = np.arange(4, dtype=np.int32)
    start, _ = view.user_rows(users)
    short = history_tokens(view, users, start + 6, 12, conditions)
    long = history_tokens(view, users, start + 7, 12, conditions)
    with torch.no_grad():
        a, b = model.encode(short, model.items(short.item)), model.encode(long, model.items(long.item))
    torch.testing.assert_close(a, b[:, :6], atol=1e-6, rtol=0)


@pytest.mark.parametrize("same_user", [True, False])
def test_no_positive_and_no_item_of_the_same_user_is_a_negative(
    outcomes: Store, tiny: PinRecConfig, same_user: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    import bowerbird.recommend.model as module

    config = replace(tiny, mask_same_user=same_user, all_negatives=True, relax="min")
    model, conditions, view = _untrained(outcomes, config)
    seen: dict[str, torch.Tensor] = {}
    real = module.negative_logsumexp

    def spy(
        anchor: torch.Tensor, negatives: module.Negatives, scale: torch.Tensor, **masks: torch.Tensor
    ) -> torch.Tensor:
        rows = len(anchor)
        blocked = torch.zeros(rows, len(negatives.ids_M), dtype=torch.bool)
        row, slot = (masks["blocked_RX"] >= 0).nonzero(as_tuple=True)
        blocked[row, masks["blocked_RX"][row, slot]] = True
        if masks["blocked_BM"] is not None:
            blocked |= masks["blocked_BM"][masks["window_R"]]
        seen["blocked"] = blocked
        return real(anchor, negatives, scale, **masks)

    monkeypatch.setattr(module, "negative_logsumexp", spy)
    batch = next(PinRecExamples(view, config, conditions, seed=0).epoch(0))
    model.loss(batch, torch.Generator().manual_seed(0))
    for r in range(len(batch.window)):
        own = set(batch.target[r][batch.target[r] >= 0].tolist())
        if same_user:
            b = int(batch.window[r])
            own |= set(batch.tokens.item[b, : int(batch.tokens.lengths[b])].tolist())
        assert set(seen["blocked"][r].nonzero()[:, 0].tolist()) == own


@pytest.mark.parametrize("chunk", [1 << 8, 1 << 25])
def test_the_loss_does_not_depend_on_the_chunk_size(
    outcomes: Store, tiny: PinRecConfig, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import bowerbird.recommend.model as module

    model, conditions, view = _untrained(outcomes, replace(tiny, all_negatives=True))
    batch = next(PinRecExamples(view, model.config, conditions, seed=0).epoch(0))
    monkeypatch.setattr(module, "_LOGIT_BUDGET", 1 << 30)
    whole = model.loss(batch, torch.Generator().manual_seed(0)).total
    (expected,) = torch.autograd.grad(whole, [model.items.identity.weight])
    monkeypatch.setattr(module, "_LOGIT_BUDGET", chunk)
    cut = model.loss(batch, torch.Generator().manual_seed(0)).total
    (found,) = torch.autograd.grad(cut, [model.items.identity.weight])
    torch.testing.assert_close(cut, whole)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_the_easiest_target_never_costs_more_than_the_next_item(outcomes: Store, tiny: PinRecConfig) -> None:
    model, conditions, view = _untrained(outcomes, replace(tiny, relax="min", condition_dropout=0.0))
    batch = next(PinRecExamples(view, model.config, conditions, seed=0).epoch(0))
    relaxed = model.loss(batch, torch.Generator().manual_seed(0)).total
    object.__setattr__(model.config, "relax", "none")
    strict = model.loss(batch, torch.Generator().manual_seed(0)).total
    object.__setattr__(model.config, "relax", "min")
    assert relaxed <= strict + 1e-4


def test_every_parameter_is_reached_by_a_gradient(outcomes: Store, tiny: PinRecConfig) -> None:
    config = replace(
        tiny, input_action="concat", offset_buckets=4, targets_per_anchor=2, id_dropout=0.3, learn_scale=True
    )
    model, conditions, view = _untrained(outcomes, config)
    model.train()
    batch = next(PinRecExamples(view, config, conditions, seed=0).epoch(0))
    model.loss(batch, torch.Generator().manual_seed(0)).total.backward()
    untouched = [
        name for name, p in model.named_parameters() if p.numel() and (p.grad is None or not p.grad.any())
    ]
    assert untouched == []
