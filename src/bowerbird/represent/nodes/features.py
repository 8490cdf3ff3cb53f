"""The features of every node of one type, as arrays and as the module that turns them into vectors.

An item's features are what its table says (text, categories, numbers, precomputed vectors) and, where asked for, an
identity. A collection's are its title and, through its member items, the mean of theirs (A.8). Every feature becomes
one unit vector of its own, so that it can be a token, part of a neighbour's token, and the query of the
entity-feature task.

Shapes: N nodes of the type, U distinct nodes of a batch, F feature width, X member entries.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from bowerbird.nn import ItemEmbedder, ItemFeatures, ItemFeatureSpec
from bowerbird.represent.nodes.batch import Members

IDENTITY = "identity"
MEMBERS = "members"


@dataclass(frozen=True)
class NodeContent:
    """What is known of every node of a type.

    Attributes:
        count: N.
        features: content in dense order.
        bags: name -> number of ids of each bag feature.
        id_mode: whether nodes have an identity.
        unseen: bool (N,), nodes whose identity training never saw; all seen when None.
        log_degree: float32 (N,), log(1 + degree) in the graph.
        member_type: type of the nodes whose features are averaged into this one's; none if empty.
        member_offsets, members: int64 (N + 1,) and (X,), who they are.
    """

    count: int
    features: ItemFeatures
    bags: dict[str, int] = field(default_factory=dict)
    id_mode: Literal["none", "table", "hash"] = "none"
    unseen: np.ndarray | None = None
    log_degree: np.ndarray | None = None
    member_type: str = ""
    member_offsets: np.ndarray | None = None
    members: np.ndarray | None = None

    @property
    def names(self) -> list[str]:
        """The node's own content features, in a fixed order."""
        numbers = ["numbers"] if self.features.numbers is not None else []
        return [*self.bags, *numbers, *self.features.vectors]

    @property
    def tokens(self) -> list[str]:
        """All features that become tokens: content, identity, members."""
        identity = [IDENTITY] if self.id_mode != "none" else []
        return [*self.names, *identity, *([MEMBERS] if self.member_type else [])]

    def present(self, name: str, ids: np.ndarray) -> np.ndarray:
        """bool, the shape of ``ids``: whether each node says anything in this content feature."""
        if name in self.bags:
            offsets = self.features.bags[name][1]
            return offsets[ids + 1] > offsets[ids]
        values = self.features.numbers if name == "numbers" else self.features.vectors[name]
        assert values is not None
        found: np.ndarray = (values[ids] != 0).any(axis=-1)
        return found

    def degrees(self, ids: np.ndarray) -> np.ndarray:
        """log(1 + degree) of nodes, float32."""
        if self.log_degree is None:
            return np.zeros(len(ids), np.float32)
        return self.log_degree[ids]


class NodeFeatures(nn.Module):
    """Ids of one type to one unit vector per feature.

    Args:
        content: the features of all nodes.
        dim: F.
        id_dropout: share of ids per training call whose identity becomes the unknown row.
    """

    def __init__(self, content: NodeContent, dim: int, *, id_dropout: float = 0.0) -> None:
        super().__init__()
        self.content, self.dim = content, dim
        self.keys: dict[str, str] = {name: f"f{place}" for place, name in enumerate(content.names)}
        parts: dict[str, ItemEmbedder] = {}
        for name, key in self.keys.items():
            parts[key] = _content_part(content, name, dim)
        if content.id_mode != "none":
            self.keys[IDENTITY] = IDENTITY
            spec = ItemFeatureSpec(content.count, id_mode=content.id_mode, id_dim=dim, mixer="linear")
            parts[IDENTITY] = ItemEmbedder(spec, ItemFeatures(), dim, id_dropout=id_dropout)
            if content.unseen is not None:
                parts[IDENTITY].unseen.copy_(torch.from_numpy(content.unseen))
            unknown = parts[IDENTITY].unknown
            assert unknown is not None
            # a missing feature is the zero vector, an identity like any other: one shared vector would make strangers
            # alike
            nn.init.zeros_(unknown).requires_grad_(False)
        self.parts = nn.ModuleDict(parts)

    def forward(self, ids_U: Tensor) -> Tensor:
        """Content and identity of distinct nodes, (U, features, F); see :attr:`NodeContent.tokens` for the order."""
        found = [self.parts[key](ids_U) for key in self.keys.values()]
        return (
            torch.stack(found, dim=1) if found else torch.zeros(len(ids_U), 0, self.dim, device=ids_U.device)
        )

    def hide(self, found_BSF: Tensor, hidden_B: Tensor) -> Tensor:
        """The features of requests, without the identity of some.

        Args:
            found_BSF: rows of the output of :meth:`forward`. hidden_B: bool.
        """
        if IDENTITY not in self.keys:
            return found_BSF
        place = self.column(IDENTITY)
        identity_BF = found_BSF[:, place] * ~hidden_B[:, None]
        return torch.cat([found_BSF[:, :place], identity_BF[:, None], found_BSF[:, place + 1 :]], dim=1)

    def column(self, name: str) -> int:
        """Where a feature stands in the output of :meth:`forward`."""
        return list(self.keys).index(name)


def member_mean(members: Members, row_B: Tensor, without_B: Tensor, inner_UF: Tensor) -> Tensor:
    """Mean feature of the members of nodes, (B, F), zero where none is left.

    Args:
        members: of all distinct nodes of the type. row_B: where the nodes stand among these.
        without_B: the member to leave out of each, -1 for none.
        inner_UF: one vector for each distinct node of the members' type.
    """
    starts, counts = members.offsets[row_B], members.offsets[row_B + 1] - members.offsets[row_B]
    owner = torch.repeat_interleave(torch.arange(len(row_B), device=row_B.device), counts)
    place = torch.arange(len(owner), device=row_B.device) - (counts.cumsum(0) - counts)[owner]
    entry = starts[owner] + place
    kept = members.ids[entry] != without_B[owner]
    owner, entry = owner[kept], entry[kept]
    left = torch.bincount(owner, minlength=len(row_B))
    first = left.cumsum(0) - left
    return nn.functional.embedding_bag(members.row[entry], inner_UF, first, mode="mean")


def rarity(bags: tuple[np.ndarray, np.ndarray], size: int) -> np.ndarray:
    """Inverse document frequency of the ids of a bag feature, relative to its mean over their uses, float32 (size,)."""
    ids, offsets = bags
    uses = np.bincount(ids, minlength=size)
    weight = np.log((len(offsets) - 1) / np.maximum(uses, 1)).clip(min=0.1)
    found: np.ndarray = (
        weight / max(np.average(weight, weights=uses), 1e-6) if uses.any() else weight
    ).astype(np.float32)
    return found


def _content_part(content: NodeContent, name: str, dim: int) -> ItemEmbedder:
    features = content.features
    if name in content.bags:
        spec = ItemFeatureSpec(
            content.count, id_mode="none", bags={name: content.bags[name]}, content_dim=dim, mixer="linear"
        )
        part = ItemEmbedder(spec, ItemFeatures(bags={name: features.bags[name]}), dim)
        with torch.no_grad():  # at first a projection of what content cosine compares
            for table in part.tables.values():
                assert isinstance(table, nn.Embedding)
                table.weight *= torch.from_numpy(rarity(features.bags[name], content.bags[name]))[:, None]
        return part
    if name == "numbers":
        assert features.numbers is not None
        spec = ItemFeatureSpec(
            content.count, id_mode="none", numbers=features.numbers.shape[1], content_dim=dim, mixer="linear"
        )
        return ItemEmbedder(spec, ItemFeatures(numbers=features.numbers), dim)
    vector = features.vectors[name]
    spec = ItemFeatureSpec(
        content.count, id_mode="none", vectors={name: vector.shape[1]}, content_dim=dim, mixer="linear"
    )
    return ItemEmbedder(spec, ItemFeatures(vectors={name: vector}), dim)
