"""The logit scale lambda: how sharply a cosine becomes a probability (arXiv 2504.10507 A2.4)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

MAXIMUM = 100.0


class LogitScale(nn.Module):
    """lambda = exp(s), learned in log space unless ``learned`` is false, never above 100.

    Args:
        initial: lambda at the start; 1 / 0.07 = 14.3 is the family's usual choice.
        learned: whether training may move it. On small catalogues a fixed value near 12 generalises better.
    """

    def __init__(self, initial: float = 1 / 0.07, *, learned: bool = True) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(initial)), requires_grad=learned)

    def forward(self) -> Tensor:
        """The scale as a 0-d tensor."""
        if self.training:
            # the parameter itself is held at the limit: beyond it there is no gradient, and it would never come back
            with torch.no_grad():
                self.log_scale.clamp_(max=math.log(MAXIMUM))
        return self.log_scale.clamp(max=math.log(MAXIMUM)).exp()
