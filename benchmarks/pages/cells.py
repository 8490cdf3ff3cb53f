"""Numbers as cells of a table."""

from __future__ import annotations

from typing import Any


def cell(interval: dict[str, Any], digits: int = 4) -> str:
    """A mean and its interval, as a cell of a table."""
    if interval["mean"] is None:
        return "-"
    if interval["low"] is None:
        return f"{interval['mean']:.{digits}f}"
    return f"{interval['mean']:.{digits}f} [{interval['low']:.{digits}f}, {interval['high']:.{digits}f}]"
