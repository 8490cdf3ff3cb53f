"""What everybody did with an item: how often it had been shown, and the rate of every action, as of a moment.

A rate that holds the very row it is to predict says too much in training and nothing at serving. So rates are read
through the wall of a view and as they stood at the last full step of a clock (a day): what a platform that counts
once a step knows, in training as in serving.

Shapes: X questions, C actions, I items.
"""

from __future__ import annotations

from collections import OrderedDict

import numpy as np

from bowerbird.tables.view import View
from bowerbird.tables.view.counts import EventLog, KeyedCounts, global_rates, smoothed

PRIOR_ROWS = 20.0
"""Rows at everybody's rates that an item starts with."""
_TABLES = 2
"""Whole-catalogue tables kept: of this step and, around its end, of the one before."""


class ItemRates:
    """Rates of items, as of the last full step before a moment.

    Args:
        view: whose rows count; those past its wall never do.
        step_hours: how often a platform counts anew.

    Attributes:
        width: F, numbers per item: log(1 + rows), and for every action the log-odds of its smoothed rate above those of
            all items.
    """

    def __init__(self, view: View, step_hours: float) -> None:
        self._log = EventLog.of(view)
        self._items = KeyedCounts(self._log, self._log.item)
        self._n_items, self._step = view.n_items, int(step_hours * 3_600_000)
        self._last = int(self._log.time.max(initial=0)) // self._step + 1
        self._tables: OrderedDict[int, np.ndarray] = OrderedDict()
        self.width = 1 + len(view.actions)

    def at(self, items_X: np.ndarray, time_X: np.ndarray) -> np.ndarray:
        """float32 (X, F).

        Args:
            items_X: int64 (any shape X) dense ids; those outside the catalogue have no row.
            time_X: int64 ms of the questions, of the same shape.
        """
        # after the step behind the last row nothing changes any more
        cell_X = np.minimum(time_X // self._step, self._last)
        if cell_X.size and (cell_X == cell_X.flat[0]).all():
            table_IF = self._table(int(cell_X.flat[0]))
            inside_X = (items_X >= 0) & (items_X < self._n_items)
            return table_IF[np.where(inside_X, items_X, self._n_items)]
        found = self._counted(items_X.reshape(-1), cell_X.reshape(-1) * self._step)
        return found.reshape(*items_X.shape, self.width)

    def _table(self, cell: int) -> np.ndarray:
        """float32 (I + 1, F) as of one step; the last row is that of an unknown item."""
        if cell not in self._tables:
            items = np.append(np.arange(self._n_items), -1)
            self._tables[cell] = self._counted(items, np.full(len(items), cell * self._step))
            while len(self._tables) > _TABLES:
                self._tables.popitem(last=False)
        return self._tables[cell]

    def _counted(self, items_X: np.ndarray, moment_X: np.ndarray) -> np.ndarray:
        found, overall_XC = self._items.at(items_X, moment_X), global_rates(self._log, moment_X)
        above_XC = _log_odds(smoothed(found, overall_XC, PRIOR_ROWS)) - _log_odds(overall_XC)
        return np.concatenate([np.log1p(found.count)[:, None], above_XC], axis=1).astype(np.float32)


def _log_odds(rate_XC: np.ndarray) -> np.ndarray:
    rate_XC = np.clip(rate_XC, 1e-6, 1 - 1e-6)
    return np.log(rate_XC / (1 - rate_XC))
