"""From histories and slates to the tensors of a network: one way for training batches and for cases.

Shapes: B slates, N history length, K rows of a slate, C actions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bowerbird.evaluate.slates.cases import SlateCases
from bowerbird.tables.view import BlendedBatch, HistoryBatch

HOURS = 24
GAPS = 32
"""Buckets of the time between a history event and the slate: doubling from a second to more than a century."""

_HOUR_MS = 3_600_000


@dataclass(frozen=True)
class RankBatch:
    """B slates with their histories, padded on the right.

    history_item, history_gap: int64 (B, N); history_done: float32 (B, N, C) actions; lengths: int64 (B,);
    item: int64 (B, K); filled: bool (B, K); surface: int64 (B,), 0 = unknown; hour: int64 (B,) of the day in UTC;
    labels: float32 (B, K, C); weight: float32 (B,) of each slate in the loss.
    """

    history_item: Tensor
    history_gap: Tensor
    history_done: Tensor
    lengths: Tensor
    item: Tensor
    filled: Tensor
    surface: Tensor
    hour: Tensor
    labels: Tensor
    weight: Tensor

    @property
    def history_filled(self) -> Tensor:
        """bool (B, N): where there is an event."""
        return torch.arange(self.history_item.shape[1], device=self.lengths.device) < self.lengths[:, None]

    def by_length(self, parts: int) -> list[tuple[Tensor, RankBatch]]:
        """The batch cut into parts of similar history length, so that short histories are not padded to the longest.

        Args:
            parts: how many, at most.

        Returns:
            For each part the slates in it (int64, places in this batch) and the part itself.
        """
        order = torch.argsort(self.lengths, stable=True)
        found = []
        for index in order.chunk(parts):
            part = {name: value[index] for name, value in self.__dict__.items()}
            longest = int(part["lengths"].max())
            for name in ("history_item", "history_gap", "history_done"):
                part[name] = part[name][:, :longest]
            found.append((index, RankBatch(**part)))
        return found

    def to(self, device: torch.device | str) -> RankBatch:
        """The same batch on another device."""
        return RankBatch(**{name: value.to(device) for name, value in self.__dict__.items()})


def training_batch(batch: BlendedBatch, n_actions: int) -> RankBatch:
    """A batch of the blended reader."""
    slate = batch.slate
    return _batch(
        batch.history,
        slate.time,
        slate.surface,
        slate.item,
        slate.mask,
        slate.actions,
        batch.weight,
        n_actions,
    )


def case_batch(cases: SlateCases, length: int) -> RankBatch:
    """A chunk of cases with histories of at most `length` events."""
    weight = np.ones(len(cases), np.float32)
    item, actions = cases.padded(cases.item), cases.padded(cases.actions)
    history = cases.histories(length)
    return _batch(
        history, cases.time, cases.surface, item, cases.mask, actions, weight, len(cases.action_names)
    )


def _batch(
    history: HistoryBatch,
    time_B: NDArray[np.int64],
    surface_B: NDArray[np.int16],
    item_BK: NDArray[np.int32],
    filled_BK: NDArray[np.bool_],
    actions_BK: NDArray[np.uint32],
    weight_B: NDArray[np.float32],
    n_actions: int,
) -> RankBatch:
    longest = int(history.lengths.max(initial=0))  # no network needs the columns that nobody fills
    gap_s = np.maximum(time_B[:, None] - history.time[:, :longest], 0) / 1000.0
    return RankBatch(
        history_item=_tensor(history.item[:, :longest], np.int64),
        history_gap=_tensor(np.minimum(np.log2(1.0 + gap_s), GAPS - 1), np.int64),
        history_done=_tensor(_multi_hot(history.actions[:, :longest], n_actions), np.float32),
        lengths=_tensor(history.lengths, np.int64),
        item=_tensor(item_BK, np.int64),
        filled=_tensor(filled_BK, np.bool_),
        surface=_tensor(surface_B + 1, np.int64),
        hour=_tensor(time_B // _HOUR_MS % HOURS, np.int64),
        labels=_tensor(_multi_hot(actions_BK, n_actions), np.float32),
        weight=_tensor(weight_B, np.float32),
    )


def _multi_hot(actions: NDArray[np.uint32], n_actions: int) -> NDArray[np.bool_]:
    bits = np.uint32(1) << np.arange(n_actions, dtype=np.uint32)
    found: NDArray[np.bool_] = (actions[..., None] & bits) != 0
    return found


def _tensor(values: NDArray, dtype: type) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype))
