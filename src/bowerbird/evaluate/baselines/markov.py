"""First-order Markov chains: what followed the last item of the history, in training or in a recent window.

Shapes: B cases of a chunk, I items, P positive events in the order of the store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bowerbird.evaluate.baselines.base import Baseline
from bowerbird.evaluate.baselines.popularity import WINDOWS, RecentPopularity, duration
from bowerbird.evaluate.cases import Cases
from bowerbird.evaluate.positives import Positives, positives

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class Markov(Baseline):
    """Scores are counts of "item directly after the last item" over all training users; popularity behind
    them.

    Args:
        symmetric: also count the step backwards (what came directly before), which helps on short sequences.
    """

    name = "Markov (first order)"
    grid: ClassVar[Mapping[str, Sequence[Any]]] = {"symmetric": (False, True)}

    def __init__(self, *, symmetric: bool = False) -> None:
        super().__init__()
        self.symmetric = symmetric
        self.note = "steps counted both ways" if symmetric else "steps counted forward"

    def _fit(self, log: Positives) -> None:
        from scipy.sparse import csr_array

        step = np.flatnonzero((log.user[1:] == log.user[:-1]) & (log.item[1:] != log.item[:-1]))
        shape = (log.n_items, log.n_items)
        counts = csr_array(
            (np.ones(len(step), np.float32), (log.item[step], log.item[step + 1])), shape=shape
        )
        counts.sum_duplicates()
        self._next: csr_array = (counts + counts.T).tocsr() if self.symmetric else counts

    def _score(self, cases: Cases) -> NDArray[np.floating[Any]]:
        batch = cases.histories(1)
        scores = np.zeros((len(cases), cases.n_items), np.float32)
        known = np.flatnonzero(batch.lengths > 0)
        scores[known] = self._next[batch.item[known, 0]].toarray()
        # A count of zero is no opinion. Within equal counts popularity would be a second rule, so the tie
        # rule decides.
        scores[scores == 0] = -np.inf
        return scores


class RecentMarkov(Baseline):
    """Scores are counts of "item directly after the last item" in the last `window` ms before each case; where there
    is none, and among equal counts, popularity in the same window decides.

    Only steps strictly before the case's time count. Where the protocol is live (rolling) they come from the view
    the histories come from, as they would for a running platform; else from the view before the wall.

    Args:
        window: milliseconds.
    """

    name = "Recent Markov"
    grid: ClassVar[Mapping[str, Sequence[Any]]] = {"window": WINDOWS}
    only_scoring = ("window",)

    def __init__(self, *, window: int = WINDOWS[2]) -> None:
        super().__init__()
        self.window = RecentPopularity(window=window).window
        self.note = f"steps of the last {duration(window)}"

    def _fit(self, log: Positives) -> None:
        """Nothing beyond the popularity that stands behind the window."""

    def _score(self, cases: Cases) -> NDArray[np.floating[Any]]:
        popular = RecentPopularity(window=self.window)._score(cases)
        popular[~np.isfinite(popular)] = 0
        # below 1, so that a single step outweighs any popularity; float64 keeps both readable
        scores = popular.astype(np.float64) / (popular.max(axis=1, keepdims=True) + 1)
        before, after, time = _steps(positives(cases.view if cases.live else cases.earlier))
        batch = cases.histories(1)
        last = np.where(batch.lengths > 0, batch.item[:, 0].astype(np.int64), -1)
        low, high = np.searchsorted(before, last), np.searchsorted(before, last, side="right")
        for case in range(len(cases)):
            mine = slice(low[case], high[case])
            since, until = np.searchsorted(time[mine], [cases.time[case] - self.window, cases.time[case]])
            scores[case] += np.bincount(after[mine][since:until], minlength=cases.n_items)
        scores[scores == 0] = -np.inf
        return scores


def _steps(log: Positives) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]:
    """Item before, item after and time (of the second) of every step, by item before, then by time."""
    step = np.flatnonzero((log.user[1:] == log.user[:-1]) & (log.item[1:] != log.item[:-1]))
    order = np.lexsort((log.time[step + 1], log.item[step]))
    step = step[order]
    return log.item[step], log.item[step + 1], log.time[step + 1]
