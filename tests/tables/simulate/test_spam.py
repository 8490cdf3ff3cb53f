"""Spam rings: members act together on their targets, labels know a share of them, the truth knows all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from bowerbird.tables.simulate import Truth, simulate
from bowerbird.tables.simulate.behaviour.rings import N_BURSTS

from .conftest import World


def test_labels_agree_with_the_truth_and_every_ring_has_one(world: World) -> None:
    labels = world.store.table("labels").collect().filter(pl.col("task") == "spam")
    truth = world.truth.spam
    assert set(labels["entity_type"]) == {"user"}
    said = set(labels.filter(pl.col("label") == "spam")["entity_id"])
    spam = set(truth["user_id"])
    assert said < spam
    assert not spam & set(labels.filter(pl.col("label") == "legit")["entity_id"])
    assert abs(labels.height / world.store.n_users - world.truth.config.label_share) < 0.08
    assert set(truth.filter(pl.col("user_id").is_in(said))["ring"]) == set(truth["ring"])


def test_a_verdict_comes_after_the_last_burst(world: World) -> None:
    labels = world.store.table("labels").collect().filter(pl.col("label") == "spam")
    last = world.rows.group_by("user_id").agg(pl.col("time").max())
    joined = labels.join(last, left_on="entity_id", right_on="user_id")
    assert joined.height == labels.height
    assert (joined["timestamp"] > joined["time"]).mean() > 0.95


def test_rings_push_their_targets_in_bursts(world: World) -> None:
    rings, rows = world.truth.rings, world.rows
    user, item, time = (rows[name].to_numpy() for name in ("user", "item", "time"))
    ring = rings.member[user]
    for r in range(len(rings.opened)):
        mine = ring == r
        target = np.isin(item, rings.targets[r])
        assert target[mine].mean() > 0.5
        assert target[ring < 0].mean() < 0.1
        saved = rows["mask"].to_numpy() & 4 > 0
        assert saved[mine & target].mean() > 0.4
        since = time[mine][:, None] - rings.bursts[r]
        assert (((since >= 0) & (since < 6 * 3_600_000)).any(1)).mean() > 0.9
    assert rings.bursts.shape[1] == N_BURSTS


def test_spam_rows_have_no_propensity_and_no_moment(world: World) -> None:
    spam = world.rows.filter(pl.col("user_id").is_in(world.truth.spam["user_id"].to_list()))
    assert spam.height > 0
    assert spam["propensity"].is_null().all()
    assert spam["moment"].is_null().all()
    assert world.ordinary["propensity"].is_not_null().all()
    asked = world.truth.outcome_probability(spam["user"].to_numpy(), 0, "save", spam["time"].to_numpy())
    assert np.isnan(asked).all()


def test_rings_can_be_switched_off(tmp_path: Path) -> None:
    store = simulate(tmp_path / "clean", 2_000, spam_share=0.0)
    assert Truth.open(tmp_path / "clean").spam.is_empty()
    assert store.table("labels").collect().filter(pl.col("task") == "spam").is_empty()
