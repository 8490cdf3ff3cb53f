"""The last look at an answer: nothing seen, nothing filtered out, nothing twice, not too much of one thing, and full
where it can be.

Shape letters: n candidates of one request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bowerbird.serve.diversity import Rule
from bowerbird.serve.generators.base import Candidates
from bowerbird.serve.response import Why


@dataclass(frozen=True)
class Picked:
    """One item of an answer.

    Attributes:
        item: Dense item.
        score: Comparable with the others that its stage put in.
        why: Who put it in.
        row: Its place among the model's candidates, -1 where it is not one of them.
    """

    item: int
    score: float
    why: Why
    row: int = -1


class Guard:
    """Puts an answer together. Stages offer items, the best stage first; the rules are the same for all of them.

    A generator was told the same rules; they are checked here again, because what a person sees must not depend on how
    well an index filters.

    Args:
        k: Items wanted.
        allowed: int32 ascending, the only items that may be shown; None = all.
        exclude: int32 ascending, items that must not be shown.
        rules: Against sameness.
    """

    def __init__(
        self, k: int, *, allowed: np.ndarray | None, exclude: np.ndarray, rules: Sequence[Rule] = ()
    ) -> None:
        self.k, self.allowed, self.exclude, self.rules = k, allowed, exclude, rules
        self.picked: list[Picked] = []
        self._taken: set[int] = set()

    @property
    def missing(self) -> int:
        """Items still wanted."""
        return self.k - len(self.picked)

    @property
    def barred(self) -> np.ndarray:
        """int32: what must not be shown, or is in the answer already."""
        return np.concatenate([self.exclude, np.fromiter(self._taken, np.int32, len(self._taken))])

    def offer(self, item: np.ndarray, score: np.ndarray, why: Sequence[Why], row: np.ndarray) -> int:
        """Takes items in the order given until the answer is full.

        Args:
            item: (n,) dense items, -1 = none.
            score: (n,), items whose score is not finite are left out.
            why: One an item.
            row: (n,), see `Picked.row`.

        Returns:
            How many were taken.
        """
        good = (item >= 0) & np.isfinite(score) & ~np.isin(item, self.exclude)
        if self.allowed is not None:
            good &= np.isin(item, self.allowed)
        before = len(self.picked)
        for place in np.flatnonzero(good).tolist():
            if not self.missing:
                break
            self._consider(Picked(int(item[place]), float(score[place]), why[place], int(row[place])))
        return len(self.picked) - before

    def _consider(self, one: Picked) -> None:
        if one.item in self._taken:
            return
        for rule in self.rules:
            value = rule.objection(one.item)
            if value is not None:
                if one.why.stage == "model":  # of the fallbacks there is no end
                    rule.hold(value)
                return
        for rule in self.rules:
            rule.take(one.item)
        self._taken.add(one.item)
        self.picked.append(one)


def in_shares(found: Candidates, k: int) -> np.ndarray:
    """The order that keeps every vector's share in the first k of a list that was fetched longer: int64 (n,) rows.

    Each vector first brings in as many items as its part of k; what it brought beyond that follows, best first.
    """
    budgets = np.array([vector.budget for vector in found.vectors], float)
    total = budgets.sum()
    if not len(found.item) or total <= k:
        return np.arange(len(found.item))
    part = np.ceil(budgets * k / total)
    order = np.argsort(found.vector, kind="stable")
    counts = np.bincount(found.vector, minlength=len(budgets))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.argsort(place >= part[found.vector], kind="stable")
