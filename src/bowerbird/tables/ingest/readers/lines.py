"""Cutting a text file into records with bounded memory.

A record ends at a line feed outside quotes. A line longer than the limit is never held: it is reported and skipped. A
record of several lines that is too long or not UTF-8 is mostly the work of a stray quote: the first line of one that
is too long is reported and reading goes on behind it; one that is not UTF-8 is cut into its lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np

from bowerbird.tables.ingest.readers.batch import (
    NOT_UTF8,
    OPEN_QUOTE,
    TOO_LONG,
    BrokenRow,
    first_value,
    runs,
)

BLOCK = 16 * 2**20
_NEWLINE = 10


@dataclass
class Block:
    """Whole records.

    Attributes:
        data: The bytes of the records, line feeds included.
        starts: int64 (n,) offset of each record in `data`.
        ends: int64 (n,) offset behind each record's line feed.
        lines: int64 (n,) line number each record starts on, counted from 1.
        broken: Lines that were skipped.
    """

    data: bytes
    starts: np.ndarray
    ends: np.ndarray
    lines: np.ndarray
    broken: list[BrokenRow] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.starts)

    def record(self, number: int) -> bytes:
        """The bytes of one record."""
        return self.data[self.starts[number] : self.ends[number]]

    def keep(self, good: np.ndarray) -> Block:
        """The records for which `good` (bool (n,)) is True; `broken` stays."""
        if good.all():
            return self
        pieces = [self.data[self.starts[first] : self.ends[last - 1]] for first, last in runs(good)]
        sizes = (self.ends - self.starts)[good]
        ends = np.cumsum(sizes)
        return Block(b"".join(pieces), ends - sizes, ends, self.lines[good], self.broken)


def read_blocks(file: BinaryIO, *, quote: str | None, max_line: int, block: int = BLOCK) -> Iterator[Block]:
    """Cuts a file into blocks of whole, valid UTF-8 records.

    Args:
        file: The file, opened for bytes.
        quote: Quote character inside which line feeds are data, or None.
        max_line: Longest record in bytes.
        block: Bytes read at once.

    Yields:
        Blocks in order. Blank lines are left out. Together they report every line that is not a record.
    """
    mark = ord(quote) if quote else None
    rest, line, ended, skipping, again = b"", 1, False, False, False
    broken: list[BrokenRow] = []
    while not ended or rest:
        if not ended and not again:
            chunk = file.read(block)
            ended = not chunk
            if skipping:
                found = chunk.find(b"\n")
                if found < 0:
                    continue
                chunk, skipping, line = chunk[found + 1 :], False, line + 1
            rest = rest + chunk if rest else chunk
            if ended and rest and not rest.endswith(b"\n"):
                rest += b"\n"
        feeds, ends = _record_ends(rest, mark)
        whole = _before_overlong(feeds, ends, max_line)
        again = whole < len(ends)
        if whole:
            cut = int(ends[whole - 1])
            before = feeds[feeds < cut]
            yield _finish(rest[:cut], ends[:whole], before, line, max_line, broken)
            line += len(before)
            rest, broken = rest[cut:], []
        if again or len(rest) > max_line or (ended and rest):
            # What is left begins with a gigantic line, or with a quote that stays open for too long.
            feed = rest.find(b"\n")
            reason = OPEN_QUOTE if 0 <= feed <= max_line else TOO_LONG
            broken.append(BrokenRow(line, first_value(rest[: feed if feed >= 0 else 1000]), reason))
            if feed >= 0:
                rest, line = rest[feed + 1 :], line + 1
            else:
                rest, skipping = b"", not ended
    if broken:
        none = np.empty(0, dtype=np.int64)
        yield Block(b"", none, none, none, broken)


def _before_overlong(feeds: np.ndarray, ends: np.ndarray, max_line: int) -> int:
    """How many records stand before the first one that has several lines and is too long."""
    for number in np.flatnonzero(np.diff(ends, prepend=0) > max_line + 1).tolist():
        begin = ends[number - 1] if number else 0
        if feeds[np.searchsorted(feeds, begin)] + 1 < ends[number]:
            return int(number)
    return len(ends)


def _record_ends(data: bytes, quote: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Offsets of all line feeds, and offsets behind those that end a record."""
    raw = np.frombuffer(data, dtype=np.uint8)
    feeds = np.flatnonzero(raw == _NEWLINE)
    if quote is None:
        return feeds, feeds + 1
    # Doubled quotes inside quotes keep the count even, so the count alone tells inside from outside.
    quotes = np.flatnonzero(raw == quote)
    return feeds, feeds[np.searchsorted(quotes, feeds) % 2 == 0] + 1


def _finish(
    data: bytes, ends: np.ndarray, feeds: np.ndarray, line: int, max_line: int, broken: list[BrokenRow]
) -> Block:
    """A block without blank, too long or undecodable records."""
    bad = list(_undecodable(data, ends))
    if bad:
        begin = np.concatenate([[0], ends[:-1]])
        inside = [feeds[(feeds >= begin[number]) & (feeds < ends[number])] + 1 for number in bad]
        ends = np.unique(np.concatenate([ends, *inside]))
    starts = np.concatenate([[0], ends[:-1]])
    lines = line + np.searchsorted(feeds, starts)
    block = Block(data, starts, ends, lines, broken)
    good = np.ones(len(block), dtype=bool)
    sizes = ends - starts
    for number in np.flatnonzero(sizes <= 2).tolist():
        good[number] = bool(block.record(number).strip(b"\r\n"))
    for number in np.flatnonzero(sizes > max_line + 1).tolist():
        broken.append(BrokenRow(int(lines[number]), first_value(block.record(number)), TOO_LONG))
        good[number] = False
    for number in _undecodable(data, ends) if bad else ():
        if good[number]:
            broken.append(BrokenRow(int(lines[number]), first_value(block.record(number)), NOT_UTF8))
            good[number] = False
    return block.keep(good)


def _undecodable(data: bytes, ends: np.ndarray) -> Iterator[int]:
    """Numbers of the records that are not UTF-8. Good data is decoded once, in one piece."""
    if _decodes(data):
        return
    start = 0
    for number, end in enumerate(ends.tolist()):
        if not _decodes(data[start:end]):
            yield number
        start = end


def _decodes(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
