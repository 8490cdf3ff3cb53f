"""Cold items among themselves: what nobody kept in training, ranked without the warm items that crowd it out.

Shapes: C cases, T targets, I items.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from bowerbird.evaluate.cases import TARGET_COLUMNS, Cases
from bowerbird.evaluate.ranking import Ranking, rank_scores

_CHUNK = 512


class Scorer(Protocol):
    """A recommender that can score every item."""

    @property
    def name(self) -> str: ...

    @property
    def note(self) -> str: ...

    def scores(self, cases: Cases) -> Any:
        """Fresh floats (C, I)."""
        ...


class Among:
    """A recommender restricted to some items.

    Args:
        scorer: who scores.
        allowed: bool (I,), the items that may be listed.
    """

    def __init__(self, scorer: Scorer, allowed: np.ndarray) -> None:
        self._scorer, self._left_out = scorer, ~allowed
        self.name, self.note = scorer.name, scorer.note
        self.is_baseline = bool(getattr(scorer, "is_baseline", False))

    def recommend(self, cases: Cases, k: int) -> Ranking:
        """See :class:`bowerbird.evaluate.Recommender`."""
        parts = []
        for chunk in cases.chunks(_CHUNK):
            scores = np.array(self._scorer.scores(chunk), np.float32)
            scores[:, self._left_out] = -np.inf
            parts.append(rank_scores(scores, chunk, k))
        return Ranking.stack(parts)


def cold_cases(cases: Cases) -> Cases:
    """The cases with only their cold targets; those without one are left out."""
    keep = ~cases.target_warm
    counts = np.bincount(cases.target_case[keep], minlength=len(cases))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    kept: dict[str, Any] = {name: getattr(cases, name)[keep] for name in TARGET_COLUMNS}
    note = f"{int(keep.sum())} targets without a positive event in training, ranked among such items only"
    protocol = replace(cases.protocol, notes=(*cases.protocol.notes, note))
    return replace(cases, target_offsets=offsets, protocol=protocol, **kept).subset(counts > 0)
