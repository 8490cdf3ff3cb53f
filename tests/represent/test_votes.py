"""Lists by votes of the items of a history: the formula, its limits, and what it is for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp

from bowerbird.learn.artifact import Artifact
from bowerbird.represent.config import OmniSageConfig
from bowerbird.represent.inference import recommender
from bowerbird.represent.inference.opened import OpenOmniSage
from bowerbird.represent.inference.recommender import OmniSageRecommender, held_out_cases, votes
from bowerbird.tables.errors import ConfigError
from bowerbird.tables.view import Split


def unit(rng: np.random.Generator, count: int, dim: int = 8) -> np.ndarray:
    vectors = rng.normal(size=(count, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def histories(rng: np.random.Generator, cases: int, length: int, items: int) -> tuple[np.ndarray, np.ndarray]:
    real = rng.integers(0, length + 1, cases)
    return rng.integers(0, items, (cases, length)), np.arange(length) < real[:, None]


@given(st.integers(0, 10_000), st.floats(0.5, 40))
@settings(max_examples=40, deadline=None)
def test_it_is_the_sum_written_out(seed: int, sharpness: float) -> None:
    rng = np.random.default_rng(seed)
    items = unit(rng, 30)
    item, mask = histories(rng, 5, 6, 30)
    found = votes(items, item, mask, sharpness)
    for row, (ids, real) in enumerate(zip(item, mask, strict=True)):
        if not real.any():
            assert np.ptp(found[row]) == 0, "nobody votes: no opinion"
            continue
        cosine = items[ids[real]].astype(np.float64) @ items.T.astype(np.float64) - 1
        expected = logsumexp(sharpness * cosine, axis=0) / sharpness
        np.testing.assert_allclose(found[row], expected, atol=2e-4)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    items = unit(rng, 50)
    item, mask = histories(rng, 20, 10, 50)
    whole = votes(items, item, mask, 10.0)
    monkeypatch.setattr(recommender, "_BLOCK_BYTES", 4 * 50 * 3)
    np.testing.assert_allclose(votes(items, item, mask, 10.0), whole, atol=1e-6)


def test_two_tastes_are_not_what_lies_between_them() -> None:
    """Two clusters at right angles and a decoy between them: the mean of both tastes points at the decoy."""
    items = np.array([[1, 0.1, 0], [1, 0, 0.1], [0, 1, 0.1], [0.1, 1, 0], [1, 1, 0]], np.float32)
    items /= np.linalg.norm(items, axis=1, keepdims=True)
    history, mask = np.array([[0, 2]]), np.ones((1, 2), bool)
    mean = items[history[0]].mean(0) @ items.T
    assert mean.argmax() == 4
    asked = votes(items, history, mask, 10.0)[0]
    assert asked[1] > asked[4] and asked[3] > asked[4]


def test_the_setting_reaches_the_lists(artifact: Artifact, split: Split) -> None:
    opened = OpenOmniSage.open(artifact, split.valid)
    cases = held_out_cases(split.test, split.valid)
    alone = OmniSageRecommender(opened).scores(cases)
    history = cases.histories(opened.config.history_length)
    extra = votes(opened.items, history.item, history.mask, opened.config.vote_sharpness)
    np.testing.assert_allclose(
        OmniSageRecommender(opened, votes=0.5).scores(cases), alone + 0.5 * extra, atol=1e-5
    )
    told = replace(artifact, config={**artifact.config, "votes": 0.5})
    assert OmniSageRecommender(OpenOmniSage.open(told, split.valid)).votes == 0.5


@pytest.mark.parametrize("wrong", [{"votes": -1.0}, {"vote_sharpness": 0.0}])
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="vote"):
        OmniSageConfig(**wrong)
