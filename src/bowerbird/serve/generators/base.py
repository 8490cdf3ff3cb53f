"""The seam to the model side: what the engine needs from a system that turns histories into candidates.

Shape letters: B histories of a batch, n candidates, Q query items.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from bowerbird.tables.view import HistoryBatch

UNSPECIFIED = "any"
"""Name of the outcome that asks for nothing in particular."""


@dataclass(frozen=True)
class QueryVector:
    """One generated vector: the outcome it was generated for, its step (from 1), the time offset it aims at,
    and how many candidates it was allowed to fetch."""

    outcome: str
    step: int
    offset: str
    budget: int


@dataclass(frozen=True)
class Candidates:
    """What a generator found, best first.

    Attributes:
        item: int32 (B, n) dense items, each at most once a row, padded at the end with -1.
        score: float32 (B, n), larger is better.
        vector: int32 (B, n) index into `vectors[b]` of the vector that found the item.
        vectors: The generated vectors of each history.
        timings_ms: Milliseconds by stage, in order.
    """

    item: np.ndarray
    score: np.ndarray
    vector: np.ndarray
    vectors: Sequence[Sequence[QueryVector]]
    timings_ms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Neighbours:
    """Items near items: `item` int32 (Q, n) padded with -1, `score` float32 (Q, n)."""

    item: np.ndarray
    score: np.ndarray


class Generator(Protocol):
    """A retrieval model with its index, opened and ready."""

    @property
    def name(self) -> str:
        """The learner behind it, e.g. `pinrec`."""
        ...

    @property
    def release(self) -> str:
        """Names the exact model and index."""
        ...

    @property
    def outcomes(self) -> Mapping[str, float]:
        """Outcomes a request can weigh, with the share each has when a request weighs none."""
        ...

    @property
    def history_length(self) -> int:
        """How many past events it reads."""
        ...

    def generate(
        self,
        history: HistoryBatch,
        outcomes: Mapping[str, float],
        k: int,
        *,
        surface: np.ndarray,
        time: np.ndarray,
        allowed: np.ndarray | None = None,
        exclude: Sequence[np.ndarray] | None = None,
    ) -> Candidates:
        """Candidates for each history.

        Args:
            history: B histories; an empty one yields no candidates.
            outcomes: Outcome to share, summing to one.
            k: Candidates wanted for each history.
            surface: int16 (B,) surface codes.
            time: int64 (B,) ms UTC of the requests.
            allowed: int32 (a,) the only items that may come back; None = all.
            exclude: For each history, int32 items that must not come back.
        """
        ...

    def similar(self, items: np.ndarray, k: int, *, allowed: np.ndarray | None = None) -> Neighbours:
        """Items near each of `items` int32 (Q,), themselves left out.

        A row is all -1 where an item is not indexed.
        """
        ...
