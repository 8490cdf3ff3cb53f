"""From a node's own tokens and its neighbours' tokens to one hidden vector; five ways on the same inputs (claim A4).

Shapes: B nodes, S own tokens, T neighbour tokens, L = S + T + 1 with CLS, d width, H heads.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bowerbird.nn import Linear


class EncoderLayer(nn.Module):
    """One pre-norm layer of full attention with a padding mask.

    Args:
        width: d. heads: H. feedforward: hidden width as a multiple of d. dropout: on both residual branches.
    """

    def __init__(self, width: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm, self.feedforward_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key_value = Linear(width, width), Linear(width, 2 * width)
        self.out = Linear(width, width)
        self.up, self.down = Linear(width, feedforward * width), Linear(feedforward * width, width)
        self.drop = nn.Dropout(dropout)

    def forward(self, x_BLd: Tensor, mask_BL: Tensor, readers: int | None = None) -> Tensor:
        """The layer's output for the first ``readers`` tokens (all when left out), (B, readers, d).

        The last layer is asked for CLS alone: what nobody reads is not computed.
        """
        normed = self.attention_norm(x_BLd)
        x = x_BLd if readers is None else x_BLd[:, :readers]
        q = self._split(self.query(normed if readers is None else normed[:, :readers]))
        k, v = (self._split(part) for part in self.key_value(normed).chunk(2, dim=-1))
        read = F.scaled_dot_product_attention(q, k, v, attn_mask=mask_BL[:, None, None, :])
        x = x + self.drop(self.out(read.transpose(1, 2).flatten(2)))
        return x + self.drop(self.down(self.up.gelu(self.feedforward_norm(x))))

    def _split(self, x_BLd: Tensor) -> Tensor:
        return x_BLd.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class TransformerAggregator(nn.Module):
    """The paper's: CLS, own tokens and neighbours in one sequence, read at CLS (A.2)."""

    def __init__(self, width: int, *, heads: int, layers: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.cls = nn.Parameter(torch.randn(width) * 0.02)
        self.layers = nn.ModuleList(EncoderLayer(width, heads, feedforward, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, own_BSd: Tensor, near_BTd: Tensor, score_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """(B, d). score_BT: float32 RWR scores, 0 where masked; unused here: the tokens are gated already."""
        batch, s = own_BSd.shape[:2]
        x = torch.cat([self.cls.expand(batch, 1, -1), own_BSd, near_BTd], dim=1)
        mask = torch.cat([mask_BT.new_ones(batch, 1 + s), mask_BT], dim=1)
        last = len(self.layers) - 1
        for place, layer in enumerate(self.layers):
            x = layer(x, mask, readers=1 if place == last else None)
        return self.norm(x[:, 0])


class MeanAggregator(nn.Module):
    """The plain mean of all tokens."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.out = Linear(2 * width, width)

    def forward(self, own_BSd: Tensor, near_BTd: Tensor, score_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """See :meth:`TransformerAggregator.forward`."""
        near = (near_BTd * mask_BT[..., None]).sum(1) / mask_BT.sum(1, keepdim=True).clamp(min=1)
        return self.out(torch.cat([own_BSd.mean(1), near], dim=-1))


class ImportancePooling(nn.Module):
    """PinSage: neighbours through a dense layer, averaged by their share of the walk's visits, joined with the node."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.near, self.out = Linear(width, width), Linear(2 * width, width)

    def forward(self, own_BSd: Tensor, near_BTd: Tensor, score_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """See :meth:`TransformerAggregator.forward`."""
        share_BT = score_BT / score_BT.sum(1, keepdim=True).clamp(min=1e-12)
        near = (F.relu(self.near(near_BTd)) * share_BT[..., None]).sum(1)
        return F.relu(self.out(torch.cat([own_BSd.mean(1), near], dim=-1)))


class MaxPooling(nn.Module):
    """GraphSAGE's pooling aggregator: element-wise maximum over neighbours that went through a dense layer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.near, self.out = Linear(width, width), Linear(2 * width, width)

    def forward(self, own_BSd: Tensor, near_BTd: Tensor, score_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """See :meth:`TransformerAggregator.forward`."""
        # outputs are not negative, so a masked neighbour counts as 0 and an empty neighbourhood is the zero vector
        near = (F.relu(self.near(near_BTd)) * mask_BT[..., None]).amax(1)
        return F.relu(self.out(torch.cat([own_BSd.mean(1), near], dim=-1)))


class GraphAttention(nn.Module):
    """GAT: additive attention of the node over itself and its neighbours, several heads side by side."""

    def __init__(self, width: int, *, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.lift = Linear(width, width, bias=False)
        self.target = nn.Parameter(torch.randn(heads, width // heads) * 0.1)
        self.source = nn.Parameter(torch.randn(heads, width // heads) * 0.1)
        self.skip = Linear(width, width)

    def forward(self, own_BSd: Tensor, near_BTd: Tensor, score_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """See :meth:`TransformerAggregator.forward`."""
        own = own_BSd.mean(1)
        all_BLd = torch.cat([own[:, None], near_BTd], dim=1)
        mask_BL = torch.cat([mask_BT.new_ones(len(own), 1), mask_BT], dim=1)
        w_BLHx = self.lift(all_BLd).unflatten(-1, (self.heads, -1))
        logit_BLH = (w_BLHx * self.source).sum(-1) + (w_BLHx[:, :1] * self.target).sum(-1)
        logit_BLH = F.leaky_relu(logit_BLH, 0.2).masked_fill(~mask_BL[..., None], float("-inf"))
        read = (torch.softmax(logit_BLH, dim=1)[..., None] * w_BLHx).sum(1).flatten(1)
        return F.elu(read + self.skip(own))


def aggregator(
    kind: str, width: int, *, heads: int, layers: int, feedforward: int, dropout: float
) -> nn.Module:
    """The aggregator of one name; ``none`` is the transformer over the node's own tokens.

    Raises:
        ValueError: for an unknown name.
    """
    if kind in ("transformer", "none"):
        return TransformerAggregator(
            width, heads=heads, layers=layers, feedforward=feedforward, dropout=dropout
        )
    if kind == "gat":
        return GraphAttention(width, heads=heads)
    plain = {"mean": MeanAggregator, "pinsage": ImportancePooling, "graphsage": MaxPooling}
    if kind not in plain:
        raise ValueError(f"aggregator {kind!r} is unknown; choose transformer, gat, none, {', '.join(plain)}")
    return plain[kind](width)
