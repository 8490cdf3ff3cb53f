"""The last look at an answer: nothing seen, nothing filtered out, nothing twice, and full where it can be.

Shape letters: n candidates of one request.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bowerbird.serve.fallback import Popularity
from bowerbird.serve.generators.base import Candidates
from bowerbird.serve.response import Why


@dataclass(frozen=True)
class Picked:
    """One item of an answer: dense item, score, why."""

    item: int
    score: float
    why: Why


def keep(found: Candidates, k: int, *, allowed: np.ndarray | None, exclude: np.ndarray) -> list[Picked]:
    """The first k candidates of the only history in `found` that may be shown, each once.

    The generator was told the same rules; they are checked here again, because what a person sees must not
    depend on how well an index filters.

    Args:
        found: Candidates of one history.
        k: At most so many.
        allowed: int32 ascending, the only items that may be shown; None = all.
        exclude: int32 ascending, items that must not be shown.
    """
    item = found.item[0]
    good = (item >= 0) & np.isfinite(found.score[0]) & ~np.isin(item, exclude)
    if allowed is not None:
        good &= np.isin(item, allowed)
    picked: dict[int, Picked] = {}
    for place in np.flatnonzero(good):
        if len(picked) == k:
            break
        vector = found.vectors[0][int(found.vector[0, place])]
        why = Why("model", vector.outcome, vector.step, vector.offset)
        picked.setdefault(int(item[place]), Picked(int(item[place]), float(found.score[0, place]), why))
    return list(picked.values())


def fill(
    picked: list[Picked], k: int, popular: Popularity, *, allowed: np.ndarray | None, exclude: np.ndarray
) -> list[Picked]:
    """`picked`, followed by popular items that may be shown until there are k, or none are left.

    A filled-in item scores 0 after the model's own: its share of the log is on another scale than their
    scores.
    """
    missing = k - len(picked)
    if missing <= 0:
        return picked
    taken = np.array([entry.item for entry in picked], dtype=np.int32)
    items, shares = popular.best(missing, allowed=allowed, exclude=np.concatenate([exclude, taken]))
    scores = np.zeros(len(items)) if picked else shares
    return picked + [
        Picked(int(item), float(score), Why("popularity")) for item, score in zip(items, scores, strict=True)
    ]
