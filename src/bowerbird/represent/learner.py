"""OmniSage under the learner contract: fit on a view, evaluate past it, emit item, collection and user vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from bowerbird import __version__
from bowerbird.evaluate.cases import Cases
from bowerbird.evaluate.metrics.accuracy import ndcg, recall
from bowerbird.evaluate.metrics.ranks import target_ranks
from bowerbird.learn.artifact import Artifact
from bowerbird.learn.contract import Learner
from bowerbird.learn.run import Run
from bowerbird.learn.settings import to_dict
from bowerbird.learn.signals import Signal
from bowerbird.learn.train import StepOutput, train
from bowerbird.represent.config import OmniSageConfig
from bowerbird.represent.examples import OmniSageExamples
from bowerbird.represent.inference.opened import OpenOmniSage, kept_tensors
from bowerbird.represent.inference.recommender import OmniSageRecommender, held_out_cases
from bowerbird.represent.inference.refresh import embed_kept, read_vectors
from bowerbird.represent.inference.signals import emitted
from bowerbird.represent.model import OmniSage
from bowerbird.represent.tasks.rows import OmniSageBatch
from bowerbird.represent.tasks.spaces import read_spaces
from bowerbird.represent.world.contents import ContentEncoder
from bowerbird.represent.world.opening import open_world
from bowerbird.represent.world.world import World
from bowerbird.tables.view import View

if TYPE_CHECKING:
    from bowerbird.evaluate.report import Report


class OmniSageLearner(Learner[OmniSageConfig]):
    """One embedding for every entity (arXiv 2504.17811); see ``docs/systems/omnisage.md``."""

    name: ClassVar[str] = "omnisage"
    config_class: ClassVar[type] = OmniSageConfig

    world_folder: Path | None = None
    """Where the graph of a training view and its neighbourhoods are kept between fits, e.g. of several seeds; in the
    run's folder when left out. Fits whose graph settings differ need folders of their own."""

    def fit(self, view: View, *, valid: View | None = None, run: Run | None = None) -> Artifact:
        """See :class:`bowerbird.learn.Learner`. Validation asks for everything users do between the walls."""
        config = self.config
        run = run or Run(quiet=True, seed=config.seed)
        run.seed_everything()
        encoder = ContentEncoder.fit(view)
        run.say("building the graph and its neighbourhoods")
        folder = self.world_folder or (None if run.folder is None else run.folder / "world")
        world = open_world(view, config, encoder, folder=folder, learning=True)
        examples = OmniSageExamples(world, config, seed=run.seed)
        spaces = read_spaces(config.old_spaces, view)
        model = OmniSage(config, world.contents, world.slots, spaces)
        result = train(
            model, examples, _step(model),
            config.optimised(steps=config.steps, validate_every=config.validate_every), run,
            validate=self._validation(model, world, view, valid), monitor="recall@20", identity=view.fingerprint,
        )  # fmt: skip
        facts = {
            "version": __version__,
            "seed": run.seed,
            "data": view.fingerprint,
            "wall": view.wall,
            "content": encoder.to_dict(),
            "types": world.types,
            "subsets": [asdict(spec) for spec in world.subsets],
            "spaces": [{"name": s.name, "width": s.vectors.shape[1]} for s in spaces],
            "nodes": {name: content.count for name, content in world.contents.items()},
            "training": result.to_dict(),
            "parameters": sum(p.numel() for p in model.parameters()),
        }
        return Artifact(
            learner=self.name,
            config=to_dict(config),
            tensors=kept_tensors(model),
            facts=facts,
        )

    def evaluate(
        self,
        artifact: Artifact,
        view: View,
        *,
        since: View,
        run: Run | None = None,
        seeds: Sequence[Artifact] = (),
    ) -> Report:
        """User to item, item to item and item to collection, beside the baselines; see ``represent.evaluation``."""
        from bowerbird.represent.evaluation import report  # plots are heavy, training never needs them

        return report([artifact, *seeds], view, since=since, run=run, quick=True)

    def emit(self, artifact: Artifact, view: View, *, run: Run | None = None) -> Iterator[Signal]:
        """Vectors of every item and collection the view knows and of every user with a positive event.

        With a folder in ``run`` the vectors of items and collections are kept there: see
        :func:`bowerbird.represent.inference.refresh.embed_kept`.
        """
        opened = OpenOmniSage.open(artifact, view)
        if run is not None and run.folder is not None:
            for node_type in opened.world.contents:
                with run.progress(opened.world.contents[node_type].count, f"{node_type} vectors") as bar:
                    done = embed_kept(run.folder, opened, node_type, on_progress=lambda step, _: bar.update(step))
                run.say(
                    f"{node_type}: {done.nodes:,} nodes, {done.embedded:,} embedded ({done.share:.1%}), "
                    f"{done.copied:,} unchanged, {done.resumed:,} from a stopped run"
                )
                opened.use(node_type, read_vectors(run.folder / node_type))
        yield from emitted(opened, artifact)

    def _validation(
        self, model: OmniSage, world: World, view: View, valid: View | None
    ) -> Callable[[], dict[str, float]] | None:
        if valid is None:
            return None
        cases = held_out_cases(valid, view, limit=self.config.validation_cases)
        if not len(cases):
            return None
        return lambda: validated(OpenOmniSage(model, world), cases)


def validated(opened: OpenOmniSage, cases: Cases) -> dict[str, float]:
    """Recall and NDCG of the user vectors on held-out cases, and recall of targets nobody kept in training."""
    ranks = target_ranks(OmniSageRecommender(opened, "validation").recommend(cases, 20), cases)
    found = {
        "recall@20": float(recall(ranks, cases.target_offsets, 20).mean()),
        "ndcg@10": float(ndcg(ranks, cases.target_offsets, 10).mean()),
    }
    cold = ~cases.target_warm
    if cold.any():
        found["cold recall@20"] = float((ranks[cold] < 20).mean())
    return found


def _step(model: OmniSage) -> Callable[[OmniSageBatch, torch.Generator], StepOutput]:
    def step(batch: OmniSageBatch, rng: torch.Generator) -> StepOutput:
        loss = model.loss(batch)
        metrics: dict[str, Any] = dict(loss.parts)
        # the meter divides by the weight, so figures of a batch are multiplied by it
        metrics |= {name: value * batch.weight for name, value in loss.figures.items()}
        metrics |= {f"scale {task}": scale.detach() * batch.weight for task, scale in loss.scales.items()}
        return StepOutput(
            loss.total, batch.weight, sum(len(r.ids) for r in batch.nodes.requests.values()), metrics
        )

    return step
