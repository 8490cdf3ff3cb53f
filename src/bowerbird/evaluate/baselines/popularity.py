"""Popularity over all training time, and over a window that ends right before the question.

Shapes: B cases of a chunk, I items.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bowerbird.evaluate.baselines.base import Baseline
from bowerbird.evaluate.cases import Cases
from bowerbird.evaluate.positives import Positives, positives
from bowerbird.tables.errors import ConfigError

HOUR = 3_600_000
WINDOWS: tuple[int, ...] = (HOUR, 6 * HOUR, 24 * HOUR, 7 * 24 * HOUR, 30 * 24 * HOUR)
"""Windows tried on validation, in milliseconds."""


class Popularity(Baseline):
    """The items with most positive events in training, the same for everybody but for what each has seen."""

    name = "Popularity"

    def _fit(self, log: Positives) -> None:
        self._count = log.item_count.astype(np.float64)

    def _score(self, cases: Cases) -> NDArray[np.floating[Any]]:
        return np.tile(self._count, (len(cases), 1))


class RecentPopularity(Baseline):
    """The items with most positive events in the last `window` ms before each case.

    Only events strictly before the case's time count. Where the protocol is live (rolling) they come from
    the view the histories come from, as they would for a running platform; else from the view before the
    wall.

    Args:
        window: milliseconds.
    """

    name = "Recent popularity"
    grid: ClassVar[Mapping[str, Sequence[Any]]] = {"window": WINDOWS}
    only_scoring = ("window",)

    def __init__(self, *, window: int = 24 * HOUR) -> None:
        super().__init__()
        if window < 1:
            raise ConfigError(f"the window of recent popularity must be at least 1 ms, not {window}")
        self.window = window
        self.note = f"last {duration(window)}"

    def _fit(self, log: Positives) -> None:
        """Nothing beyond the popularity that stands behind the window."""

    def _score(self, cases: Cases) -> NDArray[np.floating[Any]]:
        item, moment = positives(cases.view if cases.live else cases.earlier).by_time
        order = np.argsort(cases.time, kind="stable")
        until = np.searchsorted(moment, cases.time, side="left")
        since = np.searchsorted(moment, cases.time - self.window, side="left")
        count = np.zeros(cases.n_items, np.int64)
        scores = np.empty((len(cases), cases.n_items), np.float32)
        low = high = int(since[order[0]]) if len(order) else 0
        for case in order:  # in order of time, so that the counts only roll forward
            count += np.bincount(item[high : until[case]], minlength=len(count))
            count -= np.bincount(item[low : since[case]], minlength=len(count))
            low, high = since[case], until[case]
            scores[case] = count
        scores[scores == 0] = -np.inf  # no event in the window is no opinion: popularity decides
        return scores


def duration(window: int) -> str:
    """A window in milliseconds in words: hours up to two days, then days."""
    hours = window / HOUR
    return f"{hours:g} h" if hours < 48 else f"{hours / 24:g} days"
