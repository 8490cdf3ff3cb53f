"""Which rows (tasks, usually) form a batch together, and with which weights.

A sampler's ``draw(number)`` is a function of its seed and the number: nothing to save, any draw can be
repeated. The weights make ``sum(weights * values[rows])`` an estimate of the target mean of ``values``: the
plain mean over rows (``natural``) or the mean of group means (``balanced``). They are target probability over
expected count in the draw.

Which one to use (source: measurements on a mixture of function families and on alphabets, gradient noise
against a uniform draw):

* :class:`Systematic` is unbiased for either target and never noisier than uniform when groups differ; the
  saving is the share of variance between groups (:func:`bowerbird.learn.groups.metrics.variance_share`). The
  default.
* :class:`RoundRobin`, "one task per family", aims at the balanced target. Read as an estimate of the natural
  mean it is *biased toward small families* (use its ``natural`` weights to undo that, at the price of more
  noise than uniform when families are unequal). Choosing it is choosing another target, not reducing noise.
* :class:`Uniform` is the reference, :class:`SingleGroup` the negative control (noisiest).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from bowerbird.learn.groups.index import GroupError, GroupIndex
from bowerbird.learn.randomness import derived

Target = Literal["natural", "balanced"]


@dataclass(frozen=True)
class Draw:
    """Rows int64 (m,) and weights float64 (m,)."""

    rows: np.ndarray
    weights: np.ndarray


class Sampler(Protocol):
    """Draws batches of ``size`` rows."""

    size: int

    def draw(self, number: int) -> Draw:
        """The batch of this number, counted from 0."""
        ...


def target_probabilities(groups: GroupIndex, target: Target, level: int = 0) -> np.ndarray:
    """What a mean is to be taken over: float64 (N,), sums to 1.

    Args:
        groups: the rows' groups.
        target: ``natural``: every row alike. ``balanced``: every group of ``level`` alike, its rows alike
            within it.

    Raises:
        GroupError: for another target.
    """
    if target == "natural":
        return np.full(len(groups), 1 / len(groups))
    if target == "balanced":
        sizes = groups.sizes(level)
        return (1 / (len(sizes) * sizes))[groups.codes(level)]
    raise GroupError(f"target {target!r} is unknown; choose natural or balanced")


def check_size(groups: GroupIndex, size: int) -> None:
    """Make sure a batch without repetition exists.

    Raises:
        GroupError: if it does not.
    """
    if not 1 <= size <= len(groups):
        raise GroupError(f"a batch of {size} cannot be drawn from {len(groups)} rows")


class Uniform:
    """Rows without replacement, all alike.

    Args:
        groups: the rows' groups (used for the balanced target only).
        size: rows per draw.
        target: what the weights aim at.
        level: level of the families.
        seed: of all draws.
    """

    def __init__(
        self, groups: GroupIndex, size: int, *, target: Target = "natural", level: int = 0, seed: int = 0
    ) -> None:
        check_size(groups, size)
        self.size, self._n, self._seed = size, len(groups), seed
        self._weights = target_probabilities(groups, target, level) * len(groups) / size

    def draw(self, number: int) -> Draw:
        """See :class:`Sampler`."""
        rows = derived(self._seed, 41, number).choice(self._n, self.size, replace=False)
        return Draw(rows, self._weights[rows])


class Systematic:
    """Proportional systematic sampling along the whole hierarchy.

    Rows are laid out so that every subtree is contiguous (siblings and the rows of a leaf in random order),
    and every ``N / size``-th row is taken from a random start. A family of n rows gets ``n * size / N``
    places up to rounding, at every level. Each row's chance is exactly ``size / N``. The layout is kept for
    one pass of ``ceil(N / size)`` draws, whose starts are spread evenly: where ``size`` divides N, a pass
    takes every row exactly once.

    Args: as :class:`Uniform`.
    """

    def __init__(
        self, groups: GroupIndex, size: int, *, target: Target = "natural", level: int = 0, seed: int = 0
    ) -> None:
        check_size(groups, size)
        self.size, self._groups, self._seed = size, groups, seed
        self._weights = target_probabilities(groups, target, level) * len(groups) / size
        self.draws_per_pass = -(-len(groups) // size)
        self._layout: tuple[int, np.ndarray, np.ndarray] | None = None

    def _pass(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """The order of rows and the starts of one pass."""
        if self._layout is None or self._layout[0] != number:
            rng = derived(self._seed, 42, number)
            keys = [rng.permutation(len(self._groups))]
            for level in reversed(range(self._groups.levels)):
                keys.append(rng.permutation(len(self._groups.names(level)))[self._groups.codes(level)])
            steps = self.draws_per_pass
            starts = (rng.permutation(steps) + rng.random()) / steps * (len(self._groups) / self.size)
            self._layout = (number, np.lexsort(keys), starts)
        return self._layout[1], self._layout[2]

    def draw(self, number: int) -> Draw:
        """See :class:`Sampler`."""
        order, starts = self._pass(number // self.draws_per_pass)
        n = len(self._groups)
        places = starts[number % self.draws_per_pass] + np.arange(self.size) * (n / self.size)
        rows = order[np.minimum(places.astype(np.int64), n - 1)]
        return Draw(rows, self._weights[rows])


class RoundRobin:
    """One row per family in turn: families in random order, then a second round, and so on.

    Within a family rows are taken without replacement until it is used up.

    Args: as :class:`Uniform`; ``target`` is ``balanced`` unless said otherwise.
    """

    def __init__(
        self, groups: GroupIndex, size: int, *, target: Target = "balanced", level: int = 0, seed: int = 0
    ) -> None:
        check_size(groups, size)
        self.size, self._groups, self._level, self._seed = size, groups, level, seed
        sizes = groups.sizes(level)
        expected = (size / (len(sizes) * sizes))[groups.codes(level)]
        self._weights = target_probabilities(groups, target, level) / expected

    def draw(self, number: int) -> Draw:
        """See :class:`Sampler`."""
        rng = derived(self._seed, 43, number)
        families = rng.permutation(len(self._groups.names(self._level)))
        rounds = -(-self.size // len(families))
        rows: list[int] = []
        picks = []
        for family in families[: self.size]:
            members = rng.permutation(self._groups.members(int(family), self._level))
            picks.append(members[np.arange(rounds) % len(members)])
        for turn in range(rounds):
            rows.extend(int(pick[turn]) for pick in picks)
        chosen = np.array(rows[: self.size], dtype=np.int64)
        return Draw(chosen, self._weights[chosen])


class SingleGroup:
    """All rows of a batch from one family, which is drawn in proportion to its size: the negative control.

    Rows repeat where a family is smaller than the batch.

    Args: as :class:`Uniform`.
    """

    def __init__(
        self, groups: GroupIndex, size: int, *, target: Target = "natural", level: int = 0, seed: int = 0
    ) -> None:
        check_size(groups, size)
        self.size, self._groups, self._level, self._seed = size, groups, level, seed
        self._weights = target_probabilities(groups, target, level) * len(groups) / size

    def draw(self, number: int) -> Draw:
        """See :class:`Sampler`."""
        rng = derived(self._seed, 44, number)
        family = int(self._groups.codes(self._level)[rng.integers(len(self._groups))])
        members = rng.permutation(self._groups.members(family, self._level))
        rows = members[np.arange(self.size) % len(members)]
        return Draw(rows, self._weights[rows])
