"""How well the rows of one slate are ordered: hits among the first k, and discounted gain.

Tied rows stand in random order and the exact expectation is taken, so a ranker that cannot tell rows apart scores
what chance scores. Source: UniPinRec B6 (Hit@3 over slates with at least one positive and one other row).

Shapes: R rows, S slates.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bowerbird.evaluate.slates.auc import tie_groups


@dataclass(frozen=True)
class Placement:
    """The runs of equal scores of every slate, best first (T runs).

    slate: int64 (T,); place: int64 (T,) the first place of the run (0 = top); size, positives: int64 (T,) rows;
    n_slates: S.
    """

    slate: NDArray[np.int64]
    place: NDArray[np.int64]
    size: NDArray[np.int64]
    positives: NDArray[np.int64]
    n_slates: int

    @classmethod
    def of(
        cls,
        score_R: NDArray[np.floating],
        positive_R: NDArray[np.bool_],
        slate_R: NDArray[np.int64],
        n_slates: int,
    ) -> Placement:
        """Sort the rows of each slate.

        Args:
            score_R: floats (R,).
            positive_R: bool (R,).
            slate_R: int64 (R,) slate of each row, ascending.
            n_slates: S.
        """
        order = np.lexsort((-score_R, slate_R))
        tied = tie_groups(score_R[order], slate_R[order])
        start = np.flatnonzero(np.diff(tied, prepend=-1))
        slate = slate_R[order][start]
        rows = np.bincount(slate_R, minlength=n_slates)
        return cls(
            slate=slate,
            place=start - (np.cumsum(rows) - rows)[slate],
            size=np.bincount(tied),
            positives=np.bincount(tied, positive_R[order]).astype(np.int64),
            n_slates=n_slates,
        )

    @cached_property
    def slate_positives(self) -> NDArray[np.int64]:
        """int64 (S,)."""
        return np.bincount(self.slate, self.positives, minlength=self.n_slates).astype(np.int64)

    @cached_property
    def rankable(self) -> NDArray[np.bool_]:
        """bool (S,): at least one positive and one other row."""
        sizes = np.bincount(self.slate, self.size, minlength=self.n_slates)
        return (self.slate_positives > 0) & (self.slate_positives < sizes)

    def hit(self, k: int) -> NDArray[np.float64]:
        """float64 (S,): chance that at least one positive is among the first k.

        >>> Placement.of(np.array([3.0, 1, 1, 0]), np.array([0, 1, 0, 0], bool), np.zeros(4, int), 1).hit(2).tolist()
        [0.5]
        """
        open_places = np.clip(k - self.place, 0, self.size)
        miss = np.ones(len(self.slate))
        others = self.size - self.positives
        # Drawing the run's open places without replacement: the chance that each draw is no positive.
        for drawn in range(int(open_places.max(initial=0))):
            left = np.maximum(self.size - drawn, 1)
            miss *= np.where(drawn < open_places, np.maximum(others - drawn, 0) / left, 1.0)
        slate_miss = np.ones(self.n_slates)
        np.multiply.at(slate_miss, self.slate, miss)
        return 1.0 - slate_miss

    def ndcg(self) -> NDArray[np.float64]:
        """float64 (S,): gain 1 / log2(place + 2) of the positives over that of the best order; 0 without positives.

        >>> Placement.of(np.array([2.0, 1]), np.array([0, 1], bool), np.zeros(2, int), 1).ndcg().round(4).tolist()
        [0.6309]
        """
        longest = int((self.place + self.size).max(initial=0))
        total = np.concatenate([[0.0], np.cumsum(1.0 / np.log2(np.arange(longest) + 2.0))])
        mean_discount = (total[self.place + self.size] - total[self.place]) / self.size
        gain = np.bincount(self.slate, self.positives * mean_discount, minlength=self.n_slates)
        best = total[self.slate_positives]
        return np.divide(gain, best, out=np.zeros(self.n_slates), where=best > 0)
