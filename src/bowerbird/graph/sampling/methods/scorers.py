"""One interface over the methods: numbers of sources in, padded ids and scores of all slots of a subset out.

Shape letters: B sources, K places of all slots, N nodes, S slots.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bowerbird.graph.sampling.methods.closing import THRESHOLD, TOTAL
from bowerbird.graph.sampling.methods.push import SPREAD, push_block
from bowerbird.graph.sampling.methods.walks import WALKERS, walk_block
from bowerbird.graph.sampling.space import Space

_SLACK = 1.1
"""Room for the rounding of float32 sums in what exact arithmetic bounds."""


@dataclass(frozen=True)
class Found:
    """What was found for a block of sources.

    Attributes:
        ids: int64 (B, K) within each slot's type, -1 where there is nothing.
        scores: float32 (B, K).
        work: int64 (B, 2): edges visited by pushes (or read by power iterations), steps of walks.
    """

    ids: NDArray[np.int64]
    scores: NDArray[np.float32]
    work: NDArray[np.int64]

    @classmethod
    def empty(cls, sources: int, places: int) -> Found:
        """Room for a block."""
        return cls(
            np.full((sources, places), -1, np.int64),
            np.zeros((sources, places), np.float32),
            np.zeros((sources, 2), np.int64),
        )


class Scorer(ABC):
    """Scores the neighbours of sources in one space. Safe to call from many threads.

    Args:
        space: the graph.
        slots: int64 (S, 3): first number, end and k of each slot.
    """

    block: ClassVar[int] = 16
    """Sources a thread takes at a time: few, so that the last thread is not waited for long."""

    def __init__(self, space: Space, slots: NDArray[np.int64]) -> None:
        self.space, self.slots = space, slots
        self.places = int(slots[:, 2].sum())
        self._free: list[Any] = []
        self._lock = threading.Lock()

    @abstractmethod
    def fill(self, sources: NDArray[np.int64], without: NDArray[np.int64], found: Found) -> None:
        """Finds the neighbours of `sources` (B,), leaving out `without` (B,); -1 is none in both."""

    def _scratch(self) -> Any:
        """Scratch that no other thread is using; give it back with `_give_back`."""
        with self._lock:
            if self._free:
                return self._free.pop()
        return self._new_scratch()

    def _give_back(self, scratch: Any) -> None:
        with self._lock:
            self._free.append(scratch)

    def _new_scratch(self) -> Any:
        """Scratch for one thread; None for what needs none."""
        return None


class PushScorer(Scorer):
    """Forward push with closing, see `methods/push.py`.

    Args:
        space, slots: see `Scorer`.
        restart: c.
        budget: 1 / delta.
        closing: walks for each candidate.
        seed: of those walks.
    """

    def __init__(
        self,
        space: Space,
        slots: NDArray[np.int64],
        *,
        restart: float,
        budget: float,
        closing: int,
        seed: int,
    ) -> None:
        super().__init__(space, slots)
        self.restart, self.delta, self.seed = restart, 1.0 / budget, seed
        self.closing = closing
        self.entering = np.zeros(0, np.float32)
        self.into = space.leaving
        if self.closing:
            self.into = space.entering
            self.into.sum_weights()
            if not space.undirected:
                self.entering = space.entering_total
        # What waits in the queue has more than delta * degree of a residual of 1 each, and every push settles c of it.
        waiting = int(min(len(space), _SLACK * budget)) + 2
        self._queue = 1 << int(np.ceil(np.log2(waiting + 1)))
        self._touched = int(min(len(space), _SLACK * budget / restart)) + 2

    def _new_scratch(self) -> tuple[NDArray[Any], ...]:
        numbers = np.uint32 if len(self.space) < 1 << 32 else np.int64
        state = np.zeros((len(self.space), 4), np.float32)
        state[:, THRESHOLD] = np.float32(self.delta) * np.maximum(self.space.degree, 1).astype(np.float32)
        state[:, TOTAL] = self.space.total
        pool, closing = SPREAD * int(self.slots[:, 2].max()), max(self.closing, 1)
        return (
            state, np.zeros(self._queue, numbers), np.zeros(self._touched, numbers),
            np.zeros(pool, np.float32), np.zeros(pool, np.int64),
            np.zeros(closing, np.int64), np.zeros(closing, np.float32), np.zeros(closing, np.uint64),
        )  # fmt: skip

    def fill(self, sources: NDArray[np.int64], without: NDArray[np.int64], found: Found) -> None:
        """See `Scorer.fill`."""
        scratch = self._scratch()
        arguments: tuple[Any, ...] = (
            self.space.leaving.table, self.space.leaving.first, self.space.bounds,
            self.into.table, self.into.first, self.entering, *scratch,
            self.slots, self.restart, self.delta, self.closing, self.seed, sources, without,
            found.ids, found.scores, found.work,
        )  # fmt: skip
        push_block(*arguments)
        self._give_back(scratch)


class WalkScorer(Scorer):
    """Simulated walks, see `methods/walks.py`.

    Args:
        space, slots: see `Scorer`.
        restart: c.
        budget: walks a source.
        seed: of the walks.
    """

    def __init__(
        self, space: Space, slots: NDArray[np.int64], *, restart: float, budget: int, seed: int
    ) -> None:
        super().__init__(space, slots)
        self.restart, self.budget, self.seed = restart, budget, seed
        space.leaving.sum_weights()

    def _new_scratch(self) -> tuple[NDArray[Any], ...]:
        numbers = np.uint32 if len(self.space) < 1 << 32 else np.int64
        return (
            np.zeros(len(self.space), np.int32), np.zeros(len(self.space) + 1, numbers),
            np.zeros(WALKERS, np.int64), np.zeros(WALKERS, np.int64),
            np.zeros(WALKERS, np.uint64), np.zeros(WALKERS, np.uint64),
        )  # fmt: skip

    def fill(self, sources: NDArray[np.int64], without: NDArray[np.int64], found: Found) -> None:
        """See `Scorer.fill`."""
        scratch = self._scratch()
        arguments: tuple[Any, ...] = (
            self.space.leaving.table, self.space.leaving.first, self.space.bounds, *scratch, self.slots, self.restart,
            self.budget, self.seed, sources, without, found.ids, found.scores, found.work,
        )  # fmt: skip
        walk_block(*arguments)
        self._give_back(scratch)


class ExactScorer(Scorer):
    """Power iteration, see `methods/exact.py`.

    Args:
        space, slots: see `Scorer`.
        restart: c.
        tolerance: what scores may miss in sum.
    """

    block: ClassVar[int] = 8  # columns of 8 bytes for every node: one cache line

    def __init__(self, space: Space, slots: NDArray[np.int64], *, restart: float, tolerance: float) -> None:
        from bowerbird.graph.sampling.methods.exact import ExactScores

        super().__init__(space, slots)
        self._exact = ExactScores(space, restart, tolerance)

    def fill(self, sources: NDArray[np.int64], without: NDArray[np.int64], found: Found) -> None:
        """See `Scorer.fill`."""
        from bowerbird.graph.sampling.methods.exact import best

        rows = np.flatnonzero(sources >= 0)
        found.ids[:], found.scores[:], found.work[:] = -1, 0.0, 0
        if not len(rows):
            return
        scores = self._exact.scores(sources[rows], without[rows])
        for column, i in enumerate(rows):
            place = 0
            dropped = (int(sources[i]), int(without[i]))
            for low, high, k in self.slots:
                ids, values = best(scores[:, column], (int(low), int(high)), int(k), dropped)
                found.ids[i, place : place + len(ids)] = ids
                found.scores[i, place : place + len(ids)] = values
                place += int(k)
