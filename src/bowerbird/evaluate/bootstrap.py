"""Intervals by resampling users: the events of one user are not independent, so users are drawn, not events.

Shapes: C cases, T targets, U users with a case, J statistics, R resamples.

Every figure here is a ratio of sums, Σ numerator / Σ denominator over cases (a mean has denominator 1). The
same draws of users serve all statistics of one `UserBootstrap`, so differences and ratios of models are
paired.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bowerbird.evaluate.metrics.ranks import per_case
from bowerbird.tables.errors import ConfigError

LEVEL = 0.95

Figure = Callable[[NDArray[np.int64]], NDArray[np.float64]]
"""A figure that is no ratio of sums over cases: how often each user is drawn, int64 (n, U) -> its values (n,)."""


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % interval. NaN where nothing could be measured."""

    mean: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float | None]:
        """Plain JSON values; NaN becomes None."""
        return {name: None if math.isnan(value) else float(value) for name, value in self.__dict__.items()}

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> Interval:
        """The inverse of `to_dict`."""
        return cls(**{name: math.nan if value is None else float(value) for name, value in found.items()})

    def excludes(self, value: float) -> bool:
        """Whether the whole interval lies on one side of `value`."""
        return self.low > value or self.high < value

    def __str__(self) -> str:
        return f"{self.mean:.4f} [{self.low:.4f}, {self.high:.4f}]"


@dataclass(frozen=True)
class Statistic:
    """Σ numerator / Σ denominator over cases. Both float64 (C,)."""

    numerator: NDArray[np.float64]
    denominator: NDArray[np.float64]

    @classmethod
    def of_cases(cls, values_C: NDArray[Any]) -> Statistic:
        """The mean of one value a case (macro)."""
        return cls(np.asarray(values_C, np.float64), np.ones(len(values_C)))

    @classmethod
    def of_targets(
        cls, found_T: NDArray[np.bool_], offsets: NDArray[np.int64], chosen_T: NDArray[np.bool_] | None = None
    ) -> Statistic:
        """The share of targets that were found (micro), of all of them or of a part.

        Args:
            found_T: bool (T,).
            offsets: int64 (C + 1,), the targets of each case.
            chosen_T: bool (T,), the part looked at.
        """
        chosen = np.ones(len(found_T), bool) if chosen_T is None else chosen_T
        return cls(
            per_case((found_T & chosen).astype(float), offsets), per_case(chosen.astype(float), offsets)
        )


@dataclass(frozen=True)
class Estimate:
    """A figure and what it was in each resample. samples: float64 (R,)."""

    mean: float
    samples: NDArray[np.float64]

    def interval(self) -> Interval:
        """The percentile interval."""
        finite = self.samples[np.isfinite(self.samples)]
        if math.isnan(self.mean) or not len(finite):
            return Interval(self.mean, math.nan, math.nan)
        low, high = np.quantile(finite, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return Interval(float(self.mean), float(low), float(high))

    def minus(self, other: Estimate) -> Interval:
        """Paired difference; both from one `UserBootstrap`."""
        return Estimate(self.mean - other.mean, self.samples - other.samples).interval()

    def over(self, other: Estimate) -> Interval:
        """Paired ratio; NaN where the other figure is zero."""
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = self.mean / other.mean if other.mean else math.nan
            return Estimate(mean, self.samples / other.samples).interval()


class UserBootstrap:
    """Draws of users with replacement, the same for every statistic that is asked for.

    Args:
        user_C: the user of each case (C,); any integers.
        resamples: number of draws.
        seed: of the draws.
    """

    def __init__(self, user_C: NDArray[Any], *, resamples: int = 1000, seed: int = 0) -> None:
        if resamples < 1:
            raise ConfigError(f"resamples must be at least 1, not {resamples}")
        users, self.user_of_case = np.unique(user_C, return_inverse=True)
        self.n_users = len(users)
        self.resamples = resamples
        self.seed = seed

    def estimates(self, statistics: Sequence[Statistic]) -> list[Estimate]:
        """Each statistic with its resampled values."""
        found: list[Estimate] = []
        columns = max(
            1, (1 << 24) // max(self.n_users, 1)
        )  # bounds memory; the draws are repeated, not changed
        for low in range(0, len(statistics), columns):
            found += self._estimates(statistics[low : low + columns])
        return found

    def _estimates(self, statistics: Sequence[Statistic]) -> list[Estimate]:
        top_UJ = self._by_user([statistic.numerator for statistic in statistics])
        bottom_UJ = self._by_user([statistic.denominator for statistic in statistics])
        both = np.concatenate([top_UJ, bottom_UJ], axis=1)
        sums = np.concatenate([times.astype(np.float64) @ both for times in self.draws()])
        half = len(statistics)
        with np.errstate(divide="ignore", invalid="ignore"):
            samples = sums[:, :half] / sums[:, half:]
            means = top_UJ.sum(axis=0) / bottom_UJ.sum(axis=0)
        return [Estimate(float(means[place]), samples[:, place]) for place in range(half)]

    def draws(self) -> Iterator[NDArray[np.int64]]:
        """How often each user is drawn: int64 (n, U) blocks of `resamples` rows in all, the same at every call.

        User u is the u-th of the distinct users; `user_of_case` gives the number of each case.
        """
        rng = np.random.default_rng(self.seed)
        step = max(1, min(self.resamples, (1 << 23) // max(self.n_users, 1)))
        for low in range(0, self.resamples, step):
            n = min(step, self.resamples - low)
            drawn = rng.integers(self.n_users, size=(n, self.n_users)) + np.arange(n)[:, None] * self.n_users
            yield np.bincount(drawn.ravel(), minlength=n * self.n_users).reshape(n, self.n_users)

    def figures(self, figures: Sequence[Figure]) -> list[Estimate]:
        """Figures that are no ratio of sums, on the same draws: what each is with every user once, and resampled."""
        once = np.ones((1, self.n_users), np.int64)
        values: list[list[NDArray[np.float64]]] = [[] for _ in figures]
        for times in self.draws():
            for found, figure in zip(values, figures, strict=True):
                found.append(figure(times))
        return [
            Estimate(float(figure(once)[0]), np.concatenate(found))
            for figure, found in zip(figures, values, strict=True)
        ]

    def _by_user(self, values: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        columns = [np.bincount(self.user_of_case, value, minlength=self.n_users) for value in values]
        return np.stack(columns, axis=1)

    def interval(self, statistic: Statistic) -> Interval:
        """The interval of a single statistic."""
        return self.estimates([statistic])[0].interval()

    def over_seeds(self, estimates: Sequence[Estimate]) -> Estimate:
        """The mean over training seeds; each resample also draws seeds with replacement.

        So the interval carries both the choice of users and the luck of training. With one seed nothing
        changes.
        """
        if len(estimates) == 1:
            return estimates[0]
        rng = np.random.default_rng([self.seed, len(estimates)])
        drawn = rng.integers(len(estimates), size=(self.resamples, len(estimates)))
        samples_RS = np.stack([estimate.samples for estimate in estimates], axis=1)
        return Estimate(
            float(np.mean([estimate.mean for estimate in estimates])),
            np.take_along_axis(samples_RS, drawn, axis=1).mean(axis=1),
        )
