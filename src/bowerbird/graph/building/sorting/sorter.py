"""`EdgeSorter`: an external sort of edges by (row, column) that never holds more than it is allowed to.

Edges are kept in memory while they fit. Beyond that they are spilled to up to 256 files by the leading bits of their
key, that is by range of source nodes; each file is sorted on its own. A file that is still too large (a few hubs hold
most edges) is split again by the next bits of the key, down to one single edge given over and over, which is merged
piece by piece. (The first pass of a most-significant-digit radix sort.)
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from bowerbird.graph.building.sorting.runs import Run, concatenate, merge_duplicates

_DIGIT = 8
_COPIES = 4
"""Sorting a run needs about this many times its size: the edges, their order, the sorted edges, the merged ones."""


class EdgeSorter:
    """Takes edges in any order, gives them back sorted by key with duplicates merged.

    Args:
        folder: Where spill files go; made when the first one is needed.
        key_bits: Bits of a key that vary.
        memory: Bytes that sorting may take, roughly.
    """

    def __init__(self, folder: Path, key_bits: int, *, memory: int) -> None:
        self._folder, self._bits, self._memory = folder, key_bits, memory
        self._limit = max(memory // _COPIES, 1)
        self._shift = max(0, key_bits - _DIGIT)
        self._held: list[Run] = []
        self._bytes = 0
        self._files: dict[int, Path] = {}
        self.spilled = 0
        """Bytes written to spill files so far."""

    def add(self, run: Run) -> None:
        """Takes edges in any order."""
        if not len(run):
            return
        self._held.append(run)
        self._bytes += run.bytes
        if self._bytes > self._limit:
            self._spill()

    def _spill(self) -> None:
        run = concatenate(self._held)
        self._held, self._bytes = [], 0
        digit = ((run.key >> np.uint64(self._shift)) & np.uint64((1 << _DIGIT) - 1)).astype(np.uint8)
        run = run.select(np.argsort(digit, kind="stable"))  # a radix sort on 8 bits
        ends = np.cumsum(np.bincount(digit, minlength=1 << _DIGIT))
        self._folder.mkdir(parents=True, exist_ok=True)
        start = 0
        for number, end in enumerate(ends.tolist()):
            if end > start:
                path = self._files.setdefault(number, self._folder / f"bucket-{number:03d}.bin")
                with path.open("ab") as file:
                    self.spilled += _write_block(file, run.select(slice(start, end)))
            start = end

    def sorted(self) -> Iterator[Run]:
        """All edges, in runs whose keys ascend from one run to the next; the sorter is empty afterwards."""
        if not self._files:
            held, self._held = self._held, []
            if held:
                yield merge_duplicates(held)
            return
        if self._held:
            self._spill()
        for number in sorted(self._files):
            yield from self._bucket(self._files[number], number)
        self._files = {}

    def _bucket(self, path: Path, number: int) -> Iterator[Run]:
        if path.stat().st_size <= self._limit:
            with path.open("rb") as file:
                runs = list(_read_blocks(file))
            path.unlink()
            yield merge_duplicates(runs)
        elif self._shift == 0:
            yield self._one_edge(path)
        else:
            finer = EdgeSorter(
                self._folder / f"bucket-{number:03d}", max(self._bits - _DIGIT, 0), memory=self._memory
            )
            with path.open("rb") as file:
                for run in _read_blocks(file):
                    finer.add(run)
            path.unlink()
            yield from finer.sorted()
            self.spilled += finer.spilled

    def _one_edge(self, path: Path) -> Run:
        """Every edge in this file is the same one."""
        merged: list[Run] = []
        with path.open("rb") as file:
            for run in _read_blocks(file):
                merged = [merge_duplicates([*merged, run])]
        path.unlink()
        return merged[0]


def _write_block(file: BinaryIO, run: Run) -> int:
    """One block: its length, the kind of its weights (0 none, 4 whole, 8 units), whether it is dated, its columns."""
    head = np.array(
        [len(run), 0 if run.total is None else run.total.dtype.itemsize, run.time is not None], np.int64
    )
    head.tofile(file)
    for part in (run.key, run.total, run.time):
        if part is not None:
            np.ascontiguousarray(part).tofile(file)
    return head.nbytes + run.bytes


def _read_blocks(file: BinaryIO) -> Iterator[Run]:
    for _ in itertools.count():
        head: NDArray[np.int64] = np.fromfile(file, np.int64, 3)
        if not len(head):
            return
        length, kind, dated = head.tolist()
        key = np.fromfile(file, np.uint64, length)
        total = np.fromfile(file, np.uint32 if kind == 4 else np.int64, length) if kind else None
        yield Run(key, total, np.fromfile(file, np.int64, length) if dated else None)
