"""What a recommender returns, and the one way in which scores become a list.

Shapes: C cases, k list length, I items, X scores given.

Tie rule, the same for every model: higher score first; among equal scores the lower dense item id first. Ids
are assigned at ingest without looking at any model or target, so a target gains nothing from a tie.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from bowerbird.tables.errors import BowerbirdError

if TYPE_CHECKING:
    from bowerbird.evaluate.cases import Cases

TIE_RULE = "equal scores are ordered by ascending dense item id, for every model alike"


class RankingError(BowerbirdError):
    """A recommender returned a list that breaks the contract; `str` says which case and what."""


@dataclass(frozen=True)
class Ranking:
    """The best k items of each case, best first.

    items: int32 (C, k) distinct dense ids in a row; -1 fills a row from the right when there were fewer.
    scores: float32 (C, k) non-increasing in a row; -inf where `items` is -1.
    """

    items: NDArray[np.int32]
    scores: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.items)

    @property
    def k(self) -> int:
        """List length."""
        return int(self.items.shape[1])

    @staticmethod
    def stack(parts: Iterable[Ranking]) -> Ranking:
        """Rankings of consecutive chunks as one."""
        rankings = list(parts)
        if not rankings:
            return Ranking(np.empty((0, 0), np.int32), np.empty((0, 0), np.float32))
        return Ranking(
            np.concatenate([part.items for part in rankings]),
            np.concatenate([part.scores for part in rankings]),
        )


@runtime_checkable
class Recommender(Protocol):
    """Anything that can be evaluated. Several recommenders of one `name` count as seeds of one model."""

    @property
    def name(self) -> str:
        """The row of the table it stands in."""
        ...

    def recommend(self, cases: Cases, k: int) -> Ranking:
        """The best `k` items of each case.

        It may read `cases.view` only up to each case's `history_end` (and, where `cases.live`, other users'
        events before the case's time), must leave out `cases.seen()` and must not look at the targets.
        `rank_scores` does the masking, the cut and the tie rule.
        """
        ...


def top_k(scores_CI: NDArray[Any], k: int) -> Ranking:
    """The k highest entries of each row under the tie rule. Entries of -inf are never returned.

    Args:
        scores_CI: floats (C, I), compared as float32.
        k: list length; rows are padded with -1 beyond the finite entries.

    Raises:
        RankingError: a score is NaN.

    >>> ranking = top_k(np.array([[1.0, 3.0, 3.0, 2.0], [0.0, -np.inf, 0.0, 0.0]]), 3)
    >>> ranking.items.tolist()
    [[1, 2, 3], [0, 2, 3]]
    """
    from bowerbird.evaluate.selection import select

    scores = np.ascontiguousarray(scores_CI, np.float32)
    items = np.full((len(scores), k), -1, np.int32)
    best = np.full((len(scores), k), -np.inf, np.float32)
    if select(scores, items, best):
        raise RankingError("a score is NaN; the model diverged or divided by zero")
    return Ranking(items, best)


def rank_scores(scores_CI: NDArray[Any], cases: Cases, k: int) -> Ranking:
    """Seen items out, best k in, ties by the rule.

    Args:
        scores_CI: floats (C, I), row c for case c, column i for dense item i. Overwritten where items were
        seen.
        cases: the C cases.
        k: list length.
    """
    seen = cases.seen()
    rows = np.repeat(np.arange(len(cases)), np.diff(seen.offsets))
    scores_CI[rows, seen.items] = -np.inf
    return top_k(scores_CI, k)


def drop_seen(items_CX: NDArray[Any], scores_CX: NDArray[Any], cases: Cases, k: int) -> Ranking:
    """A ranking from candidate lists (e.g. of an index): seen, repeated and missing (-1) ones out, best k in.

    Args:
        items_CX: dense ids (C, X), any order; -1 = none. Of a repeated id the best score counts.
        scores_CX: floats (C, X).
        cases: the C cases.
        k: list length.
    """
    items = items_CX.astype(np.int64)
    scores = np.where((items < 0) | cases.seen().contains(items), -np.inf, scores_CX).astype(np.float32)
    order = np.lexsort((items, -scores), axis=1)
    items, scores = np.take_along_axis(items, order, 1), np.take_along_axis(scores, order, 1)
    by_item = np.argsort(items, axis=1, kind="stable")  # stable: the best-scored copy stays first
    sorted_items = np.take_along_axis(items, by_item, 1)
    again = np.zeros(items.shape, dtype=bool)
    np.put_along_axis(
        again, by_item, np.pad(sorted_items[:, 1:] == sorted_items[:, :-1], ((0, 0), (1, 0))), axis=1
    )
    scores[again] = -np.inf
    order = np.lexsort((items, -scores), axis=1)[:, :k]
    items, scores = np.take_along_axis(items, order, 1), np.take_along_axis(scores, order, 1)
    missing = ((0, 0), (0, max(k - items.shape[1], 0)))
    return Ranking(
        np.pad(np.where(scores == -np.inf, -1, items), missing, constant_values=-1).astype(np.int32),
        np.pad(scores, missing, constant_values=-np.inf),
    )


def check_ranking(ranking: Ranking, cases: Cases, k: int, *, name: str) -> None:
    """Hold a recommender to the contract, the same for all.

    Raises:
        RankingError: wrong shape, an id outside the catalogue, a gap, a repeat, unsorted scores, or a seen
        item.
    """
    items, scores = ranking.items, ranking.scores
    if items.shape != (len(cases), k) or scores.shape != items.shape:
        raise RankingError(
            f"{name}: expected lists of shape {(len(cases), k)}, got {items.shape} and {scores.shape}"
        )
    if not items.size:
        return
    filled = items >= 0

    def refuse(broken_Ck: NDArray[np.bool_], why: str) -> None:
        if broken_Ck.any():
            case, place = (int(found[0]) for found in np.nonzero(broken_Ck))
            raise RankingError(f"{name}: case {case}, place {place}, item {int(items[case, place])}: {why}")

    refuse(items >= cases.n_items, f"the catalogue has {cases.n_items} items")
    refuse(filled & ~np.logical_and.accumulate(filled, axis=1), "an item after an empty place")
    descending = np.ones(items.shape, dtype=bool)
    descending[:, 1:] = scores[:, 1:] <= scores[:, :-1]
    refuse(filled & ~descending, "its score is above the one before it")
    ordered = np.sort(items, axis=1)
    repeated = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
    refuse(np.pad(repeated, ((0, 0), (1, 0))).any(axis=1, keepdims=True) & filled, "the list repeats an item")
    refuse(filled & cases.seen().contains(items), "already seen, and the protocol leaves seen items out")
