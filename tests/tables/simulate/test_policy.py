"""The logging policy: its propensities are the probabilities it draws with, and support off-policy estimates."""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy import stats

from bowerbird.tables.simulate import SURFACES, SimulationConfig
from bowerbird.tables.simulate.behaviour.policy import catalogue_exposures, draw_item, shelf_at
from bowerbird.tables.simulate.behaviour.randomness import open_stream
from bowerbird.tables.simulate.behaviour.scene import fill_scene, new_scene
from bowerbird.tables.simulate.platform import build_platform

from .conftest import World


def _first_slots(world: World) -> tuple[pl.DataFrame, np.ndarray]:
    """First slots of requests, and which items (bool[R, I]) the policy could have put there."""
    rows = world.ordinary.with_row_index("at")
    first = rows.filter(pl.col("position") == 0).gather_every(4)
    room = min(world.truth.config.repeat_filter, int(world.truth.catalogue.live[0]) // 3)
    items = world.truth.catalogue.items
    period_ms = 6 * 3_600_000
    allowed = np.zeros((first.height, len(items)), bool)
    acted = rows.filter(pl.col("mask") != 0).group_by("user", maintain_order=True).agg("at", "item")
    history = {user: (np.array(at), np.array(item)) for user, at, item in acted.iter_rows()}
    for r, (at, user, asked) in enumerate(first.select("at", "user", "asked").iter_rows()):
        began = asked - (asked - world.truth.config.start_ms) % period_ms
        allowed[r] = items["created"] <= began
        if user in history:
            when, what = history[user]
            allowed[r, what[: np.searchsorted(when, at)][-room:]] = False
    return first, allowed


def test_what_the_mixture_draws_is_what_exposure_says() -> None:
    platform = build_platform(SimulationConfig(2_000, seed=6))
    people = platform.people(np.arange(3))
    time, n = platform.config.start_ms + 20 * 86_400_000, 30_000
    for surface in range(len(SURFACES)):
        moment = int(people["topics"][surface, 1])
        scene, state = new_scene(platform.config.n_topics), np.zeros(1, np.uint64)
        fill_scene(
            scene, people, surface, surface, moment, time, platform.catalogue.group, platform.catalogue.group_start,
            platform.policy,
        )  # fmt: skip
        shelf = shelf_at(time, surface, platform.catalogue, platform.policy)
        open_stream(state, 1, surface, 9)
        drawn = np.bincount(
            [draw_item(state, scene, shelf) for _ in range(n)], minlength=platform.config.n_items
        )
        one = (np.array([x]) for x in (surface, surface, moment, time))
        q = catalogue_exposures(people, *one, platform.catalogue, platform.policy)[0]
        assert abs(q.sum() - 1) < 1e-9
        assert not drawn[q == 0].any()
        often, seldom = n * q >= 5, (q > 0) & (n * q < 5)
        expected, found = n * q[often], drawn[often]
        if seldom.any():
            expected, found = np.append(expected, n * q[seldom].sum()), np.append(found, drawn[seldom].sum())
        assert stats.chisquare(found, expected).pvalue > 1e-4


def test_a_logged_propensity_is_the_exposure_renormalised_over_what_was_allowed(world: World) -> None:
    first, allowed = _first_slots(world)
    q = world.truth.exposure_matrix(first["user"].to_numpy(), first["surface"].to_numpy(), first["asked"].to_numpy(),
                                    first["moment"].to_numpy())  # fmt: skip
    np.testing.assert_allclose(q.sum(1), 1.0, rtol=1e-9)
    shown = first["item"].to_numpy()
    assert allowed[np.arange(len(shown)), shown].all()
    expected = q[np.arange(len(shown)), shown] / (q * allowed).sum(1)
    np.testing.assert_allclose(first["propensity"].to_numpy(), expected, rtol=1e-8)


def test_later_slots_leave_out_the_earlier_ones(world: World) -> None:
    request = world.ordinary.group_by("request_id").agg(
        pl.len(), pl.col("item").n_unique().alias("different")
    )
    assert (request["len"] == request["different"]).all()
    first, allowed = _first_slots(world)
    q = world.truth.exposure_matrix(
        first["user"].to_numpy(),
        first["surface"].to_numpy(),
        first["asked"].to_numpy(),
        first["moment"].to_numpy(),
    )
    slates = {key[0]: rows for key, rows in world.ordinary.partition_by("request_id", as_dict=True).items()}
    for r in range(0, first.height, 20):
        slate = slates[first["request_id"][r]].sort("position")
        shown = q[r, slate["item"].to_numpy()]
        left = (q[r] * allowed[r]).sum() - np.concatenate([[0.0], np.cumsum(shown)[:-1]])
        np.testing.assert_allclose(slate["propensity"].to_numpy(), shown / left, rtol=1e-8)


def test_inverse_propensities_recover_the_number_of_items_and_the_value_of_other_policies(
    world: World,
) -> None:
    first, allowed = _first_slots(world)
    user, shown, asked = (first[name].to_numpy() for name in ("user", "item", "asked"))
    weight, r = 1 / first["propensity"].to_numpy(), np.arange(len(shown))
    size = allowed.sum(1)
    assert _z(weight - size) < 4
    save = world.truth.outcome_matrix(user, "save", asked, first["moment"].to_numpy())
    reward = first["mask"].to_numpy() >> 2 & 1
    # A policy that shows any allowed item evenly, and one that favours items with a strong pull to save.
    appeal = np.exp(world.truth.catalogue.items["appeal"][:, 2])
    for target in (allowed / size[:, None], allowed * appeal / (allowed * appeal).sum(1, keepdims=True)):
        estimate = reward * target[r, shown] * weight
        assert _z(estimate - (target * save).sum(1)) < 4
    assert ((allowed * appeal * save).sum(1) / (allowed * appeal).sum(1)).mean() > 1.3 * save[allowed].mean()


def _z(differences: np.ndarray) -> float:
    return float(abs(differences.mean()) / (differences.std() / np.sqrt(len(differences))))
