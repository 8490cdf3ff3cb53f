"""When a token happened: absolute time at fixed periods, and the gap since the token before it (A1.1, A1.2).

The gap is measured to the *previous* token, never to the latest one: appending a token then changes no earlier
feature, which is what keeps a KV cache valid.

Shapes: B rows, N tokens, P absolute periods, G gap frequencies.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn

DAY_S = 86_400.0
PERIODS_S = (DAY_S, 7 * DAY_S, 365.25 * DAY_S / 4, 365.25 * DAY_S)
_SHORTEST_GAP_S, _LONGEST_GAP_S = 1.0, 365 * DAY_S


class TimeEncoder(nn.Module):
    """Sine and cosine of absolute time and of the log-spaced gap, with learned phases, then a linear layer.

    Args:
        width: output width.
        gap_frequencies: G, how many log-spaced gap periods between one second and one year.
    """

    periods_s: Tensor
    gaps_s: Tensor

    def __init__(self, width: int, gap_frequencies: int = 16) -> None:
        super().__init__()
        periods = torch.tensor(PERIODS_S, dtype=torch.float64)
        gaps = torch.logspace(
            math.log10(_SHORTEST_GAP_S), math.log10(_LONGEST_GAP_S), gap_frequencies, dtype=torch.float64
        )
        self.register_buffer("periods_s", periods, persistent=False)
        self.register_buffer("gaps_s", gaps, persistent=False)
        self.period_phase = nn.Parameter(torch.zeros(len(PERIODS_S)))
        self.gap_phase = nn.Parameter(torch.zeros(gap_frequencies))
        self.out = nn.Linear(2 * (len(PERIODS_S) + gap_frequencies) + 2, width)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        # a model moved to half precision must keep exact periods
        periods_s, gaps_s = self.periods_s, self.gaps_s
        super()._apply(fn, recurse)
        self.periods_s, self.gaps_s = periods_s.to(self.gap_phase.device), gaps_s.to(self.gap_phase.device)
        return self

    def forward(self, time_BN: Tensor, previous_BN: Tensor | None = None) -> Tensor:
        """Time features of every token.

        Args:
            time_BN: int64 milliseconds UTC, oldest first; whatever stands in padding only affects padding.
            previous_BN: time of the token before each; taken from ``time_BN`` itself when left out, where the first
                token of a row has no predecessor and counts as gap 0.

        Returns:
            (B, N, width).
        """
        return self.out(self.features(time_BN, previous_BN))

    def features(self, time_BN: Tensor, previous_BN: Tensor | None = None) -> Tensor:
        """What the linear layer reads, (B, N, 2 * (P + G) + 2), float32; arguments as in :meth:`forward`.

        A token later than its successor (clocks disagree) counts as gap 0.
        """
        if previous_BN is None:
            previous_BN = torch.cat([time_BN[:, :1], time_BN[:, :-1]], dim=1)
        # float64: milliseconds since 1970 have 41 bits, float32 would blur a day into half a minute
        seconds = time_BN.double() / 1000.0
        gap = ((time_BN - previous_BN).double() / 1000.0).clamp(min=0.0)
        turns = (seconds[..., None] / self.periods_s) % 1.0
        absolute = (2 * math.pi * turns).float() + self.period_phase
        gap_turns = (gap[..., None] / self.gaps_s) % 1.0
        relative = (2 * math.pi * gap_turns).float() + self.gap_phase
        log_gap = torch.log1p(gap).float()[..., None] / 10.0
        first = (gap == 0).float()[..., None]
        return torch.cat(
            [absolute.sin(), absolute.cos(), relative.sin(), relative.cos(), log_gap, first], dim=-1
        )
