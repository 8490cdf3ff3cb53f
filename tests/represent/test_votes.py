"""Lists by votes, of the items of a history and of the lists near a user: formulas, limits, what they are for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.special import logsumexp

from bowerbird.learn.artifact import Artifact
from bowerbird.represent.config import OmniSageConfig
from bowerbird.represent.inference import voting
from bowerbird.represent.inference.opened import OpenOmniSage
from bowerbird.represent.inference.recommender import OmniSageRecommender, held_out_cases
from bowerbird.represent.inference.voting import item_votes, list_votes
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
    found = item_votes(items, item, mask, sharpness)
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
    whole = item_votes(items, item, mask, 10.0)
    monkeypatch.setattr(voting, "_BLOCK_BYTES", 4 * 50 * 3)
    np.testing.assert_allclose(item_votes(items, item, mask, 10.0), whole, atol=1e-6)


def test_two_tastes_are_not_what_lies_between_them() -> None:
    """Two clusters at right angles and a decoy between them: the mean of both tastes points at the decoy."""
    items = np.array([[1, 0.1, 0], [1, 0, 0.1], [0, 1, 0.1], [0.1, 1, 0], [1, 1, 0]], np.float32)
    items /= np.linalg.norm(items, axis=1, keepdims=True)
    history, mask = np.array([[0, 2]]), np.ones((1, 2), bool)
    mean = items[history[0]].mean(0) @ items.T
    assert mean.argmax() == 4
    asked = item_votes(items, history, mask, 10.0)[0]
    assert asked[1] > asked[4] and asked[3] > asked[4]


@given(st.integers(0, 10_000), st.floats(0.5, 40))
@settings(max_examples=40, deadline=None)
def test_near_lists_are_the_sum_written_out(seed: int, sharpness: float) -> None:
    rng = np.random.default_rng(seed)
    users, lists = unit(rng, 4), unit(rng, 9)
    held = rng.random((12, 9)) < 0.3
    own = np.array([0, 0, 2]), np.array([1, 5, 8])
    found = list_votes(users, lists, csr_array(held.astype(np.float32)), own, sharpness)
    for c in range(4):
        others = [x for x in range(9) if x not in own[1][own[0] == c]]
        weight = np.exp(sharpness * (lists[others].astype(np.float64) @ users[c]))
        share = np.array([weight[held[i, others]].sum() / weight.sum() for i in range(12)])
        np.testing.assert_allclose(found[c], np.log(share + 0.01), atol=2e-3)


def test_who_owns_every_list_hears_nobody() -> None:
    rng = np.random.default_rng(0)
    held = csr_array(np.ones((5, 2), np.float32))
    found = list_votes(unit(rng, 1), unit(rng, 2), held, (np.zeros(2, np.int64), np.arange(2)), 20.0)
    assert np.isfinite(found).all() and np.ptp(found) == 0


def test_what_near_lists_hold_comes_first() -> None:
    """Two items equally near to the user: the one that like-minded lists hold, not the one that others hold."""
    user, lists = np.array([[1, 0]], np.float32), np.array([[1, 0.1], [0, 1]], np.float32)
    lists /= np.linalg.norm(lists, axis=1, keepdims=True)
    held = csr_array(np.array([[0, 1], [1, 0]], np.float32))
    nobody = np.empty(0, np.int64), np.empty(0, np.int64)
    found = list_votes(user, lists, held, nobody, 20.0)[0]
    assert found[1] > found[0] + 3


def test_the_settings_reach_the_lists(artifact: Artifact, split: Split) -> None:
    opened = OpenOmniSage.open(artifact, split.valid)
    config = opened.config
    cases = held_out_cases(split.test, split.valid)
    alone = OmniSageRecommender(opened).scores(cases)
    history = cases.histories(config.history_length)
    extra = item_votes(opened.items, history.item, history.mask, config.vote_sharpness)
    asked = OmniSageRecommender(opened, votes_of=replace(config, votes=0.5)).scores(cases)
    np.testing.assert_allclose(asked, alone + 0.5 * extra, atol=1e-5)
    told = replace(artifact, config={**artifact.config, "votes": 0.5})
    assert OmniSageRecommender(OpenOmniSage.open(told, split.valid)).settings.votes == 0.5

    asked = OmniSageRecommender(opened, votes_of=replace(config, list_votes=0.5)).scores(cases)
    assert len(opened.collections), "the world of the tests has lists"
    held = np.zeros((len(opened.items), len(opened.collections)), np.float32)
    lists = opened.world.relations["collection-item"]
    for place in range(len(opened.collections)):
        held[lists.indices[int(lists.indptr[place]) : int(lists.indptr[place + 1])], place] = 1
    own = opened.world.lists_of(cases.user.astype(np.int64))
    assert len(own[0]), "some users own lists"
    users = opened.users(history)
    extra = list_votes(users, opened.collections, csr_array(held), own, config.list_sharpness)
    np.testing.assert_allclose(asked, alone + 0.5 * extra, atol=1e-5)
    assert np.ptp(extra) > 0


@pytest.mark.parametrize(
    "wrong", [{"votes": -1.0}, {"vote_sharpness": 0.0}, {"list_votes": -1.0}, {"list_sharpness": 0.0}]
)
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="votes"):
        OmniSageConfig(**wrong)
