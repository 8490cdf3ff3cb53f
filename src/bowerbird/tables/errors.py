"""Errors a person can cause. `str(error)` is a complete sentence for them: where, what was found, and the fix."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

_SHOWN = 120


class BowerbirdError(Exception):
    """Base of every error that is shown to a person without a traceback."""


class TableError(BowerbirdError):
    """Something in a table is wrong.

    Args:
        message: What is wrong, one sentence.
        table: Name of the table (`events`, `items`, ...).
        column: Name of the column.
        row: Row or line number, counted from 1.
        value: The offending value; shown shortened.
        fix: What the person can do about it.
    """

    def __init__(
        self,
        message: str,
        *,
        table: str | None = None,
        column: str | None = None,
        row: int | None = None,
        value: Any = None,
        fix: str | None = None,
    ) -> None:
        self.message = message
        self.table, self.column, self.row, self.value, self.fix = table, column, row, value, fix
        place = [
            f"{name} {found!r}" if name != "row" else f"row {found}"
            for name, found in (("table", table), ("column", column), ("row", row))
            if found is not None
        ]
        text = f"{', '.join(place)}: {message}" if place else message
        if value is not None:
            text += f" (value: {shorten(value)})"
        if fix:
            text += f"\n  Fix: {fix}"
        super().__init__(text)

    def inside(self, table: str, file: str) -> TableError:
        """The same error, saying which table and file it is about."""
        return TableError(
            f"file {file}: {self.message}",
            table=self.table or table,
            column=self.column,
            row=self.row,
            value=self.value,
            fix=self.fix,
        )


class WallError(BowerbirdError):
    """A read past the wall in time of a view."""


class ConfigError(BowerbirdError):
    """A setting is unknown, mistyped or out of range."""


class StoreError(BowerbirdError):
    """A store is missing, incomplete, written by a newer version, or busy with another writer."""


def shorten(value: Any, limit: int = _SHOWN) -> str:
    """`repr(value)` cut to `limit` characters, so that a gigantic value never floods a message."""
    text = repr(value[: limit * 2]) if isinstance(value, (str, bytes)) else repr(value)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """A hint naming the closest known word, or listing the known ones; never empty.

    Args:
        wrong: The word that was not recognised.
        known: The words that would have been accepted.
    """
    words: Sequence[str] = sorted(known)
    close = get_close_matches(wrong, words, n=2, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(repr(word) for word in close)}?"
    return f"known: {', '.join(words) if words else '(none)'}"
