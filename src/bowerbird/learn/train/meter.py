"""Sums between two metric records, kept on the device so that a GPU is not made to wait."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.distributed as dist

from bowerbird.learn.processes import world_size
from bowerbird.learn.train.optimiser import TrainingError
from bowerbird.learn.train.step import StepOutput


class Meter:
    """Adds up losses, weights, examples and metrics of steps.

    On the CPU each loss is looked at when it is added. On a GPU the first bad step is remembered on the
    device and reported by :meth:`flush`, which the loop calls before it writes a checkpoint or validates.

    Args:
        device: where the sums live.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._reset()

    def _reset(self) -> None:
        self._sums: dict[str, torch.Tensor] = {}
        self._examples = 0
        self._steps = 0
        self._norms = torch.zeros((), device=self._device)
        self._bad = torch.full((), -1, dtype=torch.int64, device=self._device)

    def add(self, output: StepOutput, step: int) -> None:
        """Take in one batch of the optimiser step ``step``.

        Raises:
            TrainingError: if its loss is not finite (CPU only; later on a GPU).
        """
        self._examples += output.examples
        self._add("loss", output.loss_sum.detach())
        self._add("weight", output.weight)
        for name, value in output.metrics.items():
            self._add(f"metric {name}", value.detach() if isinstance(value, torch.Tensor) else value)
        self._look(output.loss_sum.detach(), step, "loss")

    def add_norm(self, norm: torch.Tensor, step: int) -> None:
        """Take in the gradient norm of one optimiser step.

        Raises:
            TrainingError: if it is not finite (CPU only; later on a GPU).
        """
        self._norms += norm.float()
        self._steps += 1
        self._look(norm, step, "gradient norm")

    def _add(self, name: str, value: float | torch.Tensor) -> None:
        tensor = torch.as_tensor(value, dtype=torch.float64 if self._device.type == "cpu" else torch.float32)
        self._sums[name] = self._sums.get(name, 0.0) + tensor.to(self._device, non_blocking=True)

    def _look(self, value: torch.Tensor, step: int, what: str) -> None:
        if self._device.type == "cpu":
            if not math.isfinite(value.item()):
                raise _not_finite(what, value.item(), step)
            return
        fresh = ~torch.isfinite(value) & (self._bad < 0)
        self._bad = torch.where(fresh, torch.full_like(self._bad, step), self._bad)

    def flush(self) -> Mapping[str, float]:
        """The means over all processes since the last flush; empty when nothing was added.

        Returns:
            ``loss``, ``gradient_norm``, ``examples`` (a count) and the metrics.

        Raises:
            TrainingError: if a loss or gradient since the last flush was not finite.
        """
        if self._steps == 0:
            return {}
        names = sorted(self._sums)
        values = torch.stack(
            [*(self._sums[n].double() for n in names), self._norms.double(), self._bad.double()]
        )
        sums, (norms, bad) = values[:-2], values[-2:].tolist()
        if bad >= 0:
            raise _not_finite("loss or gradient", math.nan, int(bad))
        sums = torch.cat(
            [sums, torch.tensor([float(self._examples)], dtype=torch.float64, device=sums.device)]
        )
        if world_size() > 1:
            dist.all_reduce(sums)
        *totals, examples = sums.tolist()
        by_name = dict(zip(names, totals, strict=True))
        weight = by_name.pop("weight")
        means = {n.removeprefix("metric "): (v / weight if weight else 0.0) for n, v in by_name.items()}
        record = {"gradient_norm": norms / self._steps, "examples": examples, **means}
        self._reset()
        return record


def _not_finite(what: str, value: float, step: int) -> TrainingError:
    return TrainingError(
        f"the {what} became {value} at step {step}; lower the learning rate, add warm-up, use fp32, "
        "or look for values that are not finite in the batch"
    )
