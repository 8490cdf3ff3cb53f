"""What is popular right now, as a dense table the loss can index: log(1 + time-decayed count) per moment and item.

News is decided by the hour: on such data the popularity of the last hour beats any model that cannot see it. The
trend enters the logit as a learned weighted sum, in training with the value of the target's moment (strictly before
it, see :class:`bowerbird.tables.view.TrendTable`), in serving with the value of the request's moment.

Shapes: G grid moments, I items, H half-lives, R rows, M ids.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bowerbird.tables.errors import ConfigError
from bowerbird.tables.view import View

_LARGEST_BYTES = 4 << 30
_FLOOR = 1e-7
"""Share of an item without live events."""


class DenseTrends:
    """Trend values on a time grid.

    Args:
        view: whose positive events count.
        half_lives_hours: H half-lives.
        step_minutes: width of a grid cell.
        start, stop: int ms; moments before ``start`` read the first cell, moments at or after ``stop`` the last.

    Raises:
        ConfigError: if the table would be larger than 4 GiB.
    """

    def __init__(
        self, view: View, half_lives_hours: Sequence[float], step_minutes: float, *, start: int, stop: int
    ) -> None:
        self._step = max(1, int(step_minutes * 60_000))
        self._first = start // self._step
        moments = range(self._first, max(self._first, stop // self._step) + 1)
        size = len(moments) * view.n_items * len(half_lives_hours) * 4
        if size > _LARGEST_BYTES:
            raise ConfigError(
                f"a trend table of {len(moments)} moments x {view.n_items} items needs {size / 2**30:.1f} GiB; "
                "raise trend_step_minutes or train on fewer recent_days"
            )
        table = view.trends([h * 3_600_000 for h in half_lives_hours], self._step)
        self.values_GIH = torch.empty(len(moments), view.n_items, len(half_lives_hours))
        for g, moment in enumerate(moments):
            self.values_GIH[g] = torch.from_numpy(table.row(moment * self._step)).log1p_()

    def cells(self, time_R: Tensor) -> Tensor:
        """Grid cell of each moment (int64 ms), int64."""
        return (time_R // self._step - self._first).clamp(0, len(self.values_GIH) - 1)

    def values(self, cells_G: Tensor, ids_M: Tensor) -> Tensor:
        """(G, M, H) values of ids at grid cells."""
        return self.values_GIH[cells_G][:, ids_M]

    def shares(self, cells_G: Tensor) -> Tensor:
        """(G, I) share of every item among all live events, averaged over half-lives; a floor keeps it above 0."""
        counts_GIH = self.values_GIH[cells_G].expm1()
        total_G1H = counts_GIH.sum(dim=1, keepdim=True).clamp(min=1e-6)
        return (counts_GIH / total_G1H).mean(dim=2) + _FLOOR

    def pairs(self, time: Tensor, ids: Tensor) -> Tensor:
        """(..., H) value of each id at its own moment; the two have one shape."""
        return self.values_GIH[self.cells(time), ids]
