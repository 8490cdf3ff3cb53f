"""From a hidden state and the conditions of a request to a point of the retrieval space (A2.2, A2.3).

Conditions enter only here, so one encoded history serves every outcome. Code 0 of every condition means
"unspecified"; it is trained by dropping conditions at random, so the unconditioned model is always inside.

Shapes: R rows, D hidden width, De retrieval dimension, C actions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bowerbird.nn.linear import Linear


class OutcomeHead(nn.Module):
    """unit(W (g * h) + MLP([h; action; surface; offset])), with g = 1 + a learned vector per condition.

    The first layer is a sum of one projection per input, which equals a layer on their concatenation but lets one
    hidden state be combined with many conditions cheaply. The gate g lets a condition turn the linear path, too:
    without it the path pulls the vectors of all conditions together.

    Args:
        width: D.
        dim: De.
        actions, surfaces, offsets: number of codes of each condition without the unspecified one; 0 leaves the
            condition out of the network.
        residual: add the linear path W (g * h).
    """

    def __init__(
        self,
        width: int,
        dim: int,
        *,
        actions: int = 0,
        surfaces: int = 0,
        offsets: int = 0,
        residual: bool = True,
    ) -> None:
        super().__init__()
        self.hidden = Linear(width, width)
        self.action = _condition(actions, width)
        self.surface = _condition(surfaces, width)
        self.offset = _condition(offsets, width)
        self.out = Linear(width, dim)
        self.skip = Linear(width, dim, bias=False) if residual else None
        if self.skip is not None:
            # a model that starts by predicting "like the last item" learns faster and overfits far less
            nn.init.eye_(self.skip.weight)
            nn.init.normal_(self.out.weight, std=0.02)
            nn.init.zeros_(self.out.bias)
        self.action_gate = _gate(actions if residual else 0, width)
        self.surface_gate = _gate(surfaces if residual else 0, width)
        self.offset_gate = _gate(offsets if residual else 0, width)

    def forward(
        self,
        h_RD: Tensor,
        action_R: Tensor | None = None,
        surface_R: Tensor | None = None,
        offset_R: Tensor | None = None,
    ) -> Tensor:
        """Unit vectors (R, De) in float32.

        Args:
            h_RD: hidden states; leading dimensions may be more than one if the codes broadcast against them.
            action_R, surface_R, offset_R: int64 condition codes; unspecified when left out.
        """
        codes = (action_R, surface_R, offset_R)
        mixed = _conditioned(self.hidden(h_RD), (self.action, self.surface, self.offset), codes)
        out = self.out(F.gelu(mixed))
        if self.skip is not None:
            gates = (self.action_gate, self.surface_gate, self.offset_gate)
            out = out + self.skip(h_RD * _conditioned(torch.ones_like(h_RD[..., :1]), gates, codes))
        return F.normalize(out.float(), dim=-1)


class ActionHeads(nn.Module):
    """One logit per action from a hidden state: a two-layer network for each action (arXiv 2606.00422 B2.3).

    Args:
        width: D.
        actions: number of actions C.
    """

    def __init__(self, width: int, actions: int) -> None:
        super().__init__()
        self.actions, self.inner = actions, width // 2
        self.hidden = Linear(width, actions * self.inner)
        self.weight = nn.Parameter(torch.randn(actions, self.inner) * 0.02)
        self.bias = nn.Parameter(torch.zeros(actions))

    def forward(self, h_RD: Tensor) -> Tensor:
        """Logits (..., C)."""
        hidden = self.hidden.gelu(h_RD).unflatten(-1, (self.actions, self.inner))
        return (hidden * self.weight).sum(dim=-1) + self.bias


def _conditioned(
    start: Tensor, tables: tuple[nn.Embedding | None, ...], codes: tuple[Tensor | None, ...]
) -> Tensor:
    for table, code in zip(tables, codes, strict=True):
        if table is not None:
            start = start + (table.weight[0] if code is None else table(code))
    return start


def _gate(codes: int, width: int) -> nn.Embedding | None:
    if codes == 0:
        return None
    table = nn.Embedding(codes + 1, width)
    nn.init.zeros_(table.weight)  # every condition starts with the same linear path
    return table


def _condition(codes: int, width: int) -> nn.Embedding | None:
    if codes == 0:
        return None
    table = nn.Embedding(codes + 1, width)
    # as wide as the projected hidden state: a timid start would leave conditions unused for many epochs
    nn.init.normal_(table.weight, std=0.5)
    return table
