"""What people do: configured rates, a calibrated oracle, outcomes that pull apart, and something to learn."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import stats

from bowerbird.tables.errors import ConfigError
from bowerbird.tables.simulate import ACTIONS, SimulationConfig
from bowerbird.tables.simulate.behaviour.choice import catalogue_probabilities
from bowerbird.tables.simulate.platform import build_platform

from .conftest import World


def _happened(rows: pl.DataFrame, action: str) -> np.ndarray:
    return (rows["mask"].to_numpy() >> ACTIONS.index(action)) & 1


@pytest.mark.parametrize("action", ACTIONS)
def test_actions_happen_at_the_configured_rate(world: World, action: str) -> None:
    happened = _happened(world.ordinary, action)
    rate = world.truth.config.rates[action]
    assert happened.mean() == pytest.approx(rate, abs=4 * np.sqrt(rate / len(happened)))


def test_rates_are_met_on_a_pilot_that_is_a_sample() -> None:
    rates = {"click": 0.1, "long_click": 0.02, "save": 0.2, "hide": 0.05}
    platform = build_platform(SimulationConfig(200_000, seed=2, n_users=3_000, rates=rates, spam_share=0.3))
    people = platform.people(np.arange(0, 3_000, 2))
    rows = platform.run(people).rows
    mask = rows["actions"][rows["moment"] >= 0]
    for bit, action in enumerate(ACTIONS):
        assert (mask >> bit & 1).mean() == pytest.approx(rates[action], rel=0.08)


def test_rates_out_of_reach_are_refused() -> None:
    rates = {"click": 0.9, "long_click": 0.8, "save": 0.1, "hide": 0.05}
    with pytest.raises(ConfigError, match=r"rates asks for 0\.9 of click"):
        build_platform(SimulationConfig(1_000, rates=rates))


@pytest.mark.parametrize("action", ACTIONS)
def test_the_oracle_is_calibrated_in_every_tenth(world: World, action: str) -> None:
    rows = world.ordinary
    truth = world.truth
    predicted = truth.outcome_probability(
        rows["user"].to_numpy(),
        rows["item"].to_numpy(),
        action,
        rows["asked"].to_numpy(),
        rows["moment"].to_numpy(),
    ) * truth.examination(rows["position"].to_numpy())
    happened = _happened(rows, action)
    for tenth in np.array_split(np.argsort(predicted, kind="stable"), 10):
        expected = predicted[tenth].sum()
        spread = np.sqrt((predicted[tenth] * (1 - predicted[tenth])).sum())
        assert abs(happened[tenth].sum() - expected) < 4.5 * spread + 1e-9
    assert stats.pearsonr(predicted, happened).statistic > 0.05


def test_the_oracle_is_the_documented_formula(world: World) -> None:
    """A second writing of the outcome model, person by person in plain Python."""
    truth, config, items = world.truth, world.truth.config, world.truth.catalogue.items
    group = truth.catalogue.group
    for user, item, time, moment in (
        world.ordinary.gather_every(997).select("user", "item", "asked", "moment").rows()
    ):
        me, it = truth.people[user], items[item]
        topics = me["topics"][: me["n_interests"]].tolist()
        if me["drift_slot"] >= 0 and time >= me["drift_time"]:
            topics[me["drift_slot"]] = me["drift_topic"]

        def fit(topic: int, moment: int = moment, topics: list[int] = topics) -> float:
            if topic == moment:
                return 1.0
            return 0.45 if topic in topics else 0.3 if group[topic] == group[moment] else 0.0

        fits = it["share"] * fit(it["topic"]) + (1 - it["share"]) * fit(it["second"])
        logit = truth.choice.bias + config.affinity_gain * np.array([1.0, 0.35, 0.8, -0.6]) * fits
        logit += config.appeal_strength * it["appeal"]
        if it["topic"] in topics:
            logit += config.intent_strength * me["intent"][topics.index(it["topic"])]
        logit += config.taste_strength * (me["taste"] * it["style"]).sum(1)
        click, long_click, save, hide = 1 / (1 + np.exp(-logit))
        expected = {"hide": hide, "click": (1 - hide) * click, "save": (1 - hide) * save}
        expected["long_click"] = expected["click"] * long_click
        for action, probability in expected.items():
            found = truth.outcome_probability(user, item, action, time, moment)
            assert found[0] == pytest.approx(probability, rel=1e-9)


def test_a_long_click_is_a_click_and_a_hidden_item_has_no_other_action(world: World) -> None:
    click, long_click, save, hide = (_happened(world.ordinary, action).astype(bool) for action in ACTIONS)
    assert long_click.any()
    assert click[long_click].all()
    assert hide.any()
    assert not (click | save)[hide].any()


def test_any_is_click_or_save_and_the_average_over_moments_is_a_mixture(world: World) -> None:
    truth, rows = world.truth, world.ordinary.head(200)
    user, item, time = (rows[name].to_numpy() for name in ("user", "item", "asked"))
    one = {
        a: truth.outcome_probability(user, item, a, time, rows["moment"].to_numpy())
        for a in (*ACTIONS, "any")
    }
    stays = 1 - one["hide"]
    joint = stays * (1 - (1 - one["click"] / stays) * (1 - one["save"] / stays))
    np.testing.assert_allclose(one["any"], joint, rtol=1e-12)
    mixed = truth.outcome_probability(user, item, "save", time)
    by_topic = np.stack(
        [truth.outcome_probability(user, item, "save", time, topic) for topic in range(truth.config.n_topics)]
    )
    assert (mixed >= by_topic.min(0) - 1e-12).all()
    assert (mixed <= by_topic.max(0) + 1e-12).all()


def _rank_agreement(overlap: float) -> float:
    """Mean Spearman correlation over people between p(click) and p(save) of the items of one topic."""
    platform = build_platform(SimulationConfig(5_000, seed=4, n_items=600, outcome_overlap=overlap))
    people = platform.people(np.arange(30))
    rows, moment = np.arange(30), people["topics"][:, 0].copy()
    time = np.full(30, platform.config.end_ms)
    click, save = (
        catalogue_probabilities(
            people, rows, moment, time, ACTIONS.index(a), platform.catalogue, platform.choice, platform.policy
        )
        for a in ("click", "save")
    )
    inside = [platform.catalogue.items["topic"] == topic for topic in moment]
    return float(np.mean([stats.spearmanr(click[r, k], save[r, k]).statistic for r, k in enumerate(inside)]))


def test_clicks_and_saves_rank_items_differently_unless_one_factor_drives_both() -> None:
    apart, default, together = _rank_agreement(0.0), _rank_agreement(0.2), _rank_agreement(1.0)
    assert apart < default < together
    assert default < 0.6
    assert together > 0.85


def test_appeals_of_different_actions_correlate_as_configured(world: World) -> None:
    appeal = world.truth.catalogue.items["appeal"] * np.array([1, 1, 1, -1])
    correlation = np.corrcoef(appeal.T)[np.triu_indices(len(ACTIONS), 1)]
    np.testing.assert_allclose(correlation, world.truth.config.outcome_overlap, atol=0.13)


_POSITIVE = ACTIONS[:3]  # click, long_click, save: from common to rare


@pytest.fixture(scope="module")
def hits(world: World) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """HR@10 hits of rankers on the engagements of the last week (bool[T] each), and their strongest action."""
    truth = world.truth
    rows = world.ordinary.filter(pl.col("mask") & 7 != 0)
    wall = truth.config.end_ms - 7 * 86_400_000
    popular = np.bincount(
        rows.filter(pl.col("time") < wall)["item"].to_numpy(), minlength=truth.config.n_items
    )
    later = rows.filter(pl.col("time") >= wall)
    user, item, asked, moment = (later[name].to_numpy() for name in ("user", "item", "asked", "moment"))
    shown = truth.exposure_matrix(user, later["surface"].to_numpy(), asked, moment)
    scores = {a: shown * truth.outcome_matrix(user, a, asked, moment) for a in (*_POSITIVE, "any")}
    scores["popular"] = np.broadcast_to(popular, shown.shape)
    own = np.arange(len(item))
    # The target loses ties.
    hit = {name: (s >= s[own, item][:, None]).sum(1) <= 10 for name, s in scores.items()}
    mask = later["mask"].to_numpy()
    return hit, np.where(mask & 4, 2, np.where(mask & 2, 1, 0))


def test_the_oracle_is_far_ahead_of_popularity(hits: tuple[dict[str, np.ndarray], np.ndarray]) -> None:
    hit, _ = hits
    assert hit["any"].mean() > 5 * hit["popular"].mean()
    assert 0.3 < hit["any"].mean() < 0.95


def test_asking_for_an_outcome_lifts_it_and_lowers_the_others(
    hits: tuple[dict[str, np.ndarray], np.ndarray],
) -> None:
    """The outcome x outcome matrix of the oracle: a strong diagonal, and the rarer the outcome the larger its lift."""
    hit, strongest = hits
    lift = np.array(
        [
            [hit[a][strongest == k].mean() / hit["any"][strongest == k].mean() for k in range(3)]
            for a in _POSITIVE
        ]
    )
    assert (lift.argmax(0) == np.arange(3)).all()
    assert lift[0, 0] < lift[1, 1] < lift[2, 2]
    assert lift[2, 2] > 1.08
    assert lift[2, 0] < 0.85
