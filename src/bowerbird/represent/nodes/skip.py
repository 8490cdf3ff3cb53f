"""The linear path beside the aggregator: own features plus, per slot, the score-weighted mean of the neighbours'.

Its weights start as identities, so an untrained node vector is a projection of what the node says and of whom it lies
near: it finds about what a random walk and content cosine would, and nothing is collapsed. The layers above learn what
is missing. The published network has no such path; on small graphs it saves most of the training.

Shapes: B requests, U distinct nodes of a type, n features of width F, k neighbours of a slot, D output.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bowerbird.represent.nodes.batch import Requests


class SkipPath(nn.Module):
    """See the module docstring.

    Args:
        features: how many features a node has. near: how many those of each slot bring.
        width: F. dim: D.
    """

    def __init__(self, features: int, near: Sequence[int], width: int, dim: int) -> None:
        super().__init__()
        self.own = _identities(features, width, dim)
        self.near = nn.ModuleList(_identities(count, width, dim) for count in near)

    def forward(self, own_BSF: Tensor, asked: Requests, flat: Mapping[str, Tensor]) -> Tensor:
        """(B, D).

        Args:
            own_BSF: own features. asked: the requests. flat: type -> (U, n * F) of the distinct nodes.
        """
        out: Tensor = self.own(own_BSF.flatten(1))
        for slot, lift in zip(asked.slots, self.near, strict=False):
            there = flat[slot.node_type]
            if len(there):
                share_Bk = slot.score / slot.score.sum(1, keepdim=True).clamp(min=1e-12)
                mean = F.embedding_bag(
                    slot.row, there, per_sample_weights=share_Bk.to(there.dtype), mode="sum"
                )
                out = out + lift(mean)
        return out


def _identities(features: int, width: int, dim: int) -> nn.Linear:
    """A map that at first adds up the features, each as it is (cut or filled up to D), over their number's root."""
    lift = nn.Linear(features * width, dim, bias=False)
    with torch.no_grad():
        lift.weight.copy_(torch.eye(dim, width).repeat(1, features) / features**0.5)
    return lift
