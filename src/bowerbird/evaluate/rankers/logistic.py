"""Logistic regression on the feature table, one for each action.

Shapes: R rows, C actions, F features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from bowerbird.evaluate.rankers.base import FittedRanker
from bowerbird.evaluate.rankers.features import Features
from bowerbird.evaluate.slates.build import training_slates
from bowerbird.evaluate.slates.cases import SlateCases
from bowerbird.tables.errors import ConfigError

if TYPE_CHECKING:
    from bowerbird.tables.view import View


class LogisticRanker(FittedRanker):
    """Standardised features in, one weight each (scikit-learn, L-BFGS).

    Rates enter as log-odds, the scale on which they add up. What is not known counts as average. Nothing is tuned, so
    `valid` is not needed: with thousands of rows a weight the penalty hardly matters.

    Args:
        penalty: strength of the L2 penalty per training set (the inverse of scikit-learn's C).
        steps: most iterations.
    """

    name = "Logistic regression"

    def __init__(self, *, penalty: float = 10.0, steps: int = 200) -> None:
        super().__init__()
        if penalty <= 0 or steps < 1:
            raise ConfigError(f"penalty={penalty} must be above 0 and steps={steps} at least 1")
        self.penalty, self.steps = penalty, steps

    def fit(self, view: View, *, valid: View | None = None, seed: int = 0) -> Self:
        """Fit one regression for each action; see `FittedRanker.fit`."""
        from sklearn import linear_model  # heavy: only those who fit one pay for it

        cases = training_slates(view)
        if not len(cases):
            raise ConfigError("a ranker learns from slates, and the view has none")
        self._features = Features(view)
        table = self._features(cases)
        self._is_rate = np.array([": rate of " in name for name in table.names])
        raw = self._scaled(table.values)
        with np.errstate(invalid="ignore"):
            self._mean = np.where(np.isnan(raw).all(axis=0), 0.0, _nanmean(raw))
            deviation = np.sqrt(_nanmean((raw - self._mean) ** 2))
        self._deviation = np.where(deviation > 1e-6, deviation, 1.0)
        inputs = self._standardised(raw)
        self._weights_CF = np.zeros((len(cases.action_names), inputs.shape[1]))
        self._bias_C = np.zeros(len(cases.action_names))
        for c, labels in enumerate(cases.labels.T):
            if labels.all() or not labels.any():
                self._bias_C[c] = _log_odds((labels.sum() + 0.5) / (len(labels) + 1.0))
                continue
            model = linear_model.LogisticRegression(C=1.0 / self.penalty, max_iter=self.steps, tol=1e-3)
            model.fit(inputs, labels)
            self._weights_CF[c], self._bias_C[c] = model.coef_[0], model.intercept_[0]
        return self

    def score(self, cases: SlateCases) -> NDArray[np.float32]:
        """Probabilities of all actions."""
        logits = (
            self._standardised(self._scaled(self._features(cases).values)) @ self._weights_CF.T + self._bias_C
        )
        return (1.0 / (1.0 + np.exp(-np.clip(logits, -30, 30)))).astype(np.float32)

    def _scaled(self, values_RF: NDArray[np.float32]) -> NDArray[np.float64]:
        values = values_RF.astype(np.float64)
        values[:, self._is_rate] = _log_odds(values[:, self._is_rate])
        return values

    def _standardised(self, values_RF: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.nan_to_num((values_RF - self._mean) / self._deviation, nan=0.0).clip(-6, 6)


def _log_odds(rate: NDArray[np.float64] | float) -> NDArray[np.float64]:
    kept = np.clip(rate, 1e-6, 1 - 1e-6)
    return np.log(kept / (1 - kept))


def _nanmean(values_RF: NDArray[np.float64]) -> NDArray[np.float64]:
    known = ~np.isnan(values_RF)
    return np.where(known, values_RF, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
