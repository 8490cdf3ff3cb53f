"""Blended training batches: windows of history, and the slates that were shown while each of them grew.

A window is read once however many slates share it: every candidate sees the part of the window that had happened
before its slate (``Candidates.seen``), so no history is encoded twice and none holds its slate's own outcomes
(arXiv 2606.00422 B1, B8). Histories and slates stay separate tables that are joined here, at read time.

Shapes: B windows, N tokens, K candidates of a window, S slates of a batch, P predictions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from bowerbird.recommend.examples import PinRecBatch, PinRecExamples
from bowerbird.recommend.inputs.conditions import Conditions
from bowerbird.recommend.ranking.config import UniPinRecConfig
from bowerbird.recommend.ranking.rates import ItemRates
from bowerbird.recommend.targets import Windows
from bowerbird.tables.view import BlendedExamples, SlateFilter, View


@dataclass(frozen=True)
class Candidates:
    """Items to be ranked, padded on the right.

    Attributes:
        item, time, previous, surface: int64 (B, K): the item, ms of the request, ms of the last history event before
            it, and the surface code of the request.
        seen: int64 (B, K), history tokens the candidate may attend to.
        deeds: int64 (B, K), what was done with it as a mask over the store's actions: the label.
        rates: float32 (B, K, F), see :class:`ItemRates`; F = 0 where the model reads none.
        weight: float32 (B, K), rows of all slates that this one stands for: slates without any action are thinned out
            in training and the kept ones weigh more, so that probabilities stay those of the platform (B8).
        lengths: int64 (B,), real candidates.
    """

    item: Tensor
    time: Tensor
    previous: Tensor
    surface: Tensor
    seen: Tensor
    deeds: Tensor
    rates: Tensor
    weight: Tensor
    lengths: Tensor

    @property
    def real(self) -> Tensor:
        """bool (B, K): where a candidate stands."""
        return torch.arange(self.item.shape[1], device=self.item.device) < self.lengths[:, None]


@dataclass(frozen=True)
class UniPinRecBatch(PinRecBatch):
    """One training batch: the windows with their item predictions, what is masked, and the slates.

    Attributes:
        masked: bool (B, N), positions whose action is hidden from the input and asked for.
        candidates: the rows of the slates.
    """

    masked: Tensor
    candidates: Candidates


class UniPinRecExamples(PinRecExamples):
    """Training batches of a view (a ``BatchSource``); batches and windows are PinRec's.

    Args:
        view: what training may see.
        config: window, target and slate settings.
        conditions: codes of actions and surfaces.
        seed: of order, sampling, masks and kept slates.

    Attributes:
        blended: which slates are examples, and how leaving out empty ones is corrected.
    """

    def __init__(self, view: View, config: UniPinRecConfig, conditions: Conditions, *, seed: int) -> None:
        super().__init__(view, config, conditions, seed=seed)
        self._uni = config
        self.blended = BlendedExamples(
            view, history_length=config.history_length, slate_size=config.slate_size, keep_empty=config.keep_empty,
            gap_ms=int(config.slate_gap_seconds * 1000), filters=SlateFilter(min_history=1), seed=seed,
        )  # fmt: skip
        # a window that continues an older one shares its first event with it: slates shown between that event and
        # the next belong to the older window, where they have more history
        users = self._stream.user
        older = (self._start > 0) & (users[self._start - 1] == users[self._start])
        self._first_seen = self._start + older
        self._rates: ItemRates | None = None
        if config.counts and config.rank_slates:
            self._rates = ItemRates(view, config.counts_step_hours)
        self._kept: tuple[int, np.ndarray, np.ndarray] | None = None

    def epoch(self, epoch: int, *, start: int = 0, rank: int = 0, world: int = 1) -> Iterator[UniPinRecBatch]:
        """See :class:`bowerbird.learn.train.BatchSource`."""
        return super().epoch(epoch, start=start, rank=rank, world=world)  # type: ignore[return-value]

    def _build(self, chosen: np.ndarray, rng: np.random.Generator, epoch: int) -> UniPinRecBatch:
        windows = self._gather(self._start[chosen], self._stop[chosen])
        masked_BN = (rng.random(windows.item.shape) < self._uni.p_mask) & windows.event
        batch = self._predicting(windows, rng)
        # the item after a masked position is no target: its own action was hidden (B3, eq. 3)
        unmasked = ~masked_BN[batch.window.numpy(), batch.position.numpy()]
        keep = torch.from_numpy(unmasked)
        rows = {
            f.name: getattr(batch, f.name) if f.name == "tokens" else getattr(batch, f.name)[keep]
            for f in fields(PinRecBatch)
        }
        return UniPinRecBatch(
            **rows,
            masked=torch.from_numpy(masked_BN),
            candidates=self._candidates(chosen, windows, rng, epoch),
        )

    def _slates(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Slates kept in an epoch, and the number of tokens of the whole stream before each, ascending."""
        if self._kept is None or self._kept[0] != epoch:
            numbers = self.blended.kept(epoch) if self._uni.rank_slates else np.empty(0, np.int64)
            slates = self.blended.slates
            before = self._stream.before(
                slates.user[numbers], slates.history_end[numbers], slates.time[numbers]
            )
            order = np.argsort(before, kind="stable")
            self._kept = (epoch, numbers[order], before[order])
        return self._kept[1], self._kept[2]

    def _candidates(
        self, chosen: np.ndarray, windows: Windows, rng: np.random.Generator, epoch: int
    ) -> Candidates:
        numbers, before = self._slates(epoch)
        low = np.searchsorted(before, self._first_seen[chosen], side="right")
        high = np.searchsorted(before, self._stop[chosen], side="right")
        count = np.maximum(high - low, 0)
        window_S = np.repeat(np.arange(len(chosen)), count)
        place_S = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        slate_S = low[window_S] + place_S
        most = self._uni.slates_per_window
        if count.max(initial=0) > most:
            drawn = np.lexsort((rng.random(len(window_S)), window_S))
            kept = np.sort(drawn[place_S < most])
            window_S, slate_S = window_S[kept], slate_S[kept]
        slates = self.blended.batch(numbers[slate_S], epoch)
        seen_S = before[slate_S] - self._start[chosen][window_S]
        filled = slates.mask
        owner = window_S[np.nonzero(filled)[0]]  # rows of a slate follow each other, slates of a window too
        lengths = np.bincount(owner, minlength=len(chosen))
        width = max(1, int(lengths.max(initial=0)))
        column = np.arange(len(owner)) - np.repeat(np.cumsum(lengths) - lengths, lengths)

        def spread(values_R: np.ndarray, kind: type = np.int64) -> Tensor:
            out: np.ndarray = np.zeros((len(chosen), width, *values_R.shape[1:]), kind)
            out[owner, column] = values_R
            return torch.from_numpy(out)

        def per_slate(values_S: np.ndarray) -> Tensor:
            return spread(np.repeat(values_S, slates.sizes))

        acted_S = self.blended.slates.actions[numbers[slate_S]] != 0
        rates_RF = np.zeros((len(owner), 0), np.float32)
        if self._rates is not None:
            rates_RF = self._rates.at(
                slates.item[filled].astype(np.int64), np.repeat(slates.time, slates.sizes)
            )
        weight_S = np.where(acted_S, 1.0, 1.0 / max(self._uni.keep_empty, 1e-12))
        return Candidates(
            item=spread(slates.item[filled]),
            time=per_slate(slates.time),
            previous=per_slate(windows.time[window_S, np.maximum(seen_S - 1, 0)]),
            surface=per_slate(self._conditions.surface_codes(slates.surface)),
            seen=per_slate(seen_S),
            deeds=spread(slates.actions[filled].astype(np.int64)),
            rates=spread(rates_RF, np.float32),
            weight=spread(np.repeat(weight_S, slates.sizes), np.float32),
            lengths=torch.from_numpy(lengths.astype(np.int64)),
        )
