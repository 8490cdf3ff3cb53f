"""There is something to learn: knowing people beats popularity, and knowing the wanted outcome beats not knowing it."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from tests.tables.simulate.conftest import World

from bowerbird.tables.simulate import ACTIONS

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
