"""The keys a running server accepts."""

from __future__ import annotations

import hmac
import logging
import threading
from collections.abc import Iterable

from bowerbird.serve.api.keys.file import KeyFile, KeyFileError
from bowerbird.serve.api.keys.key import Key, KeyRecord, Scope

log = logging.getLogger("bowerbird.serve")

_Mark = tuple[int, int, int] | None
_NOBODY = bytes(32)
"""Compared with when the id is unknown, so that known and unknown ids take the same time."""


class KeyRing:
    """Checks keys. Safe to share between threads.

    The file is looked at on every check (one `stat`), so a key made or revoked by `bowerbird keys` counts from the
    next request on. A file that is missing or damaged opens nothing.

    Args:
        file: Where keys are kept; None = only those made by `issue`.
    """

    def __init__(self, file: KeyFile | None = None) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._mark: _Mark = None
        self._kept: dict[str, KeyRecord] = {}
        self._issued: dict[str, KeyRecord] = {}

    def issue(self, name: str, scopes: Iterable[Scope]) -> Key:
        """A key that lives in memory only and ends with this process."""
        key = Key.new()
        self._issued[key.id] = key.record(name, scopes)
        return key

    def check(self, text: str) -> KeyRecord | None:
        """The record of a key as it is presented; None where it opens nothing.

        Args:
            text: `bb_<id>_<secret>`.
        """
        key = Key.parse(text)
        if key is None:
            return None
        record = self._issued.get(key.id) or self._records().get(key.id)
        same = hmac.compare_digest(key.digest, _NOBODY if record is None else record.digest)
        return record if same else None

    def _records(self) -> dict[str, KeyRecord]:
        if self._file is None:
            return {}
        mark = self._look()
        if mark != self._mark:
            with self._lock:
                self._load(self._file, mark)
        return self._kept

    def _look(self) -> _Mark:
        assert self._file is not None
        try:
            found = self._file.path.stat()
        except OSError:
            return None
        # Every change is a new file, so its inode or its time differs.
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _load(self, file: KeyFile, mark: _Mark) -> None:
        try:
            self._kept = {record.id: record for record in file.read()}
        except KeyFileError as error:
            self._kept = {}
            log.error("no key is accepted: %s", error)
        self._mark = mark
