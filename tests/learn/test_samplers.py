"""Samplers: exact inclusion, unbiasedness, and the noise that theory says each has.

The function-family mixture of the source (263 to 23 tasks a family) is replaced by planted vectors whose
between- and within-family variances are known, so that the answers are known too.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bowerbird.learn.groups import SAMPLERS, GroupError, GroupIndex, TaskSource, sampler, variance_share
from bowerbird.learn.groups.diverse import KDPP, Greedy
from bowerbird.learn.groups.samplers import target_probabilities


def planted(sizes: list[int], between: float, seed: int = 0) -> tuple[GroupIndex, np.ndarray]:
    """Families of these sizes; per-row vectors = family centre * between + noise."""
    rng = np.random.default_rng(seed)
    family = np.repeat(np.arange(len(sizes)), sizes)
    centres = rng.normal(size=(len(sizes), 6)) * between
    return GroupIndex.from_columns(family), centres[family] + rng.normal(size=(len(family), 6))


def noise(
    name: str, groups: GroupIndex, values: np.ndarray, m: int, draws: int, **settings
) -> tuple[float, float]:
    """Mean squared error to the natural mean, and squared bias, over draws."""
    chosen = sampler(name, groups, m, seed=7, **settings)
    found = [chosen.draw(i) for i in range(draws)]
    errors = np.stack([d.weights @ values[d.rows] for d in found]) - values.mean(axis=0)
    return float((errors**2).sum(axis=1).mean()), float((errors.mean(axis=0) ** 2).sum())


@pytest.mark.parametrize("name", sorted(SAMPLERS))
@pytest.mark.parametrize("m", [1, 3, 8, 12])
def test_draws_are_valid_repeatable_and_seeded(name: str, m: int) -> None:
    groups, _ = planted([5, 3, 9, 1], 1.0)
    one, two, other = (sampler(name, groups, m, seed=s) for s in (1, 1, 2))
    drawn = [one.draw(i) for i in range(12)]
    for i in (11, 0, 5):  # in any order
        again = two.draw(i)
        assert again.rows.tolist() == drawn[i].rows.tolist()
        assert again.weights.tolist() == drawn[i].weights.tolist()
    assert any(other.draw(i).rows.tolist() != drawn[i].rows.tolist() for i in range(12))
    for d in drawn:
        assert d.rows.shape == d.weights.shape == (m,)
        assert (d.rows >= 0).all()
        assert (d.rows < 18).all()
        if name in ("uniform", "systematic", "kdpp", "greedy"):
            assert len(set(d.rows.tolist())) == m


@given(
    sizes=st.lists(st.integers(1, 12), min_size=1, max_size=6),
    m=st.integers(1, 10),
    number=st.integers(0, 50),
)
def test_systematic_gives_every_subtree_its_share(sizes: list[int], m: int, number: int) -> None:
    n = sum(sizes)
    m = min(m, n)
    family = np.repeat(np.arange(len(sizes)), sizes)
    groups = GroupIndex.from_columns(family // 2, family)
    rows = sampler("systematic", groups, m, seed=0).draw(number).rows
    assert len(set(rows.tolist())) == m
    for level in (0, 1):
        exact = groups.sizes(level) * m / n
        found = np.bincount(groups.codes(level)[rows], minlength=len(exact))
        assert (np.abs(found - exact) < 1 + 1e-9).all()


def test_systematic_takes_every_row_once_per_pass_and_is_unbiased_exactly() -> None:
    groups, values = planted([20, 7, 13, 8], 2.0)
    chosen = sampler("systematic", groups, 6, seed=3)
    assert chosen.draws_per_pass == 8
    for number in range(3):
        drawn = [chosen.draw(number * 8 + i) for i in range(8)]
        assert sorted(np.concatenate([d.rows for d in drawn]).tolist()) == list(range(48))
        estimate = np.mean([d.weights @ values[d.rows] for d in drawn], axis=0)
        np.testing.assert_allclose(estimate, values.mean(axis=0), atol=1e-12)


def test_systematic_inclusion_is_m_over_n_where_m_does_not_divide_n() -> None:
    groups, _ = planted([9, 4, 2, 8], 1.0)
    chosen = sampler("systematic", groups, 5, seed=11)
    draws = 4000
    counts = np.bincount(np.concatenate([chosen.draw(i).rows for i in range(draws)]), minlength=23)
    p = 5 / 23
    # Chi squared with 23 cells; draws of one pass repel each other, which only makes it smaller.
    assert ((counts - draws * p) ** 2 / (draws * p * (1 - p))).sum() < 49.7


def test_one_stride_families_have_exactly_the_variance_within() -> None:
    # Every family is N / m rows, so a systematic draw is one uniform row from each.
    groups, values = planted([5, 5, 5, 5], 3.0)
    centred = values - np.repeat(values.reshape(4, 5, 6).mean(axis=1), 5, axis=0)
    within = (centred**2).sum(axis=1).mean()
    total = ((values - values.mean(axis=0)) ** 2).sum(axis=1).mean()
    assert within / total == pytest.approx(1 - variance_share(values, groups))
    # Exactly, over all 5^4 choices of one row per family:
    picks = np.array(list(itertools.product(range(5), repeat=4))) + np.arange(4) * 5
    errors = values[picks].mean(axis=1) - values.mean(axis=0)
    assert (errors**2).sum(axis=1).mean() == pytest.approx(within / 4)
    found, bias = noise("systematic", groups, values, 4, 6000)
    assert found == pytest.approx(within / 4, rel=0.05)
    assert bias < 0.02 * found


def test_the_noise_of_each_sampler_is_ordered_as_theory_says() -> None:
    groups, values = planted([66, 26, 20, 9, 8, 7, 9, 6], 0.6)
    assert 0.15 < variance_share(values, groups) < 0.35
    uniform, uniform_bias = noise("uniform", groups, values, 8, 3000)
    systematic, systematic_bias = noise("systematic", groups, values, 8, 3000)
    turns, turns_bias = noise("round_robin", groups, values, 8, 3000)
    corrected, corrected_bias = noise("round_robin", groups, values, 8, 3000, target="natural")
    single, _ = noise("single_group", groups, values, 8, 3000)
    assert systematic < 0.9 * uniform
    assert single > 2 * uniform
    assert uniform_bias < 0.02 * uniform
    assert systematic_bias < 0.02 * systematic
    # One task per family estimates another mean; reweighting it removes the bias and adds noise.
    gap = values[groups.codes(0) == 0].mean(axis=0) * 0
    for family in range(8):
        gap = gap + values[groups.codes(0) == family].mean(axis=0) / 8
    assert turns_bias == pytest.approx(((gap - values.mean(axis=0)) ** 2).sum(), rel=0.1)
    assert turns_bias > 0.05 * turns
    assert corrected_bias < 0.02 * corrected
    assert corrected > uniform


@pytest.mark.parametrize("name", ["uniform", "systematic", "round_robin", "single_group", "kdpp"])
@pytest.mark.parametrize("target", ["natural", "balanced"])
def test_weights_make_every_sampler_consistent_for_either_target(name: str, target) -> None:
    groups, values = planted([12, 3, 6, 2], 2.0)
    chosen = sampler(name, groups, 4, seed=5, target=target)
    found = np.stack([d.weights @ values[d.rows] for d in map(chosen.draw, range(6000))])
    expected = target_probabilities(groups, target) @ values
    error = found.mean(axis=0) - expected
    assert (np.abs(error) < 5 * found.std(axis=0) / np.sqrt(6000)).all()


def test_target_probabilities() -> None:
    groups, _ = planted([2, 1], 1.0)
    assert target_probabilities(groups, "natural").tolist() == pytest.approx([1 / 3] * 3)
    assert target_probabilities(groups, "balanced").tolist() == pytest.approx([0.25, 0.25, 0.5])
    with pytest.raises(GroupError, match="natural or balanced"):
        target_probabilities(groups, "fair")


def test_round_robin_takes_one_of_each_family_in_turn() -> None:
    groups, _ = planted([5, 3, 9, 1], 1.0)
    for number in range(20):
        families = groups.codes(0)[sampler("round_robin", groups, 10, seed=0).draw(number).rows]
        assert sorted(families[:4].tolist()) == [0, 1, 2, 3]
        assert families[:4].tolist() == families[4:8].tolist()
    rows = sampler("round_robin", groups, 3, seed=0).draw(0).rows
    assert len(set(groups.codes(0)[rows].tolist())) == 3


def exact_kdpp(kernel: np.ndarray, k: int) -> dict[tuple[int, ...], float]:
    volumes = {
        s: float(np.linalg.det(kernel[np.ix_(s, s)])) for s in itertools.combinations(range(len(kernel)), k)
    }
    total = sum(volumes.values())
    return {s: v / total for s, v in volumes.items()}


def test_kdpp_matches_enumeration_of_six_tasks() -> None:
    groups = GroupIndex([("a", "x"), ("a", "x"), ("a", "y"), ("b", "z"), ("b", "z"), ("c", "w")])
    expected = exact_kdpp(groups.kernel("tree", 2.0) + 0.2 * np.eye(6), 3)
    chosen = KDPP(groups, 3, seed=2, gamma=2.0, ridge=0.2, strength=1.0)
    inclusion = np.array([sum(p for s, p in expected.items() if i in s) for i in range(6)])
    np.testing.assert_allclose(chosen.inclusion, inclusion, atol=1e-12)
    draws = 6000
    counts = dict.fromkeys(expected, 0)
    for number in range(draws):
        counts[tuple(sorted(chosen.draw(number).rows.tolist()))] += 1
    chi2 = sum((counts[s] - draws * p) ** 2 / (draws * p) for s, p in expected.items())
    assert chi2 < 43.8  # 19 degrees of freedom, one in a thousand
    # Horvitz-Thompson weights are unbiased exactly: summed over all subsets.
    values = np.array([1.0, -2.0, 5.0, 0.5, 3.0, -1.0])
    mean = sum(p * sum(values[i] / (6 * inclusion[i]) for i in s) for s, p in expected.items())
    assert mean == pytest.approx(values.mean())
    assert chosen.draw(0).weights.tolist() == pytest.approx(
        (1 / (6 * inclusion))[chosen.draw(0).rows].tolist()
    )


def test_kdpp_mixes_with_uniform_and_takes_a_kernel() -> None:
    groups, _ = planted([4, 2], 1.0)
    pure = KDPP(groups, 2, strength=1.0)
    half = KDPP(groups, 2, strength=0.25)
    np.testing.assert_allclose(half.inclusion, 0.25 * pure.inclusion + 0.75 * 2 / 6)
    assert KDPP(groups, 2, kernel=np.eye(6), strength=1.0).inclusion.tolist() == pytest.approx([1 / 3] * 6)
    assert half.inclusion.sum() == pytest.approx(2.0)
    with pytest.raises(GroupError, match="shape"):
        KDPP(groups, 2, kernel=np.eye(5))
    with pytest.raises(GroupError, match="ridge"):
        KDPP(groups, 2, ridge=0.0)


def test_kdpp_is_stable_with_many_rows() -> None:
    groups = GroupIndex.from_columns(np.arange(300) % 20, np.arange(300) % 100)
    chosen = KDPP(groups, 40, strength=1.0)
    assert chosen.inclusion.sum() == pytest.approx(40)
    assert (chosen.inclusion > 0).all()
    assert (chosen.inclusion < 1).all()
    pairs = []
    for number in range(8):
        rows = chosen.draw(number).rows
        assert len(set(rows.tolist())) == 40
        leaves = np.bincount(groups.codes()[rows])
        pairs.append((leaves * (leaves - 1) // 2).sum())
    # A uniform draw has 40 * 39 / 2 * 2 / 299 = 5.2 pairs within a leaf; here such a pair is worth
    # (1.1^2 - 1) / 1.1^2 = .17 of one from two leaves.
    assert np.mean(pairs) < 0.4 * 5.2


def test_greedy_takes_the_farthest_first_and_never_repeats() -> None:
    groups = GroupIndex([("a", "x")] * 5 + [("a", "y")] * 3 + [("b", "z")] * 2)
    for number in range(10):
        rows = Greedy(groups, 5, seed=1).draw(number).rows
        leaves = groups.codes()[rows]
        roots = groups.codes(0)[rows]
        assert len(set(roots[:2].tolist())) == 2
        assert len(set(leaves[:3].tolist())) == 3
        assert len(set(rows.tolist())) == 5


def test_impossible_batches() -> None:
    groups, _ = planted([3, 2], 1.0)
    for name in SAMPLERS:
        for size in (0, 6):
            with pytest.raises(GroupError, match="cannot be drawn from 5 rows"):
                sampler(name, groups, size)
    with pytest.raises(GroupError, match="did you mean 'systematic'"):
        sampler("sistematic", groups, 2)
    with pytest.raises(GroupError, match="strength"):
        sampler("uniform", groups, 2, strength=1.0)
    with pytest.raises(GroupError, match="too slow"):
        KDPP(GroupIndex.from_columns(np.arange(5001)), 2)


def test_task_batches_are_shared_between_processes_and_resume() -> None:
    groups, values = planted([12, 3, 6, 2], 2.0)
    source = TaskSource(sampler("systematic", groups, 5, seed=1), 4, lambda draw, share: (draw, share))
    whole = [b for e in range(2) for b in source.epoch(e)]
    assert len(whole) == 8
    assert len(source) == 4
    parts = [list(source.epoch(1, start=2, rank=r, world=2)) for r in range(2)]
    for (draw, share), (first, a), (second, b) in zip(whole[6:], *parts, strict=True):
        assert share == 1
        assert a + b == pytest.approx(1)
        assert [*first.rows, *second.rows] == draw.rows.tolist()
        total = first.weights @ values[first.rows] + second.weights @ values[second.rows]
        np.testing.assert_allclose(total, draw.weights @ values[draw.rows])
    with pytest.raises(GroupError, match="cannot share"):
        next(source.epoch(0, world=6))
    with pytest.raises(GroupError, match="at least one batch"):
        TaskSource(sampler("uniform", groups, 5), 0, lambda draw, share: draw)
