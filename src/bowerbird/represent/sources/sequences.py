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
    held: bool (W, L + 1), events of the fold that the step foresees: targets and nothing else; all others are read and
        nothing else. ``None`` without folds: every event but the last is read, every one but the first a target.
    ordered: whether a target is asked for by what came before it only, or by all that is read.
    """

    user: np.ndarray
    item: np.ndarray
    time: np.ndarray
    lengths: np.ndarray
    future: np.ndarray
    blank: np.ndarray
    held: np.ndarray | None = None
    ordered: bool = True

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
        cut = {
            name: getattr(self, name)[rank::size]
            for name in ("user", "item", "time", "lengths", "future", "blank", "held")
            if getattr(self, name) is not None
        }
        return replace(self, **cut)

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """What is read, oldest first: int64 (W, L) columns of the stretch, and int64 (W,) how many are real."""
        if self.held is None:
            length = self.item.shape[1] - 1
            return np.broadcast_to(np.arange(length), (len(self.item), length)), self.lengths - 1
        seen = self.mask & ~self.held
        return np.argsort(~seen, axis=1, kind="stable"), seen.sum(1)

    def asked(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Who is to foresee what: int64 (R,) windows, positions among what is read, and columns of the targets."""
        if self.held is None:
            length = self.item.shape[1] - 1
            window, position = np.nonzero(np.arange(length) < (self.lengths - 1)[:, None])
            return window, position, position + 1
        seen = self.mask & ~self.held
        window, column = np.nonzero(self.mask & self.held)
        position = (np.cumsum(seen, axis=1)[window, column] if self.ordered else seen.sum(1)[window]) - 1
        some = position >= 0
        return window[some], position[some], column[some]

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
        folds: number of folds. fold: int64 (P,), the fold of each positive event of the view, -1 for none.
    """

    def __init__(
        self, view: View, config: OmniSageConfig, folds: int = 0, fold: np.ndarray | None = None
    ) -> None:
        self._config, self._fold = config, fold
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
        self._among = [np.arange(len(self._user))]
        if fold is not None:  # somebody with events on both sides
            self._among = [np.flatnonzero(self._both_sides(fold == number)) for number in range(folds)]

    def _both_sides(self, held: np.ndarray) -> np.ndarray:
        total = np.concatenate([[0], np.cumsum(held)])
        count = total[self._stop] - total[self._first]
        both: np.ndarray = (count > 0) & (count < self._stop - self._first)
        return both

    def __len__(self) -> int:
        return max(len(users) for users in self._among)

    def draw(self, rng: np.random.Generator, count: int, fold: int = 0) -> Windows:
        """``count`` windows that end at random events.

        Args:
            rng: of all draws. count: how many; none where nobody has events on both sides of the fold.
            fold: which fold is to be foreseen, of a source with folds.
        """
        config = self._config
        most = config.history_length + 1
        among = self._among[fold]
        chosen = among[rng.integers(max(len(among), 1), size=count if len(among) else 0)]
        count = len(chosen)
        first, stop = self._first[chosen], self._stop[chosen]
        if config.ordered:
            end = first + 2 + (rng.random(count) * (stop - first - 1)).astype(np.int64)
            start = np.maximum(first, end - most)
        else:
            room = np.maximum(stop - first - most, 0)
            start = first + (rng.random(count) * (room + 1)).astype(np.int64)
            end = np.minimum(start + most, stop)
        lengths = end - start
        column = np.arange(most)
        mask = column < lengths[:, None]
        row = np.where(mask, start[:, None] + column, 0)
        held = None if self._fold is None else (self._fold[row] == fold) & mask
        return Windows(
            user=self._user[chosen].astype(np.int64), item=np.where(mask, self._item[row], -1),
            time=np.where(mask, self._time[row], self._time[end - 1][:, None]), lengths=lengths,
            future=self._future(rng, end, stop, fold), blank=np.zeros(row.shape, np.int64), held=held,
            ordered=config.ordered,
        )  # fmt: skip

    def _future(self, rng: np.random.Generator, end: np.ndarray, stop: np.ndarray, fold: int) -> np.ndarray:
        """Of the events up to Delta after the last one that was read, any; -1 where there is none, or no order."""
        draw = rng.random(len(end))
        if not self._config.ordered:
            return np.full(len(end), -1, np.int64)
        reach = self._time[end - 1] + int(self._config.future_days * _DAY_MS)
        last = np.array(
            [
                np.searchsorted(self._time[e:s], t, side="right")
                for e, s, t in zip(end, stop, reach, strict=True)
            ],
            np.int64,
        )
        later = np.minimum(end + (draw * last).astype(np.int64), len(self._item) - 1)
        there = last > 0
        if self._fold is not None:
            there &= self._fold[later] == fold
        return np.where(there, self._item[later], -1)

    def targets(self) -> np.ndarray:
        """int64: every event that can be a target, once."""
        keep = np.ones(len(self._item), dtype=bool)
        if self._fold is None:
            keep[self._first] = False
        return self._item[keep]
