"""CSV, TSV and their kin (RFC 4180 quoting)."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import polars as pl

from bowerbird.tables.errors import TableError
from bowerbird.tables.ingest.readers.batch import (
    BAD_CSV,
    FIELD_COUNT,
    OPEN_QUOTE,
    BrokenRow,
    RawBatch,
    first_value,
)
from bowerbird.tables.ingest.readers.lines import Block, read_blocks

Opener = Callable[[], AbstractContextManager[tuple[BinaryIO, Callable[[], float]]]]
"""Opens the file; gives it and a function that says how far reading is, in [0, 1]."""

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class DelimitedReader:
    """Reads a text file with one record a line and a fixed number of fields.

    Attributes:
        open: Opens the file.
        label: Name of the file in messages.
        table: Name of the table in messages.
        delimiter: What separates fields, one character.
        quote: Quote character, or None.
        header: Whether the first record names the columns.
        names: Column names of a file without a header.
        max_line: Longest record in bytes.
    """

    open: Opener
    label: str
    table: str
    delimiter: str
    quote: str | None
    header: bool
    names: tuple[str, ...]
    max_line: int

    def columns(self) -> list[str]:
        """The names in the header, or the declared ones."""
        if not self.header:
            return list(self.names)
        with self.open() as (file, _):
            for block in read_blocks(file, quote=self.quote, max_line=self.max_line, block=1 << 16):
                lost = min(block.broken, key=lambda row: row.line, default=None)
                if lost and (not len(block) or lost.line < block.lines[0]):
                    raise TableError(
                        f"file {self.label}: its header cannot be read ({lost.reason})",
                        table=self.table,
                        value=lost.value,
                        fix="correct the first line, or set header = false and names = [...]",
                    )
                if len(block):
                    return self._header(block.record(0))
        return []

    def _header(self, record: bytes) -> list[str]:
        names = [name.strip() for name in self._split(record.removeprefix(_BOM).decode("utf-8"))]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise TableError(
                f"file {self.label}: the header names a column twice",
                table=self.table,
                column=twice[0],
                fix="rename one",
            )
        return names

    def _split(self, record: str) -> list[str]:
        style = (
            {"quotechar": self.quote, "quoting": csv.QUOTE_MINIMAL}
            if self.quote
            else {"quoting": csv.QUOTE_NONE}
        )
        text = record[:-1].removesuffix("\r") if record.endswith("\n") else record
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=self.delimiter, strict=True, **style))
        return rows[0] if len(rows) == 1 else []

    def batches(self, columns: Sequence[str]) -> Iterator[RawBatch]:
        """Reads the asked columns as text; empty fields are null."""
        names = [] if self.header else list(self.names)
        with self.open() as (file, position):
            for block in read_blocks(file, quote=self.quote, max_line=self.max_line):
                if not names and len(block):
                    names = self._header(block.record(0))
                    block = block.keep(np.arange(len(block)) > 0)
                elif len(block) and block.lines[0] == 1 and block.data.startswith(_BOM):
                    block = Block(
                        block.data[3:],
                        np.maximum(block.starts - 3, 0),
                        block.ends - 3,
                        block.lines,
                        block.broken,
                    )
                yield self._parse(block, names, columns, position())

    def _parse(self, block: Block, names: list[str], columns: Sequence[str], position: float) -> RawBatch:
        good = self._field_counts(block) == len(names)
        if self.quote:
            good &= ~self._stray_quotes(block)
        bad = np.flatnonzero(~good)
        repaired: list[tuple[int, list[str]]] = []
        for number in bad:
            repaired += self._repair(block, int(number), len(names))
        kept = block.keep(good)
        frame = self._read(kept, names, columns)
        lines = kept.lines
        if frame is None:
            frame, lines = self._read_slowly(kept, names, columns)
        if repaired:
            extra = _frame([fields for _, fields in repaired], names, columns)
            lines = np.concatenate([lines, [line for line, _ in repaired]])
            order = np.argsort(lines, kind="stable")
            frame, lines = pl.concat([frame, extra])[order], lines[order]
        return RawBatch(frame, lines, block.broken, position)

    def _field_counts(self, block: Block) -> np.ndarray:
        """int64 (n,): number of fields of each record."""
        raw = np.frombuffer(block.data, dtype=np.uint8)
        marks = np.flatnonzero(raw == ord(self.delimiter))
        if self.quote:
            quotes = np.flatnonzero(raw == ord(self.quote))
            record = np.searchsorted(block.ends, marks, side="right")
            before = np.searchsorted(quotes, marks) - np.searchsorted(quotes, block.starts)[record]
            marks = marks[before % 2 == 0]
        return np.searchsorted(marks, block.ends) - np.searchsorted(marks, block.starts) + 1

    def _stray_quotes(self, block: Block) -> np.ndarray:
        """bool (n,): whether a record has a quote that neither opens nor closes a field, nor is doubled inside one.

        Fast parsers swallow such records in surprising ways; they are read one by one.
        """
        assert self.quote is not None
        mark = ord(self.quote)
        raw = np.frombuffer(block.data, dtype=np.uint8)
        quotes = np.flatnonzero(raw == mark)
        stray = np.zeros(len(block), dtype=bool)
        if not len(quotes):
            return stray
        record = np.searchsorted(block.ends, quotes, side="right")
        first = np.searchsorted(quotes, block.starts)
        opens = (np.arange(len(quotes)) - first[record]) % 2 == 0
        edges = [ord(self.delimiter), 10, 13]
        previous = np.where(quotes == block.starts[record], 10, raw[quotes - 1])
        following = raw[np.minimum(quotes + 1, len(raw) - 1)]
        # Inside a quoted field a doubled quote looks like "closes" followed at once by "opens".
        fits = np.where(
            opens,
            np.isin(previous, edges) | ((previous == mark) & ~np.roll(opens, 1)),
            np.isin(following, [*edges, mark]),
        )
        stray[record[~fits]] = True
        counts = np.searchsorted(quotes, block.ends) - first
        return stray | (counts % 2 == 1)

    def _repair(self, block: Block, number: int, width: int) -> list[tuple[int, list[str]]]:
        """What can be saved of a record with the wrong number of fields.

        A stray quote glues lines together: the first line is reported, the ones behind it are read by themselves.
        """
        saved: list[tuple[int, list[str]]] = []
        physical = [part + b"\n" for part in block.record(number).split(b"\n")[:-1]]
        line = int(block.lines[number])
        for offset, raw in enumerate(physical):
            text = raw.decode("utf-8")
            if not text.strip():
                continue
            if self.quote and text.count(self.quote) % 2:
                reason = OPEN_QUOTE
            else:
                try:
                    fields = self._split(text)
                except csv.Error:
                    fields, reason = [], BAD_CSV
                else:
                    reason = f"{FIELD_COUNT}: {len(fields)} instead of {width}"
                if len(fields) == width:
                    saved.append((line + offset, fields))
                    continue
            block.broken.append(BrokenRow(line + offset, first_value(raw), reason))
        return saved

    def _read(self, block: Block, names: list[str], columns: Sequence[str]) -> pl.DataFrame | None:
        """All records at once, or None where one of them has quotes in odd places."""
        if not len(block):
            return _frame([], names, columns)
        try:
            frame = pl.read_csv(
                io.BytesIO(block.data),
                has_header=False,
                new_columns=names,
                separator=self.delimiter,
                quote_char=self.quote,
                infer_schema=False,
                columns=[names.index(name) for name in columns],
            )
        except pl.exceptions.PolarsError:
            return None
        return frame.select(columns) if frame.height == len(block) else None

    def _read_slowly(
        self, block: Block, names: list[str], columns: Sequence[str]
    ) -> tuple[pl.DataFrame, np.ndarray]:
        """One record at a time, so that only the broken ones are lost."""
        rows: list[list[str]] = []
        good = np.ones(len(block), dtype=bool)
        for number in range(len(block)):
            try:
                fields = self._split(block.record(number).decode("utf-8"))
            except csv.Error:
                fields = []
            if len(fields) == len(names):
                rows.append(fields)
            else:
                good[number] = False
                block.broken.append(
                    BrokenRow(int(block.lines[number]), first_value(block.record(number)), BAD_CSV)
                )
        return _frame(rows, names, columns), block.lines[good]


def _frame(rows: list[list[str]], names: Sequence[str], columns: Sequence[str]) -> pl.DataFrame:
    """Text columns from rows of fields; an empty field is null."""
    places = [names.index(name) for name in columns]
    return pl.DataFrame(
        {name: [row[place] or None for row in rows] for name, place in zip(columns, places, strict=True)},
        schema=dict.fromkeys(columns, pl.String),
    )
