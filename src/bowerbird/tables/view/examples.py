"""Blended examples: a history that ends strictly before a request, and that later request's slate with
labels.

They are joined at read time: nothing is written out, so history length, keep rate, gap and filters are
settings of a training run, and no history is stored twice. Source: UniPinRec B1 (10 % of the slates without
any interaction are kept) and B8 (calibration; a history never holds its slate's own outcomes).

Shape letters: B examples of a batch, n history length, k slots of a slate, C actions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bowerbird.tables.errors import ConfigError
from bowerbird.tables.store.keys import mix
from bowerbird.tables.view.rows.histories import HistoryBatch
from bowerbird.tables.view.rows.slates import SlateBatch, Slates
from bowerbird.tables.view.view import View
from bowerbird.tables.view.walls import Moment, TimeWall, as_wall


@dataclass(frozen=True)
class SlateFilter:
    """Which slates become examples.

    Attributes:
        surfaces: Only these surfaces (raw names); None = all.
        since: Only slates that begin at or after this moment.
        min_size: Only slates with at least this many rows.
        min_history: Only slates whose history holds at least this many events (0 allows cold users).
    """

    surfaces: tuple[str, ...] | None = None
    since: Moment | None = None
    min_size: int = 1
    min_history: int = 1


@dataclass(frozen=True)
class BlendedBatch:
    """B examples.

    Attributes:
        history: Positive events before the slate, padded to (B, n).
        slate: What was shown, with action masks as labels, padded to (B, k).
        weight: float32 (B,): 1, or 1 / keep_empty for a kept slate without interaction, so that weighted
            losses are unbiased.
    """

    history: HistoryBatch
    slate: SlateBatch
    weight: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.weight)


class BlendedExamples:
    """Batches of blended examples from a view, the same for the same seed and epoch.

    Calibration. Dropping slates without interaction makes every action look more frequent. Either weigh the
    loss by `batch.weight`, or train without weights and add `log_odds_offset()` to the logits when
    probabilities matter. Ranking inside a slate is not affected.

    Args:
        view: Where to read; slates and histories stay on its side of the wall.
        history_length: n.
        slate_size: k; from a larger slate k rows are drawn at random each epoch, kept in order, so label
            rates stay as they are.
        batch_size: B of one batch over all processes.
        keep_empty: Chance that a slate without any action is kept in an epoch; fresh each epoch.
        gap_ms: The history ends at least this long before the slate (0: strictly before its first
            millisecond).
        positives_only: History of positive events only.
        filters: Which slates become examples.
        seed: With the epoch it decides order, kept slates and drawn rows.
    """

    def __init__(
        self,
        view: View,
        *,
        history_length: int,
        slate_size: int,
        batch_size: int = 256,
        keep_empty: float = 0.1,
        gap_ms: int = 0,
        positives_only: bool = True,
        filters: SlateFilter | None = None,
        seed: int = 0,
    ) -> None:
        for name, value, least in (
            ("history_length", history_length, 0),
            ("slate_size", slate_size, 1),
            ("batch_size", batch_size, 1),
        ):
            if value < least:
                raise ConfigError(f"blended examples: {name}={value} must be at least {least}")
        if not 0 <= keep_empty <= 1:
            raise ConfigError(f"blended examples: keep_empty={keep_empty} is a chance between 0 and 1")
        filters = filters or SlateFilter()
        self._view, self._seed = view, seed
        self.history_length, self.slate_size, self.batch_size = history_length, slate_size, batch_size
        self.keep_empty, self.positives_only = keep_empty, positives_only
        self._slates = view.slates(gap_ms=gap_ms, surfaces=filters.surfaces)
        self._candidates = self._filtered(filters)
        self._acted = self._slates.actions[self._candidates] != 0

    def _filtered(self, filters: SlateFilter) -> NDArray[np.int64]:
        slates = self._slates
        keep = slates.size >= filters.min_size
        if filters.since is not None:
            wall = as_wall(filters.since)
            if not isinstance(wall, TimeWall):
                raise ConfigError("blended examples: filters.since needs a moment")
            keep &= slates.time >= wall.before
        found = np.flatnonzero(keep)
        if filters.min_history > 0:
            enough = self._view.history_sizes(
                slates.user[found], slates.history_end[found], positives_only=self.positives_only
            )
            found = found[enough >= filters.min_history]
        return found

    def __len__(self) -> int:
        """Examples an epoch draws from: slates that pass the filters, before empty ones are dropped."""
        return len(self._candidates)

    def log_odds_offset(self) -> NDArray[np.float64]:
        """float64 (C,): what to add to each action's logit after training without weights.

        log(rows without the action that an epoch keeps / all rows without the action). Exact for the mean
        rate of an action; an action that every row has gives 0.
        """
        slates, numbers = self._slates, self._candidates
        kept, total = np.zeros(len(self._view.actions)), np.zeros(len(self._view.actions))
        for low in range(0, len(numbers), 1 << 16):
            part = numbers[low : low + (1 << 16)]
            share = np.where(self._acted[low : low + (1 << 16)], 1.0, self.keep_empty)
            share = np.repeat(share, slates.size[part])
            actions = self._view.take(slates.rows(part)).actions
            for code in range(len(total)):
                without = (actions >> np.uint32(code)) & np.uint32(1) == 0
                total[code] += without.sum()
                kept[code] += share[without].sum()
        return np.array(
            [math.log(k / t) if k > 0 and t > 0 else 0.0 for k, t in zip(kept, total, strict=True)]
        )

    def epoch(self, epoch: int, rank: int = 0, world: int = 1) -> Iterator[BlendedBatch]:
        """The batches of one epoch; with several processes each gets every world-th example of each batch.

        Args:
            epoch: Number of the epoch.
            rank, world: This process and how many there are; `batch_size` counts all of them together.
        """
        order = self._order(epoch)
        for low in range(0, len(order), self.batch_size):
            places = order[low : low + self.batch_size][rank::world]
            if len(places):
                yield self._batch(places, epoch)

    @property
    def slates(self) -> Slates:
        """All slates of the view; `kept` and `batch` speak of them by number."""
        return self._slates

    def kept(self, epoch: int) -> NDArray[np.int64]:
        """int64, ascending numbers of the slates that are examples in an epoch."""
        return self._candidates[self._kept_places(epoch)]

    def batch(self, numbers: NDArray[np.int64], epoch: int) -> SlateBatch:
        """Slates by number, each with at most `slate_size` rows drawn for this epoch."""
        return self._slates.batch(numbers, choose=self._chosen_rows(numbers, epoch))

    def _kept_places(self, epoch: int) -> NDArray[np.int64]:
        keep = self._acted.copy()
        empty = np.flatnonzero(~keep)
        first_row = self._slates.first_row[self._candidates[empty]]
        keep[empty] = _uniform(self._seed, epoch, 1, first_row) < self.keep_empty
        return np.flatnonzero(keep)

    def _order(self, epoch: int) -> NDArray[np.int64]:
        """Kept candidates in this epoch's order (places in `_candidates`)."""
        return np.random.default_rng([self._seed, epoch, 2]).permutation(self._kept_places(epoch))

    def _batch(self, places: NDArray[np.int64], epoch: int) -> BlendedBatch:
        slate = self.batch(self._candidates[places], epoch)
        history = self._view.histories(
            slate.user, self.history_length, end=slate.history_end, positives_only=self.positives_only
        )
        weight = np.where(self._acted[places], 1.0, 1.0 / max(self.keep_empty, 1e-12))
        return BlendedBatch(history, slate, weight.astype(np.float32))

    def _chosen_rows(self, numbers: NDArray[np.int64], epoch: int) -> NDArray[np.bool_] | None:
        """Which rows of these slates to show: all, or `slate_size` drawn ones of a larger slate."""
        size = self._slates.size[numbers].astype(np.int64)
        if not len(size) or size.max() <= self.slate_size:
            return None
        draw = _uniform(self._seed, epoch, 3, self._slates.rows(numbers))
        owner = np.repeat(np.arange(len(size)), size)
        order = np.lexsort((draw, owner))  # slates stay together; rows of each in drawn order
        rank = np.arange(len(order)) - np.repeat(np.cumsum(size) - size, size)
        chosen = np.zeros(len(order), dtype=bool)
        chosen[order[rank < self.slate_size]] = True
        return chosen


def _uniform(seed: int, epoch: int, use: int, row: NDArray[np.int64]) -> NDArray[np.float64]:
    """A number in [0, 1) for each row that depends only on (seed, epoch, use, row), not on batches or
    processes.
    """
    start = np.random.default_rng([seed, epoch, use]).integers(0, 2**63, dtype=np.uint64)
    return (mix(row.astype(np.uint64) ^ start) >> np.uint64(11)).astype(np.float64) / float(1 << 53)
