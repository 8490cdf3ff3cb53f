"""Short texts (queries, titles of lists) as unit vectors of the item space, from their n-grams alone.

A text never seen in training has parts that were, so there is no vocabulary and nothing to refresh: mean of hashed
n-gram rows, two layers, L2 norm (arXiv 2504.10507 A1.1: queries get an MLP of their own and no identity).

Shapes: T texts known by number, R texts of one call, De output dimension.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bowerbird.nn.features.bags import bag_means
from bowerbird.nn.features.text import encode_text

PHRASE_BUCKETS = 1 << 14


class PhraseEmbedder(nn.Module):
    """See the module docstring.

    Args:
        texts: the T texts that are asked for by number; kept as n-grams that are not part of the state dict.
        width: of an n-gram's row.
        dim: De.
        buckets: rows of the n-gram table.
    """

    ids: Tensor
    offsets: Tensor

    def __init__(self, texts: Sequence[str], width: int, dim: int, *, buckets: int = PHRASE_BUCKETS) -> None:
        super().__init__()
        self.grams = nn.Embedding(buckets, width)
        nn.init.normal_(self.grams.weight, std=0.04)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))
        ids, offsets = encode_text(texts, buckets)
        self.register_buffer("ids", torch.from_numpy(ids), persistent=False)
        self.register_buffer("offsets", torch.from_numpy(offsets), persistent=False)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def forward(self, numbers_R: Tensor) -> Tensor:
        """Unit vectors (R, De), float32, of texts by number."""
        return self._vectors(self.ids, self.offsets, numbers_R)

    def embed(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors (R, De), float32, of any texts."""
        ids, offsets = (torch.from_numpy(part) for part in encode_text(texts, self.grams.num_embeddings))
        device = self.ids.device
        rows_R = torch.arange(len(texts), device=device)
        return self._vectors(ids.to(device), offsets.to(device), rows_R)

    def _vectors(self, ids: Tensor, offsets: Tensor, rows_R: Tensor) -> Tensor:
        mean_RG = bag_means(ids, offsets, rows_R, self.grams.weight)
        return F.normalize(self.mlp(mean_RG).float(), dim=-1)
