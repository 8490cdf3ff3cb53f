"""How often each item got each action when it was shown: the ranker everybody can build in a minute.

Shapes: R rows, C actions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from bowerbird.evaluate.rankers.base import FittedRanker
from bowerbird.evaluate.rankers.features import shared_log
from bowerbird.evaluate.slates.build import training_slates
from bowerbird.evaluate.slates.calibration import log_loss
from bowerbird.evaluate.slates.cases import SlateCases
from bowerbird.tables.errors import ConfigError
from bowerbird.tables.view.counts import EventLog, KeyedCounts, global_rates, smoothed

if TYPE_CHECKING:
    from bowerbird.tables.view import View

STRENGTHS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)


class PopularityRanker(FittedRanker):
    """The item's rate of each action, smoothed towards the rate of all items.

    How strongly is chosen for each action by the log loss of the training slates, each scored by what had been counted
    before it: one number an action, far too little to overfit, so `valid` is not needed.

    Args:
        strengths: rows the overall rate may weigh.
    """

    name = "Popularity"

    def __init__(self, *, strengths: tuple[float, ...] = STRENGTHS) -> None:
        super().__init__()
        if not strengths or min(strengths) <= 0:
            raise ConfigError(f"strengths of smoothing must be above 0, not {strengths}")
        self.strengths = strengths

    def fit(self, view: View, *, valid: View | None = None, seed: int = 0) -> Self:
        """Choose the smoothing of each action; see `FittedRanker.fit`."""
        cases = training_slates(view)
        if not len(cases):
            raise ConfigError("a ranker learns from slates, and the view has none")
        tried = [
            self._rates(cases, np.full(len(cases.action_names), strength)) for strength in self.strengths
        ]
        loss = np.array(
            [
                [log_loss(rates[:, c], cases.labels[:, c]).mean() for c in range(rates.shape[1])]
                for rates in tried
            ]
        )
        self._strength_C = np.asarray(self.strengths)[loss.argmin(axis=0)]
        chosen = zip(cases.action_names, self._strength_C, strict=True)
        self.note = "smoothing " + ", ".join(f"{name} {strength:g}" for name, strength in chosen)
        return self

    def score(self, cases: SlateCases) -> NDArray[np.float32]:
        """The smoothed rates as they stood before each slate."""
        return self._rates(cases, self._strength_C).astype(np.float32)

    def _rates(self, cases: SlateCases, strength_C: NDArray[np.float64]) -> NDArray[np.float64]:
        log: EventLog = shared_log(cases)
        moment = cases.known_before[cases.slate_of_row]
        found = KeyedCounts(log, log.item).at(cases.item, moment)
        prior = global_rates(log, moment)
        return np.stack(
            [smoothed(found, prior, strength)[:, c] for c, strength in enumerate(strength_C)], axis=1
        )
