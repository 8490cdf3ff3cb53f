"""Content cosine, personalised PageRank and LightGCN on stores whose answer is known by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from bowerbird.evaluate import future_cases, tune
from bowerbird.evaluate.baselines import ContentCosine, LightGCN, PageRank
from bowerbird.evaluate.baselines.content import content_matrix
from bowerbird.evaluate.metrics.ranks import target_ranks
from bowerbird.tables.errors import ConfigError
from bowerbird.tables.store import Store, build_store
from bowerbird.tables.view import View

WALL = 1000


def two_topics(folder: Path, *, links: bool = True) -> Store:
    """Users of two topics; items 8 and 9, one of each, are kept by nobody before the wall, but cited and titled."""
    rng = np.random.default_rng(0)
    rows = []
    for user in range(30):
        for place, item in enumerate(rng.permutation(np.arange(user % 2, 8, 2))[:3]):
            rows.append((f"u{user}", int(item), 10 * place, ["save"]))
        rows.append((f"u{user}", 8 + user % 2, WALL + user, ["save"]))
    events = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp", "actions"], orient="row")
    tables = {
        "events": events,
        "items": pl.DataFrame(
            {
                "item_id": list(range(11)),
                "title": [["red fox", "blue whale"][i % 2] for i in range(10)] + [None],
                "kind": [["land"], ["sea"]] * 5 + [[]],
                "look": [[1.0, float(i % 2)] for i in range(10)] + [None],
            }
        ),
    }
    if links:
        tables["links"] = pl.DataFrame(
            {
                "source_type": "item", "target_type": "item", "relation": "cites",
                "source_id": ["8", "9", "8"], "target_id": ["0", "1", "8"],
            }
        )  # fmt: skip
    return build_store(
        folder / "store", tables, actions=["save"],
        item_roles={"title": "title", "kind": "categories", "look": "vector"}, slate_rule="none", dataset="topics",
    )  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return two_topics(tmp_path_factory.mktemp("topics"))


@pytest.mark.parametrize("baseline", [ContentCosine(), PageRank(), PageRank(restart=0.5, hub_penalty=0.5)])
def test_cold_items_of_the_right_topic_come_first(store: Store, baseline: ContentCosine | PageRank) -> None:
    cases = future_cases(View(store), View(store, WALL))
    ranks = target_ranks(baseline.fit(View(store, WALL)).recommend(cases, 10), cases)
    assert (ranks <= 2).all(), "only the one unseen item of the topic and the target itself are left of it"


def test_without_links_the_walk_knows_no_cold_item(tmp_path: Path) -> None:
    store = two_topics(tmp_path, links=False)
    cases = future_cases(View(store), View(store, WALL))
    scores = PageRank().fit(View(store, WALL)).scores(cases)
    assert np.isneginf(scores[:, 8:]).all()


def test_content_rows_are_unit_and_silent_items_zero(store: Store) -> None:
    rows = content_matrix(View(store)).toarray()
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), [1.0] * 10 + [0.0], atol=1e-6)
    same = rows @ rows.T
    assert same[0, 2] > 0.99 and same[0, 1] < same[0, 2]


def test_content_does_not_know_behaviour(store: Store) -> None:
    cases = future_cases(View(store), View(store, WALL))
    early, late = (ContentCosine().fit(View(store, wall)).scores(cases) for wall in (10, WALL))
    np.testing.assert_array_equal(early, late)


@pytest.mark.parametrize("negatives", [1, 8])
def test_lightgcn_learns_the_topics(tmp_path: Path, negatives: int) -> None:
    store = two_topics(tmp_path)
    model = LightGCN(factors=8, layers=2, epochs=60, learning_rate=0.05, negatives=negatives).fit(
        View(store, WALL)
    )
    cases = future_cases(View(store), View(store, WALL))
    scores = np.array(model.scores(cases))
    own = np.isfinite(scores) & (np.arange(11) % 2 == cases.user[:, None] % 2)
    other = np.isfinite(scores) & ~own
    assert np.where(own, scores, np.inf).min(1).mean() > np.where(other, scores, -np.inf).max(1).mean()
    assert np.isneginf(scores[:, 8:]).all(), "it has no vector for an item nobody kept"


def test_lightgcn_repeats_with_its_seed(store: Store) -> None:
    cases = future_cases(View(store), View(store, WALL))
    fits = [
        LightGCN(factors=4, epochs=2, seed=seed).fit(View(store, WALL)).scores(cases) for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(fits[0], fits[1])
    assert not np.array_equal(fits[0], fits[2])


def test_lightgcn_folds_strangers_in(store: Store) -> None:
    cases = future_cases(View(store), View(store, WALL), min_history=0)
    model = LightGCN(factors=8, epochs=40, learning_rate=0.05).fit(
        View(store, 1)
    )  # only everybody's first item
    model._trained[:] = False
    assert np.isfinite(model.scores(cases)[:, :8]).any()


@pytest.mark.parametrize("name", ["content", "pagerank", "lightgcn"])
def test_they_are_tuned_like_the_others(store: Store, name: str) -> None:
    cases = future_cases(View(store), View(store, WALL))
    grid = {
        "lightgcn": {"layers": (1, 2)},
        "content": {"decay": (1.0, 0.5)},
        "pagerank": {"restart": (0.2, 0.5)},
    }
    fixed = {"epochs": 2, "factors": 4} if name == "lightgcn" else {}
    found = tune(name, View(store, WALL), cases, metric="recall@5", grid=grid[name], fixed=fixed)
    assert len(found.tried) == 2 and found.score == max(score for _, score in found.tried)


def test_settings_that_make_no_sense() -> None:
    for make in (
        lambda: ContentCosine(decay=0), lambda: PageRank(restart=1.0), lambda: PageRank(steps=0),
        lambda: LightGCN(layers=0), lambda: LightGCN(regularization=-1),
    ):  # fmt: skip
        with pytest.raises(ConfigError):
            make()
