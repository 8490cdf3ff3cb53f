"""The hierarchy itself: codes, members, distances, kernels; splits; tables; intervals; the leak probe."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bowerbird.learn.groups import (
    Fold,
    GroupError,
    GroupIndex,
    check_disjoint,
    cluster_interval,
    cluster_resamples,
    group_folds,
    group_holdout,
    group_table,
    leak_probe,
    variance_share,
)

PATHS = [("b", "x"), ("a", "x"), ("b", "y"), ("a",), ("b", "x"), ("a", "x", "deep")]
paths_strategy = st.lists(
    st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map(tuple), min_size=1, max_size=30
)


def test_codes_names_and_members() -> None:
    groups = GroupIndex(PATHS)
    assert groups.levels == 3
    assert groups.codes(0).tolist() == [1, 0, 1, 0, 1, 0]
    assert groups.names(0) == [("a",), ("b",)]
    assert groups.names(1) == [("a",), ("a", "x"), ("b", "x"), ("b", "y")]
    assert groups.codes(1).tolist() == [2, 1, 3, 0, 2, 1]
    assert groups.names(2) == [("a",), ("a", "x"), ("a", "x", "deep"), ("b", "x"), ("b", "y")]
    assert groups.members(("b", "x")).tolist() == [0, 4]
    assert groups.members(("a", "x")).tolist() == [1, 5]
    assert groups.members(0, level=0).tolist() == [1, 3, 5]
    assert groups.sizes(1).tolist() == [1, 2, 2, 1]


def test_same_name_under_two_parents_is_two_groups() -> None:
    groups = GroupIndex.from_columns(np.array(["p", "q", "p"]), np.array([1, 1, 1]))
    assert groups.names() == [("p", "1"), ("q", "1")]
    assert groups.codes().tolist() == [0, 1, 0]


def test_distances_by_hand() -> None:
    groups = GroupIndex(PATHS)
    assert groups.distances(1).tolist() == [4, 0, 4, 1, 4, 1]
    assert groups.tree_distance(0, 4) == 0
    assert groups.tree_distance(0, 2) == 2


@given(paths=paths_strategy)
def test_tree_distance_is_a_metric_and_kernels_are_positive(paths: list[tuple[str, ...]]) -> None:
    groups = GroupIndex(paths)
    d = np.stack([groups.distances(i) for i in range(len(paths))])
    assert (d == d.T).all()
    assert ((d == 0) == [[a == b for b in paths] for a in paths]).all()
    assert (d[:, None, :] <= d[:, :, None] + d[None, :, :]).all()
    for kind in ("tree", "levels"):
        kernel = groups.kernel(kind, 0.7)
        np.testing.assert_allclose(np.diag(kernel), 1)
        assert np.linalg.eigvalsh(kernel).min() > -1e-9


@given(paths=paths_strategy, data=st.data())
def test_codes_agree_with_path_prefixes_and_survive_take(paths: list[tuple[str, ...]], data) -> None:
    rows = np.array(data.draw(st.lists(st.integers(0, len(paths) - 1), min_size=1, max_size=10)))
    whole = GroupIndex(paths)
    for groups, own in ((whole, paths), (whole.take(rows), [paths[r] for r in rows])):
        for level in range(groups.levels):
            assert [groups.names(level)[c] for c in groups.codes(level)] == [p[: level + 1] for p in own]
            assert groups.names(level) == sorted(set(groups.names(level)))
            members = [groups.members(g, level) for g in range(len(groups.names(level)))]
            assert sorted(np.concatenate(members).tolist()) == list(range(len(own)))


def test_bad_groups_are_named() -> None:
    with pytest.raises(GroupError, match="row 1 has an empty group path"):
        GroupIndex([("a",), ()])
    groups = GroupIndex(PATHS)
    for call in (
        lambda: groups.codes(3),
        lambda: groups.members(("c",)),
        lambda: groups.members(9, 0),
        lambda: groups.kernel("cosine"),
        lambda: groups.kernel("tree", 0.0),
        lambda: GroupIndex.from_columns(),
        lambda: GroupIndex.from_columns([1, 2], [1]),
    ):
        with pytest.raises(GroupError):
            call()


@given(
    codes=st.lists(st.integers(0, 8), min_size=10, max_size=60), k=st.integers(2, 4), seed=st.integers(0, 99)
)
def test_no_group_crosses_folds_and_every_row_is_tested_once(codes: list[int], k: int, seed: int) -> None:
    groups = GroupIndex.from_columns(codes)
    if len(set(codes)) < k:
        with pytest.raises(GroupError, match="as many as there are groups"):
            group_folds(groups, k, seed=seed)
        return
    folds = group_folds(groups, k, seed=seed)
    assert sorted(np.concatenate([f.test for f in folds]).tolist()) == list(range(len(codes)))
    for fold in folds:
        assert not {codes[r] for r in fold.train} & {codes[r] for r in fold.test}
        assert len(fold.train) + len(fold.test) == len(codes)
        assert len(fold.test) > 0
    # Largest first to the emptiest: folds differ by no more than the largest group.
    sizes = [len(f.test) for f in folds]
    assert max(sizes) - min(sizes) <= np.bincount(codes).max()


@given(codes=st.lists(st.integers(0, 30), min_size=20, max_size=50), fraction=st.floats(0.1, 0.6))
def test_holdout_is_whole_groups_near_the_fraction(codes: list[int], fraction: float) -> None:
    assume(len(set(codes)) > 1)
    groups = GroupIndex.from_columns(codes)
    fold = group_holdout(groups, fraction)
    assert not {codes[r] for r in fold.train} & {codes[r] for r in fold.test}
    assert min(len(fold.train), len(fold.test)) > 0
    assert abs(len(fold.test) - fraction * len(codes)) <= np.bincount(codes).max()


def test_splits_depend_on_the_seed_only() -> None:
    groups = GroupIndex.from_columns(np.arange(40) % 10)
    tests = [group_holdout(groups, 0.3, seed=s).test.tolist() for s in (0, 0, 1)]
    assert tests[0] == tests[1] != tests[2]
    with pytest.raises(GroupError, match="only one group"):
        group_holdout(GroupIndex.from_columns([1, 1]), 0.5)
    with pytest.raises(GroupError, match="between 0 and 1"):
        group_holdout(groups, 1.0)


def test_crossing_is_named() -> None:
    groups = GroupIndex.from_columns(["anna", "ben", "ben", "cleo"])
    check_disjoint(groups, [np.array([0]), np.array([1, 2]), np.array([3])])
    with pytest.raises(GroupError, match="1 groups lie on both sides of the split, 'ben' among them"):
        check_disjoint(groups, [np.array([0, 1]), np.array([2, 3])])


def test_table_by_hand() -> None:
    groups = GroupIndex.from_columns(["a", "a", "a", "b", "c", "c"])
    table = group_table(groups, np.array([1.0, 0.0, 1.0, 0.0, 1.0, 0.0]))
    assert table.values.tolist() == pytest.approx([2 / 3, 0.0, 0.5])
    assert table.overall == 0.5
    assert table.macro == pytest.approx((2 / 3 + 0.5) / 3)
    assert table.worst == (("b",), 0.0)
    losses = group_table(groups, np.array([1.0, 0.0, 1.0, 0.0, 1.0, 0.0]), larger_is_better=False)
    assert losses.worst == (("a",), pytest.approx(2 / 3))
    assert json.loads(json.dumps(table.to_dict(), allow_nan=False))["worst"] == {"group": ["b"], "value": 0.0}


def test_undefined_groups_are_counted_and_left_out() -> None:
    groups = GroupIndex.from_columns(["a", "a", "b"])
    table = group_table(groups, lambda rows: math.nan if len(rows) == 1 else float(len(rows)))
    assert (table.macro, table.undefined, table.worst, table.overall) == (2.0, 1, (("a",), 2.0), 3.0)
    assert json.loads(json.dumps(table.to_dict(), allow_nan=False))["groups"][1]["value"] is None
    nothing = group_table(groups, lambda rows: math.nan)
    assert nothing.to_dict()["worst"] is None
    with pytest.raises(GroupError, match="undefined in every group"):
        _ = nothing.worst
    with pytest.raises(GroupError, match="one value per row"):
        group_table(groups, np.zeros(2))


def test_variance_share_by_hand() -> None:
    groups = GroupIndex.from_columns([0, 0, 1, 1])
    assert variance_share(np.array([1.0, 1.0, 3.0, 3.0]), groups) == pytest.approx(1.0)
    assert variance_share(np.array([1.0, 3.0, 3.0, 1.0]), groups) == pytest.approx(0.0)
    # Means 1 and 3 (between: 4 x 1), deviations of 1 within (4 x 1).
    assert variance_share(np.array([[0.0], [2.0], [2.0], [4.0]]), groups) == pytest.approx(0.5)
    with pytest.raises(GroupError, match="no variance"):
        variance_share(np.ones(4), groups)


def test_cluster_interval_is_wider_where_rows_repeat_each_other() -> None:
    rng = np.random.default_rng(0)
    groups = GroupIndex.from_columns(np.repeat(np.arange(40), 25))
    per_group = rng.normal(size=40)
    copies = np.repeat(per_group, 25)
    interval = cluster_interval(groups, copies, seed=1)
    # Rows are copies of 40 independent values, so the interval is that of 40 values, not of 1000.
    expected = 1.96 * per_group.std() / math.sqrt(40)
    assert interval.value == pytest.approx(per_group.mean())
    assert (interval.high - interval.low) / 2 == pytest.approx(expected, rel=0.15)
    assert (interval.groups, interval.repeats) == (40, 1000)


def test_cluster_interval_of_a_function_equals_that_of_values() -> None:
    groups = GroupIndex.from_columns([0, 0, 1, 2, 2, 2])
    values = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
    by_values = cluster_interval(groups, values, repeats=60, seed=4)
    by_function = cluster_interval(groups, lambda rows: float(values[rows].mean()), repeats=60, seed=4)
    assert by_values.low == pytest.approx(by_function.low)
    assert by_values.high == pytest.approx(by_function.high)


def test_resamples_take_whole_groups() -> None:
    codes = np.array([0, 0, 1, 2, 2, 2])
    groups = GroupIndex.from_columns(codes)
    for rows in cluster_resamples(groups, 20):
        drawn = np.bincount(rows, minlength=6)
        for group in range(3):
            assert len(set(drawn[codes == group].tolist())) == 1
        assert sum(drawn[[0, 2, 3]]) == 3
    with pytest.raises(GroupError, match="at least two"):
        cluster_interval(GroupIndex.from_columns([0, 0]), np.zeros(2))
    with pytest.raises(GroupError, match="undefined in every resample"):
        cluster_interval(groups, lambda rows: math.nan, repeats=5)


def random_folds(n: int, k: int, seed: int) -> list[Fold]:
    order = np.random.default_rng(seed).permutation(n)
    parts = np.array_split(order, k)
    return [Fold(np.concatenate([p for p in parts if p is not part]), part) for part in parts]


def test_probe_fires_on_a_random_split_and_is_silent_when_groups_stay_whole() -> None:
    rng = np.random.default_rng(3)
    speaker = np.repeat(np.arange(30), 20)
    groups = GroupIndex.from_columns(speaker)
    # A planted offset per speaker: each says mostly one class.
    labels = rng.random(600) < np.where(rng.random(30) < 0.5, 0.9, 0.1)[speaker]
    torn = leak_probe(groups, labels, random_folds(600, 5, 0))
    assert torn.leaks
    assert torn.auc > 0.85
    assert torn.crossing == 1.0
    assert str(torn).startswith("LEAK")
    whole = leak_probe(groups, labels, group_folds(groups, 5))
    assert not whole.leaks
    assert whole.crossing == 0.0


def test_probe_is_silent_when_groups_say_nothing() -> None:
    rng = np.random.default_rng(4)
    groups = GroupIndex.from_columns(np.repeat(np.arange(30), 20))
    report = leak_probe(groups, rng.random(600) < 0.4, random_folds(600, 5, 0))
    assert not report.leaks
    assert abs(report.auc - 0.5) < 0.1


def test_probe_with_several_classes_and_bad_input() -> None:
    rng = np.random.default_rng(5)
    speaker = np.repeat(np.arange(20), 15)
    groups = GroupIndex.from_columns(speaker)
    labels = np.array(["joy", "fear", "calm"])[speaker % 3]
    assert leak_probe(groups, labels, random_folds(300, 3, 1)).auc == pytest.approx(1.0)
    assert not leak_probe(groups, rng.permutation(labels), random_folds(300, 3, 1)).leaks
    with pytest.raises(GroupError, match="two classes"):
        leak_probe(groups, np.zeros(300), random_folds(300, 3, 1))
    with pytest.raises(GroupError, match="do not match"):
        leak_probe(groups, labels[:5], random_folds(300, 3, 1))
