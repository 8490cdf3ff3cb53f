"""The training loop of every learner.

One optimiser step: ``accumulate`` batches, gradients of *summed* losses, summed over processes, divided by
the total weight, clipped, AdamW. Two processes with half a batch each, or two accumulated halves, therefore
take the step that one process with the whole batch takes.

A run that is stopped and resumed goes through the same states as one that was not, bit for bit on a CPU with
the same number of threads: position, weights, moments, averages, early stopping and every random stream are
in the checkpoint.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, TypeVar

import torch
import torch.distributed as dist
from torch import nn

from bowerbird.learn.batches.prefetch import Prefetch
from bowerbird.learn.batches.source import BatchSource
from bowerbird.learn.processes import broadcast_json
from bowerbird.learn.progress import ProgressBar
from bowerbird.learn.randomness import seed_everything, step_generator
from bowerbird.learn.run import Run
from bowerbird.learn.train.config import TrainConfig
from bowerbird.learn.train.meter import Meter
from bowerbird.learn.train.state import Trainee, TrainResult
from bowerbird.learn.train.step import StepFunction, move
from bowerbird.learn.train.stopping import Interruption, interruptible
from bowerbird.tables.errors import ConfigError

T = TypeVar("T")
_END = object()


def train(
    model: nn.Module,
    source: BatchSource[T],
    step: StepFunction[T],
    config: TrainConfig,
    run: Run,
    *,
    validate: Callable[[], Mapping[str, float]] | None = None,
    monitor: str = "ndcg@10",
    mode: Literal["max", "min"] = "max",
    decay: Callable[[str, nn.Parameter], bool] | None = None,
    identity: Mapping[str, Any] | None = None,
    stage: str = "train",
) -> TrainResult:
    """Train a model; afterwards it holds the best weights (the last ones where nothing is validated).

    Args:
        model: moved to ``run.device``; on several processes the first one's weights are given to all.
        source: the batches.
        step: runs the model on a batch and returns sums.
        config: the settings.
        run: seed, device, folder for ``metrics.jsonl`` and checkpoints, resume, progress.
        validate: measures the model as it is (in eval mode, without gradients, with averaged weights if
            ``ema`` is on) and returns metrics. Called on the first process only, so it must not use
            collectives.
        monitor: the validation metric that early stopping and the choice of the best weights follow.
        mode: whether a larger (``max``) or smaller (``min``) value is better.
        decay: which parameters weight decay applies to, by (name, parameter); by default matrices that are
            not embedding tables (:func:`bowerbird.learn.train.optimiser.decays`).
        identity: JSON-able facts a resumed run must share with the checkpoint, e.g. settings and data
            fingerprint.
        stage: a name for metrics and checkpoints, for learners that train more than once.

    Returns:
        What happened.

    Raises:
        TrainingError: for a loss or gradient that is not finite (naming the step), or a checkpoint that does
        not fit. ConfigError: if the source has no batches or validation lacks the monitored metric.
        KeyboardInterrupt: on Ctrl-C or a termination signal; with a folder, a checkpoint is written first.
    """
    seed_everything(run.seed, run.world.rank + 1)
    trainee = Trainee(model.to(run.device), config, run, decay, monitor, mode, identity or {}, stage)
    return _Loop(trainee, source, step, validate).run()


class _Loop:
    def __init__(
        self,
        trainee: Trainee,
        source: BatchSource[Any],
        step: StepFunction[Any],
        validate: Callable[[], Mapping[str, float]] | None,
    ) -> None:
        self._t, self._source, self._step, self._validate_with = trainee, source, step, validate
        self._config, self._run = trainee.config, trainee.run
        self._meter = Meter(self._run.device)
        self._total = self._config.total_steps(len(source))
        self._asked = Interruption()
        self._interrupted = self._out_of_time = False
        self._logged_seconds = 0.0
        self._bar: ProgressBar

    def run(self) -> TrainResult:
        self._t.start()
        self._out_of_time = self._time_is_up()
        self._logged_seconds = self._t.position.seconds
        self._t.model.train()
        with (
            self._run.progress(self._total, self._t.stage) as self._bar,
            interruptible(self._run.folder is not None) as self._asked,
        ):
            while self._reason() == "":
                self._epoch()
        return self._t.finish(self._reason())

    def _reason(self) -> str:
        """Why training is over, or an empty string."""
        position, config = self._t.position, self._config
        if (position.step >= config.steps) if config.steps else (position.epoch >= config.epochs):
            return "finished"
        if self._t.stopping.exhausted:
            return "patience"
        return "time" if self._out_of_time else ""

    def _epoch(self) -> None:
        position, world = self._t.position, self._run.world
        batches = self._source.epoch(position.epoch, start=position.batch, rank=world.rank, world=world.size)
        with Prefetch(iter(batches), self._config.prefetch) as ready:
            while self._reason() == "":
                began = time.perf_counter()
                taken = self._optimiser_step(ready)
                position.seconds += time.perf_counter() - began
                if taken:
                    self._after_step()
                    continue
                if position.batch == 0:
                    raise ConfigError(
                        f"the batch source has no batches in epoch {position.epoch}; nothing to train on"
                    )
                position.epoch, position.batch = position.epoch + 1, 0
                self._after_epoch()
                return

    def _optimiser_step(self, batches: Iterator[Any]) -> int:
        """Take one optimiser step; returns the batches used, 0 at the end of the epoch."""
        position, device, config = self._t.position, self._run.device, self._config
        weight = torch.zeros((), device=device)
        taken = 0
        while taken < config.accumulate:
            batch = next(batches, _END)
            if not self._everyone(batch is not _END):
                break
            rng = step_generator(self._run.seed, position.epoch, position.batch, device)
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=config.precision == "bf16"):
                output = self._step(move(batch, device), rng)
            self._meter.add(output, position.step)
            if output.loss_sum.requires_grad:
                output.loss_sum.backward()
            weight = weight + output.weight
            position.batch += 1
            taken += 1
        if taken:
            norm = self._t.optimiser.prepare(weight)
            self._meter.add_norm(norm, position.step)
            self._t.optimiser.step(config.rate(position.step, self._total))
            if self._t.average is not None:
                self._t.average.update()
            position.step += 1
        return taken

    def _everyone(self, has_batch: bool) -> bool:
        """Whether every process has a batch; on the way, who asked to stop becomes known to all."""
        interrupted, late = self._asked.requested, self._time_is_up()
        if self._run.world.size > 1:
            votes = torch.tensor([has_batch, interrupted, late and self._run.is_first], dtype=torch.int32)
            dist.all_reduce(votes)
            having, *asked = votes.tolist()
            has_batch, (interrupted, late) = having == self._run.world.size, (bool(a) for a in asked)
        self._interrupted, self._out_of_time = interrupted, late
        return has_batch

    def _time_is_up(self) -> bool:
        return 0 < self._config.max_minutes <= self._t.position.seconds / 60

    def _after_step(self) -> None:
        step, config = self._t.position.step, self._config
        self._bar.update(step)
        if step % config.log_every_steps == 0:
            self._log()
        self._boundary(
            validation_due=config.validate_every_steps > 0 and step % config.validate_every_steps == 0,
            checkpoint_due=config.checkpoint_every_steps > 0 and step % config.checkpoint_every_steps == 0,
        )

    def _after_epoch(self) -> None:
        epoch, config = self._t.position.epoch, self._config
        self._boundary(
            validation_due=config.validate_every_epochs > 0 and epoch % config.validate_every_epochs == 0,
            checkpoint_due=config.checkpoint_every_steps == 0,
        )

    def _boundary(self, *, validation_due: bool, checkpoint_due: bool) -> None:
        """Between two steps: validate before saving, so that a checkpoint has no validation to repeat."""
        ending = self._reason() != ""
        fresh = self._t.position.validated_step != self._t.position.step
        if self._validate_with is not None and fresh and (validation_due or ending):
            self._validate()
        if checkpoint_due or self._interrupted or self._reason() != "":
            self._log()
            self._t.save()
        if self._interrupted:
            self._run.say(
                f"{self._t.stage}: stopped at step {self._t.position.step}; resume continues from there"
            )
            raise KeyboardInterrupt

    def _log(self) -> None:
        if self._run.device.type == "cuda":  # steps are only queued; their time counts when they are done
            began = time.perf_counter()
            torch.cuda.synchronize(self._run.device)
            self._t.position.seconds += time.perf_counter() - began
        means = dict(self._meter.flush())
        if not means:
            return
        position = self._t.position
        examples = means.pop("examples")
        speed = examples / max(1e-9, position.seconds - self._logged_seconds)
        self._logged_seconds = position.seconds
        position.examples += int(examples)
        self._t.take_loss(means["loss"])
        rate = self._config.rate(position.step - 1, self._total)
        self._run.record(
            {
                "kind": "train", "stage": self._t.stage, "step": position.step, "epoch": position.epoch,
                "learning_rate": rate, "examples_per_second": speed, "seconds": position.seconds, **means,
            }
        )  # fmt: skip
        self._bar.update(position.step, loss=f"{means['loss']:.4f}", speed=f"{speed:,.0f} examples/s")

    def _validate(self) -> None:
        self._log()
        assert self._validate_with is not None
        position, began = self._t.position, time.perf_counter()
        found: dict[str, float] = {}
        if self._run.is_first:
            with self._t.evaluation_weights(), torch.no_grad():
                found = {key: float(value) for key, value in self._validate_with().items()}
            self._t.model.train()
        found = broadcast_json(found)
        best = self._t.take_validation(found)
        record = {
            "kind": "validation", "stage": self._t.stage, "step": position.step, "epoch": position.epoch,
            "best": best, "seconds": position.seconds, "validation_seconds": time.perf_counter() - began,
            **found,
        }  # fmt: skip
        self._run.record(record)
        monitor = self._t.stopping.monitor
        self._bar.update(position.step, **{monitor: f"{found[monitor]:.4f}"})
        where = f"epoch {position.epoch}, step {position.step}: loss {position.loss:.4f}"
        self._bar.line(f"{where}, {monitor} {found[monitor]:.4f}" + (" (best)" if best else ""))
