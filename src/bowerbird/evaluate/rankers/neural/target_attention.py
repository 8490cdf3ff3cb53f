"""Target attention over the history, then cross layers: the production ranker that UniPinRec was compared with.

Each row of the slate looks at the history with its own attention (DIN, TransAct: what did they do with things like
this), and explicit feature crosses (DCN v2) combine what it finds with the row and the context. Rows of a slate do not
see one another.

Shapes: B slates, N history length, K rows, C actions, De item width, D token width, X width of the cross input.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bowerbird.evaluate.rankers.neural.batches import GAPS, HOURS, RankBatch
from bowerbird.evaluate.rankers.neural.items import ItemInputs
from bowerbird.evaluate.rankers.neural.ranker import NeuralRanker
from bowerbird.nn import ActionHeads

_CONTEXT = 8


class TargetAttentionNetwork(nn.Module):
    """See the module docstring.

    Args:
        items: the item vectors.
        actions, surfaces: C and the number of surfaces.
        width: D.
        heads: attention heads.
        hidden: of the attention's scoring network and of the deep part.
        crosses: cross layers.
        dropout: on the deep part and the tokens.
    """

    def __init__(
        self,
        items: ItemInputs,
        actions: int,
        surfaces: int,
        *,
        width: int = 64,
        heads: int = 4,
        hidden: int = 32,
        crosses: int = 3,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.items, self.heads = items, heads
        dim = items.dim
        self.token = nn.Linear(dim, width)
        self.action = nn.Linear(actions, width, bias=False)
        self.gap = nn.Embedding(GAPS, width)
        self.from_history = nn.Linear(width, hidden)
        self.from_target = nn.Linear(dim, hidden, bias=False)
        self.from_product = nn.Linear(dim, hidden, bias=False)
        self.to_heads = nn.Linear(hidden, heads)
        self.nothing = nn.Parameter(torch.zeros(heads))
        self.surface = nn.Embedding(surfaces + 1, _CONTEXT)
        self.hour = nn.Embedding(HOURS, _CONTEXT)
        total = dim + 2 * width + 2 * _CONTEXT + 1
        self.crosses = nn.ModuleList(nn.Linear(total, total) for _ in range(crosses))
        self.deep = nn.Sequential(
            nn.Linear(total, 4 * hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(4 * hidden, width),
            nn.GELU(),
        )
        self.dropout = dropout
        self.norm = nn.LayerNorm(total + width)
        self.head = ActionHeads(total + width, actions)

    def forward(self, batch: RankBatch) -> Tensor:
        """Logits (B, K, C)."""
        history_BNE, target_BKE = self.items(batch)
        token_BND = self.token(history_BNE) + self.action(batch.history_done) + self.gap(batch.history_gap)
        token_BND = F.dropout(token_BND, self.dropout, self.training)
        filled = batch.history_filled
        found_BKD = self._attend(history_BNE, token_BND, target_BKE, filled)
        count = batch.lengths.clamp(min=1)[:, None]
        mean_BD = (token_BND * filled[..., None]).sum(dim=1) / count
        context = [self.surface(batch.surface), self.hour(batch.hour), torch.log1p(batch.lengths)[:, None]]
        shared = torch.cat([mean_BD, *context], dim=-1)[:, None].expand(-1, target_BKE.shape[1], -1)
        x0 = torch.cat([target_BKE, found_BKD, shared], dim=-1)
        x = x0
        for cross in self.crosses:
            x = x0 * cross(x) + x
        out: Tensor = self.head(self.norm(torch.cat([x, self.deep(x0)], dim=-1)))
        return out

    def _attend(
        self, history_BNE: Tensor, token_BND: Tensor, target_BKE: Tensor, filled_BN: Tensor
    ) -> Tensor:
        """What each row finds in the history (B, K, D).

        The scoring network reads [event; row; event x row]; its first layer is a sum of one projection of each, so the
        events and the rows are projected once and only the product for every pair. A learned "nothing" takes the
        attention where no event fits, and all of it where there is no history.
        """
        product_BKNE = target_BKE[:, :, None] * history_BNE[:, None]
        hidden = self.from_history(token_BND)[:, None] + self.from_target(target_BKE)[:, :, None]
        score_BKNH = self.to_heads(F.gelu(hidden + self.from_product(product_BKNE)))
        score_BKNH = score_BKNH.masked_fill(~filled_BN[:, None, :, None], float("-inf"))
        nothing = self.nothing.expand(*score_BKNH.shape[:2], 1, -1)
        share_BKNH = torch.cat([score_BKNH, nothing], dim=2).softmax(dim=2)[:, :, :-1]
        value_BNHD = token_BND.unflatten(-1, (self.heads, -1))
        return torch.einsum("bknh,bnhd->bkhd", share_BKNH, value_BNHD).flatten(2)


class TargetAttentionRanker(NeuralRanker):
    """DIN/TransAct-style target attention over the last events, followed by DCN v2 cross layers."""

    name = "Target attention + DCN v2"

    def network(self, items: ItemInputs, actions: int, surfaces: int) -> TargetAttentionNetwork:
        """The network of this ranker."""
        return TargetAttentionNetwork(items, actions, surfaces, width=self.width, dropout=self.dropout)
