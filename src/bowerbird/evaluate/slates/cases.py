"""Slate cases: everything that was shown together to somebody, what they did with it, and what was known before.

Shapes: S slates, R rows over all slates, C actions of the store, K rows of the largest slate.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bowerbird.tables.errors import ConfigError

if TYPE_CHECKING:
    from bowerbird.tables.view import HistoryBatch, View

TIE_RULE = "rows of one slate with equal scores stand in random order: every figure is its exact expectation"


@dataclass(frozen=True)
class SlateProtocol:
    """The rules of a slate evaluation in words, printed with every number.

    name: short name; slates: how the data cuts slates; chosen: which slates are asked about; history: what a ranker
    may read; live: whether counts may use other users' rows after the wall; rows: order of rows and use of positions;
    event_ties: order of simultaneous events; score_ties: what equal scores mean; walls: the walls; notes: counts of
    what was left out, and why.
    """

    name: str
    slates: str
    chosen: str
    history: str
    live: str
    rows: str
    event_ties: str
    walls: str
    score_ties: str = TIE_RULE
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**self.__dict__, "notes": list(self.notes)}


@dataclass(frozen=True, eq=False)
class SlateCases:
    """Slates to rank. Build them with `slate_cases` (or `training_slates`).

    user: int32 (S,); history_end: int64 (S,) absolute row, exclusive: the user's rows before it lie before the
    slate's first row and `gap_ms` before its first millisecond; time: int64 (S,) ms UTC of the first row;
    surface: int16 (S,).
    offsets: int64 (S + 1,): the rows of slate s are `offsets[s]:offsets[s + 1]`, in random order;
    item: int32 (R,); actions: uint32 (R,) bit masks, the labels; position: int16 (R,) where it was shown (-1
    unknown), for analysis: no ranker may read it.
    view: where histories are read; earlier: the view before the slates, None for training slates.
    live: counts may use everybody's rows before `known_before`; else other users' rows end at `earlier`'s wall.
    """

    user: NDArray[np.int32]
    history_end: NDArray[np.int64]
    time: NDArray[np.int64]
    surface: NDArray[np.int16]
    offsets: NDArray[np.int64]
    item: NDArray[np.int32]
    actions: NDArray[np.uint32]
    position: NDArray[np.int16]
    view: View = field(repr=False)
    earlier: View | None = field(repr=False)
    protocol: SlateProtocol = field(repr=False)
    live: bool = True
    gap_ms: int = 0

    def __len__(self) -> int:
        return len(self.user)

    @property
    def n_rows(self) -> int:
        """R."""
        return len(self.item)

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """int64 (S,): rows of each slate."""
        return np.diff(self.offsets)

    @cached_property
    def slate_of_row(self) -> NDArray[np.int64]:
        """int64 (R,): the slate of each row."""
        return np.repeat(np.arange(len(self)), self.sizes)

    @property
    def known_before(self) -> NDArray[np.int64]:
        """int64 (S,): only rows strictly before this moment may be used for the slate."""
        return self.time - self.gap_ms

    @cached_property
    def action_names(self) -> list[str]:
        """Names of the C actions; column c of scores and labels belongs to name c."""
        return [str(name) for name in self.view.actions.decode(np.arange(len(self.view.actions)))]

    @cached_property
    def labels(self) -> NDArray[np.bool_]:
        """bool (R, C): whether the row carries the action."""
        bits = np.uint32(1) << np.arange(len(self.action_names), dtype=np.uint32)
        found: NDArray[np.bool_] = (self.actions[:, None] & bits) != 0
        return found

    def histories(self, length: int, *, positives_only: bool = True) -> HistoryBatch:
        """The last `length` events before each slate, padded on the right (see `View.histories`)."""
        return self.view.histories(self.user, length, end=self.history_end, positives_only=positives_only)

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """bool (S, K): where a padded slate has a row."""
        width = int(self.sizes.max(initial=0))
        found: NDArray[np.bool_] = np.arange(width) < self.sizes[:, None]
        return found

    def padded(self, values_R: NDArray[Any], fill: Any = 0) -> NDArray[Any]:
        """Values of rows as one padded line a slate: (R, ...) -> (S, K, ...)."""
        out = np.full((*self.mask.shape, *values_R.shape[1:]), fill, dtype=values_R.dtype)
        out[self.mask] = values_R
        return out

    def subset(self, chosen: NDArray[Any] | slice) -> SlateCases:
        """Some of the slates, in the given order.

        Args:
            chosen: slate numbers, a bool mask (S,) or a slice.
        """
        index = np.arange(len(self))[chosen]
        sizes = self.sizes[index]
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        rows = np.repeat(self.offsets[index] - offsets[:-1], sizes) + np.arange(offsets[-1])
        per_slate = {name: getattr(self, name)[index] for name in ("user", "history_end", "time", "surface")}
        per_row = {name: getattr(self, name)[rows] for name in ("item", "actions", "position")}
        return replace(self, offsets=offsets, **per_slate, **per_row)

    def sample(self, limit: int | None, seed: int) -> SlateCases:
        """A uniform sample of at most `limit` slates without replacement, order kept; all of them when None."""
        if limit is None or limit >= len(self):
            return self
        chosen = np.random.default_rng(seed).choice(len(self), size=limit, replace=False)
        return self.subset(np.sort(chosen))

    def chunks(self, max_rows: int) -> Iterator[SlateCases]:
        """The slates in consecutive chunks of at most `max_rows` rows (a larger slate stands alone).

        Raises:
            ConfigError: `max_rows` below 1.
        """
        if max_rows < 1:
            raise ConfigError(f"chunks(max_rows={max_rows}): the limit must be at least 1")
        low = 0
        while low < len(self):
            high = int(np.searchsorted(self.offsets, self.offsets[low] + max_rows, side="right")) - 1
            high = min(max(high, low + 1), len(self))
            yield self.subset(slice(low, high))
            low = high

    def summary(self) -> dict[str, Any]:
        """Counts for the report."""
        seen = self.earlier.users if self.earlier is not None else np.empty(0, np.int32)
        return {
            "slates": len(self),
            "users": len(np.unique(self.user)),
            "new_users": len(np.setdiff1d(self.user, seen)) if self.earlier is not None else 0,
            "rows": self.n_rows,
            "rows_without_action": int((self.actions == 0).sum()),
            "rate": {name: float(rate) for name, rate in zip(self.action_names, self._rates(), strict=True)},
            "rankable_slates": dict(zip(self.action_names, self._rankable().tolist(), strict=True)),
        }

    def _rates(self) -> NDArray[np.float64]:
        return self.labels.mean(axis=0) if self.n_rows else np.zeros(len(self.action_names))

    def _rankable(self) -> NDArray[np.int64]:
        """int64 (C,): slates with at least one positive and one other row."""
        counts = np.stack(
            [np.bincount(self.slate_of_row, column, minlength=len(self)) for column in self.labels.T]
        )
        return ((counts > 0) & (counts < self.sizes)).sum(axis=1)
