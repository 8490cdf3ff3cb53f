"""Each baseline against its definition on small worlds; what all share: full lists, the seen rule, no look ahead."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from bowerbird.evaluate import (
    Ranking,
    check_ranking,
    fitted_baselines,
    future_cases,
    leave_last_out_cases,
    next_event_cases,
    positives,
    tune,
)
from bowerbird.evaluate.baselines import (
    BASELINES,
    EASE,
    IALS,
    ItemKNN,
    Markov,
    Popularity,
    RecentMarkov,
    RecentPopularity,
    backfill,
)
from bowerbird.tables.errors import ConfigError
from bowerbird.tables.view import LastOut, TimeWall, View
from evaluate.world import make_store, random_store

SMALL = {
    "recent": {"window": (50, 200)},
    "itemknn": {"neighbours": (5,), "shrink": (0.0,), "decay": (1.0, 0.5)},
    "ease": {"penalty": (5.0,), "decay": (1.0,)},
    "ials": {"factors": (4,), "regularization": (1.0,), "alpha": (2.0,)},
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    store = random_store(tmp_path_factory.mktemp("baselines"), n_users=30, n_items=14, n_events=500)
    return View(store), View(store, TimeWall(700)), View(store, TimeWall(450))


def dense(view):
    """Users x items, 1 where the user acted positively."""
    log = positives(view)
    matrix = np.zeros((view.n_users, view.n_items))
    matrix[log.user, log.item] = 1
    return matrix


def profiles(cases):
    matrix = np.zeros((len(cases), cases.n_items))
    for case, found in enumerate(cases.profiles().lists()):
        matrix[case, found] = 1
    return matrix


def ordered(scores, seen):
    """Items by (-score, id) without seen ones; the plain definition of a list."""
    return [item for item in sorted(range(len(scores)), key=lambda i: (-scores[i], i)) if item not in seen]


@pytest.mark.parametrize("name", sorted(BASELINES))
@pytest.mark.parametrize("build", [future_cases, next_event_cases])
def test_every_baseline_gives_full_lists_that_keep_the_contract(world, name, build):
    view, earlier, _ = world
    cases = build(view, earlier)
    kind = BASELINES[name]
    settings = {key: values[0] for key, values in SMALL.get(name, {}).items()}
    model = kind(**settings).fit(earlier)
    k = 9
    ranking = model.recommend(cases, k)
    check_ranking(ranking, cases, k, name=name)
    unseen = cases.n_items - np.array([len(np.unique(found)) for found in cases.seen().lists()])
    np.testing.assert_array_equal((ranking.items >= 0).sum(axis=1), np.minimum(unseen, k))
    parts = [model.recommend(part, k).items for part in cases.chunks(3)]
    np.testing.assert_array_equal(np.concatenate(parts), ranking.items)
    assert (model.recommend(cases, 40).items >= 0).sum(axis=1).tolist() == unseen.tolist()


@pytest.mark.parametrize("name", sorted(BASELINES))
def test_no_baseline_looks_past_the_wall(name, tmp_path):
    """Other events after the wall, same events before it: the lists must not change."""
    before = [(f"u{u}", (u * s) % 7, 10 * s + u) for u in range(6) for s in range(1, 4)]
    after = [[(f"u{u}", (u + shift) % 9, 500 + u) for u in range(6)] for shift in (1, 4)]
    lists = []
    for place, future in enumerate(after):
        (tmp_path / str(place)).mkdir()
        store = make_store(tmp_path / str(place), before + future, n_items=9)
        earlier = View(store, TimeWall(400))
        cases = future_cases(View(store), earlier, exclude_seen=False)
        settings = {key: values[0] for key, values in SMALL.get(name, {}).items()}
        lists.append(BASELINES[name](**settings).fit(earlier).recommend(cases, 5).items)
    np.testing.assert_array_equal(lists[0], lists[1])


def test_popularity(world):
    view, earlier, _ = world
    cases = future_cases(view, earlier)
    counts = positives(earlier).item_count
    ranking = Popularity().fit(earlier).recommend(cases, 5)
    for case, seen in enumerate(cases.seen().lists()):
        assert ranking.items[case].tolist() == ordered(counts, set(seen.tolist()))[:5]


@pytest.mark.parametrize("build", [future_cases, next_event_cases])
def test_recent_popularity_counts_the_window_before_each_case(world, build):
    view, earlier, _ = world
    cases = build(view, earlier)
    log = positives(view if cases.live else earlier)
    window = 120
    ranking = RecentPopularity(window=window).fit(earlier).recommend(cases, 20)
    popular = positives(earlier).item_count
    for case, seen in enumerate(cases.seen().lists()):
        now = cases.time[case]
        inside = (log.time < now) & (log.time >= now - window)
        recent = np.bincount(log.item[inside], minlength=cases.n_items)
        first = [item for item in ordered(recent, set(seen.tolist())) if recent[item]]
        rest = [item for item in ordered(popular, set(seen.tolist())) if item not in first]
        expected = (first + rest)[:20]
        assert ranking.items[case].tolist() == expected + [-1] * (20 - len(expected))


def test_leave_last_out_does_not_count_what_others_hold_out(tmp_path):
    rows = [("a", 0, 1), ("a", 1, 2), ("b", 2, 1), ("b", 3, 5), ("c", 3, 1), ("c", 0, 2), ("c", 1, 9)]
    store = make_store(tmp_path, rows, n_items=5)
    earlier = View(store, LastOut(1))
    cases = leave_last_out_cases(View(store), earlier, exclude_seen=False)
    ranking = RecentPopularity(window=100).fit(earlier).recommend(cases, 5)
    # Before b's time stand a0, b2, c3, c0; a's own last event (item 1) is held out.
    b = cases.view.user_ids.decode(cases.user).index("b")
    assert ranking.scores[b, :3].tolist() == [2, 1, 1] and ranking.items[b, :3].tolist() == [0, 2, 3]


@pytest.mark.parametrize("symmetric", [False, True])
def test_markov_counts_what_follows_the_last_item(world, symmetric):
    view, earlier, _ = world
    cases = future_cases(view, earlier, exclude_seen=False)
    steps = np.zeros((view.n_items, view.n_items))
    log = positives(earlier)
    for user in range(view.n_users):
        history = log.item[log.user == user]
        for one, other in pairwise(history):
            if one != other:
                steps[one, other] += 1
                steps[other, one] += symmetric
    ranking = Markov(symmetric=symmetric).fit(earlier).recommend(cases, 30)
    popular = positives(earlier).item_count
    for case, seen in enumerate(cases.seen().lists()):
        counts = steps[cases.profiles().of(case)[-1]]
        first = [item for item in ordered(counts, set(seen.tolist())) if counts[item]]
        rest = [item for item in ordered(popular, set(seen.tolist())) if item not in first]
        found = [item for item in ranking.items[case].tolist() if item >= 0]
        assert found == first + rest


def test_item_knn_is_shrunk_cosine_over_the_nearest_neighbours(world):
    view, earlier, _ = world
    cases = future_cases(view, earlier, exclude_seen=False)
    users = dense(earlier)
    together, size = users.T @ users, users.sum(axis=0)
    similar = together / (np.sqrt(np.outer(size, size)) + 2.0)
    np.fill_diagonal(similar, 0)
    for row in similar:
        row[ordered(row, set())[4:]] = 0
    model = ItemKNN(neighbours=4, shrink=2.0).fit(earlier)
    np.testing.assert_allclose(model._similar.toarray(), similar, rtol=1e-5)
    scores = profiles(cases) @ similar
    np.testing.assert_allclose(np.where(scores > 0, scores, -np.inf), model._score(cases), rtol=1e-5)


def test_decay_weighs_the_latest_occurrence_of_each_item(tmp_path):
    store = make_store(
        tmp_path, [("a", 0, 1), ("a", 1, 2), ("a", 0, 3), ("a", 2, 4), ("a", 3, 9), ("b", 3, 1)]
    )
    from bowerbird.evaluate.baselines.neighbours import weighted_profiles

    cases = future_cases(View(store), View(store, TimeWall(9)), exclude_seen=False)
    assert weighted_profiles(cases, 0.5).toarray().tolist() == [[0.5, 0.25, 1.0, 0.0]]


def test_ease_solves_each_item_from_all_others(world):
    """The closed form against its definition: ridge regression without the item itself."""
    view, earlier, _ = world
    cases = future_cases(view, earlier, exclude_seen=False)
    users = dense(earlier)
    weights = np.zeros((view.n_items,) * 2)
    for item in range(view.n_items):
        others = np.delete(np.arange(view.n_items), item)
        features = users[:, others]
        gram = features.T @ features + 5.0 * np.eye(len(others))
        weights[others, item] = np.linalg.solve(gram, features.T @ users[:, item])
    found = EASE(penalty=5.0).fit(earlier)._score(cases)
    expected = profiles(cases) @ weights
    never = users.sum(axis=0) == 0
    np.testing.assert_allclose(found[:, ~never], expected[:, ~never], atol=1e-5)


def test_ease_beyond_its_cap_models_the_most_popular_and_says_so(world):
    view, earlier, _ = world
    cases = future_cases(view, earlier, exclude_seen=False)
    with pytest.warns(UserWarning, match="the 5 most popular"):
        model = EASE(penalty=5.0, max_items=5).fit(earlier)
    assert "5 most popular of" in model.note
    popular = ordered(positives(earlier).item_count, set())
    ranking = model.recommend(cases, cases.n_items)
    for line in ranking.items.tolist():
        assert set(line[:5]) == set(popular[:5]) or line == popular  # no profile in the cap: popularity alone
        assert [item for item in line if item not in popular[:5]] == popular[5:]


@pytest.mark.parametrize("block", [1, 3, 7, 20])
def test_mirroring_in_blocks_makes_the_upper_triangle_a_symmetric_matrix(block):
    from bowerbird.evaluate.baselines.ease import _mirror

    full = np.random.default_rng(0).random((10, 10)).astype(np.float32)
    symmetric = np.triu(full) + np.triu(full, 1).T
    _mirror(full, block)
    np.testing.assert_array_equal(full, symmetric)


def test_ials_finds_the_block_a_user_belongs_to(tmp_path):
    rng = np.random.default_rng(0)
    rows = [(f"u{u}", int(rng.integers(5)) + 5 * (u % 2), t) for u in range(30) for t in range(4)]
    rows += [(f"u{u}", 0, 100) for u in range(30)]
    store = make_store(tmp_path, rows, n_items=10)
    earlier = View(store, TimeWall(50))
    cases = future_cases(View(store), earlier, exclude_seen=False)
    ranking = IALS(factors=4, regularization=0.1, alpha=5.0).fit(earlier).recommend(cases, 5)
    block = cases.profiles().items[cases.profiles().offsets[:-1]] // 5
    assert (ranking.items // 5 == block[:, None]).mean() > 0.85  # chance: 0.5


def test_a_user_without_history_gets_popular_items(tmp_path):
    rows = [("a", 2, 1), ("b", 2, 2), ("b", 1, 3), ("new", 0, 100)]
    store = make_store(tmp_path, rows, n_items=4)
    earlier = View(store, TimeWall(50))
    cases = future_cases(View(store), earlier, min_history=0)
    for name, kind in BASELINES.items():
        settings = {key: values[0] for key, values in SMALL.get(name, {}).items()}
        assert kind(**settings).fit(earlier).recommend(cases, 2).items.tolist() == [[2, 1]], name


def test_tuning_tries_every_setting_and_keeps_the_best(world):
    _, valid, train = world
    cases = future_cases(valid, train)
    found = tune("itemknn", train, cases, metric="ndcg@5", grid={"neighbours": (1, 5), "decay": (1.0, 0.5)})
    assert [settings for settings, _ in found.tried] == [
        {"neighbours": n, "decay": d} for n in (1, 5) for d in (1.0, 0.5)
    ]
    assert found.score == max(score for _, score in found.tried)
    again = ItemKNN(**found.settings).fit(train)
    from bowerbird.evaluate.metrics import ndcg, target_ranks

    ranks = target_ranks(again.recommend(cases, 5), cases)
    assert ndcg(ranks, cases.target_offsets, 5).mean() == pytest.approx(found.score)


def test_all_baselines_tuned_and_fitted_in_one_call(world):
    _, valid, train = world
    cases = future_cases(valid, train)
    fitted, log = fitted_baselines(train, cases, valid, grids=SMALL, seeds=(0, 1))
    assert [model.name for model in fitted] == [
        "Popularity", "Recent popularity", "Markov (first order)", "Recent Markov", "Item-kNN", "EASE", "iALS", "iALS",
    ]  # fmt: skip
    assert {tuned.baseline for tuned in log} == set(BASELINES)
    chosen = {tuned.baseline: tuned.settings for tuned in log}
    assert fitted[1].settings == chosen["recent"] and fitted[5].settings == chosen["ease"]
    assert (fitted[6].seed, fitted[7].seed) == (0, 1)


def test_settings_out_of_range_and_unknown_names():
    for build in (
        lambda: RecentPopularity(window=0),
        lambda: ItemKNN(decay=0.0),
        lambda: EASE(penalty=0.0),
        lambda: Popularity().with_scoring(window=3),
        lambda: tune("itemnn", None, None),  # type: ignore[arg-type]
    ):
        with pytest.raises(ConfigError):
            build()


@pytest.mark.parametrize("build", [future_cases, next_event_cases])
def test_recent_markov_counts_the_steps_of_the_window_before_each_case(world, build):
    view, earlier, _ = world
    cases = build(view, earlier)
    log = positives(view if cases.live else earlier)
    window = 150
    found = RecentMarkov(window=window).fit(earlier).recommend(cases, 4)
    stepped = 0
    for case, seen in enumerate(cases.seen().lists()):
        now = cases.time[case]
        popular, steps = np.zeros(cases.n_items), np.zeros(cases.n_items)
        last = cases.histories(1).item[case, 0]
        for i in range(len(log)):
            if not now - window <= log.time[i] < now:
                continue
            popular[log.item[i]] += 1
            same = i and log.user[i - 1] == log.user[i] and log.item[i - 1] != log.item[i]
            steps[log.item[i]] += bool(same and log.item[i - 1] == last)
        scores = steps + popular / (popular.max() + 1)
        want = [i for i in ordered(scores, set(seen.tolist())) if scores[i] > 0][:4]
        stepped += bool(steps.any())
        assert found.items[case, : len(want)].tolist() == want
    assert stepped  # else only popularity was tested


def test_backfill_keeps_scores_falling_and_skips_what_is_listed_or_seen(tmp_path):
    store = make_store(tmp_path, [("a", 0, 1), ("a", 1, 9)], n_items=6)
    cases = future_cases(View(store), View(store, TimeWall(5)))
    ranking = Ranking(np.array([[4, -1, -1, -1]], np.int32), np.array([[-7.0] + [-np.inf] * 3], np.float32))
    found = backfill(ranking, np.array([0, 4, 5, 3, 2, 1], np.int32), cases)
    assert found.items.tolist() == [[4, 5, 3, 2]]
    check_ranking(found, cases, 4, name="backfilled")
