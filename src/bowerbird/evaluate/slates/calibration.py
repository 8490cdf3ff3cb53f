"""Whether probabilities mean what they say: log loss and expected calibration error.

Shapes: R rows, U users, n resamples, J bins.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bowerbird.evaluate.bootstrap import Estimate

BINS = 15
_LEAST = 1e-7
"""Probabilities are cut here before the logarithm, so one confident mistake costs at most 16 nats."""


def log_loss(probability_R: NDArray[np.floating], positive_R: NDArray[np.bool_]) -> NDArray[np.float64]:
    """float64 (R,): minus the log of the probability given to what happened, in nats."""
    said = np.where(positive_R, probability_R, 1.0 - probability_R.astype(np.float64))
    return -np.log(np.maximum(said, _LEAST))


class CalibrationError:
    """Expected calibration error as a function of how often each user is drawn (a `bootstrap.Figure`).

    Rows are cut once into bins of equally many rows by their probability (equal probabilities share a bin); the
    error is the mean over rows of |mean probability - rate| of their bin.

    Args:
        probability_R: floats (R,) in [0, 1], at least one.
        positive_R: bool (R,).
        user_R: integers (R,), the user number of each row as the bootstrap counts them.
        n_users: U.
        bins: J.
    """

    def __init__(
        self,
        probability_R: NDArray[np.floating],
        positive_R: NDArray[np.bool_],
        user_R: NDArray[np.integer],
        n_users: int,
        *,
        bins: int = BINS,
    ) -> None:
        inner = np.unique(np.quantile(probability_R, np.arange(1, bins) / bins))
        bin_R = np.searchsorted(inner, probability_R, side="right")
        n_bins = len(inner) + 1
        gap = probability_R.astype(np.float64) - positive_R
        place = user_R.astype(np.int64) * n_bins + bin_R
        self._gap_UJ = np.bincount(place, gap, minlength=n_users * n_bins).reshape(n_users, n_bins)
        self._rows_U = np.bincount(user_R, minlength=n_users).astype(np.float64)

    def __call__(self, times_nU: NDArray[np.int64]) -> NDArray[np.float64]:
        times = times_nU.astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.abs(times @ self._gap_UJ).sum(axis=1) / (times @ self._rows_U)


def recentred(error: Estimate) -> Estimate:
    """A calibration error whose resampled values are moved to have the mean of the error itself.

    A resample adds noise to every bin and the absolute value turns noise into error, so an interval of the raw values
    would lie above the figure that it is about.
    """
    return Estimate(error.mean, np.maximum(error.samples - error.samples.mean() + error.mean, 0.0))
