"""Live next-item counts and the blend: strictly the past, known answers, and serving equal to scanning."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bowerbird.evaluate.metrics.ranks import target_ranks
from bowerbird.evaluate.protocols import next_event_cases
from bowerbird.learn.artifact import Artifact
from bowerbird.learn.run import Run
from bowerbird.recommend.config import PinRecConfig
from bowerbird.recommend.inputs.blend import Blend, Questions, softmax_regression
from bowerbird.recommend.inputs.transitions import RHO, Transitions
from bowerbird.recommend.inputs.trends import DenseTrends
from bowerbird.recommend.learner import PinRecLearner
from bowerbird.recommend.retrieval.generation import Plan
from bowerbird.recommend.retrieval.opened import OpenPinRec
from bowerbird.recommend.retrieval.recommender import PinRecRecommender
from bowerbird.recommend.retrieval.retriever import Retriever
from bowerbird.tables.errors import ConfigError
from bowerbird.tables.store import Store, build_store
from bowerbird.tables.view import TimeWall, View

MINUTE, HOUR = 60_000, 3_600_000
KAPPA = 2.0
HALF_LIVES = (0.5, 3.0)
WALL = 48 * HOUR

Row = tuple[str, str, int, str, list[str]]


def store_of(folder: Path, rows: list[Row]) -> Store:
    names = ["user_id", "item_id", "timestamp", "request_id", "actions"]
    events = pl.DataFrame(rows, schema=names, orient="row")
    return build_store(folder, {"events": events}, actions=["click"], slate_rule="given", dataset="live")


@settings(max_examples=25, deadline=None)
@given(
    clicks=st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 400), st.integers(0, 1)),
        min_size=2,
        max_size=25,
    ),
    minute=st.integers(0, 420),
)
def test_values_equal_brute_force_over_strictly_earlier_steps(
    tmp_path_factory: pytest.TempPathFactory, clicks: list[tuple[int, int, int, int]], minute: int
) -> None:
    rows: list[Row] = [
        (f"u{u}", f"i{i}", t * MINUTE + 7, f"u{u} s{s}", ["click"]) for u, i, t, s in dict.fromkeys(clicks)
    ]
    view = View(store_of(tmp_path_factory.mktemp("live") / "store", rows))
    log = view.positives
    # questions fall on grid times, so an answer is exact up to that moment
    now = minute * MINUTE
    counts: dict[tuple[int, int], np.ndarray] = {}
    for n in range(1, len(log.user)):
        same = log.user[n] == log.user[n - 1] and log.request[n] == log.request[n - 1]
        if same and log.item[n] != log.item[n - 1] and log.time[n] < now:
            pair = int(log.item[n - 1]), int(log.item[n])
            weight = 0.5 ** ((now - int(log.time[n])) / (np.array(HALF_LIVES) * HOUR))
            counts[pair] = counts.get(pair, np.zeros(2)) + weight
    expected = {}
    for (before, after), count in counts.items():
        away = sum((c for (other, _), c in counts.items() if other == before), np.zeros(2))
        if (count > 1e-3).any():
            expected[before, after] = (count / (away + KAPPA)).mean()
    last = np.arange(view.n_items)
    found = Transitions(view, HALF_LIVES, kappa=KAPPA).after(last, np.full(len(last), now))
    got = dict(zip(zip(found.row.tolist(), found.item.tolist(), strict=True), found.share_X, strict=True))
    assert got.keys() == expected.keys()
    for pair, value in expected.items():
        np.testing.assert_allclose(got[pair], value, rtol=1e-4, atol=1e-5)


def test_a_step_is_unknown_at_its_own_moment_and_an_empty_history_has_no_successors(tmp_path: Path) -> None:
    rows: list[Row] = [("u", "a", 5 * MINUTE, "s", ["click"]), ("u", "b", 6 * MINUTE, "s", ["click"])]
    view = View(store_of(tmp_path / "store", rows))
    a = int(view.item_ids.encode(["a"])[0])
    found = Transitions(view, (1.0,)).after(
        np.array([a, a, -1]), np.array([6 * MINUTE, 7 * MINUTE, 7 * MINUTE])
    )
    assert found.row.tolist() == [1]


@given(seed=st.integers(0, 50))
@settings(max_examples=5, deadline=None)
def test_the_regression_recovers_a_planted_mixture(seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    planted = torch.tensor([0.8, -1.2, 1.5])
    signals = torch.randn(3, 4000, 12, generator=rng)
    barred = torch.stack([torch.arange(4000), torch.randint(0, 12, (4000,), generator=rng)], dim=1)
    logits = torch.tensordot(planted, signals, dims=1)
    logits[barred[:, 0], barred[:, 1]] = float("-inf")
    target = torch.multinomial(logits.softmax(dim=1), 1, generator=rng)[:, 0]
    parts = [
        Questions(signals[:, :1500], target[:1500], barred[:1500]),
        Questions(signals[:, 1500:], target[1500:], barred[1500:] - torch.tensor([1500, 0])),
    ]
    found = softmax_regression(lambda: parts, torch.zeros(3), l2=1e-3)
    torch.testing.assert_close(found, planted, atol=0.12, rtol=0)
    # the pull decides where there is nothing to learn from
    assert torch.equal(softmax_regression(list, planted, l2=1.0), planted)


def test_shares_and_gain_are_the_log_of_the_interpolated_chain(drifting: Store) -> None:
    """log p + gain = log(p + rho * s), with p summing to one and nothing but live events in it."""
    view = View(drifting)
    now = 30 * HOUR
    trends = DenseTrends(view, (1.0, 4.0), 10.0, start=now, stop=now)
    share_I = trends.shares(torch.tensor([0]))[0].numpy()
    assert share_I.sum() == pytest.approx(1.0, abs=1e-4)
    found = Transitions(view, (1.0,)).after(np.arange(12), np.full(12, now))
    p, gain = share_I[found.item], found.gain(share_I[found.item])
    np.testing.assert_allclose(np.log(p) + gain, np.log(p + RHO * found.share_X), atol=1e-5)
    assert found.share_X.min() > 0 and np.bincount(found.row, found.share_X).max() < 1


def test_a_blend_survives_json() -> None:
    blend = Blend(0.5, (0.1, 0.2), share=0.3, steps=0.7)
    assert Blend.from_dict(blend.to_dict()) == blend
    again = blend.like(blend.vector())
    assert again.trends == pytest.approx((0.1, 0.2)) and again.steps == pytest.approx(0.7)


def _drifting(folder: Path) -> Store:
    """Every six hours a new permutation decides what follows an item: only live counts can know it."""
    rng = np.random.default_rng(3)
    rows: list[Row] = []
    for hour in range(60):
        successor = (np.arange(12) + 1 + hour // 6) % 12
        for visit in range(24):
            item, start = int(rng.integers(12)), hour * HOUR + int(rng.integers(50)) * MINUTE
            for step in range(3):
                rows.append(
                    (f"u{hour}-{visit}", f"i{item}", start + step * MINUTE, f"{hour}-{visit}", ["click"])
                )
                item = int(successor[item])
    return store_of(folder, rows)


@pytest.fixture(scope="module")
def drifting(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return _drifting(tmp_path_factory.mktemp("drifting") / "store")


@pytest.fixture(scope="module")
def live(drifting: Store, tiny: PinRecConfig) -> Artifact:
    config = replace(
        tiny, epochs=2, trend_half_lives_hours=(1.0,), trend_step_minutes=10.0,
        transition_half_lives_hours=(1.0, 8.0), blend_hours=12.0,
    )  # fmt: skip
    return PinRecLearner(config).fit(View(drifting, TimeWall(WALL)), run=Run(quiet=True, seed=0))


def test_live_successors_solve_a_world_that_drifts(drifting: Store, live: Artifact) -> None:
    view, before = View(drifting), View(drifting, TimeWall(WALL))
    cases = next_event_cases(view, before, same_session_only=True, limit=300)
    settled = cases.subset((cases.time // HOUR) % 6 >= 2)
    opened = OpenPinRec.open(live, view)
    ranks = target_ranks(PinRecRecommender(opened, "live").recommend(settled, 3), settled)
    opened.blend = None
    without = target_ranks(PinRecRecommender(opened, "network").recommend(settled, 3), settled)
    assert (ranks == 0).mean() > 0.9 and (without == 0).mean() < 0.5
    assert live.facts["network_wall"] != live.facts["wall"] and live.facts["blend_cases"] > 100


def test_a_saved_blend_answers_the_same(drifting: Store, live: Artifact, tmp_path: Path) -> None:
    live.save(tmp_path / "artifact")
    view = View(drifting)
    cases = next_event_cases(view, View(drifting, TimeWall(WALL)), same_session_only=True, limit=40)
    one, two = (
        PinRecRecommender(OpenPinRec.open(artifact, view), "m").recommend(cases, 5)
        for artifact in (live, Artifact.load(tmp_path / "artifact"))
    )
    assert np.array_equal(one.items, two.items) and np.array_equal(one.scores, two.scores)


def test_the_index_and_the_full_scan_agree_with_live_signals(drifting: Store, live: Artifact) -> None:
    view = View(drifting, TimeWall(WALL))
    opened = OpenPinRec.open(live, view)
    assert opened.blend is not None
    retriever = Retriever(opened)
    users = np.arange(30, dtype=np.int32)
    tokens = opened.histories(users)
    barred = [np.array([user % 12]) for user in users]
    allowed = np.array([0, 1, 2, 3, 5, 6, 7, 9, 10, 11])
    now = np.full(30, view.end_time)
    found = retriever.fetch(tokens, Plan(), 5, surface=np.ones(30), time=now, allowed=allowed, exclude=barred)
    trends, steps = (
        of(view, view.end_time, view.end_time) for of in (opened.trends_for, opened.transitions_for)
    )
    assert steps is not None
    last = tokens.item[torch.arange(30), tokens.lengths - 1].numpy()
    logits = opened.logits(
        found.generated.vectors_BME[:, 0], torch.from_numpy(now), trends, steps.after(last, now)
    )
    kept = torch.full((30, 12), float("-inf"))
    kept[:, torch.from_numpy(allowed)] = 0.0
    kept[torch.arange(30), torch.from_numpy(users.astype(np.int64)) % 12] = float("-inf")
    scores, items = (logits + kept).topk(5)
    for b, merged in enumerate(found.merged):
        assert merged.item.tolist() == items[b].tolist()
        np.testing.assert_allclose(merged.score, scores[b], atol=1e-4)


def test_live_signals_are_off_by_default_and_refused_without_a_blend(
    drifting: Store, tiny: PinRecConfig
) -> None:
    assert PinRecConfig().transition_half_lives_hours == () and PinRecConfig().blend_hours == 0.0
    view = View(drifting, TimeWall(WALL))
    plain = PinRecLearner(replace(tiny, epochs=1)).fit(view, run=Run(quiet=True, seed=0))
    assert "blend" not in plain.facts and OpenPinRec.open(plain, view).blend is None
    with pytest.raises(ConfigError, match="needs blend_hours"):
        PinRecLearner(replace(tiny, transition_half_lives_hours=(1.0,))).fit(view)
