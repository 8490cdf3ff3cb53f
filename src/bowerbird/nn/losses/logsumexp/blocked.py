"""Which (row, negative) pairs are no negatives, as index pairs: they are few, so no R x M mask is ever made.

Shapes: R rows, M negatives, X blocked columns of a row, B windows, Z blocked pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Blocked:
    """Blocked pairs as lists of (row, column), each list in ascending order of rows; pairs may repeat.

    Attributes:
        lists: ``(row_Z, column_Z)`` int64 pairs of tensors.
    """

    lists: tuple[tuple[Tensor, Tensor], ...] = ()

    @classmethod
    def of(cls, blocked_RX: Tensor | None, blocked_BM: Tensor | None, window_R: Tensor | None) -> Blocked:
        """Both forms of the caller together.

        Args:
            blocked_RX: int64 columns per row; below 0 means none.
            blocked_BM, window_R: bool mask per window and the window of each row.

        Raises:
            ValueError: if only one of ``blocked_BM`` and ``window_R`` is given.
        """
        if (blocked_BM is None) != (window_R is None):
            raise ValueError(
                "blocked_BM and window_R belong together: a mask per window, and the window of each row"
            )
        lists = []
        if blocked_RX is not None:
            row_Z, slot_Z = (blocked_RX >= 0).nonzero(as_tuple=True)
            lists.append((row_Z, blocked_RX[row_Z, slot_Z]))
        if blocked_BM is not None and window_R is not None:
            lists.append(_by_window(blocked_BM, window_R))
        return cls(tuple(lists))

    def bounds(self, edges: list[int]) -> list[list[int]]:
        """For each list the position of the first pair at or past each row in ``edges``."""
        return [
            torch.searchsorted(row_Z.contiguous(), torch.tensor(edges, device=row_Z.device)).tolist()
            for row_Z, _ in self.lists
        ]


def _by_window(blocked_BM: Tensor, window_R: Tensor) -> tuple[Tensor, Tensor]:
    """Every row with every blocked column of its window."""
    window, column = blocked_BM.nonzero(as_tuple=True)
    count_B = torch.bincount(window, minlength=len(blocked_BM))
    start_B = count_B.cumsum(0) - count_B
    count_R = count_B[window_R]
    end_R = count_R.cumsum(0)
    row_Z = torch.repeat_interleave(torch.arange(len(window_R), device=window_R.device), count_R)
    offset_R = start_B[window_R] - (end_R - count_R)
    return row_Z, column[torch.arange(len(row_Z), device=window_R.device) + offset_R[row_Z]]
