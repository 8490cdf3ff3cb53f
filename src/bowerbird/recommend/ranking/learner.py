"""UniPinRec under the learner contract: one fit teaches retrieval and ranking together."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from bowerbird.evaluate.slates import SlateCases, grouped_auc, slate_cases
from bowerbird.learn.artifact import Artifact
from bowerbird.learn.run import Run
from bowerbird.learn.train import StepFunction, StepOutput
from bowerbird.recommend.inputs.conditions import Conditions
from bowerbird.recommend.learner import PinRecLearner
from bowerbird.recommend.model import PinRec
from bowerbird.recommend.ranking.config import UniPinRecConfig
from bowerbird.recommend.ranking.examples import UniPinRecBatch, UniPinRecExamples
from bowerbird.recommend.ranking.model import UniPinRec
from bowerbird.recommend.ranking.opened import OpenUniPinRec, UniPinRecRanker
from bowerbird.recommend.retrieval.opened import OpenPinRec
from bowerbird.tables.errors import ConfigError
from bowerbird.tables.view import View

if TYPE_CHECKING:
    from bowerbird.evaluate.report import Report
    from bowerbird.recommend.examples import PinRecExamples

_VALIDATION_SLATES = 4_000
_PRIOR_ROWS = 20.0
"""Rows at the usual rates that every item starts with where its own rates are estimated."""


class UniPinRecLearner(PinRecLearner):
    """Retrieval and ranking by one model (arXiv 2606.00422); see ``docs/systems/unipinrec.md``."""

    name: ClassVar[str] = "unipinrec"
    config_class: ClassVar[type] = UniPinRecConfig
    opened_class: ClassVar[type[OpenPinRec]] = OpenUniPinRec
    monitor: ClassVar[str] = "score"

    @property
    def uni(self) -> UniPinRecConfig:
        """The settings."""
        assert isinstance(self.config, UniPinRecConfig)
        return self.config

    def evaluate(
        self, artifact: Artifact, view: View, *, since: View, run: Run | None = None, seeds: Sequence[Artifact] = ()
    ) -> Report:
        """PinRec's report, and how slates are ordered, beside the rankers."""
        from bowerbird.evaluate.baselines import QUICK_GRIDS
        from bowerbird.recommend.ranking.evaluation import report

        return report([artifact, *seeds], view, since=since, run=run, grids=QUICK_GRIDS)

    def _examples(self, shown: View, conditions: Conditions, seed: int) -> PinRecExamples:
        return UniPinRecExamples(shown, self.uni, conditions, seed=seed)

    def _more_facts(self, view: View) -> dict[str, Any]:
        return {"store_actions": [str(name) for name in view.actions.decode(np.arange(len(view.actions)))]}

    def _prepare(self, model: PinRec, examples: PinRecExamples, shown: View) -> None:
        assert isinstance(model, UniPinRec) and isinstance(examples, UniPinRecExamples)
        shown_I, acted_IC = _shown_and_acted(examples)
        rate_C = acted_IC.sum(0) / max(shown_I.sum(), 1)
        # B8: rare actions weigh more, 1 / sqrt(rate), 1 on average; an action that never happens weighs nothing
        weight_C = np.where(rate_C > 0, 1 / np.sqrt(np.maximum(rate_C, 1e-6)), 0.0)
        model.action_weight.copy_(torch.from_numpy(weight_C / max(weight_C.mean(), 1e-12)))
        # base rates, an item's own included, are counted, not learnt in the first epochs
        with torch.no_grad():
            model.heads.bias.copy_(torch.from_numpy(_log_odds(rate_C)))
            past_C = _share(shown.positives.actions, len(rate_C))
            if model.item_bias is not None:
                smoothed_IC = (acted_IC + _PRIOR_ROWS * rate_C) / (shown_I[:, None] + _PRIOR_ROWS)
                model.item_bias.weight.copy_(torch.from_numpy(_log_odds(smoothed_IC) - _log_odds(rate_C)))
            model.past_bias.copy_(torch.from_numpy(_log_odds(past_C) - _log_odds(rate_C)))
        if self.uni.start_from:
            _start_from(model, Path(self.uni.start_from))
        if self.uni.freeze_items:
            model.items.requires_grad_(False)

    def _step(self, model: PinRec) -> StepFunction[Any]:
        assert isinstance(model, UniPinRec)

        def step(batch: UniPinRecBatch, rng: torch.Generator) -> StepOutput:
            loss, parts = model.joint_loss(batch, rng)
            return StepOutput(loss.total, loss.weight.detach(), len(batch.window), parts)

        return step

    def _validation(
        self, model: PinRec, conditions: Conditions, view: View, valid: View
    ) -> Callable[[], dict[str, float]]:
        retrieves = super()._validation(model, conditions, view, valid)
        slates = slate_cases(valid, view, min_history=1, limit=_VALIDATION_SLATES, seed=0)

        def validate() -> dict[str, float]:
            found = retrieves() if self.uni.retrieve else {}
            opened = OpenUniPinRec(model, conditions, view)
            if opened.ranks and len(slates):
                found["slate_auc"] = _slate_auc(opened, slates)
            found["score"] = _score(found)
            return found

        return validate


def _shown_and_acted(examples: UniPinRecExamples) -> tuple[np.ndarray, np.ndarray]:
    """int64 (I,) rows of each item over all slates, kept or not, and (I, C) those with each action."""
    view, slates = examples.view, examples.blended.slates
    rows = view.take(slates.rows(np.arange(len(slates))))
    actions = len(view.actions)
    acted = [
        np.bincount(rows.item[(rows.actions >> np.uint32(bit)) & 1 == 1], minlength=view.n_items)
        for bit in range(actions)
    ]
    return np.bincount(rows.item, minlength=view.n_items), np.stack(acted, axis=1)


def _share(masks: np.ndarray, actions: int) -> np.ndarray:
    """float64 (C,): share of action masks with each action."""
    return np.array([((masks >> np.uint32(bit)) & 1).mean() if len(masks) else 0.0 for bit in range(actions)])


def _log_odds(rate_C: np.ndarray) -> np.ndarray:
    rate_C = np.clip(rate_C, 1e-4, 1 - 1e-4)
    return np.log(rate_C / (1 - rate_C))


def _slate_auc(opened: OpenUniPinRec, slates: SlateCases) -> float:
    """Mean over actions and slates of the area under the curve inside a slate."""
    scores_RC, labels_RC = UniPinRecRanker(opened).score(slates), slates.labels
    per_action = []
    for action in range(labels_RC.shape[1]):
        auc_S = grouped_auc(scores_RC[:, action], labels_RC[:, action], slates.slate_of_row, len(slates))
        known = auc_S[np.isfinite(auc_S)]
        if len(known):
            per_action.append(float(known.mean()))
    return float(np.mean(per_action)) if per_action else 0.5


def _score(found: dict[str, float]) -> float:
    """What early stopping follows: the geometric mean of NDCG@10 and twice the slate AUC above chance."""
    parts = []
    if "ndcg@10" in found:
        parts.append(max(found["ndcg@10"], 1e-9))
    if "slate_auc" in found:
        parts.append(max(2 * found["slate_auc"] - 1, 1e-9))
    return math.prod(parts) ** (1 / len(parts)) if parts else 0.0


def _start_from(model: UniPinRec, folder: Path) -> None:
    """Take over every weight of a fitted artifact whose name and shape fit.

    Raises:
        ConfigError: if the item embedder is not among them.
    """
    artifact = Artifact.load(folder)
    own = model.state_dict()
    fits = {name: t for name, t in artifact.tensors.items() if name in own and own[name].shape == t.shape}
    missing = [name for name in own if name.startswith("items.") and name not in fits]
    if missing:
        raise ConfigError(
            f"start_from={folder}: {missing[0]} has another shape or is missing there. Fix: fit it with the same item "
            "settings (id_mode, id_dim, content_dim, item_dim) on the same store"
        )
    model.load_state_dict({name: t for name, t in fits.items() if name != "action_weight"}, strict=False)
