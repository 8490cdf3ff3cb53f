"""EASE: the linear item-item model with a closed form (Steck, "Embarrassingly Shallow Autoencoders for
Sparse Data").

Shapes: B cases of a chunk, I items, S <= I items kept.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bowerbird.evaluate.baselines.base import Baseline, interactions
from bowerbird.evaluate.baselines.neighbours import weighted_profiles
from bowerbird.evaluate.cases import Cases
from bowerbird.evaluate.positives import Positives
from bowerbird.tables.errors import ConfigError


class EASE(Baseline):
    """Each item as a ridge regression of all others: B = I - P / diag(P), P = (X'X + penalty I)^-1.

    Memory grows with the square and time with the cube of the number of items, so beyond `max_items` only
    the most popular are modelled; the rest follow by popularity and the note says so.

    Args:
        penalty: ridge penalty, in users.
        decay: weight of each older item of the history relative to the one after it when scoring.
        max_items: items modelled at most.
    """

    name = "EASE"
    grid: ClassVar[Mapping[str, Sequence[Any]]] = {
        "penalty": (10.0, 50.0, 200.0, 1000.0),
        "decay": (1.0, 0.9, 0.8, 0.6, 0.4),
    }
    only_scoring = ("decay",)

    def __init__(self, *, penalty: float = 200.0, decay: float = 1.0, max_items: int = 20_000) -> None:
        super().__init__()
        if penalty <= 0 or not 0 < decay <= 1 or max_items < 1:
            raise ConfigError("EASE needs penalty > 0, 0 < decay <= 1 and max_items >= 1")
        self.penalty, self.decay, self.max_items = penalty, decay, max_items
        self.note = f"penalty {penalty:g}, decay {decay:g}"

    def _fit(self, log: Positives) -> None:
        seen = int((log.item_count > 0).sum())
        kept = self._popular[: min(seen, self.max_items)]
        if seen > self.max_items:
            cut = f"the {self.max_items} most popular of {seen} items"
            self.note = f"{self.note.partition(', the ')[0]}, {cut}"
            warnings.warn(f"EASE models {cut}", stacklevel=3)
        self._kept = np.sort(kept)
        columns = interactions(log)[:, self._kept]
        gram = (columns.T @ columns).toarray().astype(np.float32, copy=False)
        gram[np.diag_indices_from(gram)] += self.penalty
        self._weights = _coefficients(gram)

    def _score(self, cases: Cases) -> NDArray[np.floating[Any]]:
        profiles = weighted_profiles(cases, self.decay)
        scores = np.full((len(cases), cases.n_items), -np.inf, np.float32)
        known = np.diff(profiles[:, self._kept].indptr) > 0  # an empty profile is no opinion
        scores[np.ix_(known, self._kept)] = profiles[known][:, self._kept] @ self._weights
        return scores


def _coefficients(gram_SS: NDArray[np.float32]) -> NDArray[np.float32]:
    """I - P / diag(P) with P the inverse of a positive definite matrix, which is destroyed."""
    from scipy.linalg.lapack import spotrf, spotri

    if not len(gram_SS):
        return gram_SS
    # The transpose of a symmetric C array is the Fortran array LAPACK works in without a copy.
    factor, failed = spotrf(gram_SS.T, lower=True, overwrite_a=True, clean=False)
    if failed:
        raise ConfigError("EASE could not invert its matrix in single precision; use a larger penalty")
    inverse, _ = spotri(factor, lower=True, overwrite_c=True)
    weights = inverse.T  # C order, upper triangle filled
    _mirror(weights)
    weights /= -np.diag(weights).copy()
    weights[np.diag_indices_from(weights)] = 0.0
    return weights


def _mirror(matrix: NDArray[np.float32], block: int = 1024) -> None:
    """Copy the upper triangle to the lower one in blocks, without an index as large as the matrix."""
    n = len(matrix)
    for low in range(0, n, block):
        high = min(low + block, n)
        matrix[high:, low:high] = matrix[low:high, high:].T
        corner = matrix[low:high, low:high]
        corner[:] = np.triu(corner) + np.triu(corner, 1).T
