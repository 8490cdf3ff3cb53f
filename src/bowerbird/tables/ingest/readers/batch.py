"""What a reader hands on: a batch of rows as they stand in a file, and the rows it could not read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import polars as pl

NOT_UTF8 = "not UTF-8 text"
FIELD_COUNT = "wrong number of fields"
TOO_LONG = "line too long"
OPEN_QUOTE = "quote that is never closed"
BAD_CSV = "not valid CSV"
BAD_JSON = "not valid JSON"
NOT_AN_OBJECT = "not a JSON object"


@dataclass(frozen=True)
class BrokenRow:
    """A row that could not be read at all.

    Attributes:
        line: Line (text) or row (Parquet) number, counted from 1.
        value: The beginning of the row.
        reason: One of the reasons above.
    """

    line: int
    value: str
    reason: str


@dataclass(frozen=True)
class RawBatch:
    """Rows of one file.

    Attributes:
        frame: The asked columns as the file has them; all text in CSV, TSV and JSONL.
        lines: int64 (n,) line or row number of each row.
        broken: Rows that could not be read.
        position: How far reading is, as a share of the file in [0, 1].
    """

    frame: pl.DataFrame
    lines: np.ndarray
    broken: list[BrokenRow] = field(default_factory=list)
    position: float = 0.0

    @property
    def rows(self) -> int:
        """Rows read, broken ones included."""
        return self.frame.height + len(self.broken)


class Reader(Protocol):
    """Reads one file."""

    def columns(self) -> list[str]:
        """Names of the columns of the file, as far as they are known without reading all of it."""
        ...

    def batches(self, columns: Sequence[str]) -> Iterator[RawBatch]:
        """Reads the asked columns in order, in batches whose memory does not depend on the size of the file."""
        ...


def runs(good: np.ndarray) -> Iterable[tuple[int, int]]:
    """Start and end of each unbroken run of True values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], good, [False]])))
    return zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def first_value(raw: bytes | Any, limit: int = 200) -> str:
    """The beginning of a row as text for the report."""
    return (
        raw[: limit * 4].decode("utf-8", "replace").rstrip("\r\n")[:limit]
        if isinstance(raw, bytes)
        else str(raw)
    )
