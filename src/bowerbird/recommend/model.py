"""The PinRec network and its loss (arXiv 2504.10507, part A of the specification).

One causal decoder reads a history of heterogeneous tokens (item, time, surface, optionally action); a head turns a
hidden state and the conditions of a request (outcome, surface, time offset) into a point of the item space. UniPinRec
(arXiv 2606.00422, ``recommend.ranking``) is this network with actions on its input, candidate tokens and action heads.

Shapes: B rows, N history tokens, P predictions, T targets of a prediction, M negatives, D width, De item dimension.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bowerbird.learn.processes import gather_with_gradient
from bowerbird.nn import (
    Decoder,
    DecoderConfig,
    Draw,
    ItemEmbedder,
    ItemFeatures,
    ItemFeatureSpec,
    KVCache,
    Linear,
    LogitScale,
    Negatives,
    OutcomeHead,
    PhraseEmbedder,
    TimeEncoder,
    draw_negatives,
    negative_logsumexp,
    sampled_softmax,
)
from bowerbird.recommend.config import PinRecConfig
from bowerbird.recommend.examples import PinRecBatch, Tokens
from bowerbird.recommend.inputs.trends import DenseTrends
from bowerbird.tables.view import Texts

SPARE_POSITIONS = 32
"""Positions kept free after a full history, for generated tokens and candidates."""

ACTION_WIDTH = 16
"""Width of the actions of a token where they are appended to its other features."""

_TIME_WIDTH = 32
_LOGIT_BUDGET = 1 << 25
"""Most logits held at once in training (128 MiB of float32); larger steps are computed in row chunks."""


@dataclass(frozen=True)
class Loss:
    """Sums over the predictions of a batch.

    Attributes:
        total: 0-d tensor with gradients, the weighted sum of losses.
        weight: 0-d tensor, the sum of weights.
    """

    total: Tensor
    weight: Tensor


@dataclass(frozen=True)
class Vectors:
    """The embedded items of one training batch.

    Attributes:
        real_BN: bool, where a token stands.
        e_BNE: vectors of the tokens, 0 at padding. e_PTE: of the targets.
        negatives: drawn for this step.
        positives: how many positives of all processes the draw saw.
        others: vectors of the further ids asked for.
    """

    real_BN: Tensor
    e_BNE: Tensor
    e_PTE: Tensor
    negatives: Negatives
    positives: int
    others: tuple[Tensor, ...]


@dataclass
class Encoded:
    """Histories a decoder has read: all that generating and ranking need of them.

    Attributes:
        cache: keys and values; steps of a generation are appended to it and taken back.
        last_BD: hidden state of each row's last token.
        time_B: int64 ms, time of the last token.
    """

    cache: KVCache
    last_BD: Tensor
    time_B: Tensor


class PinRec(nn.Module):
    """See the module docstring.

    Args:
        config: all settings.
        spec, features: the catalogue (see :class:`bowerbird.nn.ItemEmbedder`).
        actions, surfaces: number of condition codes without the unspecified one.
        log_share: float32 (I,), log probability that a training positive is this item.
        trends: the trend table where ``config.trend_half_lives_hours`` asks for one.
        texts: what users of the store name, for ``config.mentions``.
    """

    log_share: Tensor

    def __init__(
        self, config: PinRecConfig, spec: ItemFeatureSpec, features: ItemFeatures, *, actions: int, surfaces: int,
        log_share: Tensor, trends: DenseTrends | None = None, texts: Texts | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.config, self.trends = config, trends
        self.items = ItemEmbedder(spec, features, config.item_dim, id_dropout=config.id_dropout)
        self.phrases = nn.ModuleDict()
        self.first_phrase: dict[str, int] = {}
        for kind in config.mentions:
            low, high = (0, 0) if texts is None else texts.span(kind)
            if texts is not None and high > low:
                said = texts.text[low:high].to_list()
                self.phrases[kind] = PhraseEmbedder(
                    said, config.content_dim or config.id_dim, config.item_dim
                )
                self.first_phrase[kind] = spec.n_items + low
        self.time = TimeEncoder(_TIME_WIDTH) if config.use_time else None
        token_width = config.item_dim + (_TIME_WIDTH if self.time is not None else 0)
        self.surface = _codes(surfaces, token_width) if config.use_surface else None
        self.action = self._action_input(actions, token_width)
        self.project = Linear(token_width + (ACTION_WIDTH if self.appends_action else 0), config.width)
        with (
            torch.no_grad()
        ):  # the item vector passes through unchanged at first (see OutcomeHead's linear path)
            self.project.weight.mul_(0.1)
            nn.init.eye_(self.project.weight[:, : config.item_dim])
            self.project.bias.zero_()
        self.decoder = Decoder(
            DecoderConfig(
                width=config.width, layers=config.layers, heads=config.heads, dropout=config.dropout,
                max_positions=self.tokens_per_event * config.history_length + SPARE_POSITIONS,
            )
        )  # fmt: skip
        self.head = OutcomeHead(
            config.width, config.item_dim, residual=config.head_residual,
            actions=actions if config.outcome_conditioning else 0,
            surfaces=surfaces if config.surface_conditioning else 0,
            offsets=config.offset_buckets if config.offset_buckets > 1 else 0,
        )  # fmt: skip
        self.scale = LogitScale(config.initial_scale, learned=config.learn_scale)
        self.trend_weights = nn.Parameter(torch.full((len(config.trend_half_lives_hours),), 0.5))
        self.register_buffer("log_share", log_share)

    tokens_per_event = 1

    @property
    def appends_action(self) -> bool:
        """Whether the actions of a token stand beside its other features; else they are added to them."""
        return self.config.input_action == "concat"

    def _action_input(self, actions: int, token_width: int) -> nn.Module | None:
        """What reads the actions of history tokens: a table of condition codes, or nothing (A1.1)."""
        if self.config.input_action == "none":
            return None
        return _codes(actions, ACTION_WIDTH if self.config.input_action == "concat" else token_width)

    # --- what tokens stand for ----------------------------------------------------------------------------------

    def embed(self, ids_U: Tensor) -> Tensor:
        """Unit vectors (U, De) of items and, from the number of items on, of what users named.

        Args:
            ids_U: int64, each once: the work is per id given.
        """
        if not self.phrases:
            items: Tensor = self.items(ids_U)
            return items
        item_U = ids_U < self.items.spec.n_items
        e_UE = ids_U.new_zeros(len(ids_U), self.config.item_dim, dtype=torch.float32)
        e_UE[item_U] = self.items(ids_U[item_U])
        for kind, embedder in self.phrases.items():
            low = self.first_phrase[kind]
            said_U = (ids_U >= low) & (ids_U < low + len(embedder))  # type: ignore[arg-type]
            # none of them is computed, too: every parameter has a gradient in every process
            e_UE[said_U] = embedder(ids_U[said_U] - low)
        return e_UE

    # --- reading a history -------------------------------------------------------------------------------------

    def token_vectors(
        self,
        e_BNE: Tensor,
        time_BN: Tensor,
        surface_BN: Tensor,
        action_BN: Tensor,
        previous_BN: Tensor | None = None,
    ) -> Tensor:
        """Token inputs (B, N, D): item vector and time features side by side, surface (and action) added (A2.1).

        Args:
            e_BNE: unit item vectors; a generated vector goes in as it is.
            time_BN: int64 ms. previous_BN: time of the token before each (see :class:`bowerbird.nn.TimeEncoder`).
            surface_BN: int64 condition codes. action_BN: what :meth:`actions_read` gives.
        """
        # unit vectors have entries of 1/sqrt(De): scaled up so that they start on par with the other features
        x = e_BNE * self.config.item_dim**0.5
        if self.time is not None:
            x = torch.cat([x, self.time(time_BN, previous_BN)], dim=-1)
        if self.surface is not None:
            x = x + self.surface(surface_BN)
        if self.action is not None:
            action = self.action(action_BN)
            x = torch.cat([x, action], dim=-1) if self.appends_action else x + action
        x = self.project(x)
        p = self.config.embedding_dropout
        return F.dropout(x, p, training=True) if self.training and p else x

    def actions_read(self, tokens: Tokens) -> Tensor:
        """The actions of tokens as the input reads them: int64 (B, N), here condition codes."""
        return tokens.action

    def action_fed_back(self, code_B: Tensor, mask_B: Tensor) -> Tensor:
        """What a generated token says it did: here the condition code it was generated for.

        Args:
            code_B: int64 condition codes. mask_B: int64 masks over the store's actions; 0 = nothing in particular.
        """
        return code_B

    def encode(self, tokens: Tokens, e_BNE: Tensor) -> Tensor:
        """Hidden states (B, N, D) of whole histories in one dense pass."""
        h: Tensor = self.decoder(self._history(tokens, e_BNE), tokens.lengths)
        return h

    def read(self, tokens: Tokens, e_BNE: Tensor, room: int = 0) -> Encoded:
        """Encode histories and keep the KV cache, with ``room`` for tokens appended later.

        Rows of length 0 are legal; their last hidden state is 0.
        """
        h_BND, cache = self.decoder.prefill(self._history(tokens, e_BNE), tokens.lengths, room)
        rows, last_B = torch.arange(len(tokens.lengths)), (tokens.lengths - 1).clamp(min=0)
        return Encoded(cache, h_BND[rows, last_B], tokens.time[rows, last_B])

    def append(self, encoded: Encoded, tokens: Tokens, e_BSE: Tensor) -> Encoded:
        """The histories with S more events each, encoding only those.

        Args:
            encoded: histories of at least one event whose cache has room; it is changed and must not be used again.
            tokens: S new events per row, every row full.
            e_BSE: their item vectors.
        """
        previous_BS = torch.cat([encoded.time_B[:, None], tokens.time[:, :-1]], dim=1)
        x_BSD = self.token_vectors(e_BSE, tokens.time, tokens.surface, self.actions_read(tokens), previous_BS)
        h_BSD = self.decoder.step(x_BSD, encoded.cache)
        return Encoded(encoded.cache, h_BSD[:, -1], tokens.time[:, -1])

    def _history(self, tokens: Tokens, e_BNE: Tensor) -> Tensor:
        return self.token_vectors(e_BNE, tokens.time, tokens.surface, self.actions_read(tokens))

    def trend_bias(self, time_R: Tensor, ids_M: Tensor) -> tuple[Tensor, Tensor]:
        """The trend's part of the logits.

        Returns:
            ``(bias_GM, group_R)``: one row per distinct moment of the trend grid, and the row of each time.

        Raises:
            ValueError: if this model has no trend.
        """
        if self.trends is None:
            raise ValueError("this model was configured without a trend")
        cells, group_R = torch.unique(self.trends.cells(time_R), return_inverse=True)
        return self.trends.values(cells, ids_M) @ self.trend_weights, group_R

    # --- learning ------------------------------------------------------------------------------------------------

    def loss(self, batch: PinRecBatch, rng: torch.Generator) -> Loss:
        """Sampled softmax of every prediction of a batch (A3.5).

        Args:
            batch: windows and predictions on this model's device.
            rng: draws the negatives.
        """
        vectors = self.vectors(batch, rng)
        h_BND = self.encode(batch.tokens, vectors.e_BNE)
        return self.item_loss(batch, vectors, h_BND)

    def vectors(self, batch: PinRecBatch, rng: torch.Generator, *others: Tensor) -> Vectors:
        """Embed every item of a batch once: its tokens, targets, negatives drawn now, and other ids.

        Args:
            batch, rng: as in :meth:`loss`.
            others: int64 ids (any shape) to embed with them.
        """
        # the positives of all processes: two of them with half a batch each then take the step of one with all of it
        positives = gather_with_gradient(batch.target[:, 0].contiguous())
        draw = self._draw(positives, rng)
        real_BN = (
            torch.arange(batch.tokens.item.shape[1], device=draw.ids_M.device) < batch.tokens.lengths[:, None]
        )
        groups = [batch.tokens.item[real_BN], batch.target.clamp(min=0), draw.ids_M, *others]
        ids, index = torch.unique(torch.cat([group.reshape(-1) for group in groups]), return_inverse=True)
        e = self.embed(ids)
        found = [
            e[part].view(*group.shape, e.shape[1])
            for group, part in zip(groups, index.split([group.numel() for group in groups]), strict=True)
        ]
        e_BNE = e.new_zeros(*real_BN.shape, e.shape[1])
        e_BNE[real_BN] = found[0]
        negatives = Negatives(draw.ids_M, found[2], draw.log_q_M)
        return Vectors(real_BN, e_BNE, found[1], negatives, len(positives), tuple(found[3:]))

    def item_loss(self, batch: PinRecBatch, vectors: Vectors, h_BND: Tensor) -> Loss:
        """The sampled softmax alone, given the hidden states of the batch's tokens."""
        negatives, targets, real_BN = vectors.negatives, batch.target.clamp(min=0), vectors.real_BN
        h_PD = h_BND[batch.window, batch.position]
        anchor_PE = self.head(h_PD, batch.action, batch.surface, batch.offset)
        scale = self.scale()
        positive_PT = scale * (anchor_PE[:, None] * vectors.e_PTE).sum(-1)
        if self.config.log_q and self.config.positive_correction == "same":
            positive_PT = positive_PT - self._expected(vectors.positives, targets)
        bias_GM = group_P = None
        if self.trends is not None:
            bias_GM, group_P = self.trend_bias(batch.time, negatives.ids_M)
            own = self.trends.pairs(batch.time[:, None].expand_as(targets), targets) @ self.trend_weights
            positive_PT = positive_PT + own
        positive_PT = positive_PT.masked_fill(batch.target < 0, float("-inf"))

        blocked_BM = None
        if self.config.mask_same_user:
            items_BN = batch.tokens.item
            columns = negatives.locate(
                torch.where(real_BN & (items_BN < self.items.spec.n_items), items_BN, -1)
            )
            pool = len(negatives.ids_M)
            blocked_BM = torch.zeros(len(columns), pool + 1, dtype=torch.bool, device=columns.device)
            blocked_BM.scatter_(1, torch.where(columns < 0, pool, columns), True)  # a spare last column
            blocked_BM = blocked_BM[:, :-1]
        logits = len(anchor_PE) * len(negatives.ids_M)
        lse_P = negative_logsumexp(
            anchor_PE,
            negatives,
            scale,
            blocked_RX=negatives.locate(batch.target),
            blocked_BM=blocked_BM,
            window_R=None if blocked_BM is None else batch.window,
            bias_GM=bias_GM,
            group_R=group_P,
            chunk_rows=None if logits <= _LOGIT_BUDGET else max(1, _LOGIT_BUDGET // len(negatives.ids_M)),
            compute=torch.bfloat16 if torch.is_autocast_enabled(anchor_PE.device.type) else torch.float32,
        )
        loss_P = sampled_softmax(positive_PT, lse_P, self.config.relax)
        return Loss((loss_P * batch.weight).sum(), batch.weight.sum())

    def _draw(self, positives: Tensor, rng: torch.Generator) -> Draw:
        n_items, config = self.items.spec.n_items, self.config
        if config.all_negatives:
            ids = torch.arange(n_items, device=self.log_share.device)
            return Draw(ids, torch.zeros(n_items, device=ids.device))
        return draw_negatives(
            positives, n_items, in_batch=config.in_batch_negatives, random=config.random_negatives,
            log_share=self.log_share, rng=rng, correct=config.log_q,
        )  # fmt: skip

    def _expected(self, positives: int, ids: Tensor) -> Tensor:
        """log of the expected draws of ids in a step's pool; zero when the pool is the whole catalogue."""
        if self.config.all_negatives:
            return torch.zeros_like(ids, dtype=torch.float32)
        in_batch = min(positives, self.config.in_batch_negatives)
        return (
            in_batch * self.log_share[ids].exp() + self.config.random_negatives / self.items.spec.n_items
        ).log()


def _codes(codes: int, width: int) -> nn.Embedding:
    table = nn.Embedding(codes + 1, width)
    nn.init.normal_(table.weight, std=0.02)
    return table
