"""The positive events of a view as flat arrays: what cases, seen items and every baseline are made of.

Shapes: P positive events, U users.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from bowerbird.tables.view import View


@dataclass(frozen=True)
class Positives:
    """Positive events in the order of the store: a user's events are neighbours, oldest first.

    row: int64 (P,) ascending absolute rows; user, item: int32 (P,); time: int64 (P,) ms UTC;
    actions: uint32 (P,) bit masks; request: int32 (P,) slate or -1. n_users, n_items: sizes of the dense id
    spaces.
    """

    row: NDArray[np.int64]
    user: NDArray[np.int32]
    item: NDArray[np.int32]
    time: NDArray[np.int64]
    actions: NDArray[np.uint32]
    request: NDArray[np.int32]
    n_users: int
    n_items: int

    def __len__(self) -> int:
        return len(self.row)

    @cached_property
    def first(self) -> NDArray[np.int64]:
        """int64 (U,) position of each user's first event (0 where the user has none)."""
        starts = np.flatnonzero(np.diff(self.user, prepend=-1))
        first = np.zeros(self.n_users, np.int64)
        first[self.user[starts]] = starts
        return first

    @cached_property
    def count(self) -> NDArray[np.int64]:
        """int64 (U,) events of each user."""
        return np.bincount(self.user, minlength=self.n_users).astype(np.int64)

    @cached_property
    def item_count(self) -> NDArray[np.int64]:
        """int64 (I,) events of each item."""
        return np.bincount(self.item, minlength=self.n_items).astype(np.int64)

    @cached_property
    def by_time(self) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Item and time of all events in order of time."""
        order = np.argsort(self.time, kind="stable")
        return self.item[order], self.time[order]

    def ranges(
        self, user_C: NDArray[np.int32], history_end_C: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Positions (low, high) of each user's events before an absolute row; equal where none."""
        low = self.first[user_C]
        high = np.minimum(np.searchsorted(self.row, history_end_C), low + self.count[user_C])
        return low, np.maximum(high, low)

    def first_item_row(self, user_X: NDArray[np.int32], item_X: NDArray[np.int32]) -> NDArray[np.int64]:
        """int64 (X,) row of each user's first positive event with an item they act on at some time."""
        return self._first_row(self.item, self.n_items, user_X, item_X)

    def first_request_row(self, user_X: NDArray[np.int32], request_X: NDArray[np.int32]) -> NDArray[np.int64]:
        """int64 (X,) row of each user's first positive event in a slate that they do act in at some time."""
        return self._first_row(self.request, int(self.request.max(initial=-1)) + 1, user_X, request_X)

    def _first_row(
        self, code_P: NDArray[np.int32], n_codes: int, user_X: NDArray[np.int32], code_X: NDArray[np.int32]
    ) -> NDArray[np.int64]:
        # Codes may be -1 (no slate), so the pair key leaves room below zero.
        wanted = user_X.astype(np.int64) * (n_codes + 1) + code_X + 1
        asked = np.isin(self.user, user_X)
        keys, first = np.unique(
            self.user[asked].astype(np.int64) * (n_codes + 1) + code_P[asked] + 1, return_index=True
        )
        return self.row[asked][first[np.searchsorted(keys, wanted)]]


_KEPT: WeakKeyDictionary[View, Positives] = WeakKeyDictionary()


def positives(view: View) -> Positives:
    """The visible positive events of a view; read once and kept as long as the view lives."""
    if view not in _KEPT:
        _KEPT[view] = _read(view)
    return _KEPT[view]


def _read(view: View) -> Positives:
    names = ("row", "user", "item", "time", "actions", "request")
    columns = {name: getattr(view.positives, name) for name in names}
    return Positives(**columns, n_users=view.n_users, n_items=view.n_items)
