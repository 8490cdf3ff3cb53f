"""What the network may see: masks, candidates and histories, on an untrained model with random weights."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from bowerbird.recommend.examples import Tokens, history_tokens
from bowerbird.recommend.ranking.config import UniPinRecConfig
from bowerbird.recommend.ranking.examples import UniPinRecBatch, UniPinRecExamples
from bowerbird.recommend.ranking.matches import HALF_LIVES_HOURS
from bowerbird.recommend.ranking.model import MASK, UniPinRec, multi_hot
from bowerbird.recommend.retrieval.generation import Plan, generate
from bowerbird.tables.store import Store

from .conftest import untrained

COUNTS = 4 + 2 * len(HALF_LIVES_HOURS) * 4
"""Numbers counted per candidate on a store with three actions and no categories."""


def _batch(store: Store, config: UniPinRecConfig) -> tuple[UniPinRec, UniPinRecBatch]:
    model, conditions, view = untrained(store, config)
    return model, next(iter(UniPinRecExamples(view, config, conditions, seed=0).epoch(0)))


def _pass(
    model: UniPinRec, batch: UniPinRecBatch, deeds_BN: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Hidden states of history and candidates."""
    c = batch.candidates
    with torch.no_grad():
        return model.decoder(
            model._stream(batch.tokens, model.items(batch.tokens.item), deeds_BN), batch.tokens.lengths,
            model.candidate_vectors(model.items(c.item), c.time, c.surface, c.previous),
            seen_BK=c.seen, candidate_lengths_B=c.lengths,
        )  # fmt: skip


def test_hidden_is_not_the_same_as_nothing_done() -> None:
    found = multi_hot(torch.tensor([0, MASK, 1, 5]), 3).tolist()
    assert found == [[0, 0, 0, 0], [0, 0, 0, 1], [1, 0, 0, 0], [1, 0, 1, 0]]


def test_a_masked_action_cannot_be_seen_and_a_shown_one_only_later(
    slates: Store, uni: UniPinRecConfig
) -> None:
    model, batch = _batch(slates, replace(uni, p_mask=0.5))
    row = int(batch.tokens.lengths.argmax())
    n = int(batch.tokens.lengths[row])
    shown = torch.where(batch.masked, MASK, batch.tokens.deeds)
    base = _pass(model, batch, shown)
    for place in range(n):
        flipped = batch.tokens.deeds.clone()
        flipped[row, place] ^= 3
        moved = _pass(model, batch, torch.where(batch.masked, MASK, flipped))
        change_N = (moved[0] - base[0])[row, :n].abs().amax(-1)
        if batch.masked[row, place]:
            assert change_N.max() == 0 and torch.equal(moved[1], base[1])
            continue
        assert (change_N[:place] == 0).all() and (change_N[place:] > 0).all()
        c = batch.candidates
        seen = c.seen[row, : c.lengths[row]]
        change_K = (moved[1] - base[1])[row, : c.lengths[row]].abs().amax(-1)
        assert ((change_K > 0) == (seen > place)).all()


def test_labels_of_candidates_are_no_input(slates: Store, uni: UniPinRecConfig) -> None:
    model, batch = _batch(slates, uni)
    assert int(batch.candidates.deeds.sum()) > 0
    vectors = model.candidate_vectors(
        model.items(batch.candidates.item),
        batch.candidates.time,
        batch.candidates.surface,
        batch.candidates.previous,
    )
    deeds = replace(batch.candidates, deeds=torch.zeros_like(batch.candidates.deeds))
    other = model.candidate_vectors(model.items(deeds.item), deeds.time, deeds.surface, deeds.previous)
    assert torch.equal(vectors, other)


@pytest.mark.parametrize("interleave", [False, True])
def test_ranking_on_a_cache_equals_the_dense_pass_of_training(
    slates: Store, uni: UniPinRecConfig, interleave: bool
) -> None:
    config = replace(uni, interleave=interleave, p_mask=0.0)
    model, batch = _batch(slates, config)
    c, step = batch.candidates, model.tokens_per_event
    with torch.no_grad():
        h_BLD, z_BKD = model.decoder(
            model._stream(batch.tokens, model.items(batch.tokens.item), batch.tokens.deeds),
            batch.tokens.lengths * step,
            model.candidate_vectors(model.items(c.item), c.time, c.surface, c.previous),
            seen_BK=c.seen * step, candidate_lengths_B=c.lengths,
        )  # fmt: skip
        dense_BKC = torch.zeros(*c.item.shape, 3)
        dense_BKC[c.real] = model.slate_logits(h_BLD, z_BKD, c, model.items(c.item[c.real]), batch.tokens)
        checked = 0
        for b in range(len(c.lengths)):
            for k in range(int(c.lengths[b])):
                n = int(c.seen[b, k])
                part = {f.name: getattr(batch.tokens, f.name)[b : b + 1] for f in fields(Tokens)}
                tokens = Tokens(**{name: x if name == "lengths" else x[:, :n] for name, x in part.items()})
                tokens = replace(tokens, lengths=torch.tensor([n]))
                encoded = model.read(tokens, model.items(tokens.item), room=2)
                item_B, time_B = c.item[b, k : k + 1], c.time[b, k : k + 1]
                counts_BKF = model.counted(
                    tokens,
                    item_B[:, None],
                    time_B[:, None],
                    tokens.lengths[:, None],
                    c.rates[b, None, k : k + 1],
                )
                cached = model.rank(
                    encoded, model.items(item_B[:, None]), item_B[:, None], time_B=time_B,
                    surface_B=c.surface[b, k : k + 1], counts_BKF=counts_BKF,
                )  # fmt: skip
                torch.testing.assert_close(cached[0, 0], dense_BKC[b, k], atol=1e-5, rtol=0)
                checked += 1
    assert checked > 20


@pytest.mark.parametrize("interleave", [False, True])
def test_appended_events_equal_a_history_read_at_once(
    slates: Store, uni: UniPinRecConfig, interleave: bool
) -> None:
    model, conditions, view = untrained(slates, replace(uni, interleave=interleave))
    sizes = np.bincount(view.positives.user, minlength=view.n_users)
    users = np.flatnonzero(sizes >= 5)[:6].astype(np.int32)
    whole = history_tokens(view, users, None, 12, conditions)

    def part(low: int, high: int) -> Tokens:
        cut = {f.name: getattr(whole, f.name) for f in fields(Tokens)}
        cut = {name: x if name == "lengths" else x[:, low:high] for name, x in cut.items()}
        return Tokens(**(cut | {"lengths": torch.full((6,), high - low)}))

    with torch.no_grad():
        once = model.read(part(0, 5), model.items(whole.item[:, :5]), room=3)
        grown = model.read(part(0, 2), model.items(whole.item[:, :2]), room=6)
        for low, high in ((2, 3), (3, 5)):
            grown = model.append(grown, part(low, high), model.items(whole.item[:, low:high]))
        torch.testing.assert_close(grown.last_BD, once.last_BD, atol=1e-5, rtol=0)
        assert torch.equal(grown.time_B, once.time_B)
        ask = {"time_B": once.time_B + 1000, "surface_B": torch.ones(6, dtype=torch.long)}
        ids_BK = torch.arange(12).expand(6, 12)
        ask["counts_BKF"] = torch.rand(6, 12, COUNTS)
        e_BKE = model.items(ids_BK)
        torch.testing.assert_close(
            model.rank(grown, e_BKE, ids_BK, **ask), model.rank(once, e_BKE, ids_BK, **ask), atol=1e-5, rtol=0
        )


def test_generating_leaves_the_encoding_as_it_was(slates: Store, uni: UniPinRecConfig) -> None:
    model, conditions, view = untrained(slates, uni)
    tokens = history_tokens(view, np.arange(4, dtype=np.int32), None, 12, conditions)
    ask = {"surface_B": torch.ones(4, dtype=torch.long), "time_B": tokens.time.amax(1) + 5}
    with torch.no_grad():
        encoded = model.read(tokens, model.items(tokens.item), room=3)
        ids_BK = torch.arange(12).expand(4, 12)
        e_BKE = model.items(ids_BK)
        counts_BKF = torch.rand(4, 12, COUNTS)
        before = model.rank(encoded, e_BKE, ids_BK, **ask, counts_BKF=counts_BKF)
        plan = Plan(outcomes={"save": 0.5, "any": 0.5}, steps=4)
        first = generate(model, conditions, encoded, plan, **ask)
        assert torch.equal(model.rank(encoded, e_BKE, ids_BK, **ask, counts_BKF=counts_BKF), before)
        again = generate(model, conditions, encoded, plan, **ask)
        torch.testing.assert_close(again.vectors_BME, first.vectors_BME)


def test_the_loss_is_the_sum_of_the_published_means(slates: Store, uni: UniPinRecConfig) -> None:
    config = replace(uni, p_mask=0.4, action_loss=0.7, all_negatives=True, keep_empty=0.5)
    model, batch = _batch(slates, config)
    assert set(batch.candidates.weight[batch.candidates.real].tolist()) == {1.0, 2.0}
    model.action_weight.copy_(torch.tensor([0.5, 1.5, 1.0]))
    c = batch.candidates
    found, parts = model.joint_loss(batch, torch.Generator().manual_seed(0))
    h, z = _pass(model, batch, torch.where(batch.masked, MASK, batch.tokens.deeds))
    vectors = model.vectors(batch, torch.Generator().manual_seed(0))
    item = model.item_loss(batch, vectors, h)
    real = vectors.real_BN & batch.masked
    means = []
    past, shown = (
        model._past_logits(h, vectors.e_BNE, batch.tokens.surface, real) + model.past_bias,
        model.slate_logits(h, z, c, model.items(c.item[c.real]), batch.tokens),
    )
    every = torch.ones(int(real.sum()))
    for logits, deeds, weight in (
        (past, batch.tokens.deeds[real], every),
        (shown, c.deeds[c.real], c.weight[c.real]),
    ):
        labels = torch.stack([(deeds >> bit) & 1 for bit in range(3)], dim=1).float()
        loss = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
        per_action = (loss * weight[:, None]).sum(0) / weight.sum()
        means.append((per_action * model.action_weight).sum())
    expected = item.total / item.weight + 0.7 * (means[0] + means[1])
    torch.testing.assert_close(found.total / found.weight, expected, atol=1e-5, rtol=1e-5)
    assert set(parts) == {"item", "past", "slate"}


def test_every_parameter_learns(slates: Store, uni: UniPinRecConfig) -> None:
    model, batch = _batch(slates, replace(uni, p_mask=0.4, id_dropout=0.5))
    model.train()
    model.joint_loss(batch, torch.Generator().manual_seed(0))[0].total.backward()
    still = [
        name
        for name, p in model.named_parameters()
        if p.numel() and p.requires_grad and (p.grad is None or not p.grad.abs().any())
    ]
    assert still == []
