"""JSON lines: one object a line."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import polars as pl

from bowerbird.tables.ingest.readers.batch import BAD_JSON, NOT_AN_OBJECT, BrokenRow, RawBatch, first_value
from bowerbird.tables.ingest.readers.delimited import Opener
from bowerbird.tables.ingest.readers.lines import Block, read_blocks

_SAMPLE = 1000
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class JsonReader:
    """Reads a file with one JSON object a line.

    Every value becomes text: strings as they are, numbers and truth values as JSON writes them, lists and objects as
    JSON. A key that is missing is null.

    Attributes:
        open: Opens the file.
        max_line: Longest line in bytes.
    """

    open: Opener
    max_line: int

    def columns(self) -> list[str]:
        """The keys of the first objects, in order of appearance."""
        keys: dict[str, None] = {}
        with self.open() as (file, _):
            for block in read_blocks(file, quote=None, max_line=self.max_line, block=1 << 18):
                for number in range(min(len(block), _SAMPLE)):
                    found = _loads(block.record(number).removeprefix(_BOM))
                    if isinstance(found, dict):
                        keys |= dict.fromkeys(found)
                if len(block):
                    break
        return list(keys)

    def batches(self, columns: Sequence[str]) -> Iterator[RawBatch]:
        """Reads the asked keys as text."""
        with self.open() as (file, position):
            for block in read_blocks(file, quote=None, max_line=self.max_line):
                frame = _read(block, columns)
                if frame is None:
                    yield _read_slowly(block, columns, position())
                else:
                    yield RawBatch(frame, block.lines, block.broken, position())


def _read(block: Block, columns: Sequence[str]) -> pl.DataFrame | None:
    """All lines at once, or None where one of them is not an object."""
    schema = dict.fromkeys(columns, pl.String)
    if not len(block):
        return pl.DataFrame(schema=schema)
    raw = np.frombuffer(block.data, dtype=np.uint8)
    if not (raw[block.starts] == ord("{")).all():
        return None
    try:
        frame = pl.read_ndjson(io.BytesIO(block.data), schema=schema)
    except pl.exceptions.PolarsError:
        return None
    return frame if frame.height == len(block) else None


def _read_slowly(block: Block, columns: Sequence[str], position: float) -> RawBatch:
    """One line at a time, so that only the broken ones are lost."""
    values: dict[str, list[str | None]] = {name: [] for name in columns}
    good = np.ones(len(block), dtype=bool)
    for number in range(len(block)):
        raw = block.record(number).removeprefix(_BOM)
        found = _loads(raw)
        if isinstance(found, dict):
            for name in columns:
                values[name].append(_text(found.get(name)))
            continue
        good[number] = False
        if not raw.strip():
            continue
        reason = BAD_JSON if found is _BROKEN else NOT_AN_OBJECT
        block.broken.append(BrokenRow(int(block.lines[number]), first_value(raw), reason))
    frame = pl.DataFrame(values, schema=dict.fromkeys(columns, pl.String))
    return RawBatch(frame, block.lines[good], block.broken, position)


_BROKEN = object()


def _loads(raw: bytes) -> Any:
    """The value, or `_BROKEN`."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        pass
    try:  # integers beyond 64 bits are JSON too; NaN and Infinity are not
        return json.loads(raw, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return _BROKEN


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return json.dumps(value, ensure_ascii=False)
