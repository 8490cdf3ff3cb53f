"""Parquet files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from bowerbird.tables.errors import TableError
from bowerbird.tables.ingest.readers.batch import RawBatch

BATCH = 1_000_000


@dataclass(frozen=True)
class ParquetReader:
    """Reads a Parquet file in slices; a slice decodes only the row groups it touches.

    Attributes:
        path: The file.
        label: Name of the file in messages.
        table: Name of the table in messages.
    """

    path: Path
    label: str
    table: str

    def columns(self) -> list[str]:
        """Names of the columns."""
        try:
            return list(pl.read_parquet_schema(self.path))
        except (pl.exceptions.PolarsError, OSError) as error:
            raise self._unreadable(error) from error

    def rows(self) -> int:
        """Number of rows, from the footer."""
        try:
            return int(pl.scan_parquet(self.path).select(pl.len()).collect().item())
        except (pl.exceptions.PolarsError, OSError) as error:
            raise self._unreadable(error) from error

    def batches(self, columns: Sequence[str]) -> Iterator[RawBatch]:
        """Reads the asked columns in their own types."""
        total = self.rows()
        for start in range(0, total, BATCH):
            try:
                frame = pl.scan_parquet(self.path).select(columns).slice(start, BATCH).collect()
            except (pl.exceptions.PolarsError, OSError) as error:
                raise self._unreadable(error) from error
            lines = np.arange(start + 1, start + 1 + frame.height)
            yield RawBatch(frame, lines, position=(start + frame.height) / total)

    def _unreadable(self, error: Exception) -> TableError:
        return TableError(
            f"file {self.label} is not a readable Parquet file ({str(error).splitlines()[0]})",
            table=self.table,
            fix="write it again, or give its real format with format = ...",
        )
