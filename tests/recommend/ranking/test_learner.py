"""UniPinRec end to end on a small world whose truth is known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bowerbird.evaluate.protocols import future_cases
from bowerbird.evaluate.slates import check_scores, grouped_auc, slate_cases
from bowerbird.learn.artifact import Artifact
from bowerbird.learn.processes import launch
from bowerbird.learn.run import Run
from bowerbird.recommend.ranking.config import UniPinRecConfig
from bowerbird.recommend.ranking.evaluation import report
from bowerbird.recommend.ranking.learner import UniPinRecLearner
from bowerbird.recommend.ranking.opened import OpenUniPinRec, UniPinRecRanker
from bowerbird.recommend.ranking.value import default_values, reranked
from bowerbird.recommend.retrieval.recommender import PinRecRecommender
from bowerbird.tables.errors import ConfigError
from bowerbird.tables.store import Store
from bowerbird.tables.view import View, time_split


@pytest.fixture(scope="module")
def fitted(slates: Store, uni: UniPinRecConfig) -> Artifact:
    split = time_split(slates)
    return UniPinRecLearner(replace(uni, epochs=90, p_mask=0.3, keep_empty=0.3)).fit(
        split.valid, run=Run(quiet=True, seed=0)
    )


def test_it_ranks_what_a_user_loves_first(slates: Store, fitted: Artifact) -> None:
    split = time_split(slates)
    cases = slate_cases(split.test, split.valid, min_history=1)
    scores = UniPinRecRanker(OpenUniPinRec.open(fitted, split.test)).score(cases)
    check_scores(scores, cases, name="UniPinRec")
    for action, least in (("click", 0.85), ("save", 0.85)):
        code = cases.action_names.index(action)
        auc = grouped_auc(scores[:, code], cases.labels[:, code], cases.slate_of_row, len(cases))
        assert np.nanmean(auc) > least, (action, np.nanmean(auc))


def test_probabilities_are_those_of_the_platform_though_empty_slates_were_dropped(
    slates: Store, fitted: Artifact
) -> None:
    split = time_split(slates)
    cases = slate_cases(
        split.valid, split.valid.narrow(int(np.median(split.valid.positives.time))), min_history=1
    )
    scores = UniPinRecRanker(OpenUniPinRec.open(fitted, split.valid)).score(cases)
    rate, said = cases.labels.mean(0), scores.mean(0)
    np.testing.assert_allclose(said[:2], rate[:2], rtol=0.2)


def test_scores_do_not_depend_on_neighbours(slates: Store, fitted: Artifact) -> None:
    split = time_split(slates)
    ranker = UniPinRecRanker(OpenUniPinRec.open(fitted, split.test))
    cases = slate_cases(split.test, split.valid, min_history=0)
    whole = ranker.score(cases)
    parts = np.concatenate([ranker.score(chunk) for chunk in cases.chunks(7)])
    np.testing.assert_allclose(whole, parts, atol=1e-5)


def test_saved_and_loaded_it_ranks_the_same(slates: Store, fitted: Artifact, tmp_path: Path) -> None:
    split = time_split(slates)
    cases = slate_cases(split.test, split.valid)
    fitted.save(tmp_path / "artifact")
    loaded = Artifact.load(tmp_path / "artifact")
    first, second = (
        UniPinRecRanker(OpenUniPinRec.open(a, split.test)).score(cases) for a in (fitted, loaded)
    )
    np.testing.assert_array_equal(first, second)


def test_arms_train_what_they_say(slates: Store, uni: UniPinRecConfig) -> None:
    view = View(slates)

    def weights(config: UniPinRecConfig) -> dict[str, torch.Tensor]:
        return UniPinRecLearner(replace(config, epochs=1)).fit(view, run=Run(quiet=True, seed=0)).tensors

    both = weights(uni)
    retrieves = weights(uni.retrieval_only())
    ranks = weights(uni.ranking_only())
    heads = [name for name in both if name.startswith("heads.")]
    assert heads and all(torch.equal(retrieves[name], weights(uni.retrieval_only())[name]) for name in heads)
    assert any(not torch.equal(both[name], retrieves[name]) for name in heads)
    assert torch.equal(ranks["head.out.weight"], retrieves["head.out.weight"]) is False
    twin = UniPinRecLearner(replace(uni.interleaved(), epochs=1)).fit(view, run=Run(quiet=True, seed=0))
    assert twin.config["history_length"] == uni.history_length // 2 and "action_token.weight" in twin.tensors
    opened = OpenUniPinRec.open(
        UniPinRecLearner(replace(uni.retrieval_only(), epochs=1)).fit(view, run=Run(quiet=True, seed=0)), view
    )
    with pytest.raises(ConfigError, match="trained to retrieve only"):
        UniPinRecRanker(opened).score(slate_cases(view, view.narrow(int(np.median(view.positives.time)))))


def test_fine_tuning_starts_from_an_artifact_and_can_freeze_the_items(
    slates: Store, uni: UniPinRecConfig, tmp_path: Path
) -> None:
    view = View(slates)
    first = UniPinRecLearner(replace(uni.retrieval_only(), epochs=2)).fit(view, run=Run(quiet=True, seed=0))
    first.save(tmp_path / "first")
    tuned = replace(uni, retrieve=False, start_from=str(tmp_path / "first"), freeze_items=True, epochs=2)
    second = UniPinRecLearner(tuned).fit(view, run=Run(quiet=True, seed=1))
    items = [name for name in first.tensors if name.startswith("items.")]
    assert items and all(torch.equal(first.tensors[name], second.tensors[name]) for name in items)
    assert not torch.equal(first.tensors["project.weight"], second.tensors["project.weight"])
    with pytest.raises(ConfigError, match="another shape"):
        UniPinRecLearner(replace(tuned, item_dim=8, id_dim=8)).fit(view, run=Run(quiet=True))


def _fit(folder: str, config: UniPinRecConfig) -> dict[str, np.ndarray]:
    artifact = UniPinRecLearner(config).fit(
        View(Store.open(folder)), run=Run(quiet=True, seed=0, device="cpu")
    )
    return {name: tensor.numpy() for name, tensor in artifact.tensors.items()}


@pytest.mark.processes
def test_two_processes_equal_one(slates: Store, uni: UniPinRecConfig) -> None:
    # masks and condition dropout are drawn per process, so they are off; caps must not bind
    config = replace(
        uni, epochs=1, condition_dropout=0.0, batch_positions=64, in_batch_negatives=1000, p_mask=0.0,
        slates_per_window=1000,
    )  # fmt: skip
    folder = str(slates.path)
    alone = _fit(folder, config)
    first, second = launch(_fit, 2, folder, config, threads=1)
    for name, tensor in alone.items():
        assert np.array_equal(first[name], second[name]), name
        np.testing.assert_allclose(first[name], tensor, atol=2e-5, rtol=1e-4, err_msg=name)


def test_the_report_orders_slates_beside_rankers(slates: Store, fitted: Artifact, tmp_path: Path) -> None:
    split = time_split(slates)
    found = report(
        [fitted], split.test, since=split.valid, baselines=("popularity",), rankers=("popularity",)
    )
    content = json.loads(found.save(tmp_path)[0].read_text())
    table = content["blocks"][1]
    assert [row["name"] for row in table["results"]] == ["UniPinRec", "Popularity"]
    assert content["blocks"][0]["results"][0]["name"] == "UniPinRec"
    auc = [row["metrics"]["save"]["slate_auc"]["mean"] for row in table["results"]]
    assert auc[0] > auc[1]


def test_values_put_a_list_in_order(slates: Store, fitted: Artifact) -> None:
    split = time_split(slates)
    opened = OpenUniPinRec.open(fitted, split.test)
    values = default_values(opened)
    assert values["save"] > values["click"] > 0 > values["hide"]  # rarer weighs more, unwanted against
    cases = future_cases(split.test, split.valid, exclude_seen=False)
    found = PinRecRecommender(opened, "all").recommend(cases, 12)
    for name in ("click", "hide"):
        order = reranked(opened, cases, found, 5, {name: 1.0})
        history = opened.histories(cases.user, cases.history_end)
        encoded = opened.encode(history)
        p = opened.rank(
            encoded, opened.vectors_IE[torch.from_numpy(found.items.astype(np.int64))],
            torch.from_numpy(found.items.astype(np.int64)),
            time_B=torch.from_numpy(cases.time), surface_B=torch.from_numpy(cases.surface.astype(np.int64) + 1),
            history=history,
        ).numpy()[..., opened.actions.index(name)]  # fmt: skip
        for c in range(len(cases)):
            best = found.items[c][np.argsort(-p[c], kind="stable")][:5]
            assert order.items[c].tolist() == best.tolist()
    with pytest.raises(ConfigError, match="did you mean 'click'"):
        reranked(opened, cases, found, 5, {"clik": 1.0})
