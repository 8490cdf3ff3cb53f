"""Ranking networks: padding, companions and order change nothing; dropping empty slates keeps probabilities true."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bowerbird.evaluate.rankers import HstuRanker, TargetAttentionRanker
from bowerbird.evaluate.rankers.neural.batches import case_batch, training_batch
from bowerbird.evaluate.slates import slate_cases
from bowerbird.tables.view import BlendedExamples, SlateFilter, TimeWall, View
from evaluate.slates.world import platform

KINDS = [TargetAttentionRanker, HstuRanker]
SMALL = {"dim": 8, "width": 16, "length": 12, "batch_size": 64}


@pytest.fixture(scope="module")
def views(tmp_path_factory):
    store = platform(tmp_path_factory.mktemp("networks"), n_slates=250, n_users=20)
    return View(store), View(store, TimeWall(3_500_000))


def network(kind, view):
    torch.manual_seed(0)
    ranker = kind(**SMALL)
    ranker._build(view)
    for parameter in ranker._network.parameters():  # no weight at a start value that hides a dependence
        torch.nn.init.normal_(parameter, std=0.3)
    return ranker._network.eval()


@pytest.mark.parametrize("kind", KINDS)
def test_rows_do_not_see_one_another_and_padding_is_nothing(kind, views):
    net = network(kind, views[0])
    cases = slate_cases(*views).subset(slice(0, 20))
    batch = case_batch(cases, 12)
    with torch.inference_mode():
        together = net(batch)
        for index, part in batch.by_length(4):
            width = part.item.shape[1]
            torch.testing.assert_close(net(part), together[index][:, :width], atol=1e-5, rtol=1e-4)
        flipped = {name: value.clone() for name, value in batch.__dict__.items()}
        flipped["item"] = batch.item.flip(1)
        turned = net(type(batch)(**flipped)).flip(1)
        torch.testing.assert_close(turned, together, atol=1e-5, rtol=1e-4)
        alone = dict(batch.__dict__)
        alone["item"], alone["filled"] = batch.item[:, :1], batch.filled[:, :1]
        torch.testing.assert_close(net(type(batch)(**alone)), together[:, :1], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_every_input_matters(kind, views):
    net = network(kind, views[0])
    cases = slate_cases(*views)
    batch = case_batch(cases.subset(cases.histories(12).lengths >= 3).subset(slice(0, 8)), 12)
    with torch.inference_mode():
        before = net(batch)
        for name in ("history_item", "history_gap", "history_done", "item", "surface", "hour"):
            changed = {key: value.clone() for key, value in batch.__dict__.items()}
            first = (slice(None), 0) if name.startswith("history") else slice(None)
            changed[name][first] = (
                1 - changed[name][first] if name == "history_done" else (changed[name][first] + 1) % 2
            )
            assert not torch.allclose(net(type(batch)(**changed)), before), name


def test_training_batches_and_cases_are_the_same_tensors(views):
    cases = slate_cases(views[1], views[1].narrow(0), min_size=1)
    examples = BlendedExamples(
        views[1],
        history_length=12,
        slate_size=9,
        batch_size=10_000,
        keep_empty=1.0,
        filters=SlateFilter(min_history=0),
    )
    trained = training_batch(next(examples.epoch(0)), 3)
    asked = case_batch(cases, 12)
    assert len(trained.item) == len(asked.item) == len(cases)

    def lines(batch):
        return sorted(
            (
                *batch.history_item[b, : batch.lengths[b]].tolist(),
                *batch.history_gap[b, : batch.lengths[b]].tolist(),
                -1,
                int(batch.hour[b]),
                int(batch.surface[b]),
                *sorted(
                    zip(
                        batch.item[b][batch.filled[b]].tolist(),
                        batch.labels[b].sum(-1).tolist(),
                        strict=False,
                    )
                ),
            )[: 2 * int(batch.lengths[b]) + 3]
            for b in range(len(batch.item))
        )

    assert lines(trained) == lines(asked)
    assert trained.labels.sum() == asked.labels.sum() == cases.labels.sum()


def test_dropping_empty_slates_keeps_probabilities_true(views):
    cases = slate_cases(*views)
    ranker = TargetAttentionRanker(**SMALL, epochs=4, rate=5e-3, keep_empty=0.2).fit(views[1])
    said = ranker.score(cases).mean(axis=0)
    assert said[0] == pytest.approx(cases.labels[:, 0].mean(), rel=0.25)
    weights = next(
        BlendedExamples(views[1], history_length=3, slate_size=9, batch_size=10_000, keep_empty=0.2).epoch(0)
    ).weight
    assert set(np.unique(weights).tolist()) == {1.0, 5.0}
