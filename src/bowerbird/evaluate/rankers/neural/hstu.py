"""An HSTU-style ranker: items and actions take turns in one sequence, attention is pointwise SiLU.

A history of n events is 2n tokens: item, action, item, action, ...; the rows of the slate follow as item tokens that
see the history and themselves, never one another. Where an attention layer elsewhere normalises by a softmax, here
SiLU weights are divided by the longest sequence, and a gate replaces the feed-forward block. Source: HSTU (Zhai et
al. 2024) as described in UniPinRec B6 ("HSTU interleaved").

Shapes: B slates, N history length, T = 2N history tokens, K rows, H heads, Dh head width, D width, C actions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bowerbird.evaluate.rankers.neural.batches import GAPS, HOURS, RankBatch
from bowerbird.evaluate.rankers.neural.items import ItemInputs
from bowerbird.evaluate.rankers.neural.ranker import NeuralRanker
from bowerbird.nn import ActionHeads


class PointwiseLayer(nn.Module):
    """One layer: gate, values, queries and keys by one projection with SiLU, then SiLU attention.

    Args:
        width: D.
        heads: H.
        tokens: longest history in tokens; attention is divided by it, so padding changes nothing.
        dropout: on the output.
    """

    def __init__(self, width: int, heads: int, tokens: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.tokens, self.dropout = heads, tokens, dropout
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, 4 * width)
        self.distance = nn.Embedding(tokens + 1, heads)
        nn.init.zeros_(self.distance.weight)
        self.out_norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, width)

    def forward(
        self, past_BTD: Tensor, rows_BKD: Tensor, filled_BT: Tensor, distance_BT: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Both parts of the sequence one layer further.

        Args:
            past_BTD, rows_BKD: history tokens and rows.
            filled_BT: bool, where a history token exists.
            distance_BT: int64, tokens from each history token to the place of the rows.
        """
        gate, value, query, key = self._parts(past_BTD)
        row_gate, row_value, row_query, row_key = self._parts(rows_BKD)
        t = past_BTD.shape[1]
        apart = torch.arange(t, device=past_BTD.device)
        apart = apart[:, None] - apart[None, :]
        bias_HTT = self.distance(apart.clamp(min=0)).permute(2, 0, 1)
        weight = F.silu(query @ key.transpose(-1, -2) + bias_HTT) * ((apart >= 0) & filled_BT[:, None, None])
        past = weight @ value / self.tokens
        bias_BH1T = self.distance(distance_BT).transpose(1, 2)[:, :, None]
        weight = F.silu(row_query @ key.transpose(-1, -2) + bias_BH1T) * filled_BT[:, None, None]
        own = F.silu((row_query * row_key).sum(dim=-1, keepdim=True) + self.distance.weight[0][:, None, None])
        rows = (weight @ value + own * row_value) / self.tokens
        return self._finish(past_BTD, past, gate), self._finish(rows_BKD, rows, row_gate)

    def _parts(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        gate, value, query, key = F.silu(self.project(self.norm(x))).chunk(4, dim=-1)
        value, query, key = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (value, query, key)
        )
        return gate, value, query, key

    def _finish(self, x: Tensor, attended_BHTd: Tensor, gate: Tensor) -> Tensor:
        found = self.out_norm(attended_BHTd.transpose(1, 2).flatten(2)) * gate
        return x + self.out(F.dropout(found, self.dropout, self.training))


class HstuNetwork(nn.Module):
    """See the module docstring.

    Args:
        items: the item vectors.
        actions, surfaces: C and the number of surfaces.
        length: N, the longest history.
        width, layers, heads, dropout: as named.
    """

    def __init__(
        self,
        items: ItemInputs,
        actions: int,
        surfaces: int,
        *,
        length: int,
        width: int = 64,
        layers: int = 2,
        heads: int = 4,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.items, self.tokens = items, 2 * max(length, 1)
        self.item = nn.Linear(items.dim, width)
        self.action = nn.Linear(actions, width)
        self.gap = nn.Embedding(GAPS, width)
        self.surface = nn.Embedding(surfaces + 1, width)
        self.hour = nn.Embedding(HOURS, width)
        for table in (self.gap, self.surface, self.hour):
            nn.init.normal_(table.weight, std=0.1)
        self.layers = nn.ModuleList(PointwiseLayer(width, heads, self.tokens, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = ActionHeads(width, actions)

    def forward(self, batch: RankBatch) -> Tensor:
        """Logits (B, K, C)."""
        history_BNE, rows_BKE = self.items(batch)
        gap = self.gap(batch.history_gap)
        past = torch.stack([self.item(history_BNE) + gap, self.action(batch.history_done) + gap], dim=2)
        past = past.flatten(1, 2)
        context = self.surface(batch.surface) + self.hour(batch.hour)
        rows = self.item(rows_BKE) + context[:, None]
        filled = batch.history_filled.repeat_interleave(2, dim=1)
        place = torch.arange(past.shape[1], device=past.device)
        distance = (2 * batch.lengths[:, None] - place).clamp(min=0)
        for layer in self.layers:
            past, rows = layer(past, rows, filled, distance)
        out: Tensor = self.head(self.norm(rows))
        return out


class HstuRanker(NeuralRanker):
    """Interleaved items and actions under pointwise SiLU attention."""

    name = "HSTU, interleaved"

    def network(self, items: ItemInputs, actions: int, surfaces: int) -> HstuNetwork:
        """The network of this ranker."""
        return HstuNetwork(
            items, actions, surfaces, length=self.length, width=self.width, dropout=self.dropout
        )
