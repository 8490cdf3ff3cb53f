"""Unpruned CSR files: written from sorted runs, read back in blocks of rows.

Shape letters: S rows, E edges.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bowerbird.graph.building.sorting.runs import UNIT, Run, units, unpack
from bowerbird.graph.store.arrays import ArrayWriter, map_array, read_slice, write_array
from bowerbird.graph.store.relation import UNDATED

BLOCK = 1 << 22
"""Edges that are looked at at once where nothing says otherwise."""


def index_type(n_columns: int) -> np.dtype[Any]:
    """uint32 where every column fits, else int64."""
    return np.dtype(np.uint32 if n_columns <= 1 << 32 else np.int64)


@dataclass(frozen=True, eq=False)
class Block:
    """Some rows of a CSR, in memory.

    Attributes:
        low, high: The rows, high exclusive (R of them).
        indptr: int64 (R + 1,) ends of the rows, from 0.
        indices: uint32 or int64 (E,).
        total: As in `CSRFiles`, or None.
        time: int64 (E,), or None.
    """

    low: int
    high: int
    indptr: NDArray[np.int64]
    indices: NDArray[Any]
    total: NDArray[Any] | None
    time: NDArray[np.int64] | None

    @property
    def rows(self) -> NDArray[np.int64]:
        """int64 (E,): row of every edge."""
        return np.repeat(np.arange(self.low, self.high), np.diff(self.indptr))


@dataclass(frozen=True, eq=False)
class CSRFiles:
    """An unpruned CSR on disk: `indices.npy` uint32 or int64 (E,) ascending within a row; `total.npy` uint32 (E,)
    whole numbers or int64 (E,) units of 2^-30, missing where all weights are 1; `time.npy` int64 (E,), missing where
    no edge is dated; and `indptr.npy`.

    Attributes:
        folder: Where they lie.
        indptr: int64 (S + 1,), in memory.
        weighted, dated: Whether `total.npy` and `time.npy` are there.
    """

    folder: Path
    indptr: NDArray[np.int64]
    weighted: bool
    dated: bool

    @classmethod
    def open(cls, folder: Path) -> CSRFiles:
        """Opens the files in `folder`."""
        weighted, dated = ((folder / f"{name}.npy").exists() for name in ("total", "time"))
        return cls(folder, np.array(map_array(folder / "indptr.npy")), weighted, dated)

    @property
    def index_type(self) -> np.dtype[Any]:
        """Type of one column."""
        return np.dtype(map_array(self.folder / "indices.npy").dtype)

    @property
    def n_rows(self) -> int:
        """S."""
        return len(self.indptr) - 1

    @property
    def n_edges(self) -> int:
        """E."""
        return int(self.indptr[-1])

    def blocks(self, edges: int = BLOCK) -> Iterator[Block]:
        """All rows, in blocks of at most `edges` edges (or one row with more)."""
        for low, high in row_blocks(self.indptr, edges):
            first, last = int(self.indptr[low]), int(self.indptr[high])
            yield Block(
                low,
                high,
                self.indptr[low : high + 1] - first,
                read_slice(self.folder / "indices.npy", first, last),
                read_slice(self.folder / "total.npy", first, last) if self.weighted else None,
                read_slice(self.folder / "time.npy", first, last) if self.dated else None,
            )


def row_blocks(indptr: NDArray[np.int64], edges: int) -> Iterator[tuple[int, int]]:
    """Ranges of rows with at most `edges` edges each (or one row with more); they cover every row."""
    low, n_rows = 0, len(indptr) - 1
    while low < n_rows:
        high = int(np.searchsorted(indptr, indptr[low] + edges, side="right")) - 1
        high = min(max(high, low + 1), n_rows)
        yield low, high
        low = high


class CSRWriter:
    """Writes sorted, merged runs as CSR files.

    Args:
        folder: New folder for the files.
        n_rows, n_columns: Number of nodes on either side.
        column_bits: How keys are packed.
    """

    def __init__(self, folder: Path, n_rows: int, n_columns: int, column_bits: int) -> None:
        folder.mkdir(parents=True)
        self._folder, self._n_rows, self._column_bits = folder, n_rows, column_bits
        self._type = index_type(n_columns)

    def write(self, runs: Iterable[Run]) -> CSRFiles:
        """Writes all runs; keys must ascend."""
        degree = np.zeros(self._n_rows + 1, np.int64)
        whole, all_one, dated = True, True, False
        with (
            ArrayWriter(self._folder / "indices.npy", self._type) as indices,
            ArrayWriter(self._folder / "units.npy", np.int64) as totals,
            ArrayWriter(self._folder / "time.npy", np.int64) as times,
        ):
            for run in runs:
                if not len(run):
                    continue
                row, column = unpack(run.key, self._column_bits)
                low, high = int(row[0]), int(row[-1])
                degree[low + 1 : high + 2] += np.bincount(row - low, minlength=high - low + 1)
                indices.append(column)
                del row, column
                # Columns nobody filled so far are written only from the first run that fills them.
                if run.total is not None and all_one:
                    all_one = bool((run.total == (1 if run.total.dtype == np.uint32 else UNIT)).all())
                    if not all_one:
                        _fill(totals, indices.length - len(run), UNIT)
                if not all_one:
                    found = units(run.total, len(run))
                    whole = whole and not bool((found & (UNIT - 1)).any())
                    totals.append(found)
                if run.time is not None and not dated:
                    dated = bool((run.time != UNDATED).any())
                    if dated:
                        _fill(times, indices.length - len(run), UNDATED)
                if dated:
                    times.append(np.full(len(run), UNDATED, np.int64) if run.time is None else run.time)
        write_array(self._folder / "indptr.npy", np.cumsum(degree))
        if not dated:
            (self._folder / "time.npy").unlink()
        self._name_totals(all_one, whole)
        return CSRFiles.open(self._folder)

    def _name_totals(self, all_one: bool, whole: bool) -> None:
        """Keeps totals in the smallest form that is exact, so that equal edges make equal files."""
        found, final = self._folder / "units.npy", self._folder / "total.npy"
        if all_one:
            found.unlink()
        elif not whole:
            found.rename(final)
        else:
            length = len(map_array(found))
            with ArrayWriter(final, np.uint32) as writer:
                for low in range(0, length, BLOCK):
                    writer.append(read_slice(found, low, min(low + BLOCK, length)) >> 30)
            found.unlink()


def _fill(writer: ArrayWriter, n: int, value: int) -> None:
    for low in range(0, n, BLOCK):
        writer.append(np.full(min(BLOCK, n - low), value, np.int64))
