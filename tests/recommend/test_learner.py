"""What training must achieve in worlds whose right answer is known, and what an artifact must keep."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from bowerbird.evaluate.metrics.ranks import target_ranks
from bowerbird.evaluate.protocols import leave_last_out_cases
from bowerbird.evaluate.ranking import check_ranking
from bowerbird.learn.artifact import Artifact
from bowerbird.learn.run import Run
from bowerbird.recommend.config import PinRecConfig
from bowerbird.recommend.inputs.conditions import Conditions
from bowerbird.recommend.learner import PinRecLearner
from bowerbird.recommend.retrieval.generation import Plan
from bowerbird.recommend.retrieval.opened import OpenPinRec
from bowerbird.recommend.retrieval.recommender import PinRecRecommender
from bowerbird.recommend.retrieval.retriever import Retriever
from bowerbird.tables.errors import ConfigError
from bowerbird.tables.store import Store, build_store
from bowerbird.tables.view import LastOut, View


def test_the_ring_is_learnt(cycle: Store, cycle_artifact: Artifact) -> None:
    view = View(cycle)
    cases = leave_last_out_cases(view, View(cycle, LastOut(1)), exclude_seen=False)
    opened = OpenPinRec.open(cycle_artifact, view)
    ranks = target_ranks(PinRecRecommender(opened, "pinrec").recommend(cases, 5), cases)
    assert (ranks == 0).mean() > 0.95


def test_generation_walks_the_ring(cycle: Store, cycle_artifact: Artifact) -> None:
    """Fed with its own vectors the model must name the next items one after another."""
    view = View(cycle)
    opened = OpenPinRec.open(cycle_artifact, view)
    users = np.arange(10, dtype=np.int32)
    tokens = opened.histories(users)
    found = opened.generate(
        tokens, Plan(steps=3, offsets=(0,)), surface_B=torch.ones(10, dtype=torch.long),
        time_B=tokens.time[torch.arange(10), tokens.lengths - 1] + 3_600_000,
    )  # fmt: skip
    nearest = (found.vectors_BME @ opened.vectors_IE.T).argmax(-1).numpy()
    last = tokens.item[torch.arange(10), tokens.lengths - 1].numpy()
    names = np.array([int(name[1:]) for name in view.item_ids.decode(np.arange(view.n_items))])
    steps = (names[nearest] - names[last][:, None]) % view.n_items
    assert (steps[:, 0] == 1).mean() >= 0.9 and (steps[:, 1] == 2).mean() >= 0.7


def test_the_condition_decides_where_only_the_condition_can(
    outcomes: Store, outcomes_artifact: Artifact
) -> None:
    view = View(outcomes)
    opened = OpenPinRec.open(outcomes_artifact, view)
    cases = leave_last_out_cases(view, View(outcomes, LastOut(1)), exclude_seen=False)
    names = np.array(view.item_ids.decode(np.arange(view.n_items)))
    for outcome, letter in (("save", "s"), ("click", "c")):
        lists = PinRecRecommender(opened, outcome, Plan(outcomes={outcome: 1.0})).recommend(cases, 6).items
        share = np.char.startswith(names[lists].astype(str), letter).mean()
        assert share > 0.9, f"{outcome}: only {share:.2f} of the list carry it"


def test_budgets_move_the_mix_of_outcomes(outcomes: Store, outcomes_artifact: Artifact) -> None:
    view = View(outcomes)
    retriever = Retriever(OpenPinRec.open(outcomes_artifact, view))
    tokens = retriever.opened.histories(np.arange(20, dtype=np.int32))
    names = np.array(view.item_ids.decode(np.arange(view.n_items)))
    saved = []
    for share in (0.0, 0.5, 1.0):
        plan = Plan(outcomes={"save": share, "click": 1 - share})
        found = retriever.fetch(tokens, plan, 8, surface=np.ones(20), time=np.full(20, 10**9))
        saved.append(
            np.mean([np.char.startswith(names[m.item].astype(str), "s").mean() for m in found.merged])
        )
    assert saved[0] < 0.15 < saved[1] < 0.85 < saved[2]


def test_merged_lists_keep_the_ranking_contract(outcomes: Store, outcomes_artifact: Artifact) -> None:
    """Lists longer than the budgets hold fillers; they must still be a valid ranking."""
    cases = leave_last_out_cases(View(outcomes), View(outcomes, LastOut(1)))
    plan = Plan(outcomes={"save": 0.7, "click": 0.3}, steps=2)
    ranking = PinRecRecommender(OpenPinRec.open(outcomes_artifact, View(outcomes)), "m", plan).recommend(
        cases, 16
    )
    check_ranking(ranking, cases, 16, name="m")
    assert (ranking.items[:, 3] >= 0).all()


def test_a_saved_artifact_answers_the_same(
    outcomes: Store, outcomes_artifact: Artifact, tmp_path: Path
) -> None:
    outcomes_artifact.save(tmp_path / "artifact")
    view = View(outcomes)
    cases = leave_last_out_cases(view, View(outcomes, LastOut(1)))
    before, after = (
        PinRecRecommender(OpenPinRec.open(artifact, view), "m").recommend(cases, 10)
        for artifact in (outcomes_artifact, Artifact.load(tmp_path / "artifact"))
    )
    assert np.array_equal(before.items, after.items) and np.array_equal(before.scores, after.scores)


def test_the_same_seed_gives_the_same_weights(outcomes: Store, tiny: PinRecConfig) -> None:
    config = replace(tiny, epochs=1)
    one, two, other = (
        PinRecLearner(config).fit(View(outcomes), run=Run(quiet=True, seed=seed)).tensors
        for seed in (5, 5, 6)
    )
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_the_index_and_the_full_scan_agree(cycle: Store, cycle_artifact: Artifact) -> None:
    view = View(cycle)
    opened = OpenPinRec.open(cycle_artifact, view)
    cases = leave_last_out_cases(view, View(cycle, LastOut(1)), exclude_seen=False)
    scanned = PinRecRecommender(opened, "scan").recommend(cases, 5).items
    tokens = opened.histories(cases.user, cases.history_end)
    found = Retriever(opened).fetch(tokens, Plan(), 5, surface=cases.surface + 1, time=cases.time)
    assert np.array_equal(np.stack([merged.item for merged in found.merged]), scanned)


def test_a_model_opens_on_a_store_that_has_grown(outcomes_artifact: Artifact, tmp_path: Path) -> None:
    from recommend.worlds import outcome_world

    store = outcome_world(tmp_path / "store")
    more = pl.DataFrame(
        {"user_id": ["u0"], "item_id": ["new"], "timestamp": [10**10], "actions": [["click"]]}
    )
    grown = build_store(tmp_path / "store", {"events": more}, actions=["click", "save"], append=True)
    assert grown.n_items == store.n_items + 1
    opened = OpenPinRec.open(outcomes_artifact, View(grown))
    assert opened.vectors_IE.shape[0] == grown.n_items and bool(opened.model.items.unseen[-1])


def test_a_model_of_another_store_is_refused(cycle: Store, outcomes_artifact: Artifact) -> None:
    with pytest.raises(ConfigError, match="do not belong together"):
        OpenPinRec.open(outcomes_artifact, View(cycle))


def test_unknown_outcomes_and_offsets_are_refused_by_name(
    outcomes: Store, outcomes_artifact: Artifact
) -> None:
    opened = OpenPinRec.open(outcomes_artifact, View(outcomes))
    tokens = opened.histories(np.arange(2, dtype=np.int32))
    some = torch.zeros(2, dtype=torch.long)
    with pytest.raises(ConfigError, match="outcome 'buy' is not known"):
        opened.generate(tokens, Plan(outcomes={"buy": 1.0}), surface_B=some, time_B=some)
    with pytest.raises(ConfigError, match="offset codes"):
        opened.generate(tokens, Plan(offsets=(1,)), surface_B=some, time_B=some)


def test_nothing_to_learn_from_is_said_plainly(tmp_path: Path, tiny: PinRecConfig) -> None:
    events = pl.DataFrame(
        {"user_id": ["a", "b"], "item_id": ["x", "y"], "timestamp": [1, 2], "actions": [["click"]] * 2}
    )
    store = build_store(tmp_path / "store", {"events": events}, actions=["click"])
    with pytest.raises(ConfigError, match=r"no user of .* has two positive events"):
        PinRecLearner(tiny).fit(View(store))


def test_item_vectors_are_emitted_under_raw_ids(cycle: Store, cycle_artifact: Artifact) -> None:
    (signal,) = PinRecLearner().emit(cycle_artifact, View(cycle))
    assert signal.entity == "item" and sorted(signal.ids) == sorted(f"i{i}" for i in range(12))
    assert signal.vectors.shape == (12, 16)


def test_a_surface_that_came_after_training_is_unspecified(outcomes: Store) -> None:
    conditions = Conditions.of(View(outcomes))
    known = len(conditions.surfaces)
    codes = conditions.surface_codes(np.array([-1, 0, known - 1, known, known + 7], np.int16))
    assert codes.tolist() == [0, 1, known, 0, 0]
