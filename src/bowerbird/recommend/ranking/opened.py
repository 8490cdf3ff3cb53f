"""A fitted UniPinRec opened on a view: retrieves as PinRec does, and ranks candidates against the same encoding.

Shapes: B requests, K candidates, C actions, R rows of slates, De item dimension.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from bowerbird.evaluate.slates import SlateCases
from bowerbird.nn.features.catalogue import CatalogueEncoder
from bowerbird.recommend.config import PinRecConfig
from bowerbird.recommend.examples import Tokens
from bowerbird.recommend.inputs.conditions import Conditions
from bowerbird.recommend.inputs.trends import DenseTrends
from bowerbird.recommend.model import Encoded, PinRec
from bowerbird.recommend.ranking.config import UniPinRecConfig
from bowerbird.recommend.ranking.model import UniPinRec
from bowerbird.recommend.ranking.rates import ItemRates
from bowerbird.recommend.retrieval.opened import OpenPinRec, item_features
from bowerbird.tables.errors import ConfigError
from bowerbird.tables.view import View

_ROWS = 1 << 14
"""Rows of slates ranked at once."""


class OpenUniPinRec(OpenPinRec):
    """See the module docstring and :class:`OpenPinRec`."""

    config_class: ClassVar[type[PinRecConfig]] = UniPinRecConfig
    _rates: tuple[View, ItemRates] | None = None

    @classmethod
    def network(
        cls, config: PinRecConfig, conditions: Conditions, encoder: CatalogueEncoder, view: View, log_share: Tensor, *,
        facts: Mapping[str, Any], trends: DenseTrends | None = None,
    ) -> PinRec:  # fmt: skip
        """See :meth:`OpenPinRec.network`; the number of actions is that of ``facts["store_actions"]``."""
        assert isinstance(config, UniPinRecConfig)
        spec, features = item_features(config, encoder, view)
        names = facts["store_actions"]
        return UniPinRec(
            config, spec, features, actions=len(conditions.actions), surfaces=len(conditions.surfaces),
            log_share=log_share, trends=trends, texts=view.texts if config.mentions else None,
            store_actions=len(names),
            outcomes=[conditions.action(name) if name in conditions.actions else 0 for name in names],
        )  # fmt: skip

    @property
    def actions(self) -> list[str]:
        """Names of the C actions whose probabilities it gives, in order."""
        # a vocabulary only grows: the actions it was trained on are the first ones
        return [str(name) for name in self.view.actions.decode(np.arange(self.ranker.store_actions))]

    @property
    def positive_actions(self) -> list[bool]:
        """Whether each of them is wanted."""
        mask = self.view.positive_mask
        return [bool(mask >> bit & 1) for bit in range(self.ranker.store_actions)]

    @property
    def ranker(self) -> UniPinRec:
        """The network."""
        assert isinstance(self.model, UniPinRec)
        return self.model

    @property
    def ranks(self) -> bool:
        """Whether the model was trained to rank."""
        return self.ranker.uni.rank_slates or self.ranker.uni.rank_past

    @torch.no_grad()
    def rank(
        self, encoded: Encoded, vectors_BKE: Tensor, items_BK: Tensor, *, time_B: Tensor, surface_B: Tensor,
        history: Tokens | None = None, view: View | None = None,
    ) -> Tensor:  # fmt: skip
        """Calibrated probabilities (B, K, C) of every action of the store.

        Args:
            encoded: from :meth:`OpenPinRec.encode`; left as it was.
            vectors_BKE: float32 unit item vectors, as stored with the index.
            items_BK: int64 dense ids of the items; -1 where a place is empty.
            time_B: int64 ms of the requests. surface_B: int64 surface codes.
            history: the histories that were encoded; required by models that read counts.
            view: whose rows item rates count; the model's own when left out.

        Raises:
            ConfigError: if the model was not trained to rank.
        """
        if not self.ranks:
            raise ConfigError("this model was trained to retrieve only (rank_slates is off); it cannot rank")
        counts_BKF = None if history is None else self._counted(history, items_BK, time_B, view or self.view)
        return self.ranker.rank(
            encoded, vectors_BKE, items_BK, time_B=time_B, surface_B=surface_B, counts_BKF=counts_BKF
        ).sigmoid()

    def _counted(self, history: Tokens, items_BK: Tensor, time_B: Tensor, view: View) -> Tensor | None:
        """Counts (B, K, F) of candidates; None for models that read none."""
        if self.ranker.matches is None:
            return None
        time_BK = time_B[:, None].expand(items_BK.shape)
        rates_BKF = torch.from_numpy(self.rates_of(view).at(items_BK.numpy(), time_BK.numpy()))
        return self.ranker.counted(history, items_BK, time_B[:, None], history.lengths[:, None], rates_BKF)

    def rates_of(self, view: View) -> ItemRates:
        """Item rates of a view; those of the last one asked for are kept."""
        if self._rates is None or self._rates[0] is not view:
            assert isinstance(self.config, UniPinRecConfig)
            self._rates = (view, ItemRates(view, self.config.counts_step_hours))
        return self._rates[1]


class UniPinRecRanker:
    """An opened UniPinRec as a row of a slate table (see :class:`bowerbird.evaluate.slates.Ranker`).

    Args:
        opened: the model.
        name: its row; rankers of one name are seeds of one model.
    """

    is_baseline = False

    def __init__(self, opened: OpenUniPinRec, name: str = "UniPinRec") -> None:
        self.opened, self.name = opened, name

    def score(self, cases: SlateCases) -> np.ndarray:
        """float32 (R, C), see :class:`bowerbird.evaluate.slates.Ranker`."""
        actions = len(cases.action_names)
        out = np.zeros((cases.n_rows, actions), np.float32)
        done = 0
        counted = cases.view if cases.live or cases.earlier is None else cases.earlier
        for chunk in cases.chunks(_ROWS):
            # slates one behind another may share a history; each distinct one is read once
            key = np.stack([chunk.user.astype(np.int64), chunk.history_end], axis=1)
            if self.opened.mentions:  # what was named in between belongs to the later one
                key = np.concatenate([key, chunk.time[:, None]], axis=1)
            _, first, which = np.unique(key, axis=0, return_index=True, return_inverse=True)
            tokens = self.opened.histories(
                chunk.user[first], chunk.history_end[first], view=chunk.view, time=chunk.time[first]
            )
            encoded = self.opened.encode(tokens)
            rows = torch.from_numpy(which.reshape(-1))
            each = Encoded(encoded.cache.select(rows), encoded.last_BD[rows], encoded.time_B[rows])
            items_SK = torch.from_numpy(chunk.padded(chunk.item).astype(np.int64))
            surface_S = torch.from_numpy(self.opened.conditions.surface_codes(chunk.surface))
            probability_SKC = self.opened.rank(
                each,
                self.opened.vectors_IE[items_SK],
                items_SK,
                time_B=torch.from_numpy(chunk.time),
                surface_B=surface_S,
                history=tokens.rows(rows),
                view=counted,
            )
            found = probability_SKC.numpy()[chunk.mask]
            out[done : done + len(found), : found.shape[1]] = found
            done += len(found)
        return out
