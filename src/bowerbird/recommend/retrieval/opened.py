"""A fitted PinRec opened on a view: ready to turn histories into vectors and vectors into ranked items.

Shapes: B requests, M vectors, I items, De item dimension.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from bowerbird.learn.artifact import Artifact
from bowerbird.learn.settings import from_dict
from bowerbird.nn import ItemFeatures, ItemFeatureSpec, PhraseEmbedder
from bowerbird.nn.features.catalogue import CatalogueEncoder
from bowerbird.recommend.config import PinRecConfig
from bowerbird.recommend.examples import Tokens, history_tokens
from bowerbird.recommend.inputs.blend import Blend
from bowerbird.recommend.inputs.conditions import Conditions
from bowerbird.recommend.inputs.signals import signal_vectors
from bowerbird.recommend.inputs.transitions import Successors, Transitions
from bowerbird.recommend.inputs.trends import DenseTrends
from bowerbird.recommend.model import Encoded, PinRec
from bowerbird.recommend.retrieval.generation import Generated, Plan, generate
from bowerbird.tables.errors import ConfigError
from bowerbird.tables.view import MentionKind, View

_EMBED_CHUNK = 16_384
MOST_NEW_QUERIES = 200_000
"""Queries that came after training and are remembered (100 MiB at 128 dimensions); further ones are not read."""


def item_features(
    config: PinRecConfig, encoder: CatalogueEncoder, view: View
) -> tuple[ItemFeatureSpec, ItemFeatures]:
    """What the item embedder reads of a view's catalogue.

    Raises:
        ConfigError: if nothing is left to tell items apart.
    """
    content = config.content_dim > 0
    signals = signal_vectors(view, config.item_signals) if content else {}
    widths = {name: vectors.shape[1] for name, vectors in signals.items()}
    spec = ItemFeatureSpec(
        n_items=view.n_items,
        id_mode=config.id_mode,
        id_dim=config.id_dim,
        id_hashes=config.id_hashes,
        bags=encoder.bags if content else {},
        numbers=len(encoder.numbers) if content else 0,
        vectors={**encoder.vectors, **widths} if content else {},
        content_dim=config.content_dim,
        mixer=config.item_mixer if content or config.item_mixer != "residual" else "linear",
    )
    if not (spec.bags or spec.numbers or spec.vectors) and config.id_mode == "none":
        raise ConfigError("items have no content features and id_mode is none; set id_mode=table")
    features = encoder.encode(view.item_table())
    return spec, replace(features, vectors={**features.vectors, **signals})


@dataclass(frozen=True)
class Signals:
    """What is known live of the requests of a batch: the trend table of their moments and their next items."""

    trends: DenseTrends | None = None
    successors: Successors | None = None


def last_items(tokens: Tokens, n_items: int) -> np.ndarray:
    """int64 (B,): the last item of each history, -1 where it has none; mentions are passed over."""
    columns = torch.arange(tokens.item.shape[1])
    there = (columns < tokens.lengths[:, None]) & (tokens.item < n_items)
    last = torch.where(there, columns, -1).amax(dim=1)
    return torch.where(last >= 0, tokens.item[torch.arange(len(last)), last.clamp(min=0)], -1).numpy()


class OpenPinRec:
    """A trained network with the item vectors of one view's catalogue.

    Items that came after training have no identity row: they are scored by their content and the "unknown" row.

    Args:
        model: trained, in evaluation mode.
        conditions: its outcome and surface names.
        view: whose catalogue and histories it answers for.
        blend: weights of the final logit; the network's own when left out.

    Attributes:
        vectors_IE: float32 unit vectors of all items of the view.
    """

    config_class: ClassVar[type[PinRecConfig]] = PinRecConfig

    def __init__(
        self, model: PinRec, conditions: Conditions, view: View, *, blend: Blend | None = None
    ) -> None:
        self.blend = blend
        self.model, self.conditions, self.view = model.eval(), conditions, view
        self.vectors_IE = model.items.embed_all(_EMBED_CHUNK)
        self._trend: tuple[tuple[int, int, int], DenseTrends] | None = None
        self._steps: tuple[tuple[int, int, int], Transitions] | None = None
        self._new_queries: dict[str, int] = {}
        self._new_vectors: list[Tensor] = []
        self._new_lock = Lock()

    @classmethod
    def open(cls, artifact: Artifact, view: View) -> Self:
        """Rebuild the network from an artifact for the catalogue of a view.

        Raises:
            ConfigError: if the artifact was made from a store with other item ids.
        """
        config = from_dict(cls.config_class, artifact.config, where=artifact.learner)
        facts: Mapping[str, Any] = artifact.facts
        conditions = Conditions.from_dict(facts["conditions"])
        encoder = CatalogueEncoder.from_dict(facts["catalogue"])
        tensors = dict(artifact.tensors)
        trained = len(tensors["log_share"])
        if trained > view.n_items:
            raise ConfigError(
                f"this model knows {trained} items, the store only {view.n_items}: they do not belong together. "
                "Fix: open it on the store it was trained on, or on one grown from it"
            )
        extra = view.n_items - trained
        if extra:  # dense ids never change when a store grows: new items simply follow
            tensors["log_share"] = torch.cat(
                [tensors["log_share"], tensors["log_share"].new_full((extra,), -30.0)]
            )
            tensors["items.unseen"] = torch.cat(
                [tensors["items.unseen"], torch.ones(extra, dtype=torch.bool)]
            )
            if config.id_mode == "table":
                rows = tensors["items.identity.weight"]
                tensors["items.identity.weight"] = torch.cat([rows, rows.new_zeros(extra, rows.shape[1])])
            if "item_bias.weight" in tensors:
                rows = tensors["item_bias.weight"]
                tensors["item_bias.weight"] = torch.cat([rows, rows.new_zeros(extra, rows.shape[1])])
        model = cls.network(config, conditions, encoder, view, tensors["log_share"], facts=facts)
        model.load_state_dict(tensors)
        blend = Blend.from_dict(facts["blend"]) if "blend" in facts else None
        return cls(model, conditions, view, blend=blend)

    @classmethod
    def network(
        cls, config: PinRecConfig, conditions: Conditions, encoder: CatalogueEncoder, view: View, log_share: Tensor, *,
        facts: Mapping[str, Any], trends: DenseTrends | None = None,
    ) -> PinRec:  # fmt: skip
        """An untrained network for the items, actions and surfaces of a view.

        Args:
            config, conditions, encoder, view: what it is made for.
            log_share, trends: see :class:`PinRec`.
            facts: of the artifact it will be or was saved in.
        """
        spec, features = item_features(config, encoder, view)
        return PinRec(
            config, spec, features, actions=len(conditions.actions), surfaces=len(conditions.surfaces),
            log_share=log_share, trends=trends, texts=view.texts if config.mentions else None,
        )  # fmt: skip

    @property
    def config(self) -> PinRecConfig:
        """The settings it was trained with."""
        return self.model.config

    @property
    def scale(self) -> float:
        """The logit scale (lambda)."""
        return float(self.model.scale().detach())

    @property
    def cosine_scale(self) -> float:
        """What multiplies the cosine in the final logit."""
        return self.scale * (self.blend.cosine if self.blend else 1.0)

    @property
    def trend_weights(self) -> Tensor:
        """Weights of the trend's half-lives in the final logit (H,)."""
        return torch.tensor(self.blend.trends) if self.blend else self.model.trend_weights.detach()

    def transitions_for(self, view: View, start: int, stop: int) -> Transitions | None:
        """Live transitions for moments from ``start`` to ``stop`` (ms), ``None`` for models without.

        Only steps strictly before a moment count at that moment, and only those that ``view`` shows.
        """
        if not self.config.transition_half_lives_hours:
            return None
        key = (id(view), start, stop)
        if self._steps is None or self._steps[0] != key:
            found = Transitions(view, self.config.transition_half_lives_hours, since=start)
            self._steps = (key, found)
        return self._steps[1]

    def histories(
        self, users: np.ndarray, end: np.ndarray | None = None, *, view: View | None = None,
        time: np.ndarray | None = None,
    ) -> Tokens:  # fmt: skip
        """Model inputs of users' histories up to absolute rows ``end``.

        Args:
            users: int32 (B,).
            end: int64 (B,), exclusive; everything visible when left out.
            view: whose rows; the model's own when left out.
            time: int64 ms (B,) of the requests: mentions up to then are read, the request's own query with them.
        """
        return history_tokens(
            view or self.view, users, end, self.config.history_length, self.conditions,
            mentions=self.mentions, until=time,
        )  # fmt: skip

    @property
    def mentions(self) -> tuple[MentionKind, ...]:
        """The kinds of mentions it reads: those of its settings that the store has texts of."""
        return tuple(kind for kind in self.config.mentions if kind in self.model.phrases)

    def generate(self, tokens: Tokens, plan: Plan, *, surface_B: Tensor, time_B: Tensor) -> Generated:
        """See :func:`bowerbird.recommend.retrieval.generation.generate`."""
        encoded = self.encode(tokens, room=plan.steps - 1)
        return generate(self.model, self.conditions, encoded, plan, surface_B=surface_B, time_B=time_B)

    @torch.no_grad()
    def encode(self, tokens: Tokens, *, room: int = 0) -> Encoded:
        """Read histories once; ``room`` is for events and generated tokens appended later."""
        return self.model.read(tokens, self.vectors(tokens.item), room)

    @torch.no_grad()
    def vectors(self, ids_X: Tensor) -> Tensor:
        """Unit vectors (X, De) of items and mentions by id (any shape X)."""
        items = len(self.vectors_IE)
        if not self.model.phrases:
            return self.vectors_IE[ids_X]
        e_XE = self.vectors_IE[ids_X.clamp(max=items - 1)]
        said_X = ids_X >= items
        if bool(said_X.any()):
            ids_U, place = torch.unique(ids_X[said_X], return_inverse=True)
            e_XE[said_X] = self._said(ids_U)[place]
        return e_XE

    def _said(self, ids_U: Tensor) -> Tensor:
        """Vectors (U, De) of mentions: those of the store, and queries that came since."""
        first_new = len(self.vectors_IE) + len(self.view.texts)
        e_UE: Tensor = self.model.embed(torch.where(ids_U < first_new, ids_U, 0))
        for place in (ids_U >= first_new).nonzero()[:, 0].tolist():
            e_UE[place] = self._new_vectors[int(ids_U[place]) - first_new]
        return e_UE

    def query_id(self, text: str) -> int:
        """The id under which a query is read, also one that the store has never seen; may be called by any thread.

        Returns:
            -1 where the model does not read queries, or after very many new ones.
        """
        if "query" not in self.mentions:
            return -1
        code = int(self.view.queries.encode([text])[0])
        if code >= 0:
            return len(self.vectors_IE) + code
        with self._new_lock:
            number = self._new_queries.get(text)
            if number is None:
                if len(self._new_queries) >= MOST_NEW_QUERIES:
                    return -1
                embedder = self.model.phrases["query"]
                assert isinstance(embedder, PhraseEmbedder)
                with torch.inference_mode():
                    self._new_vectors.append(embedder.embed([text])[0])
                number = self._new_queries[text] = len(self._new_vectors) - 1
        return len(self.vectors_IE) + len(self.view.texts) + number

    @torch.no_grad()
    def logits(
        self, vectors_BE: Tensor, time_B: Tensor, trends: DenseTrends | None = None,
        successors: Successors | None = None,
    ) -> Tensor:  # fmt: skip
        """Scores of all items (B, I): scale * cosine, plus the live signals' parts where the model has them.

        Args:
            vectors_BE: one query vector per request.
            time_B: int64 ms of the requests.
            trends: from :meth:`trends_for`; required by models with a trend.
            successors: live next items of the requests' last items, from :meth:`transitions_for`.
        """
        scores_BI = self.cosine_scale * (vectors_BE @ self.vectors_IE.T)
        if trends is not None:
            cells, group = torch.unique(trends.cells(time_B), return_inverse=True)
            bias_GI = trends.values_GIH[cells] @ self.trend_weights
            if self.blend is not None:
                share_GI = trends.shares(cells)
                bias_GI += self.blend.share * share_GI.log()
                if successors is not None:
                    row, item = torch.from_numpy(successors.row), torch.from_numpy(successors.item)
                    gain_X = successors.gain(share_GI[group[row], item].numpy())
                    scores_BI[row, item] += self.blend.steps * torch.from_numpy(gain_X)
            scores_BI += bias_GI[group]
        return scores_BI

    def trends_for(self, view: View, start: int, stop: int) -> DenseTrends | None:
        """The trend table of the moments from ``start`` to ``stop`` (ms), ``None`` for models without a trend.

        Only events strictly before a moment count at that moment, and only those that ``view`` shows.
        """
        if not self.config.trend_half_lives_hours:
            return None
        key = (id(view), start, stop)
        if self._trend is None or self._trend[0] != key:
            table = DenseTrends(
                view,
                self.config.trend_half_lives_hours,
                self.config.trend_step_minutes,
                start=start,
                stop=stop,
            )
            self._trend = (key, table)
        return self._trend[1]
