"""First-order Markov chain: what followed the last item of the history in training.

Shapes: B cases of a chunk, I items.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bowerbird.evaluate.baselines.base import Baseline
from bowerbird.evaluate.cases import Cases
from bowerbird.evaluate.positives import Positives

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
