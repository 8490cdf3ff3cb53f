"""The UniPinRec network: PinRec with actions on its input, some of them masked, and a head per action.

One pass reads [history | candidates]. A history token carries its item and what was done with it, or [MASK]; a
candidate carries [MASK] always. Heads say how likely each action is at masked positions and at candidates
(arXiv 2606.00422, B2 and B3). With a cached history only the candidates are computed.

Shapes: B rows, N history tokens, K candidates, C actions of the store, D width, De item dimension, L = N, or 2 N where
items and actions are tokens of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bowerbird.learn.processes import gather_with_gradient
from bowerbird.nn import ActionHeads, ItemFeatures, ItemFeatureSpec, Linear, check_kernel
from bowerbird.recommend.examples import Tokens
from bowerbird.recommend.inputs.trends import DenseTrends
from bowerbird.recommend.model import ACTION_WIDTH, Encoded, Loss, PinRec
from bowerbird.recommend.ranking.config import UniPinRecConfig
from bowerbird.recommend.ranking.examples import Candidates, UniPinRecBatch
from bowerbird.recommend.ranking.matches import CATEGORIES, HistoryMatches
from bowerbird.tables.view import Texts

MASK = -1
"""The action mask of a position whose action is hidden."""


class ActionBits(nn.Module):
    """A multi-hot of actions plus a class for [MASK], made dense (B1): "unknown" is not "did nothing".

    Args:
        actions: C.
        width: of the output.
    """

    def __init__(self, actions: int, width: int) -> None:
        super().__init__()
        self.actions = actions
        self.dense = nn.Linear(actions + 1, width)

    def forward(self, deeds_BN: Tensor) -> Tensor:
        """(B, N, width) of int64 masks over the store's actions, or ``MASK``."""
        return self.dense(multi_hot(deeds_BN, self.actions))


def multi_hot(deeds_X: Tensor, actions: int) -> Tensor:
    """float32 (X, C + 1): one entry per action; the last one alone for ``MASK``."""
    bits = torch.arange(actions, device=deeds_X.device)
    hidden = (deeds_X == MASK)[..., None]
    done = ((deeds_X[..., None] >> bits) & 1).bool() & ~hidden
    return torch.cat([done, hidden], dim=-1).float()


@dataclass(frozen=True)
class ActionLoss:
    """Binary cross-entropy per action.

    Attributes:
        sum_C: weighted sums with gradients, one per action. weight: 0-d, the weight of the rows.
    """

    sum_C: Tensor
    weight: Tensor


class CountHeads(nn.Module):
    """What counts add to the logits of a candidate, given the state it is met in.

    Args:
        counts: F, numbers per candidate.
        width: D.
        actions: C.
    """

    def __init__(self, counts: int, width: int, actions: int) -> None:
        super().__init__()
        self.direct = nn.Linear(counts, actions, bias=False)
        self.heads = ActionHeads(counts + width, actions)
        with torch.no_grad():
            # log-odds of the item's own rates are where learning starts from
            self.direct.weight.zero_()
            self.direct.weight[:, 1 : 1 + actions].fill_diagonal_(1.0)
            self.heads.weight.zero_()

    def forward(self, z_XD: Tensor, counts_XF: Tensor | None) -> Tensor:
        """Logits (X, C)."""
        if counts_XF is None:
            raise ValueError("this model reads counts (config.counts); give those of the candidates")
        logits: Tensor = self.heads(torch.cat([z_XD.float(), counts_XF], dim=-1)) + self.direct(counts_XF)
        return logits.float()


class UniPinRec(PinRec):
    """See the module docstring.

    Args:
        config, spec, features, actions, surfaces, log_share, trends, texts: as for :class:`PinRec`.
        store_actions: C, all actions of the store, also those that a history does not hold.
        outcomes: the condition code of each of them, 0 for those no outcome can ask for.
    """

    action_weight: Tensor
    outcomes: Tensor

    def __init__(
        self, config: UniPinRecConfig, spec: ItemFeatureSpec, features: ItemFeatures, *, actions: int, surfaces: int,
        log_share: Tensor, trends: DenseTrends | None = None, texts: Texts | None = None, store_actions: int,
        outcomes: Sequence[int],
    ) -> None:  # fmt: skip
        self.store_actions = store_actions
        self.tokens_per_event = 2 if config.interleave else 1
        super().__init__(
            config, spec, features, actions=actions, surfaces=surfaces, log_share=log_share, trends=trends,
            texts=texts,
        )  # fmt: skip
        self.uni = config
        self.decoder.attention = check_kernel(config.attention)
        # heads see the products of what retrieval would ask for and the item, as HSTU's ranking head does
        self.reads_affinity = config.affinity and config.retrieve
        self.heads = ActionHeads(config.width + config.item_dim * self.reads_affinity, store_actions)
        # an event is in a history because something was done: its base rates are not those of what is shown
        self.past_bias = nn.Parameter(torch.zeros(store_actions))
        # how much everybody does with an item: learnt apart, so that the network need not press it into a direction
        self.item_bias = nn.Embedding(spec.n_items, store_actions) if config.item_bias else None
        if self.item_bias is not None:
            nn.init.zeros_(self.item_bias.weight)
        # a quarter of the retrieval logit: between ignoring it and reading it as the log-odds itself
        self.affinity_weight = (
            nn.Parameter(torch.full((store_actions,), 0.25)) if self.reads_affinity else None
        )
        self.matches: HistoryMatches | None = None
        self.count_heads: CountHeads | None = None
        if config.counts and config.rank_slates:
            bags = {name: bag for name, bag in features.bags.items() if name.startswith(CATEGORIES)}
            self.matches = HistoryMatches(bags, store_actions)
            self.count_heads = CountHeads(1 + store_actions + self.matches.width, config.width, store_actions)
        self.register_buffer("outcomes", torch.tensor(list(outcomes)), persistent=False)
        self.action_token = Linear(ACTION_WIDTH, config.width) if config.interleave else None
        self.register_buffer("action_weight", torch.ones(store_actions))

    def _action_input(self, actions: int, token_width: int) -> nn.Module | None:
        return ActionBits(self.store_actions, ACTION_WIDTH)

    @property
    def appends_action(self) -> bool:
        """Actions always stand beside the item on the feature axis."""
        return True

    # --- reading -------------------------------------------------------------------------------------------------

    def actions_read(self, tokens: Tokens) -> Tensor:
        """int64 (B, N) masks over the store's actions."""
        return tokens.deeds

    def action_fed_back(self, code_B: Tensor, mask_B: Tensor) -> Tensor:
        """The action a token was generated for; one generated for nothing in particular hides its action."""
        return torch.where(mask_B == 0, MASK, mask_B)

    def encode(self, tokens: Tokens, e_BNE: Tensor) -> Tensor:
        """Hidden states (B, N, D) that know each token's action, in one dense pass."""
        h_BLD: Tensor = self.decoder(
            self._stream(tokens, e_BNE, tokens.deeds), tokens.lengths * self.tokens_per_event
        )
        return h_BLD[:, self.tokens_per_event - 1 :: self.tokens_per_event]

    def read(self, tokens: Tokens, e_BNE: Tensor, room: int = 0) -> Encoded:
        """See :meth:`PinRec.read`; ``room`` counts events."""
        step = self.tokens_per_event
        lengths_B = tokens.lengths * step
        h_BLD, cache = self.decoder.prefill(self._stream(tokens, e_BNE, tokens.deeds), lengths_B, room * step)
        rows, last_B = torch.arange(len(lengths_B)), (tokens.lengths - 1).clamp(min=0)
        last_BD = h_BLD[rows, (lengths_B - 1).clamp(min=0)]
        return Encoded(cache, last_BD, tokens.time[rows, last_B])

    def append(self, encoded: Encoded, tokens: Tokens, e_BSE: Tensor) -> Encoded:
        """See :meth:`PinRec.append`."""
        previous_BS = torch.cat([encoded.time_B[:, None], tokens.time[:, :-1]], dim=1)
        x_BLD = self._stream(tokens, e_BSE, tokens.deeds, previous_BS)
        return Encoded(encoded.cache, self.decoder.step(x_BLD, encoded.cache)[:, -1], tokens.time[:, -1])

    def candidate_vectors(
        self, e_BKE: Tensor, time_BK: Tensor, surface_BK: Tensor, previous_BK: Tensor
    ) -> Tensor:
        """Candidate tokens (B, K, D): stored item vector, [MASK], the request's time and surface (B5.1)."""
        hidden = torch.full_like(time_BK, MASK)
        return self.token_vectors(e_BKE, time_BK, surface_BK, hidden, previous_BK)

    def counted(
        self, tokens: Tokens, items_BK: Tensor, time_BK: Tensor, seen_BK: Tensor, rates_BKF: Tensor
    ) -> Tensor | None:
        """What has been counted of candidates (B, K, F), for the heads; None for models that read no counts.

        Args:
            tokens, items_BK, time_BK, seen_BK: see :class:`HistoryMatches`.
            rates_BKF: of the candidates' items, see :class:`bowerbird.recommend.ranking.rates.ItemRates`.
        """
        if self.matches is None:
            return None
        return torch.cat([rates_BKF, self.matches(tokens, items_BK, time_BK, seen_BK)], dim=-1)

    def rank(
        self, encoded: Encoded, e_BKE: Tensor, items_BK: Tensor, *, time_B: Tensor, surface_B: Tensor,
        counts_BKF: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Action logits (B, K, C) of candidates against an encoded history, which is left as it was.

        Args:
            encoded: the histories; a row without events is legal.
            e_BKE: item vectors, as the index stores them. items_BK: int64 ids of the items, -1 = unknown.
            time_B: int64 ms of the requests. surface_B: int64 surface codes.
            counts_BKF: from :meth:`counted`.
        """
        shape = e_BKE.shape[:2]
        x_BKD = self.candidate_vectors(
            e_BKE, time_B[:, None].expand(shape), surface_B[:, None].expand(shape),
            encoded.time_B[:, None].expand(shape),
        )  # fmt: skip
        z_BKD = self.decoder.score(x_BKD, encoded.cache)
        asked_BCE = self._asked(encoded.last_BD, surface_B)
        asked_BKCE = asked_BCE[:, None].expand(-1, e_BKE.shape[1], -1, -1)
        logits_BKC = self._logits(z_BKD, e_BKE, asked_BKCE) + self._bias(items_BK)
        return logits_BKC if self.count_heads is None else logits_BKC + self.count_heads(z_BKD, counts_BKF)

    @torch.no_grad()
    def _asked(self, h_XD: Tensor, surface_X: Tensor) -> Tensor:
        """The vectors (X, C, De) that retrieval would ask with for each action, C = 1 where they are all the same.

        Without gradients: retrieval is taught by its own loss.
        """
        outcomes_C = self.outcomes if self.config.outcome_conditioning else self.outcomes[:1] * 0
        vectors_XCE: Tensor = self.head(h_XD[:, None], outcomes_C, surface_X[:, None])
        return vectors_XCE

    def _logits(self, z_XD: Tensor, e_XE: Tensor, asked_XCE: Tensor) -> Tensor:
        """Logits (X, C) of items met in a state.

        Args:
            z_XD: hidden states of the items' tokens. e_XE: their vectors.
            asked_XCE: what retrieval would have asked for right before.
        """
        if self.affinity_weight is None:
            plain: Tensor = self.heads(z_XD)
            return plain.float()
        product_XCE = asked_XCE * e_XE.detach()[..., None, :]
        cosine_XC = product_XCE.sum(-1)
        # entries of unit vectors are small: scaled up to the size of the hidden state's
        x_XF = torch.cat([z_XD, product_XCE.mean(-2).to(z_XD.dtype) * self.config.item_dim], dim=-1)
        logits: Tensor = self.heads(x_XF).float()
        return logits + self.affinity_weight * (self.scale().detach() * cosine_XC)

    def _bias(self, items_X: Tensor) -> Tensor | float:
        """What everybody does with items (X, C); nothing for id -1."""
        if self.item_bias is None:
            return 0.0
        return torch.where((items_X >= 0)[..., None], self.item_bias(items_X.clamp(min=0)), 0.0)

    def _stream(
        self, tokens: Tokens, e_BNE: Tensor, deeds_BN: Tensor, previous_BN: Tensor | None = None
    ) -> Tensor:
        """Decoder inputs (B, L, D)."""
        if self.action_token is None:
            return self.token_vectors(e_BNE, tokens.time, tokens.surface, deeds_BN, previous_BN)
        hidden = torch.full_like(deeds_BN, MASK)
        items_BND = self.token_vectors(e_BNE, tokens.time, tokens.surface, hidden, previous_BN)
        assert self.action is not None
        actions_BND = self.action_token(self.action(deeds_BN))
        return torch.stack([items_BND, actions_BND], dim=2).flatten(1, 2)

    # --- learning --------------------------------------------------------------------------------------------------

    def joint_loss(self, batch: UniPinRecBatch, rng: torch.Generator) -> tuple[Loss, dict[str, Tensor]]:
        """Item softmax plus action losses (B3, eq. 5).

        Args:
            batch, rng: as in :meth:`PinRec.loss`.

        Returns:
            the loss, scaled so that dividing by the summed weights of all processes gives the paper's mean; and its
            parts as sums over the same weight, for the log.
        """
        candidates = batch.candidates
        real_BK = candidates.real
        vectors = self.vectors(batch, rng, candidates.item[real_BK])
        e_BKE = vectors.e_BNE.new_zeros(*real_BK.shape, vectors.e_BNE.shape[-1])
        e_BKE[real_BK] = vectors.others[0]
        tokens, step = batch.tokens, self.tokens_per_event
        deeds_BN = tokens.deeds if step == 2 else torch.where(batch.masked, MASK, tokens.deeds)
        h_BLD, z_BKD = self.decoder(
            self._stream(tokens, vectors.e_BNE, deeds_BN),
            tokens.lengths * step,
            self.candidate_vectors(e_BKE, candidates.time, candidates.surface, candidates.previous),
            seen_BK=candidates.seen * step,
            candidate_lengths_B=candidates.lengths,
        )
        weight = batch.weight.sum()
        total, parts = weight.new_zeros(()), {}
        if self.uni.retrieve:
            item = self.item_loss(batch, vectors, h_BLD[:, step - 1 :: step])
            total = total + item.total
            parts["item"] = item.total.detach()
        asked = []
        if self.uni.rank_past:
            # a token of its own follows with the action, so an interleaved history hides nothing and asks everywhere
            done_BN = vectors.real_BN & (
                tokens.item < self.items.spec.n_items
            )  # nobody acts on what they name
            where_BN = done_BN if step == 2 else batch.masked & done_BN
            past_RC = self._past_logits(h_BLD, vectors.e_BNE, tokens.surface, where_BN) + self.past_bias
            asked.append(("past", self._action_loss(past_RC, tokens.deeds[where_BN])))
        if self.uni.rank_slates:
            shown_RC = self.slate_logits(h_BLD, z_BKD, candidates, vectors.others[0], tokens)
            asked.append(
                ("slate", self._action_loss(shown_RC, candidates.deeds[real_BK], candidates.weight[real_BK]))
            )
        if asked:
            # one process with the whole batch would divide by these: gathered, so that several take the same step
            weights = torch.stack([weight, *(loss.weight for _, loss in asked)])
            whole = gather_with_gradient(weights[None]).sum(0)
            for (name, loss), rows in zip(asked, whole[1:], strict=True):
                mean = (self.action_weight * loss.sum_C).sum() / rows.clamp(min=1)
                total = total + self.uni.action_loss * whole[0] * mean
                parts[name] = (whole[0] * mean).detach()
        return Loss(total, weight), parts

    def slate_logits(
        self, h_BLD: Tensor, z_BKD: Tensor, candidates: Candidates, e_RE: Tensor, tokens: Tokens
    ) -> Tensor:
        """Action logits (R, C) of the R real candidates of a training batch.

        Args:
            h_BLD, z_BKD: hidden states of the history and of the candidates.
            candidates: what they are.
            e_RE: item vectors of the real ones.
            tokens: the windows, nothing hidden.
        """
        real_BK = candidates.real
        window_R = real_BK.nonzero()[:, 0]
        last_RD = h_BLD[window_R, candidates.seen[real_BK] * self.tokens_per_event - 1]
        asked_RCE = self._asked(last_RD, candidates.surface[real_BK])
        z_RD, items_R = z_BKD[real_BK], candidates.item[real_BK]
        logits_RC = self._logits(z_RD, e_RE, asked_RCE) + self._bias(items_R)
        if self.count_heads is None:
            return logits_RC
        counts_BKF = self.counted(tokens, candidates.item, candidates.time, candidates.seen, candidates.rates)
        return logits_RC + self.count_heads(z_RD, None if counts_BKF is None else counts_BKF[real_BK])

    def _past_logits(self, h_BLD: Tensor, e_BNE: Tensor, surface_BN: Tensor, where_BN: Tensor) -> Tensor:
        """Action logits (R, C) of R past positions, each in the state right before it (none for the first)."""
        step = self.tokens_per_event
        window_R, place_R = where_BN.nonzero(as_tuple=True)
        before_RD = h_BLD[window_R, (place_R * step - 1).clamp(min=0)]
        before_RD = torch.where((place_R > 0)[:, None], before_RD, 0.0)
        asked_RCE = self._asked(before_RD, surface_BN[where_BN])
        return self._logits(h_BLD[:, ::step][where_BN], e_BNE[where_BN], asked_RCE)

    def _action_loss(self, logits_RC: Tensor, deeds_R: Tensor, weight_R: Tensor | None = None) -> ActionLoss:
        labels_RC = multi_hot(deeds_R, self.store_actions)[:, :-1]
        loss_RC = F.binary_cross_entropy_with_logits(logits_RC, labels_RC, reduction="none")
        if weight_R is None:
            weight_R = loss_RC.new_ones(len(loss_RC))
        return ActionLoss((loss_RC * weight_R[:, None]).sum(0), weight_R.sum())
