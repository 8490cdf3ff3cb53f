"""What a learner gives the loop for one batch: sums, never means.

The loop divides by the weight of *all* batches of an optimiser step, over accumulation and over processes, so
that splitting a batch in any way leaves the gradient unchanged.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import torch

T = TypeVar("T")
B_contra = TypeVar("B_contra", contravariant=True)


@dataclass(frozen=True)
class StepOutput:
    """The outcome of one batch on one process.

    Args:
        loss_sum: 0-d tensor with gradients: the sum (not mean) of the losses of this process's rows.
        weight: what the sum is to be divided by, summed likewise: the number of loss rows, or their total
            weight.
        examples: training examples in the batch, for the examples/s that are shown.
        metrics: further sums over the same rows, divided by ``weight`` when logged.
    """

    loss_sum: torch.Tensor
    weight: float | torch.Tensor
    examples: int
    metrics: Mapping[str, float | torch.Tensor] = field(default_factory=dict)


class StepFunction(Protocol[B_contra]):
    """``step(batch, rng)``: run the model on a batch (already on the device) and return sums.

    ``rng`` is a torch generator on the run's device, derived from (seed, epoch, batch) and equal on every
    process: draw shared negatives from it. Dropout uses torch's global generator, which differs between
        processes.
    """

    def __call__(self, batch: B_contra, rng: torch.Generator, /) -> StepOutput: ...


def move(batch: T, device: torch.device) -> T:
    """The batch with every tensor on ``device``; reaches into tuples, lists, dicts and dataclasses.

    An object with a ``to`` method moves itself. Everything else, numpy arrays included, is left as it is.
    """
    if device.type == "cpu":
        return batch
    moved: Any = batch
    if isinstance(batch, torch.Tensor):
        moved = batch.to(device, non_blocking=True)
    elif hasattr(batch, "to"):
        moved = batch.to(device)
    elif dataclasses.is_dataclass(batch) and not isinstance(batch, type):
        values = {f.name: move(getattr(batch, f.name), device) for f in dataclasses.fields(batch) if f.init}
        moved = dataclasses.replace(batch, **values)
    elif isinstance(batch, tuple):
        parts = [move(part, device) for part in batch]
        moved = type(batch)(*parts) if hasattr(batch, "_fields") else tuple(parts)
    elif isinstance(batch, list):
        moved = [move(part, device) for part in batch]
    elif isinstance(batch, dict):
        moved = {key: move(part, device) for key, part in batch.items()}
    return moved
