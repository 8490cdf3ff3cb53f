"""Counts as they stood at a moment: how often a key had occurred, with which actions, and when last.

One sort of the log serves every moment: the rows of a key are neighbours in order of time, so what had happened
before a moment is a difference of two prefix sums. "Before" is strict: a row of the moment itself does not count.

Shapes: N log rows, X questions, C actions, I items.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from bowerbird.tables.view import View

NEVER = int(np.iinfo(np.int64).min)
"""The time of an event that has not happened."""

STRENGTH = 10.0
"""Rows that a prior rate weighs: a rate is (with the action + STRENGTH x prior) / (rows + STRENGTH)."""


@dataclass(frozen=True)
class EventLog:
    """The rows of a view that counts are made of, in the order of the store.

    user, item: int32 (N,); time: int64 (N,) ms UTC; surface: int16 (N,); done: bool (N, C) actions of each row.
    """

    user: NDArray[np.int32]
    item: NDArray[np.int32]
    time: NDArray[np.int64]
    surface: NDArray[np.int16]
    done: NDArray[np.bool_]

    @classmethod
    def of(cls, view: View) -> EventLog:
        """Read the visible rows of a view."""
        events = view.events
        bits = np.uint32(1) << np.arange(len(view.actions), dtype=np.uint32)
        return cls(
            events.user, events.item, events.time, events.surface, (events.actions[:, None] & bits) != 0
        )

    @cached_property
    def clock(self) -> NDArray[np.int64]:
        """int64: the distinct times, ascending."""
        return np.unique(self.time)

    @cached_property
    def tick(self) -> NDArray[np.int64]:
        """int64 (N,): place of each row's time on the clock."""
        return np.searchsorted(self.clock, self.time)


@dataclass(frozen=True)
class AsOf:
    """What had happened before X moments.

    count: int64 (X,) rows of the key; done: int64 (X, C) of them with each action; first, last: int64 (X,) times of
    the first and last of them, `NEVER` where there is none.
    """

    count: NDArray[np.int64]
    done: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]

    def grouped(self, owner_X: NDArray[np.int64], n_owners: int) -> AsOf:
        """Counts of several keys of one owner added up (an item with several tags).

        Args:
            owner_X: int64 (X,) the owner of each question.
            n_owners: owners; one without questions has no event.
        """
        done = [np.bincount(owner_X, column, minlength=n_owners) for column in self.done.T]
        last = np.full(n_owners, NEVER)
        np.maximum.at(last, owner_X, self.last)
        first = np.full(n_owners, np.iinfo(np.int64).max)
        happened = self.count > 0
        np.minimum.at(first, owner_X[happened], self.first[happened])
        return AsOf(
            count=np.bincount(owner_X, self.count, minlength=n_owners).astype(np.int64),
            done=np.stack(done, axis=1).astype(np.int64) if done else np.zeros((n_owners, 0), np.int64),
            first=np.where(first == np.iinfo(np.int64).max, NEVER, first),
            last=last,
        )


class KeyedCounts:
    """The log sorted by a key, ready to answer "how often before then".

    Args:
        log: the rows.
        key_N: int64, the key of each row (or of each of `row_N`); negative keys are left out.
        row_N: the log row of each key, where a row has several keys or none; every row once when left out.
    """

    def __init__(
        self, log: EventLog, key_N: NDArray[np.integer], row_N: NDArray[np.int64] | None = None
    ) -> None:
        row = np.arange(len(log.time)) if row_N is None else row_N
        inside = key_N >= 0
        if not inside.all():
            key_N, row = key_N[inside], row[inside]
        self._keys, code = np.unique(key_N, return_inverse=True)
        self._clock, self._span = log.clock, len(log.clock) + 1
        place = code * self._span + log.tick[row]
        order = np.argsort(place, kind="stable")
        self._place, row = place[order], row[order]
        self._start = np.searchsorted(self._place, np.arange(len(self._keys)) * self._span)
        self._time = np.append(log.time[row], NEVER)
        narrow = np.int32 if len(row) < 2**31 else np.int64  # the largest array here: one line a row
        self._sums = np.zeros((len(row) + 1, log.done.shape[1]), narrow)
        np.cumsum(log.done[row], axis=0, out=self._sums[1:])

    def at(self, key_X: NDArray[np.integer], moment_X: NDArray[np.int64]) -> AsOf:
        """Everything strictly before the moments.

        Args:
            key_X: int64 (X,) keys; unknown and negative ones have no event.
            moment_X: int64 (X,) ms UTC.
        """
        low, high = self._range(key_X, moment_X)
        some = high > low
        return AsOf(
            count=high - low,
            done=(self._sums[high] - self._sums[low]).astype(np.int64),
            first=np.where(some, self._time[low], NEVER),
            last=np.where(some, self._time[high - 1], NEVER),
        )

    def _range(
        self, key_X: NDArray[np.integer], moment_X: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        if not len(self._keys):
            nothing = np.zeros(len(key_X), np.int64)
            return nothing, nothing
        code = np.minimum(np.searchsorted(self._keys, key_X), len(self._keys) - 1)
        known = self._keys[code] == key_X
        low = self._start[code]
        high = np.searchsorted(self._place, code * self._span + np.searchsorted(self._clock, moment_X))
        return low, np.where(known, high, low)


def smoothed(found: AsOf, prior_XC: NDArray[np.float64], strength: float = STRENGTH) -> NDArray[np.float64]:
    """Rates (X, C) that stand at the prior without rows and at the observed rates with many."""
    return (found.done + strength * prior_XC) / (found.count[:, None] + strength)


def global_rates(log: EventLog, moment_X: NDArray[np.int64]) -> NDArray[np.float64]:
    """Rates (X, C) over everything before each moment; half a row of each kind keeps them inside (0, 1)."""
    everything = KeyedCounts(log, np.zeros(len(log.time), np.int64))
    distinct, inverse = np.unique(moment_X, return_inverse=True)
    found = everything.at(np.zeros(len(distinct), np.int64), distinct)
    return ((found.done + 0.5) / (found.count[:, None] + 1.0))[inverse]
