"""The report of rejected rows: one JSON line each, with table, file, line, column, value and reason."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import orjson

from bowerbird.tables.atomic import TEMPORARY, flush
from bowerbird.tables.ingest.checks import Rejected

FOLDER = "rejected"
STOPPED = "stopped.jsonl"
"""Name of the report of an ingest that was stopped; it belongs to no generation."""


class RejectLog:
    """Writes rejected rows to a temporary file that gets its name when the ingest ends.

    Args:
        store: Folder of the store.
    """

    def __init__(self, store: Path) -> None:
        self._folder = store / FOLDER
        self._path = self._folder / f"{TEMPORARY}{os.getpid()}.jsonl"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("wb")
        self.reasons: dict[str, Counter[str]] = {}

    def add(self, table: str, file: str, rows: Iterable[Rejected]) -> int:
        """Writes the rejected rows of a file; returns how many."""
        count = 0
        reasons = self.reasons.setdefault(table, Counter())
        for row in rows:
            place = f" (column {row.column})" if row.column else ""
            reasons[f"{row.reason.split(':')[0] if row.column is None else row.reason}{place}"] += 1
            found = {
                "table": table,
                "file": file,
                "line": row.line,
                "column": row.column,
                "value": row.value,
                "reason": row.reason,
            }
            self._file.write(orjson.dumps(found, option=orjson.OPT_APPEND_NEWLINE))
            count += 1
        return count

    def keep(self, name: str) -> Path | None:
        """Gives the report its name; None (and no file) where nothing was rejected."""
        if not sum(reasons.total() for reasons in self.reasons.values()):
            self.drop()
            return None
        flush(self._file)
        self._file.close()
        final = self._folder / name
        self._path.replace(final)
        return final

    def drop(self) -> None:
        """Deletes the unfinished report; harmless after `keep`."""
        self._file.close()
        self._path.unlink(missing_ok=True)
