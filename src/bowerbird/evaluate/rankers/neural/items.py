"""Items as vectors for a ranking network: identity and content, each distinct item of a batch embedded once.

Shapes: B slates, N history length, K rows of a slate, De item width, I items.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bowerbird.evaluate.rankers.content import ContentEncoder, ItemContent
from bowerbird.evaluate.rankers.neural.batches import RankBatch
from bowerbird.nn import ItemEmbedder, ItemFeatures, ItemFeatureSpec

ID_DROPOUT = 0.1
_CONTENT = 16


class ItemInputs(nn.Module):
    """Vectors of the history's and the slate's items, entries of about one.

    Args:
        encoder: vocabularies of the content.
        content: the catalogue's content.
        n_items: I.
        dim: De.
    """

    def __init__(self, encoder: ContentEncoder, content: ItemContent, n_items: int, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.spec = ItemFeatureSpec(
            n_items=n_items,
            id_mode="table",
            id_dim=dim,
            bags={name: bag.size for name, bag in content.bags.items()},
            numbers=len(encoder.catalogue.numbers),
            vectors=dict(encoder.catalogue.vectors),
            content_dim=_CONTENT,
            mixer="linear",
        )
        self.embedder = ItemEmbedder(self.spec, _features(content), dim, id_dropout=ID_DROPOUT)

    def with_content(self, content: ItemContent) -> None:
        """Take the content of a later view; what was learnt stays."""
        fresh = ItemEmbedder(self.spec, _features(content), self.dim, id_dropout=ID_DROPOUT)
        fresh.load_state_dict(self.embedder.state_dict())
        self.embedder = fresh.to(self.embedder.unseen.device)

    def forward(self, batch: RankBatch) -> tuple[Tensor, Tensor]:
        """(B, N, De) of the history and (B, K, De) of the slate."""
        both = torch.cat([batch.history_item.flatten(), batch.item.flatten()])
        distinct, place = torch.unique(both, return_inverse=True)
        vectors = self.embedder(distinct) * self.dim**0.5
        found = vectors[place]
        split = batch.history_item.numel()
        return (
            found[:split].view(*batch.history_item.shape, self.dim),
            found[split:].view(*batch.item.shape, self.dim),
        )


def _features(content: ItemContent) -> ItemFeatures:
    return ItemFeatures(
        bags={name: (bag.codes, bag.offsets) for name, bag in content.bags.items()},
        numbers=content.numbers if content.numbers.shape[1] else None,
        vectors=content.vectors,
    )
