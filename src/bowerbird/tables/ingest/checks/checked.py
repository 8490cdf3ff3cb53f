"""The result of checking one column: stored values, and which rows cannot stay and why."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl

EMPTY = "required value is empty"


@dataclass
class Checked:
    """One column after its check.

    Attributes:
        values: The stored values; rows with a problem hold anything.
        problems: bool (n,) mask of rows to reject, with the reason.
    """

    values: pl.Series
    problems: list[tuple[np.ndarray, str]] = field(default_factory=list)

    def refuse(self, rows: np.ndarray | pl.Series, reason: str) -> None:
        """Rejects rows (bool (n,); nulls count as False) for a reason; nothing happens where none is True."""
        mask = rows.fill_null(False).to_numpy() if isinstance(rows, pl.Series) else rows
        if mask.any():
            self.problems.append((mask, reason))
