"""Leaving padding out of linear layers and norms, which only need tokens, not rows.

Shapes: B rows, N padded length, T real tokens of the batch (the sum of the lengths), F any number of features.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_WORTH_BELOW = 0.85


@dataclass(frozen=True)
class Packing:
    """Where the real tokens of a right-padded batch lie.

    Attributes:
        index_T: int64, place of each token in the flattened (B * N) batch, ascending.
        batch, n: B and N.
    """

    index_T: Tensor
    batch: int
    n: int

    @classmethod
    def of(cls, lengths_B: Tensor, n: int) -> Packing:
        """The packing of rows with these lengths (int64) in a batch padded to ``n``."""
        real_BN = torch.arange(n, device=lengths_B.device) < lengths_B[:, None]
        return cls(real_BN.flatten().nonzero().squeeze(1), len(lengths_B), n)

    @classmethod
    def if_worth(cls, lengths_B: Tensor, n: int) -> Packing | None:
        """A packing where padding is a large part of the batch, otherwise None.

        Only on a CPU: an accelerator has arithmetic to spare and would have to wait for the count.
        """
        if lengths_B.device.type != "cpu" or int(lengths_B.sum()) >= _WORTH_BELOW * len(lengths_B) * n:
            return None
        return cls.of(lengths_B, n)

    def pack(self, x_BNF: Tensor) -> Tensor:
        """Real tokens only: (B, N, F) -> (T, F)."""
        return x_BNF.flatten(0, 1).index_select(0, self.index_T)

    def unpack(self, x_TF: Tensor) -> Tensor:
        """Back to rows: (T, F) -> (B, N, F), zero at padding."""
        flat = x_TF.new_zeros(self.batch * self.n, x_TF.shape[-1])
        return flat.index_copy(0, self.index_T, x_TF).view(self.batch, self.n, -1)


def without_padding(x_BNF: Tensor, lengths_B: Tensor) -> Tensor:
    """The same tensor with zeros past each row's length."""
    padding_BN = torch.arange(x_BNF.shape[1], device=x_BNF.device) >= lengths_B[:, None]
    return x_BNF.masked_fill(padding_BN[..., None], 0.0)
