"""Everything that changes while a model trains, and how it is saved, resumed and finished."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import nn

from bowerbird.learn.processes import gather_state
from bowerbird.learn.randomness import capture, restore
from bowerbird.learn.run import Run
from bowerbird.learn.settings import to_dict
from bowerbird.learn.train.average import WeightAverage
from bowerbird.learn.train.checkpoint import Checkpoint, Checkpoints
from bowerbird.learn.train.config import TrainConfig
from bowerbird.learn.train.optimiser import Optimiser, TrainingError
from bowerbird.learn.train.stopping import EarlyStopping

#: Settings that may differ between a checkpoint and the run that continues it.
_MAY_CHANGE = frozenset(
    {
        "epochs",
        "steps",
        "patience",
        "minimum_gain",
        "checkpoint_every_steps",
        "keep_checkpoints",
        "max_minutes",
        "log_every_steps",
        "prefetch",
        "validate_every_epochs",
        "validate_every_steps",
    }
)


#: Points of a learning curve that a result keeps.
_MOST_POINTS = 1000


@dataclass
class Position:
    """Where training is: steps taken, the epoch, batches of it consumed, time and examples so far."""

    step: int = 0
    epoch: int = 0
    batch: int = 0
    seconds: float = 0.0
    examples: int = 0
    validated_step: int = -1
    loss: float = 0.0


@dataclass(frozen=True)
class TrainResult:
    """What happened in a training.

    Attributes:
        steps, epochs: optimiser steps taken, epochs completed.
        examples, seconds: training examples over all processes, and time spent on them (validation excluded).
        reason: ``finished``, ``patience`` or ``time``.
        loss: mean training loss at the end, since the last metric record.
        best: best value of the monitored metric; ``None`` where nothing was validated.
        best_step: the step of the weights the model now holds.
        history: the validations in order: step, epoch and metrics.
        losses: the learning curve: ``step`` and mean training ``loss`` since the point before, over all processes;
            at most 1000 points (a longer curve keeps every second one).
    """

    steps: int
    epochs: int
    examples: int
    seconds: float
    reason: str
    loss: float
    best: float | None
    best_step: int
    history: list[dict[str, float]] = field(default_factory=list)
    losses: list[dict[str, float]] = field(default_factory=list)

    @property
    def examples_per_second(self) -> float:
        """Training throughput."""
        return self.examples / self.seconds if self.seconds else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, throughput included."""
        return asdict(self) | {"examples_per_second": self.examples_per_second}


class Trainee:
    """A model with its optimiser, averages, best weights and position.

    Args: as :func:`bowerbird.learn.train.loop.train`; the model is on its device already.
    """

    def __init__(
        self,
        model: nn.Module,
        config: TrainConfig,
        run: Run,
        decay: Callable[[str, nn.Parameter], bool] | None,
        monitor: str,
        mode: Literal["max", "min"],
        identity: Mapping[str, Any],
        stage: str,
    ) -> None:
        self.model, self.config, self.run, self.stage = model, config, run, stage
        self.optimiser = Optimiser(model, config, decay)
        self.average: WeightAverage | None = None
        self.stopping = EarlyStopping(monitor, mode, config.patience, config.minimum_gain)
        self.position = Position()
        self.history: list[dict[str, float]] = []
        self.losses: list[dict[str, float]] = []
        self._best: dict[str, torch.Tensor] | None = None
        fixed = {k: v for k, v in to_dict(config).items() if k not in _MAY_CHANGE}
        self._identity = {"seed": run.seed, "train": fixed, "monitor": monitor, "mode": mode, **identity}
        self._checkpoints = (
            None
            if run.folder is None
            else Checkpoints(run.folder / "checkpoints" / stage, config.keep_checkpoints)
        )

    def start(self) -> None:
        """Begin anew, or from the newest checkpoint where the run says so.

        Raises:
            TrainingError: if the checkpoint is of other settings, data or shapes, or none can be read.
        """
        if self._checkpoints is not None and self.run.resume:
            found, troubles = self._checkpoints.newest()
            for trouble in troubles:
                self.run.say(f"{self.stage}: passed over a checkpoint: {trouble}")
            if found is not None:
                self._restore(found)
                self.run.say(f"{self.stage}: continuing from step {found.step}")
        if self.position.step == 0:
            if self._checkpoints is not None and self.run.is_first:
                self._checkpoints.clear()
            self._share_first_weights()
            if self.config.ema > 0:
                self.average = WeightAverage(self.model, self.config.ema)
        self.run.forget(self.stage, self.position.step if self.position.step else -1)

    @torch.no_grad()
    def _share_first_weights(self) -> None:
        if self.run.world.size > 1:
            for tensor in self.model.state_dict().values():
                dist.broadcast(tensor, 0)

    @contextmanager
    def evaluation_weights(self) -> Iterator[None]:
        """The model in eval mode, with averaged weights where averaging is on."""
        self.model.eval()
        if self.average is None:
            yield
            return
        with self.average.applied():
            yield

    def take_validation(self, metrics: Mapping[str, float]) -> bool:
        """Take in a validation of the present weights; remembers them if they are the best so far.

        Returns:
            Whether they are.
        """
        self.position.validated_step = self.position.step
        self.history.append({"step": self.position.step, "epoch": self.position.epoch, **metrics})
        if not self.stopping.take(metrics, self.position.step):
            return False
        with self.average.applied() if self.average is not None else _nothing():
            self._best = {k: v.detach().to("cpu", copy=True) for k, v in self.model.state_dict().items()}
        return True

    def take_loss(self, loss: float) -> None:
        """Take in the mean loss since the last time."""
        self.position.loss = loss
        self.losses.append({"step": self.position.step, "loss": loss})
        if len(self.losses) > _MOST_POINTS:
            self.losses = self.losses[1::2]

    def save(self) -> None:
        """Write a checkpoint, if the run has a folder. Every process must call it; the first one writes."""
        if self._checkpoints is None:
            return
        random = gather_state(capture(self.run.device))
        if not self.run.is_first:
            return
        means, updates = self.average.state() if self.average is not None else ({}, 0)
        parts: dict[str, Mapping[str, torch.Tensor]] = {
            "model": self.model.state_dict(), "optimiser": self.optimiser.state(), "average": means,
            "best": self._best or {}, **{f"random {rank}": state for rank, state in enumerate(random)},
        }  # fmt: skip
        state = {
            "position": asdict(self.position), "stopping": self.stopping.state(), "history": self.history,
            "losses": self.losses,
            "average_updates": updates, "identity": self._identity, "processes": self.run.world.size,
        }  # fmt: skip
        self._checkpoints.save(Checkpoint(self.position.step, state, parts))

    def _restore(self, found: Checkpoint) -> None:
        difference = _difference(found.state["identity"], self._identity)
        if difference:
            raise TrainingError(
                f"the checkpoint of step {found.step} belongs to another run: {difference}; "
                "use the same settings and data, or start over without resume"
            )
        try:
            self.model.load_state_dict(dict(found.parts["model"]))
            self.optimiser.restore(found.parts["optimiser"])
            if self.config.ema > 0:
                self.average = WeightAverage(self.model, self.config.ema)
                self.average.restore(found.parts["average"], found.state["average_updates"])
        except (RuntimeError, KeyError) as error:
            raise TrainingError(
                f"the checkpoint of step {found.step} does not fit this model: {error}"
            ) from error
        self._best = dict(found.parts["best"]) or None
        self.position = Position(**found.state["position"])
        self.stopping.restore(found.state["stopping"])
        self.history, self.losses = list(found.state["history"]), list(found.state["losses"])
        if found.state["processes"] == self.run.world.size:
            restore(found.parts[f"random {self.run.world.rank}"], self.run.device)
        else:
            self.run.say(
                f"{self.stage}: the checkpoint was made by {found.state['processes']} processes, this is "
                f"{self.run.world.size}: dropout takes another course, everything else continues"
            )

    def finish(self, reason: str) -> TrainResult:
        """Give the model its best weights (the averaged or last ones where nothing was validated)."""
        if self._best is not None:
            self.model.load_state_dict(self._best)
        elif self.average is not None:
            self.average.write_into_model()
        self.model.eval()
        p = self.position
        return TrainResult(
            steps=p.step, epochs=p.epoch, examples=p.examples, seconds=p.seconds, reason=reason, loss=p.loss,
            best=self.stopping.best, best_step=self.stopping.best_step if self._best is not None else p.step,
            history=self.history, losses=self.losses,
        )  # fmt: skip


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _difference(then: Any, now: Any, name: str = "") -> str:
    """The first difference between two JSON values, in words; empty when they are equal."""
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        for key in sorted(then.keys() | now.keys()):
            found = _difference(then.get(key), now.get(key), f"{name}.{key}" if name else key)
            if found:
                return found
        return ""
    plain = [list(v) if isinstance(v, tuple) else v for v in (then, now)]
    return "" if plain[0] == plain[1] else f"{name} was {plain[0]!r}, now it is {plain[1]!r}"
