"""Gradient-boosted trees on the feature table (LightGBM), one ensemble for each action.

Shapes: R rows, C actions, F features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from bowerbird.evaluate.rankers.base import FittedRanker, tuning
from bowerbird.evaluate.rankers.features import Features
from bowerbird.evaluate.slates.build import training_slates
from bowerbird.evaluate.slates.cases import SlateCases
from bowerbird.tables.errors import ConfigError

if TYPE_CHECKING:
    from bowerbird.tables.view import View

PARAMETERS: dict[str, Any] = {
    "objective": "binary",
    "learning_rate": 0.1,
    "num_leaves": 15,
    "max_bin": 63,
    "min_data_in_leaf": 50,
    "feature_fraction": 0.7,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "verbosity": -1,
    "deterministic": True,
    "force_row_wise": True,
}


class GradientBoostedTrees(FittedRanker):
    """Trees on counts, rates and recency, the strongest ranker without a sequence model.

    The number of trees is where the log loss of the tuning slates stops falling.

    Args:
        trees: most trees.
        patience: stop after so many trees without a better log loss.
        parameters: other LightGBM parameters, e.g. `{"num_leaves": 63}`.
    """

    name = "Gradient-boosted trees"
    random = True

    def __init__(
        self, *, trees: int = 600, patience: int = 30, parameters: dict[str, Any] | None = None
    ) -> None:
        super().__init__()
        if trees < 1 or patience < 1:
            raise ConfigError(f"trees={trees} and patience={patience} must be at least 1")
        self.trees, self.patience, self.parameters = trees, patience, parameters or {}

    def fit(self, view: View, *, valid: View | None = None, seed: int = 0) -> Self:
        """Grow one ensemble for each action; see `FittedRanker.fit`."""
        import lightgbm  # heavy: only those who fit trees pay for it

        split = tuning(view, valid)
        self._features = Features(split.learn)
        learn = training_slates(split.learn)
        table, tune = self._features(learn), self._features(split.cases)
        train_set = lightgbm.Dataset(table.values, free_raw_data=False)
        tune_set = lightgbm.Dataset(tune.values, reference=train_set, free_raw_data=False)
        settings = {**PARAMETERS, **self.parameters, "seed": seed}
        self._boosters: list[Any] = []
        self._constant_C = np.full(len(learn.action_names), np.nan)
        for c, labels in enumerate(learn.labels.T):
            if labels.all() or not labels.any():
                self._constant_C[c] = (labels.sum() + 0.5) / (len(labels) + 1.0)
                self._boosters.append(None)
                continue
            train_set.set_label(labels.astype(np.float32))
            tune_set.set_label(split.cases.labels[:, c].astype(np.float32))
            stop = lightgbm.early_stopping(self.patience, verbose=False)
            self._boosters.append(
                lightgbm.train(settings, train_set, self.trees, valid_sets=[tune_set], callbacks=[stop])
            )
        if split.refit:
            values = np.concatenate([table.values, tune.values])
            self._refit(lightgbm, settings, values, np.concatenate([learn.labels, split.cases.labels]))
        self.note = "trees " + ", ".join(
            f"{name} {booster.best_iteration or booster.num_trees() if booster else 0}"
            for name, booster in zip(learn.action_names, self._boosters, strict=True)
        )
        return self

    def _refit(
        self,
        lightgbm: Any,
        settings: dict[str, Any],
        values_RF: NDArray[np.float32],
        labels_RC: NDArray[np.bool_],
    ) -> None:
        """The same numbers of trees, grown on the tuning slates as well."""
        everything = lightgbm.Dataset(values_RF, free_raw_data=False)
        for c, booster in enumerate(self._boosters):
            if booster is not None:
                everything.set_label(labels_RC[:, c].astype(np.float32))
                self._boosters[c] = lightgbm.train(settings, everything, max(1, booster.best_iteration))

    def score(self, cases: SlateCases) -> NDArray[np.float32]:
        """Probabilities of all actions."""
        values = self._features(cases).values
        columns = [
            np.full(len(values), constant) if booster is None else booster.predict(values)
            for booster, constant in zip(self._boosters, self._constant_C, strict=True)
        ]
        return np.stack(columns, axis=1).astype(np.float32)
