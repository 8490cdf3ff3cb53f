"""Intervals by resampling whole groups: rows of a group are not independent, so they are drawn together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from bowerbird.learn.groups.index import GroupError, GroupIndex
from bowerbird.learn.randomness import derived


@dataclass(frozen=True)
class Interval:
    """A value and its bootstrap interval.

    Attributes:
        value: the statistic over all rows.
        low, high: the percentile interval.
        groups: how many groups it rests on; below about 20 it is too narrow.
        repeats: resamples in which the statistic was defined.
    """

    value: float
    low: float
    high: float
    groups: int
    repeats: int


def cluster_resamples(
    groups: GroupIndex, repeats: int, *, level: int = -1, seed: int = 0
) -> Iterator[np.ndarray]:
    """Row numbers of bootstrap samples: as many groups as there are, drawn with replacement, each with all
    its rows.

    Yields:
        int64 arrays; a group drawn twice appears twice.
    """
    n = len(groups.names(level))
    for number in range(repeats):
        drawn = derived(seed, 51, number).integers(n, size=n)
        yield np.concatenate([groups.members(int(group), level) for group in drawn])


def cluster_interval(
    groups: GroupIndex,
    statistic: np.ndarray | Callable[[np.ndarray], float],
    *,
    level: int = -1,
    repeats: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """A percentile bootstrap interval that resamples groups.

    Args:
        groups: the rows' groups.
        statistic: a value per row (N,), to be averaged (fast), or a function from row numbers to a value; NaN
            where it is undefined, which is left out.
        level: level of the groups.
        repeats: resamples.
        confidence: coverage aimed at.
        seed: of the resamples.

    Raises:
        GroupError: with fewer than two groups, or if the statistic is undefined in every resample.
    """
    sizes = groups.sizes(level)
    if len(sizes) < 2:
        raise GroupError("an interval over groups needs at least two of them")
    if callable(statistic):
        value = float(statistic(np.arange(len(groups))))
        found = np.array(
            [statistic(rows) for rows in cluster_resamples(groups, repeats, level=level, seed=seed)]
        )
    else:
        if statistic.shape != (len(groups),):
            raise GroupError(f"expected one value per row ({len(groups)}), got shape {statistic.shape}")
        value = float(statistic.mean())
        sums = np.bincount(groups.codes(level), weights=statistic, minlength=len(sizes))
        found = np.empty(repeats)
        for number in range(repeats):
            drawn = derived(seed, 51, number).integers(len(sizes), size=len(sizes))
            found[number] = sums[drawn].sum() / sizes[drawn].sum()
    found = found[~np.isnan(found)]
    if len(found) == 0:
        raise GroupError("the statistic is undefined in every resample")
    low, high = np.quantile(found, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(value, float(low), float(high), len(sizes), len(found))
