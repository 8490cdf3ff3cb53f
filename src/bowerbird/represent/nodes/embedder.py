"""Nodes to unit vectors: own features and importance neighbours as tokens, an aggregator, a head (A.2).

    x_0 = CLS;  x_j = phi_j(features of token j);  h = aggregate(x);  f_t(u) = norm(MLP_t(h))

A neighbour's token is the MLP of its type (whoever it is a neighbour of), times a gate of its walk score, plus what its
subset, type and rank say. Beside the aggregator runs a linear path, see :mod:`bowerbird.represent.nodes.skip`.

Shapes: B requests, U distinct nodes of a type, S own tokens, k neighbours of a slot, F feature width, d width,
D output.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bowerbird.represent.nodes.aggregators import aggregator
from bowerbird.represent.nodes.batch import NodeBatch, Requests, SlotLike
from bowerbird.represent.nodes.features import MEMBERS, NodeContent, NodeFeatures, member_mean
from bowerbird.represent.nodes.skip import SkipPath


@dataclass(frozen=True)
class NodeShape:
    """Settings of the node embedders; see :class:`bowerbird.represent.config.OmniSageConfig`."""

    aggregator: str = "transformer"
    width: int = 64
    heads: int = 4
    layers: int = 1
    feedforward: int = 4
    dropout: float = 0.1
    dim: int = 64
    feature_dim: int = 64
    id_dropout: float = 0.0
    skip: bool = True

    @property
    def reads_graph(self) -> bool:
        """Whether neighbours are tokens at all."""
        return self.aggregator != "none"


class TypeEmbedder(nn.Module):
    """The embedder f_t of one type: same architecture for all types, weights of its own.

    Args:
        tokens: how many own features a node has.
        slots: the neighbour lists of this type, in order. near: how many features the nodes of each bring.
        shape: widths and aggregator.
    """

    def __init__(self, tokens: int, slots: Sequence[SlotLike], near: Sequence[int], shape: NodeShape) -> None:
        super().__init__()
        d = shape.width
        self.reads_graph = shape.reads_graph and bool(slots)
        self.own = nn.ModuleList(_token_mlp(shape.feature_dim, d, shape.dropout) for _ in range(tokens))
        self.degree = nn.Linear(1, d)
        if self.reads_graph:
            self.slot = nn.ParameterList(nn.Parameter(torch.randn(d) * 0.02) for _ in slots)
            self.rank = nn.ParameterList(nn.Parameter(torch.randn(slot.k, d) * 0.02) for slot in slots)
            self.gate = nn.Linear(1, d)
            nn.init.ones_(self.gate.bias)  # at first every neighbour counts alike
        self.aggregate = aggregator(
            shape.aggregator, d, heads=shape.heads, layers=shape.layers, feedforward=shape.feedforward,
            dropout=shape.dropout,
        )  # fmt: skip
        self.head = nn.Sequential(nn.Linear(d, d), nn.GELU(), nn.Linear(d, shape.dim))
        self.skip: SkipPath | None = None
        if shape.skip:
            self.skip = SkipPath(tokens, near if self.reads_graph else (), shape.feature_dim, shape.dim)
            last = self.head[-1]
            assert isinstance(last, nn.Linear)
            nn.init.normal_(last.weight, std=0.1 / d**0.5)  # what the aggregator adds starts small

    def forward(
        self, own_BSF: Tensor, asked: Requests, tokens: Mapping[str, Tensor], flat: Mapping[str, Tensor]
    ) -> Tensor:
        """Unit vectors (B, D), float32.

        Args:
            own_BSF: own features, a zero vector where one is missing.
            asked: the requests.
            tokens: type -> (U, d), the distinct nodes as neighbours. flat: type -> (U, features * F), their features.
        """
        own = [lift(own_BSF[:, place]) for place, lift in enumerate(self.own)]
        own_BSd = torch.stack([self.degree(asked.log_degree[:, None]), *own], dim=1)
        batch, d = len(asked), own_BSd.shape[-1]
        near, scores, masks = [], [], []
        if self.reads_graph:
            for place, slot in enumerate(asked.slots):
                there = tokens[slot.node_type]  # no rows where nobody in the batch has such a neighbour
                token = F.embedding(slot.row, there if len(there) else there.new_zeros(1, d))
                gated = token * self.gate(torch.log1p(slot.score)[..., None])
                near.append(gated + self.slot[place] + self.rank[place])
                scores.append(slot.score)
                masks.append(slot.mask)
        near_BTd = torch.cat(near, dim=1) if near else own_BSd.new_zeros(batch, 1, d)
        score_BT = torch.cat(scores, dim=1) if near else own_BSd.new_zeros(batch, 1)
        mask_BT = (
            torch.cat(masks, dim=1)
            if near
            else torch.zeros(batch, 1, dtype=torch.bool, device=own_BSd.device)
        )
        h_Bd = self.aggregate(own_BSd, near_BTd, score_BT, mask_BT)
        out = self.head(h_Bd).float()
        if self.skip is not None:
            out = out + self.skip(own_BSF, asked, flat).float()
        return F.normalize(out, dim=-1)


class NodeEmbedders(nn.Module):
    """The embedders of all types and the features under them.

    Args:
        contents: type -> content; types with member features come after the members' type.
        slots: type -> its neighbour lists; their types are among ``contents``.
        shape: settings.
    """

    def __init__(
        self, contents: Mapping[str, NodeContent], slots: Mapping[str, Sequence[SlotLike]], shape: NodeShape
    ) -> None:
        super().__init__()
        self.shape = shape
        self.features = nn.ModuleDict(
            {
                name: NodeFeatures(content, shape.feature_dim, id_dropout=shape.id_dropout)
                for name, content in contents.items()
            }
        )
        # a member mean has a learned mix of the members' features, not one of them
        self.mix = nn.ModuleDict(
            {
                name: nn.Linear(
                    len(_without_members(contents[content.member_type])) * shape.feature_dim,
                    shape.feature_dim,
                    bias=False,  # members that say nothing have no direction
                )
                for name, content in contents.items()
                if content.member_type
            }
        )
        for mix in self.mix.values():
            assert isinstance(mix, nn.Linear)
            with torch.no_grad():  # at first simply the sum of them, like the linear path
                mix.weight.copy_(torch.eye(shape.feature_dim).repeat(1, mix.in_features // shape.feature_dim))
        near = sorted(
            {slot.node_type for found in slots.values() for slot in found} if shape.reads_graph else ()
        )
        self.near = nn.ModuleDict(
            {
                kind: _token_mlp(len(contents[kind].tokens) * shape.feature_dim, shape.width, 0.0)
                for kind in near
            }
        )
        self.types = nn.ModuleDict(
            {
                name: TypeEmbedder(
                    len(content.tokens),
                    slots.get(name, ()),
                    [len(contents[slot.node_type].tokens) for slot in slots.get(name, ())],
                    shape,
                )
                for name, content in contents.items()
            }
        )

    def forward(self, batch: NodeBatch) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Embed the requests of a batch.

        Returns:
            ``(vectors, raw)``: type -> unit vectors (B, D), and type -> content features (U, features, F) of the
            distinct nodes, for the entity-feature task.
        """
        raw = {
            name: self.features[name](ids) for name, ids in batch.distinct.items() if name in self.features
        }
        mixed = {
            name: mix(raw[self._inner(name)].flatten(1)) for name, mix in self.mix.items() if name in raw
        }
        flat = {name: self._flat(name, batch, raw, mixed) for name in self.near if name in raw}
        tokens = {name: self.near[name](found) for name, found in flat.items()}
        vectors = {}
        for name, asked in batch.requests.items():
            features: NodeFeatures = self.features[name]  # type: ignore[assignment]
            own_BSF = features.hide(raw[name][asked.row], asked.hidden)
            if name in self.mix:
                mean = self._mean(name, batch, asked.row, asked.without, mixed)
                own_BSF = torch.cat([own_BSF, mean[:, None]], dim=1)
            vectors[name] = self.types[name](own_BSF, asked, tokens, flat)
        return vectors, raw

    def _flat(
        self, name: str, batch: NodeBatch, raw: Mapping[str, Tensor], mixed: Mapping[str, Tensor]
    ) -> Tensor:
        """All features of the distinct nodes of a type side by side, as a neighbour's MLP reads them."""
        if name not in self.mix:
            return raw[name].flatten(1)
        ids = batch.distinct[name]
        row = torch.arange(len(ids), device=ids.device)
        mean = self._mean(name, batch, row, torch.full_like(ids, -1), mixed)
        return torch.cat([raw[name], mean[:, None]], dim=1).flatten(1)

    def _mean(
        self, name: str, batch: NodeBatch, row: Tensor, without: Tensor, mixed: Mapping[str, Tensor]
    ) -> Tensor:
        return F.normalize(member_mean(batch.members[name], row, without, mixed[name]).float(), dim=-1)

    def _inner(self, name: str) -> str:
        features: NodeFeatures = self.features[name]  # type: ignore[assignment]
        return features.content.member_type


def _without_members(content: NodeContent) -> list[str]:
    return [name for name in content.tokens if name != MEMBERS]


def _token_mlp(inputs: int, width: int, dropout: float) -> nn.Sequential:
    """A feature (or a neighbour's features side by side) as a token: two layers."""
    return nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, width))
