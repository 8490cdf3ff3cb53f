"""The exponential moving average of a model's weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn


class WeightAverage:
    """Averages of the trainable parameters; buffers are not averaged.

    Args:
        model: the model whose parameters are followed, starting from their present values.
        decay: the weight of the past; step t uses ``min(decay, (1 + t) / (10 + t))``.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._decay, self._steps = decay, 0
        self._live = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self._mean = {name: p.detach().clone() for name, p in self._live.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take in the parameters as they are now."""
        decay = min(self._decay, (1 + self._steps) / (10 + self._steps))
        self._steps += 1
        torch._foreach_lerp_(list(self._mean.values()), [p.detach() for p in self._live.values()], 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model holds the averages inside the block and its own weights after it."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def _exchange(self) -> None:
        for name, parameter in self._live.items():
            parameter.data, self._mean[name] = self._mean[name], parameter.data

    @torch.no_grad()
    def write_into_model(self) -> None:
        """Make the averages the model's weights for good."""
        for name, parameter in self._live.items():
            parameter.copy_(self._mean[name])

    def state(self) -> tuple[dict[str, torch.Tensor], int]:
        """The averages and how many updates they hold."""
        return dict(self._mean), self._steps

    @torch.no_grad()
    def restore(self, means: Mapping[str, torch.Tensor], steps: int) -> None:
        """Put back what :meth:`state` gave."""
        self._steps = steps
        for name, mean in self._mean.items():
            mean.copy_(means[name])
