"""The rows a block of people leaves behind, as flat arrays that compiled loops fill."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

ROW = np.dtype(
    [
        ("person", "i8"),
        ("item", "i8"),
        ("time", "i8"),
        ("surface", "i8"),
        ("slate", "i8"),
        ("position", "i8"),
        ("query", "i8"),
        ("actions", "i8"),
        ("propensity", "f8"),
        ("moment", "i8"),
        ("context", "i8"),
    ],
    align=True,
)
"""One item shown to one person. person: row of the block's people; item: number; time: ms; surface: code;
slate: number of the request within the person; position; query: code or -1; actions: bit mask; propensity;
moment: topic of the moment of the request or -1; context: item the request started from or -1."""


class Log(NamedTuple):
    """What a block of people leaves behind, in the order of (person, time).

    Attributes:
        rows: ROW[N].
        written: int64[3] rows, keeps and follows written so far.
        keep: int64[N] rows whose save also went to a collection.
        follow: int64[N] rows that made the person follow the creator.
    """

    rows: np.ndarray
    written: np.ndarray
    keep: np.ndarray
    follow: np.ndarray


def empty_log(n_rows: int) -> Log:
    """A log with room for n_rows rows."""
    return Log(
        np.empty(n_rows, ROW), np.zeros(3, np.int64), np.empty(n_rows, np.int64), np.empty(n_rows, np.int64)
    )


@njit(cache=True)
def next_row(log: Log) -> int:
    """Number of the next row, which now counts as written."""
    log.written[0] += 1
    return log.written[0] - 1


@njit(cache=True)
def write_keep(log: Log) -> None:
    """Note that the row written last went to a collection."""
    log.keep[log.written[1]] = log.written[0] - 1
    log.written[1] += 1


@njit(cache=True)
def write_follow(log: Log) -> None:
    """Note that the row written last made the person follow the creator."""
    log.follow[log.written[2]] = log.written[0] - 1
    log.written[2] += 1
