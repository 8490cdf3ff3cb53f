"""The OmniSage network and its loss (arXiv 2504.17811, A.2 and A.3).

Node embedders, a user model over their vectors, a four-layer encoder per content feature; three tasks whose rows all go
through one sampled softmax. Gradients of every task reach the node embedders.

Shapes: B requests of a type, R loss rows, W sequences, L items, D dimension, F feature width.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bowerbird.nn import LogitScale
from bowerbird.represent.config import OmniSageConfig
from bowerbird.represent.nodes.batch import SlotLike
from bowerbird.represent.nodes.embedder import NodeEmbedders, NodeShape
from bowerbird.represent.nodes.features import NodeContent, NodeFeatures
from bowerbird.represent.tasks.collapse import collapse_figures
from bowerbird.represent.tasks.rows import FEATURE, PAIR, USER, OmniSageBatch, SequenceRows
from bowerbird.represent.tasks.softmax import Candidates, pool_of, softmax_rows
from bowerbird.represent.tasks.spaces import Adapter, OldSpace
from bowerbird.represent.user import UserModel


@dataclass
class Loss:
    """A batch's losses as sums.

    Attributes:
        total: 0-d with gradients, weighted and summed so that dividing by the batch's weight gives the mean loss.
        parts: name -> its share of ``total``, for the training log.
        figures: collapse figures of this batch's random nodes.
        scales: task -> lambda in this step.
    """

    total: Tensor
    scales: dict[str, Tensor] = field(default_factory=dict)
    parts: dict[str, Tensor] = field(default_factory=dict)
    figures: dict[str, Tensor] = field(default_factory=dict)


class OmniSage(nn.Module):
    """See the module docstring.

    Args:
        config: all settings.
        contents: type -> content; ``"item"`` is always there.
        slots: type -> its neighbour lists.
        spaces: old spaces to stay compatible with.
    """

    def __init__(
        self, config: OmniSageConfig, contents: Mapping[str, NodeContent], slots: Mapping[str, Sequence[SlotLike]],
        spaces: Sequence[OldSpace] = (),
    ) -> None:  # fmt: skip
        super().__init__()
        self.config = config
        self.nodes = NodeEmbedders(contents, slots, node_shape(config))
        self.user: UserModel | None = None
        if config.user_weight > 0:
            self.user = UserModel(
                config.dim, width=config.user_width, layers=config.user_layers, heads=config.user_heads,
                dropout=config.user_dropout, length=config.history_length, use_time=config.use_time,
                residual=config.residual, lists=config.folds > 0 and config.user_lists and "collection" in contents,
            )  # fmt: skip
        self.feature_queries = nn.ModuleDict()
        if config.feature_weight > 0:
            for name, content in contents.items():
                for place, _ in enumerate(content.names):
                    self.feature_queries[f"{name}_{place}"] = _feature_encoder(config.feature_dim, config.dim)
        weights = {PAIR: config.pair_weight, FEATURE: config.feature_weight, USER: config.user_weight}
        if not self.feature_queries:
            weights[FEATURE] = 0.0
        self.scales = nn.ModuleDict(
            {
                task: LogitScale(config.initial_scale, learned=config.learn_scale)
                for task, weight in weights.items()
                if weight > 0
            }
        )
        self.spaces = nn.ModuleList(Adapter(config.dim, space, config.adapter) for space in spaces)
        self.space_names = [space.name for space in spaces]

    def content(self, name: str) -> NodeContent:
        """The content of a type."""
        features: NodeFeatures = self.nodes.features[name]  # type: ignore[assignment]
        return features.content

    # --- learning ------------------------------------------------------------------------------------------------

    def loss(self, batch: OmniSageBatch) -> Loss:
        """All tasks of one batch; every request is embedded once and shared by them (A.4)."""
        vectors, raw = self.nodes(batch.nodes)
        items = batch.nodes.requests["item"]
        found = Loss(torch.zeros((), device=items.ids.device), {t: s() for t, s in self.scales.items()})
        if PAIR in self.scales:
            self._pairs(batch, vectors, found)
        if FEATURE in self.scales:
            self._features(batch, vectors, raw, found)
        if self.user is not None and batch.sequences is not None:
            self._users(batch, batch.sequences, vectors, found)
        if "item" in batch.random:
            found.figures = collapse_figures(vectors["item"][batch.random["item"].request])
        return found

    def _pairs(self, batch: OmniSageBatch, vectors: Mapping[str, Tensor], found: Loss) -> None:
        for kind in sorted({rows.positive_type for rows in batch.pairs}):
            segments = [rows for rows in batch.pairs if rows.positive_type == kind]
            positives = Candidates(
                torch.cat([rows.positive_id for rows in segments]),
                torch.cat([vectors[kind][rows.positive] for rows in segments]),
                torch.cat([rows.share for rows in segments]),
            )
            anchors = torch.cat([vectors[rows.anchor_type][rows.anchor] for rows in segments])
            own = [
                rows.anchor_id if rows.anchor_type == kind else torch.full_like(rows.anchor_id, -1)
                for rows in segments
            ]
            loss = self._rows(
                PAIR, kind, anchors, positives, batch, vectors, found.scales, own_R=torch.cat(own)
            )
            self._add(found, PAIR, loss, self.config.pair_weight / self.config.pairs)
            if kind == "item":
                self._compatible(anchors, positives, batch, found)

    def _features(
        self, batch: OmniSageBatch, vectors: Mapping[str, Tensor], raw: Mapping[str, Tensor], found: Loss
    ) -> None:
        for rows in batch.features:
            features: NodeFeatures = self.nodes.features[rows.source_type]  # type: ignore[assignment]
            place = features.content.names.index(rows.feature)
            encoder = self.feature_queries[f"{rows.source_type}_{place}"]
            asked = raw[rows.source_type][rows.source, features.column(rows.feature)]
            query = F.normalize(encoder(asked).float(), dim=-1)
            positives = Candidates(rows.positive_id, vectors[rows.positive_type][rows.positive], rows.share)
            loss = self._rows(FEATURE, rows.positive_type, query, positives, batch, vectors, found.scales)
            self._add(found, FEATURE, loss, self.config.feature_weight / self.config.features)

    def _users(
        self, batch: OmniSageBatch, rows: SequenceRows, vectors: Mapping[str, Tensor], found: Loss
    ) -> None:
        lists = vectors.get(rows.list_type)
        query = self.user_vectors(rows, vectors["item"], lists)[rows.window, rows.position]
        positives = Candidates(rows.positive_id, vectors["item"][rows.positive], rows.share)
        loss = self._rows(
            USER,
            "item",
            query,
            positives,
            batch,
            vectors,
            found.scales,
            right_WX=rows.right,
            window_R=rows.window,
        )
        # L_next and L_fut are means of their own (Eq. 4, 5), and every user counts alike whatever their length
        group = 2 * rows.window + rows.future.long()
        rows_of = torch.bincount(group, minlength=2 * len(rows.lengths)).to(loss.dtype)
        balanced = loss / rows_of[group]
        unit = self.config.user_weight / self.config.sequences
        for name, chosen in (("next", ~rows.future), ("future", rows.future)):
            self._add(found, f"{USER} {name}", balanced[chosen], unit)
        self._compatible(query, positives, batch, found)

    def user_vectors(self, rows: SequenceRows, e_BD: Tensor, lists_BD: Tensor | None = None) -> Tensor:
        """User vectors after each item of each sequence, (W, L, D).

        Args:
            rows: the sequences. e_BD, lists_BD: vectors of the item and list requests they point into.
        """
        assert self.user is not None
        real_WL = torch.arange(rows.item.shape[1], device=e_BD.device) < rows.lengths[:, None]
        total_WD = None
        if lists_BD is not None and len(rows.own_list):
            total_WD = lists_BD.new_zeros(len(rows.lengths), lists_BD.shape[1])
            total_WD = total_WD.index_add(0, rows.list_window, lists_BD[rows.own_list])
        out: Tensor = self.user(e_BD[rows.item] * real_WL[..., None], rows.lengths, rows.time, total_WD)
        return out

    def _rows(
        self, task: str, kind: str, query: Tensor, positives: Candidates, batch: OmniSageBatch,
        vectors: Mapping[str, Tensor], scales: Mapping[str, Tensor], *, own_R: Tensor | None = None,
        right_WX: Tensor | None = None, window_R: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """The rows of one task and type through the shared softmax."""
        drawn = batch.random.get(kind)
        random = None
        if drawn is not None:
            random = Candidates(drawn.ids, vectors[kind][drawn.request], drawn.share[task])
        population = drawn.population if drawn is not None else 0
        pool = pool_of(positives, random, population, corrected=self.config.log_q)
        return softmax_rows(
            query, positives, pool, scales[task], own_R=own_R, right_WX=right_WX, window_R=window_R,
            chunk_rows=self.config.chunk_rows,
        )  # fmt: skip

    def _compatible(self, query: Tensor, positives: Candidates, batch: OmniSageBatch, found: Loss) -> None:
        """The same queries against the frozen vectors of every old space, and ours against their own old ones."""
        drawn = batch.random.get("item")
        for name, module in zip(self.space_names, self.spaces, strict=True):
            space: Adapter = module  # type: ignore[assignment]
            known = space.known[positives.ids]
            ids = positives.ids[known]
            frozen = Candidates(ids, space.vectors[ids], positives.log_share[known])
            random = None
            if drawn is not None:
                there = space.known[drawn.ids]
                task = PAIR if PAIR in drawn.share else USER
                random = Candidates(
                    drawn.ids[there], space.vectors[drawn.ids[there]], drawn.share[task][there]
                )
            pool = pool_of(frozen, random, int(space.known.sum()), corrected=self.config.log_q)
            unit = self.config.compatibility_weight / self.config.pairs
            scale = next(iter(found.scales.values()))
            for asked in (query[known], positives.vectors[known]):
                loss = softmax_rows(space(asked), frozen, pool, scale, chunk_rows=self.config.chunk_rows)
                self._add(found, f"old space {name}", loss, unit)

    def _add(self, found: Loss, name: str, loss: Tensor, unit: float) -> None:
        """Add rows whose mean over a batch of all processes is ``unit`` times their sum."""
        total = unit * self.config.pairs * loss.sum()
        found.total = found.total + total
        before = found.parts.get(name)
        found.parts[name] = total.detach() if before is None else before + total.detach()


def node_shape(config: OmniSageConfig) -> NodeShape:
    """The part of the settings that shapes node embedders."""
    names = (
        "aggregator",
        "width",
        "heads",
        "layers",
        "feedforward",
        "dropout",
        "dim",
        "feature_dim",
        "id_dropout",
        "skip",
    )
    return NodeShape(**{name: getattr(config, name) for name in names})


def _feature_encoder(inputs: int, outputs: int, hidden: int = 1024) -> nn.Sequential:
    """g_x: four layers, ReLU, no normalisation (A.2); hidden 1024 in the paper, at most eight times the input here."""
    hidden = min(hidden, 8 * inputs)
    widths = [inputs, hidden, hidden, hidden]
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(widths):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(hidden, outputs))
