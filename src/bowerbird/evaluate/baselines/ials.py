"""iALS: implicit-feedback matrix factorisation by alternating least squares (the `implicit` library).

Shapes: B cases of a chunk, I items, F factors. Source: Hu, Koren, Volinsky, "Collaborative Filtering for
Implicit Feedback Datasets".
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bowerbird.evaluate.baselines.base import Baseline, interactions, profile_matrix
from bowerbird.evaluate.cases import Cases
from bowerbird.evaluate.positives import Positives


class IALS(Baseline):
    """Factors learnt in training; each case's user factor is solved anew from the case's history.

    Args:
        factors: rank.
        regularization: ridge penalty of a factor.
        alpha: confidence of an observed item relative to an unobserved one.
        iterations: passes over users and items.
        seed: of the initial factors.
        threads: of the solver; 0 = all processors.
    """

    name = "iALS"
    random = True
    grid: ClassVar[Mapping[str, Sequence[Any]]] = {
        "factors": (64, 256),
        "regularization": (1.0, 10.0),
        "alpha": (1.0, 10.0, 40.0),
    }

    def __init__(
        self,
        *,
        factors: int = 64,
        regularization: float = 1.0,
        alpha: float = 10.0,
        iterations: int = 15,
        seed: int = 0,
        threads: int = 0,
    ) -> None:
        super().__init__()
        self.factors, self.regularization, self.alpha = factors, regularization, alpha
        self.iterations, self.seed = iterations, seed
        self.threads = threads or len(os.sched_getaffinity(0))
        self.note = f"{factors} factors, regularization {regularization:g}, alpha {alpha:g}"

    def _fit(self, log: Positives) -> None:
        from implicit.cpu.als import AlternatingLeastSquares
        from scipy.sparse import csr_matrix
        from threadpoolctl import threadpool_limits

        # The solver runs its own threads over rows; BLAS threads inside each would only fight them.
        with threadpool_limits(1, user_api="blas"):
            self._model = AlternatingLeastSquares(
                factors=self.factors,
                regularization=self.regularization,
                alpha=self.alpha,
                iterations=self.iterations,
                num_threads=self.threads,
                random_state=self.seed,
            )
            self._model.fit(csr_matrix(interactions(log)), show_progress=False)
        self._unseen = log.item_count == 0

    def _score(self, cases: Cases) -> NDArray[np.floating[Any]]:
        from scipy.sparse import csr_matrix
        from threadpoolctl import threadpool_limits

        profiles = profile_matrix(cases)
        known = np.diff(profiles.indptr) > 0
        scores = np.full((len(cases), cases.n_items), -np.inf, np.float32)
        if known.any():
            rows = np.arange(int(known.sum()))
            with threadpool_limits(1, user_api="blas"):
                users_BF = self._model.recalculate_user(rows, csr_matrix(profiles[known]))
            scores[known] = np.atleast_2d(users_BF) @ self._model.item_factors.T
        scores[:, self._unseen] = -np.inf
        return scores
