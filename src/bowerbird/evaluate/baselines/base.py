"""What every baseline shares: fit on a view, score in chunks, seen items out, popularity behind what it
knows.

Shapes: B cases of a chunk, I items, k list length.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from bowerbird.evaluate.positives import Positives, positives
from bowerbird.evaluate.ranking import Ranking, rank_scores
from bowerbird.tables.errors import ConfigError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from bowerbird.evaluate.cases import Cases
    from bowerbird.tables.view import View

_CELLS = 1 << 23
"""Scores held at once: bounds the memory of recommending."""


class Baseline(ABC):
    """A simple recommender that reads a view and nothing else.

    Settings are keyword arguments of the class; `grid` lists the values worth trying on validation, and
    `only_scoring` the settings that a fit does not depend on. A baseline that is `random` takes a `seed`. What a
    baseline has no opinion about follows in the order of popularity, so lists are always full.
    """

    name: ClassVar[str]
    grid: ClassVar[Mapping[str, Sequence[Any]]] = {}
    only_scoring: ClassVar[tuple[str, ...]] = ()
    random: ClassVar[bool] = False
    is_baseline = True

    def __init__(self) -> None:
        self.note = ""
        self._popular = np.empty(0, np.int32)

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that `grid` names, as they are."""
        return {name: getattr(self, name) for name in self.grid}

    def with_scoring(self, **settings: Any) -> Self:
        """A fitted copy with other settings among `only_scoring`; what was learnt is shared."""
        unknown = set(settings) - set(self.only_scoring)
        if unknown:
            raise ConfigError(f"{self.name} must be fitted again for {sorted(unknown)}")
        twin = copy.copy(self)
        twin.__dict__.update(settings)
        return twin

    def fit(self, view: View) -> Self:
        """Learn from the positive events of a view."""
        log = positives(view)
        # Stable: among equally popular items the lower id first, the tie rule of every list.
        self._popular = np.argsort(-log.item_count, kind="stable").astype(np.int32)
        self._fit(log)
        return self

    def recommend(self, cases: Cases, k: int) -> Ranking:
        """The best k items of each case."""
        size = max(1, _CELLS // max(cases.n_items, 1))
        return Ranking.stack(self._recommend(chunk, k) for chunk in cases.chunks(size))

    def scores(self, cases: Cases) -> NDArray[np.floating[Any]]:
        """Fresh scores (C, I) of every item, -inf where it has no opinion; for rankings of some items only."""
        return self._score(cases)

    def _recommend(self, cases: Cases, k: int) -> Ranking:
        return backfill(rank_scores(self._score(cases), cases, k), self._popular, cases)

    @abstractmethod
    def _fit(self, log: Positives) -> None: ...

    @abstractmethod
    def _score(self, cases: Cases) -> NDArray[np.floating[Any]]:
        """Fresh scores (B, I); -inf where the baseline has no opinion."""


def backfill(ranking: Ranking, order_I: NDArray[np.int32], cases: Cases) -> Ranking:
    """Fill the empty places of each list with the next items of an order that are neither listed nor seen.

    Args:
        ranking: lists with empty places at their ends.
        order_I: dense ids, best first.
        cases: the cases, for the seen rule.
    """
    items, scores = ranking.items.copy(), ranking.scores.copy()
    seen = cases.seen()
    for case in np.flatnonzero((items < 0).any(axis=1)):
        have = int((items[case] >= 0).sum())
        taken = np.concatenate([items[case, :have], seen.of(int(case))])
        # Of the first (places + taken) items of the order at most `taken` fall out.
        ahead = order_I[: ranking.k + len(taken)]
        more = ahead[~np.isin(ahead, taken)][: ranking.k - have]
        items[case, have : have + len(more)] = more
        lowest = scores[case, have - 1] if have else 0.0
        scores[case, have : have + len(more)] = lowest - 1.0 - np.arange(len(more))
    return Ranking(items, scores)


def interactions(log: Positives, *, distinct: bool = True) -> csr_array:
    """Users x items as a sparse float32 matrix: 1 where the user acted on the item, or how often."""
    from scipy.sparse import csr_array

    values = np.ones(len(log), np.float32)
    matrix = csr_array((values, (log.user, log.item)), shape=(log.n_users, log.n_items))
    matrix.sum_duplicates()
    if distinct:
        matrix.data[:] = 1.0
    return matrix


def profile_matrix(cases: Cases) -> csr_array:
    """Cases x items: 1 where the item is in the case's history."""
    from scipy.sparse import csr_array

    profiles = cases.profiles()
    shape = (len(cases), cases.n_items)
    matrix = csr_array(
        (np.ones(len(profiles.items), np.float32), profiles.items, profiles.offsets), shape=shape
    )
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    return matrix


def settings_of(grid: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    """Every combination of a grid."""
    from itertools import product

    values: Iterable[tuple[Any, ...]] = product(*grid.values())
    for combination in values:
        yield dict(zip(grid, combination, strict=True))
