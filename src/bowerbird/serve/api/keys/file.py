"""The file with the keys: JSON, mode 0600, replaced as a whole, changed by one process at a time."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bowerbird.serve.api.keys.key import ALL_SCOPES, Key, KeyRecord, Scope
from bowerbird.tables.atomic import WriterLock, flush, replacing
from bowerbird.tables.errors import BowerbirdError, StoreError, did_you_mean, shorten

FORMAT = 1
_MAX_NAME = 80


class KeyFileError(BowerbirdError):
    """The file with the keys cannot be used, or a key cannot be made or found."""


class KeyFile:
    """The keys of one engine.

    Args:
        path: The file; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def exists(self) -> bool:
        """Whether a key was ever made here."""
        return self.path.exists()

    def read(self) -> list[KeyRecord]:
        """All keys, oldest first; none where the file does not exist.

        Raises:
            KeyFileError: It is damaged, cannot be read, or can be changed by other users of the machine.
        """
        try:
            with self.path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                content = file.read()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise KeyFileError(
                f"keys file {self.path}: {error.strerror}; check its owner and mode"
            ) from error
        if mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise KeyFileError(
                f"keys file {self.path} can be changed by other users, who could add keys of their own\n"
                f"  Fix: see that all its keys are yours (`bowerbird keys list`), after chmod 600 {self.path}"
            )
        try:
            return _records(json.loads(content))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise KeyFileError(
                f"keys file {self.path} is damaged ({type(error).__name__})\n"
                "  Fix: restore it, or delete it and make new keys: bowerbird keys create"
            ) from error

    def create(self, name: str, scopes: Iterable[Scope]) -> Key:
        """Makes a key and keeps its hash.

        Args:
            name: What it is for; 1 to 80 characters on one line.
            scopes: What it opens, at least one.

        Returns:
            The key: this is the only time its secret is known.

        Raises:
            KeyFileError: Bad name or scopes, or the file cannot be written.
        """
        if not 1 <= len(name) <= _MAX_NAME or not name.isprintable():
            raise KeyFileError(
                f"a key's name is 1 to {_MAX_NAME} characters on one line, got {shorten(name, 20)}"
            )
        wanted = list(scopes)
        for scope in wanted:
            if scope not in ALL_SCOPES:
                raise KeyFileError(
                    f"unknown scope {shorten(scope, 20)}; {did_you_mean(str(scope), ALL_SCOPES)}"
                )
        if not wanted:
            raise KeyFileError(f"a key needs at least one scope of {', '.join(ALL_SCOPES)}")
        with self._writing():
            key = Key.new()
            self._write([*self.read(), key.record(name, wanted)])
        return key

    def revoke(self, id: str) -> KeyRecord:
        """Removes a key; a running server refuses it from the next request on.

        Args:
            id: The public part of the key.

        Raises:
            KeyFileError: There is none with this id.
        """
        with self._writing():
            records = self.read()
            found = [record for record in records if record.id == id]
            if not found:
                # Somebody may paste the whole key here: its secret has no place in a message.
                key = Key.parse(id)
                wrong = key.id if key else id
                hint = "give the id alone" if key else did_you_mean(id, [record.id for record in records])
                raise KeyFileError(f"there is no key with the id {shorten(wrong, 20)}; {hint}")
            self._write([record for record in records if record.id != id])
        return found[0]

    def _writing(self) -> WriterLock:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            return WriterLock(self.path.with_name(f".{self.path.name}.lock"))
        except StoreError as error:
            raise KeyFileError(
                f"keys file {self.path} is being changed by another process; try again"
            ) from error
        except OSError as error:
            raise KeyFileError(
                f"keys file {self.path} cannot be written: {error.strerror}; choose another place with --keys"
            ) from error

    def _write(self, records: Sequence[KeyRecord]) -> None:
        content = {"kind": "api keys", "format": FORMAT, "keys": [_plain(record) for record in records]}
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        with replacing(self.path) as temporary:
            temporary.unlink(missing_ok=True)
            # The mode is set when the file is made, not afterwards: there is no moment in which others can open it.
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(text.encode())
                flush(file)


def _plain(record: KeyRecord) -> dict[str, Any]:
    return {
        "id": record.id, "name": record.name, "scopes": list(record.scopes), "created": record.created,
        "sha256": record.digest.hex(),
    }  # fmt: skip


def _records(content: Any) -> list[KeyRecord]:
    if content["kind"] != "api keys" or content["format"] != FORMAT:
        raise ValueError("another kind of file")
    found = []
    for entry in content["keys"]:
        digest = bytes.fromhex(entry["sha256"])
        if len(digest) != 32 or not set(entry["scopes"]) <= set(ALL_SCOPES):
            raise ValueError("a damaged entry")
        record = KeyRecord(
            str(entry["id"]), str(entry["name"]), tuple(entry["scopes"]), int(entry["created"]), digest
        )
        found.append(record)
    return found
