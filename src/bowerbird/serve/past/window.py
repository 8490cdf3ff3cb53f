"""Which events of a history a model reads: a window that stands still while events are appended, then moves on.

A model reads at most n events. Were it always the last n, every new event would move every position, and nothing
encoded before could be kept. So the window of a history with m events starts at 0 while m <= n, and afterwards at
ceil((m - n) / s) * s with a stride s of about n / 4: for s events in a row it only grows at its end. The rule looks at
m alone, so a history encoded afresh and one continued from memory are the same window, whatever was kept.

Shape letters: n events of a window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bowerbird.tables.view import HistoryBatch

_STRIDES = 4
"""Strides in a window: a longer stride re-encodes less often and reads a shorter history right after it moved."""


def stride_of(length: int) -> int:
    """By how many events the window of at most `length` events moves."""
    return max(1, length // _STRIDES)


def window_start(events: int, length: int) -> int:
    """Where the window of a history begins.

    Args:
        events: m, events of the whole history.
        length: n, most events of a window; at least 1.

    Returns:
        How many of the oldest events are left out: 0 while everything fits.
    """
    stride = stride_of(length)
    return max(0, -(-(events - length) // stride) * stride)


@dataclass(frozen=True, eq=False)
class Window:
    """Events as a model reads them, oldest first.

    Attributes:
        item: int32 (n,) dense items; from the number of items on they are mentions (see `View.histories`).
        time: int64 (n,) ms UTC.
        actions: uint32 (n,) masks over the store's actions.
        surface: int16 (n,) surface codes, -1 = unknown.
        start: How many older events of the same history are left out.
    """

    item: np.ndarray
    time: np.ndarray
    actions: np.ndarray
    surface: np.ndarray
    start: int = 0

    @classmethod
    def of(
        cls, item: Sequence[int] = (), time: Sequence[int] = (), actions: Sequence[int] = (),
        surface: Sequence[int] = (), start: int = 0,
    ) -> Window:  # fmt: skip
        """From plain values."""
        return cls(
            np.asarray(item, np.int32), np.asarray(time, np.int64), np.asarray(actions, np.uint32),
            np.asarray(surface, np.int16), start,
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.item)

    def cut(self, low: int, high: int | None = None) -> Window:
        """The events from `low` to `high` (exclusive); `start` stays that of the history."""
        part = slice(low, high)
        return Window(
            self.item[part], self.time[part], self.actions[part], self.surface[part], self.start + low
        )

    def where(self, kept: np.ndarray) -> Window:
        """The events at the places of a bool mask, as a history of their own."""
        return Window(self.item[kept], self.time[kept], self.actions[kept], self.surface[kept])

    def followed_by(self, later: Window) -> Window:
        """These events and then those of `later`."""
        return Window(
            np.concatenate([self.item, later.item]),
            np.concatenate([self.time, later.time]),
            np.concatenate([self.actions, later.actions]),
            np.concatenate([self.surface, later.surface]),
            self.start,
        )

    def in_time_order(self) -> Window:
        """By time; events of one moment keep their order."""
        order = np.argsort(self.time, kind="stable")
        return Window(
            self.item[order], self.time[order], self.actions[order], self.surface[order], self.start
        )

    def newest(self, events: int, length: int) -> Window:
        """The window of a history of so many events, of which these are the newest.

        Args:
            events: m, the whole history; these are its last ones, at least those that the window holds.
            length: n, most events of a window.
        """
        start = window_start(events, length)
        kept = self.cut(len(self) - (events - start))
        return Window(kept.item, kept.time, kept.actions, kept.surface, start)

    def after(self, older: Window) -> int | None:
        """How many events this window has behind those of `older`; None where it does not continue it."""
        n = len(older)
        if self.start != older.start or n > len(self):
            return None
        same = (
            np.array_equal(self.item[:n], older.item)
            and np.array_equal(self.time[:n], older.time)
            and np.array_equal(self.actions[:n], older.actions)
            and np.array_equal(self.surface[:n], older.surface)
        )
        return len(self) - n if same else None


def as_batch(windows: Sequence[Window]) -> HistoryBatch:
    """Windows padded into one batch of histories, at least one column wide."""
    lengths = np.array([len(window) for window in windows], np.int32)
    shape = len(windows), max(1, int(lengths.max(initial=0)))

    def column(name: str, dtype: type, padding: int = 0) -> np.ndarray:
        out: np.ndarray = np.full(shape, padding, dtype)
        for b, window in enumerate(windows):
            out[b, : len(window)] = getattr(window, name)
        return out

    return HistoryBatch(
        user=np.full(len(windows), -1, np.int32),
        item=column("item", np.int32),
        time=column("time", np.int64),
        actions=column("actions", np.uint32),
        surface=column("surface", np.int16),
        query=np.full(shape, -1, np.int32),
        weight=np.ones(shape, np.float32),
        request=np.full(shape, -1, np.int32),
        row=np.full(shape, -1, np.int64),
        lengths=lengths,
    )
