"""Every figure of one ranker for one action, in the form the bootstrap takes.

Shapes: S slates, R rows, U users.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bowerbird.evaluate.bootstrap import Figure, Statistic
from bowerbird.evaluate.slates.auc import PooledAuc, grouped_auc
from bowerbird.evaluate.slates.calibration import CalibrationError, log_loss
from bowerbird.evaluate.slates.cases import SlateCases
from bowerbird.evaluate.slates.within_slate import Placement

LOWER_IS_BETTER = ("log_loss", "ece")
"""Metrics where less is more; of "calibration" 1 is best, of all others the highest."""

MEANING = {
    "auc": "area under the ROC curve over all rows",
    "gauc": "area inside each user with both classes, weighted by the user's rows",
    "slate_auc": "mean area inside each slate with both classes",
    "hit": "share of slates with both classes that have a positive among the first {k}",
    "ndcg": "mean discounted gain inside slates with both classes",
    "log_loss": "mean over rows, in nats",
    "ece": "mean |probability - rate| over 15 bins of equally many rows",
    "calibration": "sum of probabilities over number of positives",
}
"""What each metric is; "hit" stands for every "hit@k", with a place for k."""


def metric_names(ks: Sequence[int]) -> list[str]:
    """The metrics in the order of the table."""
    return ["auc", "gauc", "slate_auc", *(f"hit@{k}" for k in ks), "ndcg", "log_loss", "ece", "calibration"]


@dataclass(frozen=True)
class Measures:
    """Figures of one ranker for one action: ratios of sums over slates, and figures that are none."""

    statistics: dict[str, Statistic]
    figures: dict[str, Figure]


def measure(
    probability_R: NDArray[np.floating],
    positive_R: NDArray[np.bool_],
    cases: SlateCases,
    user_S: NDArray[np.integer],
    n_users: int,
    ks: Sequence[int],
) -> Measures:
    """Measure one column of scores.

    Args:
        probability_R: the ranker's probabilities of one action.
        positive_R: bool (R,), whether the row carries the action.
        cases: the slates.
        user_S: the user number of each slate as the bootstrap counts them.
        n_users: U.
        ks: cut-offs of hits.
    """
    slate_R, n_slates = cases.slate_of_row, len(cases)
    user_R = user_S[slate_R]
    placement = Placement.of(probability_R, positive_R, slate_R, n_slates)
    rankable = placement.rankable

    def over_rankable(values_S: NDArray[np.float64]) -> Statistic:
        return Statistic(np.where(rankable, values_S, 0.0), rankable.astype(np.float64))

    def over_rows(values_R: NDArray[Any]) -> NDArray[np.float64]:
        return np.bincount(slate_R, values_R.astype(np.float64), n_slates).astype(np.float64)

    rows_S = cases.sizes.astype(np.float64)
    statistics = {
        "gauc": _per_user(grouped_auc(probability_R, positive_R, user_R, n_users), user_S, rows_S),
        "slate_auc": over_rankable(grouped_auc(probability_R, positive_R, slate_R, n_slates)),
        **{f"hit@{k}": over_rankable(placement.hit(k)) for k in ks},
        "ndcg": over_rankable(placement.ndcg()),
        "log_loss": Statistic(over_rows(log_loss(probability_R, positive_R)), rows_S),
        "calibration": Statistic(over_rows(probability_R), over_rows(positive_R)),
    }
    figures: dict[str, Figure] = {
        "auc": PooledAuc(probability_R, positive_R, user_R),
        "ece": CalibrationError(probability_R, positive_R, user_R, n_users),
    }
    return Measures(statistics, figures)


def _per_user(
    area_U: NDArray[np.float64], user_S: NDArray[np.integer], rows_S: NDArray[np.float64]
) -> Statistic:
    """The users' areas weighted by their rows, written slate by slate so that users can be drawn."""
    area_S = area_U[user_S]
    counted = ~np.isnan(area_S)
    return Statistic(np.where(counted, area_S * rows_S, 0.0), np.where(counted, rows_S, 0.0))
