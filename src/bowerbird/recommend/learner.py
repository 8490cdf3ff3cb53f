"""PinRec under the learner contract: fit on a view, evaluate past it, emit item vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from bowerbird import __version__
from bowerbird.evaluate.cases import Cases
from bowerbird.evaluate.metrics.ranks import target_ranks
from bowerbird.evaluate.protocols import next_event_cases
from bowerbird.learn.artifact import Artifact
from bowerbird.learn.contract import Learner
from bowerbird.learn.run import Run
from bowerbird.learn.settings import to_dict
from bowerbird.learn.signals import Signal, origin
from bowerbird.learn.train import StepFunction, StepOutput, TrainConfig, train
from bowerbird.nn import frequency_counter
from bowerbird.nn.features.catalogue import CatalogueEncoder
from bowerbird.recommend.config import PinRecConfig
from bowerbird.recommend.examples import PinRecBatch, PinRecExamples
from bowerbird.recommend.inputs.conditions import Conditions
from bowerbird.recommend.inputs.signals import check_walls
from bowerbird.recommend.inputs.trends import DenseTrends
from bowerbird.recommend.model import PinRec
from bowerbird.recommend.retrieval.live import blend_cases, fit_blend
from bowerbird.recommend.retrieval.opened import OpenPinRec
from bowerbird.recommend.retrieval.recommender import PinRecRecommender
from bowerbird.tables.errors import ConfigError
from bowerbird.tables.view import TimeWall, View

if TYPE_CHECKING:
    from bowerbird.evaluate.report import Report


class PinRecLearner(Learner[PinRecConfig]):
    """Generative retrieval by PinRec (arXiv 2504.10507); see ``docs/systems/pinrec.md``."""

    name: ClassVar[str] = "pinrec"
    config_class: ClassVar[type] = PinRecConfig
    opened_class: ClassVar[type[OpenPinRec]] = OpenPinRec
    monitor: ClassVar[str] = "ndcg@10"

    def fit(self, view: View, *, valid: View | None = None, run: Run | None = None) -> Artifact:
        """See :class:`bowerbird.learn.Learner`. Validation asks for the next event of a sample of held-out rows."""
        run = run or Run(quiet=True, seed=self.config.seed)
        run.seed_everything()
        shown = self._shown(view)
        check_walls(shown, self.config.item_signals)
        conditions, encoder = Conditions.of(view), CatalogueEncoder.fit(view.item_table())
        examples = self._examples(shown, conditions, run.seed)
        counter = frequency_counter(view.n_items)
        for (item,) in shown.positives.columns("item"):
            counter.update(torch.from_numpy(item.astype(np.int64)))
        ids = torch.arange(view.n_items)
        facts = {
            "version": __version__,
            "seed": run.seed,
            "data": view.fingerprint,
            "wall": view.wall,
            "conditions": conditions.to_dict(),
            "catalogue": encoder.to_dict(),
            "positions_per_epoch": examples.positions,
            **self._more_facts(view),
        }
        model = self.opened_class.network(
            self.config, conditions, encoder, view, counter.log_probability(ids), facts=facts,
            trends=self._trends(shown, examples),
        )  # fmt: skip
        model.items.unseen.copy_(counter.count(ids) == 0)
        self._prepare(model, examples, shown)
        validate = None if valid is None else self._validation(model, conditions, view, valid)
        result = train(
            model,
            examples,
            self._step(model),
            self._settings(),
            run,
            validate=validate,
            monitor=self.monitor,
            identity=shown.fingerprint,
        )
        facts |= {"training": result.to_dict(), "parameters": sum(p.numel() for p in model.parameters())}
        artifact = Artifact(
            learner=self.name,
            config=to_dict(self.config),
            tensors={name: tensor.detach().cpu() for name, tensor in model.state_dict().items()},
            facts=facts,
        )
        if shown is not view:
            run.say("fitting the blend of cosine and live signals")
            cases = blend_cases(view, shown, self.config.blend_cases)
            blend = fit_blend(self.opened_class.open(artifact, view), cases)
            fitted = {"blend": blend.to_dict(), "blend_cases": len(cases), "network_wall": shown.wall}
            artifact = replace(artifact, facts={**artifact.facts, **fitted})
        return artifact

    def evaluate(
        self,
        artifact: Artifact,
        view: View,
        *,
        since: View,
        run: Run | None = None,
        seeds: Sequence[Artifact] = (),
    ) -> Report:
        """The headline table, the outcome matrix and the curves of one artifact, beside all baselines."""
        from bowerbird.evaluate.baselines import QUICK_GRIDS
        from bowerbird.recommend.evaluation import report  # plots are heavy, training never needs them

        return report([artifact, *seeds], view, since=since, run=run, grids=QUICK_GRIDS)

    def emit(self, artifact: Artifact, view: View, *, run: Run | None = None) -> Iterator[Signal]:
        """Item vectors of the retrieval space, for every item the view knows."""
        opened = self.opened_class.open(artifact, view)
        known = np.flatnonzero(view.known_items())
        yield Signal(
            name=f"{self.name}_items",
            entity="item",
            ids=view.item_ids.decode(known.astype(np.int32)),
            vectors=opened.vectors_IE[torch.from_numpy(known)].numpy(),
            facts=origin(artifact, view),
        )

    # What a model with more on its input or output does differently; see ``recommend.ranking``.

    def _examples(self, shown: View, conditions: Conditions, seed: int) -> PinRecExamples:
        return PinRecExamples(shown, self.config, conditions, seed=seed)

    def _more_facts(self, view: View) -> dict[str, Any]:
        return {}

    def _prepare(self, model: PinRec, examples: PinRecExamples, shown: View) -> None:
        """Last touches before training."""

    def _step(self, model: PinRec) -> StepFunction[Any]:
        def step(batch: PinRecBatch, rng: torch.Generator) -> StepOutput:
            loss = model.loss(batch, rng)
            return StepOutput(loss.total, loss.weight.detach(), len(batch.window))

        return step

    def _validation(
        self, model: PinRec, conditions: Conditions, view: View, valid: View
    ) -> Callable[[], dict[str, float]]:
        cases = next_event_cases(valid, view, limit=self.config.validation_cases, seed=0)
        return lambda: retrieval_validation(self.opened_class(model, conditions, view), cases)

    def _shown(self, view: View) -> View:
        """What the network may train on: all of ``view``, or what lies before the hours kept for the blend."""
        config = self.config
        if config.transition_half_lives_hours and not (
            config.blend_hours > 0 and config.trend_half_lives_hours
        ):
            raise ConfigError(
                "transition_half_lives_hours needs blend_hours > 0 (their weight is fitted on the last hours of the "
                "data) and trend_half_lives_hours (live popularity stands behind them). Fix: set both, e.g. 6 and 1,6"
            )
        if config.blend_hours <= 0:
            return view
        return view.narrow(TimeWall(view.end_time - int(config.blend_hours * 3_600_000)))

    def _trends(self, view: View, examples: PinRecExamples) -> DenseTrends | None:
        config = self.config
        if not config.trend_half_lives_hours:
            return None
        start, stop = examples.time_range
        return DenseTrends(
            view, config.trend_half_lives_hours, config.trend_step_minutes, start=start, stop=stop
        )

    def _settings(self) -> TrainConfig:
        return self.config.optimised(epochs=self.config.epochs, validate_every=self.config.validate_every)


def retrieval_validation(opened: OpenPinRec, cases: Cases) -> dict[str, float]:
    """Next-event metrics of the unconditioned vector; the model's training trends are put back afterwards."""
    ranks = target_ranks(PinRecRecommender(opened, "validation").recommend(cases, 20), cases)
    found = ranks < 10
    return {
        "ndcg@10": float(np.where(found, 1 / np.log2(np.minimum(ranks, 10) + 2.0), 0.0).mean()),
        "hit_rate@10": float(found.mean()),
        "hit_rate@20": float((ranks < 20).mean()),
    }
