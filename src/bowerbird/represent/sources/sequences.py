"""User sequences: a stretch of a user's positive events, the events inside it to be foreseen, and one that came later.

Shapes: W windows, L items read, L + 1 items of a window (the last one is only a target), P positive events.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from bowerbird.represent.config import OmniSageConfig
from bowerbird.tables.view import View

_DAY_MS = 86_400_000


@dataclass(frozen=True)
class Windows:
    """Stretches of users' positive events.

    user: int64 (W,). item, time: int64 (W, L + 1), oldest first, padded with item -1. lengths: int64 (W,).
    future: int64 (W,), an item from the days after the stretch, -1 where there is none.
    blank: int64 (W, L + 1), blanking codes.
    """

    user: np.ndarray
    item: np.ndarray
    time: np.ndarray
    lengths: np.ndarray
    future: np.ndarray
    blank: np.ndarray

    @property
    def mask(self) -> np.ndarray:
        """bool (W, L + 1): where an item stands."""
        found: np.ndarray = np.arange(self.item.shape[1]) < self.lengths[:, None]
        return found

    def blanked(self, code: np.ndarray) -> Windows:
        """The same windows with blanking codes, int64 (W, L + 1)."""
        return replace(self, blank=code)

    def share(self, rank: int, size: int) -> Windows:
        """Every ``size``-th window from ``rank`` on."""
        return Windows(*(getattr(self, f)[rank::size] for f in self.__dataclass_fields__))

    def flat(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Items, users and blanking codes of all real entries row by row, then of the future items that exist."""
        mask, later = self.mask, self.future >= 0
        user = np.broadcast_to(self.user[:, None], mask.shape)[mask]
        item = np.concatenate([self.item[mask], self.future[later]])
        blank = np.concatenate([self.blank[mask], np.zeros(int(later.sum()), np.int64)])
        return item, np.concatenate([user, self.user[later]]), blank

    def beside(self) -> np.ndarray:
        """int64 (X, 2), the items right before and after each entry of :meth:`flat`, -1 where there is none."""
        mask, later = self.mask, self.future >= 0
        before = np.concatenate([np.full((len(self.item), 1), -1), self.item[:, :-1]], axis=1)
        after = np.concatenate([self.item[:, 1:], np.full((len(self.item), 1), -1)], axis=1)
        last = self.item[np.arange(len(self.item)), self.lengths - 1]
        inside = np.stack([before[mask], after[mask]], axis=1)
        return np.concatenate([inside, np.stack([last[later], np.full(int(later.sum()), -1)], axis=1)])


class SequenceSource:
    """Draws windows; every user with two positive events is equally likely.

    Args:
        view: what is shown: a window's targets and its future item lie inside it.
        config: window length and the days of the future.
    """

    def __init__(self, view: View, config: OmniSageConfig) -> None:
        self._config = config
        user, item, time = (getattr(view.positives, name) for name in ("user", "item", "time"))
        self._item, self._time = item.astype(np.int64), time.astype(np.int64)
        first = np.flatnonzero(np.diff(user, prepend=-1) != 0)
        stop = np.append(first[1:], len(user))
        long = stop - first >= 2
        self._user, self._first, self._stop = (
            (user[first] if len(first) else user)[long],
            first[long],
            stop[long],
        )

    def __len__(self) -> int:
        return len(self._user)

    def draw(self, rng: np.random.Generator, count: int) -> Windows:
        """``count`` windows that end at random events."""
        most = self._config.history_length + 1
        chosen = rng.integers(len(self._user), size=count)
        first, stop = self._first[chosen], self._stop[chosen]
        end = first + 2 + (rng.random(count) * (stop - first - 1)).astype(np.int64)
        start = np.maximum(first, end - most)
        lengths = end - start
        column = np.arange(most)
        mask = column < lengths[:, None]
        row = np.where(mask, start[:, None] + column, 0)
        # of the events up to Delta after the last one that was read, any
        reach = self._time[end - 1] + int(self._config.future_days * _DAY_MS)
        last = np.array(
            [
                np.searchsorted(self._time[e:s], t, side="right")
                for e, s, t in zip(end, stop, reach, strict=True)
            ]
        )
        later = end + (rng.random(count) * last).astype(np.int64)
        future = np.where(last > 0, self._item[np.minimum(later, len(self._item) - 1)], -1)
        return Windows(
            user=self._user[chosen].astype(np.int64), item=np.where(mask, self._item[row], -1),
            time=np.where(mask, self._time[row], self._time[end - 1][:, None]), lengths=lengths, future=future,
            blank=np.zeros(row.shape, np.int64),
        )  # fmt: skip

    def targets(self) -> np.ndarray:
        """int64: every event that can be a target, once."""
        keep = np.ones(len(self._item), dtype=bool)
        keep[self._first] = False
        return self._item[keep]
