"""What people turn to right now after an item: live, time-decayed shares of (item, next item) inside a session.

The share of next item j after item l at moment t, averaged over half-lives, is

    s(l, j) = c(l, j) / (c(l, .) + kappa)

with c the decayed counts of steps strictly before t. What it adds to the logit of j, on top of the log of j's share of
all live events p(j), is the gain

    gain = log(1 + rho * s(l, j) / p(j))

so that with weights of one the two are the log of the interpolated chain p(j) + rho * s(l, j) (Jelinek-Mercer). The
gain is zero for every pair that never happened: the table is as sparse as the log.

Shapes: R questions, X answers over all questions, I items, H half-lives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bowerbird.tables.view import TrendTable, View

KAPPA = 5.0
"""Steps of the prior: an item with fewer live steps behind it mostly follows popularity."""
RHO = 4.0
"""How much the chain counts for one part of popularity."""

_STEP_MS = 60_000
_FORGOTTEN = 12
"""Half-lives after which a step (2^-12 of its weight) is not loaded."""
_LEAST = 1e-3
"""Decayed counts below this in every half-life are no answer."""


@dataclass(frozen=True)
class Successors:
    """Live next items of R questions, in order of question.

    Attributes:
        row: int64 (X,), the question. item: int64 (X,), distinct inside a question.
        share_X: float32 in (0, 1), the smoothed live share of this step among all steps away from the last item.
    """

    row: NDArray[np.int64]
    item: NDArray[np.int64]
    share_X: NDArray[np.float32]

    def gain(self, popularity_X: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 (X,): see above. ``popularity_X`` is each answer's share of all live events, above 0."""
        return np.log1p(RHO * self.share_X / popularity_X).astype(np.float32)


class Transitions:
    """Live transition shares of a view.

    A step is two neighbouring positive events of a user with different items in the same slate (request); it happens
    at the time of the second. Where the data has no slates, all neighbours count.

    Args:
        view: whose events count.
        half_lives_hours: H half-lives.
        since: int ms, the earliest moment that will be asked about; steps long forgotten by then are not loaded.
        kappa: steps of the prior.
    """

    def __init__(
        self, view: View, half_lives_hours: Sequence[float], *, since: int | None = None, kappa: float = KAPPA
    ) -> None:
        self._n_items, self._kappa = view.n_items, kappa
        half_lives = [hours * 3_600_000 for hours in half_lives_hours]
        before, after, time = _steps(view)
        if since is not None:
            fresh = time >= since - int(_FORGOTTEN * max(half_lives))
            before, after, time = before[fresh], after[fresh], time[fresh]
        keys, code = np.unique(before * view.n_items + after, return_inverse=True)
        self._after = keys % view.n_items
        self._start = np.searchsorted(keys, np.arange(view.n_items + 1) * view.n_items)

        def table(ids: NDArray[np.int64], size: int) -> TrendTable:
            chunks = [(ids.astype(np.int32), time)]
            return TrendTable(chunks, n_items=max(1, size), half_lives_ms=half_lives, step_ms=_STEP_MS)

        self._pairs = table(code, len(keys))
        self._origins = table(before, view.n_items)

    def after(self, last_R: NDArray[np.int64], time_R: NDArray[np.int64]) -> Successors:
        """The live next items of items at moments.

        Args:
            last_R: dense items; -1 (no history) has no next items.
            time_R: int64 ms; only steps strictly before each moment count.
        """
        last = np.clip(last_R, 0, self._n_items - 1)
        low, high = self._start[last], self._start[last + 1]
        count = np.where(last_R < 0, 0, high - low)
        row = np.repeat(np.arange(len(last)), count)
        pair = np.arange(count.sum()) + np.repeat(low - np.cumsum(count) + count, count)
        pairs_XH = self._pairs.at(time_R[row], pair.astype(np.int32))
        alive = (pairs_XH > _LEAST).any(axis=1)
        row, pair, pairs_XH = row[alive], pair[alive], pairs_XH[alive]
        origins_RH = self._origins.at(time_R, last.astype(np.int32))
        share_XH = pairs_XH / (origins_RH[row] + self._kappa)
        return Successors(row, self._after[pair], share_XH.mean(axis=1))


def _steps(view: View) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Item before, item after and time of every step."""
    log = view.positives
    user, item, request = log.user, log.item, log.request
    together = (user[1:] == user[:-1]) & (request[1:] == request[:-1]) & (item[1:] != item[:-1])
    at = np.flatnonzero(together)
    return item[at].astype(np.int64), item[at + 1].astype(np.int64), log.time[at + 1]
