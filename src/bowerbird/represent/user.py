"""The user model: a causal decoder over the vectors of the items somebody engaged with (A.2).

Shapes: S sequences, L items, D item dimension, W decoder width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bowerbird.nn import Decoder, DecoderConfig, TimeEncoder

_TIME_WIDTH = 32


class UserModel(nn.Module):
    """Item vectors in order to one user vector after each.

    Args:
        dim: D.
        width, layers, heads, dropout: of the decoder.
        length: most items of a sequence.
        use_time: whether absolute time and gaps are inputs.
        residual: whether the running mean of the item vectors is added to the output, with a learned weight.
        lists: whether the mean vector of the user's own lists is added too, with a learned weight.
    """

    def __init__(
        self, dim: int, *, width: int, layers: int, heads: int, dropout: float, length: int, use_time: bool,
        residual: bool, lists: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.dim = dim
        self.time = TimeEncoder(_TIME_WIDTH) if use_time else None
        self.lift = nn.Linear(dim + (_TIME_WIDTH if use_time else 0), width)
        self.decoder = Decoder(
            DecoderConfig(width=width, layers=layers, heads=heads, dropout=dropout, max_positions=length + 1)
        )
        self.head = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, dim))
        self.mean_weight = nn.Parameter(torch.ones(())) if residual else None
        self.list_weight = nn.Parameter(torch.ones(())) if lists else None
        if residual or lists:  # the mean alone is a fair start; the network learns what it lacks
            last = self.head[-1]
            assert isinstance(last, nn.Linear)
            nn.init.normal_(last.weight, std=0.1 / width**0.5)

    def forward(
        self, e_SLD: Tensor, lengths_S: Tensor, time_SL: Tensor, lists_SD: Tensor | None = None
    ) -> Tensor:
        """User vectors (S, L, D), unit, float32; entry t has read items 0 .. t and nothing after them.

        Args:
            e_SLD: unit vectors, oldest first, padded on the right with zeros.
            lengths_S: int64. time_SL: int64 ms.
            lists_SD: sums of the vectors of the users' own lists, zero where there is none.
        """
        x = e_SLD * self.dim**0.5  # unit vectors have entries of 1/sqrt(D): up to the size of other inputs
        if self.time is not None:
            x = torch.cat([x, self.time(time_SL).to(x.dtype)], dim=-1)
        h_SLW = self.decoder(self.lift(x), lengths_S)
        out = self.head(h_SLW).float()
        if self.mean_weight is not None:
            out = out + self.mean_weight * F.normalize(e_SLD.float().cumsum(1), dim=-1)
        if self.list_weight is not None and lists_SD is not None:
            out = out + self.list_weight * F.normalize(lists_SD.float(), dim=-1)[:, None]
        return F.normalize(out, dim=-1)
