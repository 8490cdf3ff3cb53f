"""Rankers: they learn what there is to learn, never look past the wall, and say what they need."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bowerbird.evaluate.rankers import RANKERS, fitted_rankers
from bowerbird.evaluate.slates import Ranker, check_scores, rank_compare, slate_cases
from bowerbird.tables.errors import ConfigError
from bowerbird.tables.view import TimeWall, View
from bowerbird.tables.view.leaks.audit import audit
from evaluate.slates.world import platform

WALL = 3_500_000
QUICK = {
    "gbdt": {"trees": 40, "parameters": {"min_data_in_leaf": 20, "num_leaves": 7}},
    "attention": {"dim": 16, "width": 32, "length": 10, "epochs": 5, "batch_size": 32, "rate": 1e-2},
    "hstu": {"dim": 16, "width": 32, "length": 10, "epochs": 5, "batch_size": 32, "rate": 1e-2},
}
NEEDS = {"gbdt": "lightgbm", "logistic": "sklearn"}


def make(name):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    return RANKERS[name](**QUICK.get(name, {}))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return platform(tmp_path_factory.mktemp("rankers"), n_slates=250, n_users=15, n_items=30, size=5)


@pytest.fixture(scope="module")
def views(store):
    train = View(store, TimeWall(WALL))
    return View(store), train


@pytest.fixture(scope="module")
def cases(views):
    return slate_cases(views[0], views[1])


@pytest.fixture(scope="module")
def clear(tmp_path_factory):
    """Training, tuning and test views of a world where tastes are plain."""
    folder = tmp_path_factory.mktemp("clear")
    store = platform(folder, n_slates=1300, n_users=15, n_items=30, size=5, like=(0.9, 0.05))
    return View(store, TimeWall(20_000_000)), View(store, TimeWall(22_000_000)), View(store)


@pytest.mark.parametrize("name", RANKERS)
def test_a_ranker_learns_tastes_and_says_true_probabilities(name, clear):
    train, valid, test = clear
    cases = slate_cases(test, valid)
    ranker = make(name).fit(train, valid=valid, seed=0)
    assert isinstance(ranker, Ranker) and ranker.is_baseline
    scores = ranker.score(cases)
    check_scores(scores, cases, name=name)
    assert scores.dtype == np.float32
    table = rank_compare([ranker], cases, resamples=20)
    area = table.value(ranker.name, "click", "slate_auc").mean
    said = table.value(ranker.name, "click", "calibration").mean
    # Every user likes one of three kinds of items: an item's rate knows nothing of that, the user's history does.
    assert (0.4 < area < 0.75) if name == "popularity" else area > 0.8
    assert 0.75 < said < 1.3
    same = ranker.score(cases.subset(slice(5, 9)))
    rows = slice(cases.offsets[5], cases.offsets[9])
    np.testing.assert_allclose(
        same, scores[rows], atol=2e-6
    )  # a slate's scores do not depend on other slates


@pytest.mark.parametrize("name", RANKERS)
def test_another_future_changes_no_score(name, store, cases):
    few = cases.subset(slice(0, 12))
    if name in ("attention", "hstu"):
        fast = QUICK[name] | {"epochs": 1}

        def read(view):
            return RANKERS[name](**fast).fit(view).score(few)
    else:

        def read(view):
            return make(name).fit(view).score(few)

    audit(read, store, TimeWall(WALL), worlds=("scrambled", "crowded")).demand()


@pytest.mark.parametrize("name", RANKERS)
def test_labels_positions_and_the_slate_itself_are_not_read(name, views, cases):
    if name in ("attention", "hstu"):
        ranker = RANKERS[name](**QUICK[name] | {"epochs": 1}).fit(views[1])
    else:
        ranker = make(name).fit(views[1])
    blind = replace(cases, actions=np.zeros_like(cases.actions), position=np.full_like(cases.position, 3))
    assert (ranker.score(blind) == ranker.score(cases)).all()


@pytest.mark.parametrize("name", ["gbdt", "attention"])
def test_a_later_view_decides_when_to_stop_and_teaches_nothing(name, store):
    early, late = View(store, TimeWall(2_500_000)), View(store, TimeWall(WALL))
    cases = slate_cases(View(store), late).sample(10, 0)
    ranker = make(name).fit(early, valid=late, seed=1)
    again = make(name).fit(early, valid=late, seed=1)
    assert (ranker.score(cases) == again.score(cases)).all() and ranker.note == again.note
    other = make(name).fit(early, valid=late, seed=2)
    assert not (ranker.score(cases) == other.score(cases)).all()


def test_counts_that_are_not_live_stop_at_the_wall(views):
    ranker = RANKERS["popularity"]().fit(views[1])
    stale = slate_cases(*views, live=False)
    found = ranker.score(stale)
    for item in np.unique(stale.item):
        assert len(np.unique(found[stale.item == item], axis=0)) == 1
    live = ranker.score(slate_cases(*views))
    assert len(np.unique(live[:, 0])) > len(np.unique(found[:, 0]))


def test_all_rankers_in_one_call_with_seeds(views, cases):
    said = []
    fitted = fitted_rankers(
        views[1],
        ["popularity", "attention"],
        seeds=(0, 1),
        settings={"attention": QUICK["attention"] | {"epochs": 1}},
        on_progress=said.append,
    )
    assert [ranker.name for ranker in fitted] == ["Popularity", *["Target attention + DCN v2"] * 2]
    assert len(said) == 3 and "seed 1" in said[2]
    assert rank_compare(fitted, cases, resamples=5).result("Target attention + DCN v2").n_seeds == 2


def test_bad_requests_are_named(views, store):
    with pytest.raises(ConfigError, match=r"unknown ranker 'gdbt'.*gbdt"):
        fitted_rankers(views[1], ["gdbt"])
    with pytest.raises(ConfigError, match="at least one seed"):
        fitted_rankers(views[1], ["popularity"], seeds=())
    with pytest.raises(ConfigError, match="width=6"):
        RANKERS["hstu"](width=6)
    with pytest.raises(ConfigError, match="keep_empty=0"):
        RANKERS["hstu"](keep_empty=0)
    with pytest.raises(ConfigError, match="strengths"):
        RANKERS["popularity"](strengths=())
    for name in ("popularity", "attention"):
        with pytest.raises(ConfigError, match="learns from slates"):
            make(name).fit(View(store, TimeWall(0)))
