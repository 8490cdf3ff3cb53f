"""Cases: the questions of an evaluation. Who, with which history, when; and what they did next.

Shapes: C cases, T targets over all cases, S seen items over all cases, I items.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bowerbird.evaluate.positives import Positives, positives
from bowerbird.evaluate.ranking import TIE_RULE

if TYPE_CHECKING:
    from bowerbird.tables.view import HistoryBatch, View


@dataclass(frozen=True)
class Protocol:
    """The rules of an evaluation in words, printed with every number.

    name: short name; targets: what counts as a target; history: what a model may read; seen: the seen rule;
    universe: the items that are ranked; slates: slate rule of the data; event_ties: order of simultaneous
    events;
    score_ties: order of equal scores; walls: the two walls; notes: counts of what was left out, and why.
    """

    name: str
    targets: str
    history: str
    seen: str
    universe: str
    slates: str
    event_ties: str
    walls: str
    score_ties: str = TIE_RULE
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**self.__dict__, "notes": list(self.notes)}


@dataclass(frozen=True)
class Seen:
    """Items each case's user has already acted on: those of case c are `items[offsets[c]:offsets[c + 1]]`.

    offsets: int64 (C + 1,); items: int32 (S,), a repeated item may stand twice.
    """

    offsets: NDArray[np.int64]
    items: NDArray[np.int32]
    n_items: int

    @cached_property
    def _keys(self) -> NDArray[np.int64]:
        case = np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))
        return np.sort(case * self.n_items + self.items)

    def contains(self, items_CX: NDArray[Any]) -> NDArray[np.bool_]:
        """bool (C, X): whether item x of row c was seen in case c. Negative ids never were."""
        if not len(self.items):
            return np.zeros(items_CX.shape, dtype=bool)
        wanted = np.arange(len(items_CX))[:, None] * self.n_items + items_CX.astype(np.int64)
        place = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
        found: NDArray[np.bool_] = (self._keys[place] == wanted) & (items_CX >= 0)
        return found

    def of(self, case: int) -> NDArray[np.int32]:
        """Seen items of one case."""
        return self.items[self.offsets[case] : self.offsets[case + 1]]

    def lists(self) -> list[NDArray[np.int32]]:
        """One array a case, the form an index takes as `exclude`."""
        return np.split(self.items, self.offsets[1:-1])


@dataclass(frozen=True, eq=False)
class Cases:
    """Evaluation cases. Build them with `leave_last_out_cases`, `next_event_cases` or `future_cases`.

    user: int32 (C,); history_end: int64 (C,) absolute row, exclusive; time: int64 (C,) ms UTC of the request;
    surface: int16 (C,) of the first target.
    target_offsets: int64 (C + 1,); target_item: int32 (T,) distinct inside a case;
    target_actions: uint32 (T,); target_time: int64 (T,); target_surface: int16 (T,);
    target_count: int64 (T,) positive events of the item in training (0 = cold).
    view: where histories are read; earlier: the view before the targets; train: the view training may use.
    live: events of other users between `earlier`'s wall and a case's time may be used (they had happened).
    exclude_seen: items the user already acted on are left out of lists (and of targets).
    """

    user: NDArray[np.int32]
    history_end: NDArray[np.int64]
    time: NDArray[np.int64]
    surface: NDArray[np.int16]
    target_offsets: NDArray[np.int64]
    target_item: NDArray[np.int32]
    target_actions: NDArray[np.uint32]
    target_time: NDArray[np.int64]
    target_surface: NDArray[np.int16]
    target_count: NDArray[np.int64]
    view: View = field(repr=False)
    earlier: View = field(repr=False)
    train: View = field(repr=False)
    protocol: Protocol = field(repr=False)
    live: bool = False
    exclude_seen: bool = True

    def __len__(self) -> int:
        return len(self.user)

    @property
    def n_items(self) -> int:
        """Size of the ranked catalogue: every item of the store."""
        return self.view.n_items

    @property
    def n_targets(self) -> int:
        """Number of targets over all cases."""
        return len(self.target_item)

    @property
    def target_warm(self) -> NDArray[np.bool_]:
        """bool (T,): the item has a positive event in training."""
        return self.target_count > 0

    @cached_property
    def target_case(self) -> NDArray[np.int64]:
        """int64 (T,): the case each target belongs to."""
        return np.repeat(np.arange(len(self)), np.diff(self.target_offsets))

    def targets_of(self, case: int) -> NDArray[np.int32]:
        """Target items of one case."""
        return self.target_item[self.target_offsets[case] : self.target_offsets[case + 1]]

    def histories(self, length: int) -> HistoryBatch:
        """The last `length` positive events before each case, padded on the right (see `View.histories`)."""
        return self.view.histories(self.user, length, end=self.history_end)

    @property
    def log(self) -> Positives:
        """The positive events histories are cut from."""
        return positives(self.view)

    def profiles(self) -> Seen:
        """All items of each history, oldest first, whatever the seen rule says."""
        low, high = self.log.ranges(self.user, self.history_end)
        offsets = np.concatenate([[0], np.cumsum(high - low)]).astype(np.int64)
        rows = np.repeat(low - offsets[:-1], high - low) + np.arange(offsets[-1])
        return Seen(offsets, self.log.item[rows], self.n_items)

    def seen(self) -> Seen:
        """The items every model must leave out: those of the history, or none where all may stay."""
        return self._seen

    @cached_property
    def _seen(self) -> Seen:
        if self.exclude_seen:
            return self.profiles()
        return Seen(np.zeros(len(self) + 1, np.int64), np.empty(0, np.int32), self.n_items)

    def subset(self, chosen: NDArray[Any] | slice) -> Cases:
        """Some of the cases, in the given order.

        Args:
            chosen: case numbers, a bool mask (C,) or a slice.
        """
        index = np.arange(len(self))[chosen]
        counts = np.diff(self.target_offsets)[index]
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        targets = np.repeat(self.target_offsets[index] - offsets[:-1], counts) + np.arange(offsets[-1])
        per_case = {name: getattr(self, name)[index] for name in ("user", "history_end", "time", "surface")}
        per_target = {name: getattr(self, name)[targets] for name in TARGET_COLUMNS}
        return replace(self, target_offsets=offsets, **per_case, **per_target)

    def sample(self, limit: int | None, seed: int) -> Cases:
        """A uniform sample of at most `limit` cases without replacement, order kept; all cases when None."""
        if limit is None or limit >= len(self):
            return self
        chosen = np.random.default_rng(seed).choice(len(self), size=limit, replace=False)
        return self.subset(np.sort(chosen))

    def chunks(self, size: int) -> Iterator[Cases]:
        """The cases in consecutive chunks of at most `size`."""
        for low in range(0, len(self), size):
            yield self.subset(slice(low, low + size))

    def summary(self) -> dict[str, Any]:
        """Counts for the report."""
        return {
            "cases": len(self),
            "users": len(np.unique(self.user)),
            "targets": self.n_targets,
            "cold_targets": int((~self.target_warm).sum()),
            "items": self.n_items,
        }


TARGET_COLUMNS = ("target_item", "target_actions", "target_time", "target_surface", "target_count")
