"""A release: what `release.json` says, and reading it without trusting it.

A release folder holds `release.json` (everything known about it, the SHA-256 and size of every other file, and a hash
of itself), `model/` (the artifact), `index/` (item vectors, ready to be memory-mapped) and `vocabulary/`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bowerbird.tables.errors import BowerbirdError

FORMAT = 1
HEAD = "release.json"
MODEL, INDEX, VOCABULARY = "model", "index", "vocabulary"

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,100}")


class ReleaseError(BowerbirdError):
    """A release is missing, damaged, does not fit, or cannot be made."""


@dataclass(frozen=True)
class Release:
    """What is known about one release.

    Attributes:
        id: Its name: when it was made and a short hash of what it was made from.
        path: Its folder.
        created: ms UTC.
        learner: Registry name of the learner of its model.
        model_hash: SHA-256 of the artifact's `artifact.json`, which holds the hashes of the artifact's files.
        index_hash: SHA-256 of the index's `index.json`, likewise.
        data: Fingerprint of the store the model was fitted on.
        store: State of the store it was published from: dataset, content_hash, generation, schema_version.
        vocabulary: Of items, users, actions and surfaces: size, kind and hash of the ids in dense order.
        vocabulary_hash: Hash of `vocabulary`.
        metrics: What the model reached, as given by whoever published it.
        files: SHA-256 of every file by its path inside the folder; `release.json` is not among them.
        sizes: Bytes of every file.
        content: Hash of what it was made from: equal content is one release.
        version: Of the Bowerbird that wrote it.
        note: For people.
    """

    id: str
    path: Path
    created: int
    learner: str
    model_hash: str
    index_hash: str
    data: Mapping[str, Any]
    store: Mapping[str, Any]
    vocabulary: Mapping[str, Mapping[str, Any]]
    vocabulary_hash: str
    files: Mapping[str, str]
    sizes: Mapping[str, int]
    content: str
    version: str
    metrics: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""

    def write(self, folder: Path) -> None:
        """Writes `release.json` into a folder that is not a release yet.

        Raises:
            ReleaseError: A metric has no JSON form.
        """
        (folder / HEAD).write_text(json_text(self.facts()), encoding="utf-8")

    def facts(self) -> dict[str, Any]:
        """Everything but the path, as plain values."""
        return {name: value for name, value in asdict(self).items() if name != "path"}

    @classmethod
    def read(cls, folder: Path) -> Release:
        """Reads `release.json`; no other file is looked at.

        Raises:
            ReleaseError: It is missing, damaged, of a newer format, or of a release with another name.
        """
        path = folder / HEAD
        try:
            raw = path.read_bytes()
            head = json.loads(raw)
        except FileNotFoundError:
            raise ReleaseError(f"{folder} is no release: it has no {HEAD}") from None
        except OSError as error:
            raise ReleaseError(f"{path} cannot be read: {error.strerror}") from None
        except (UnicodeDecodeError, ValueError) as error:
            raise ReleaseError(f"{path} is damaged: it is not valid JSON ({error})") from None
        if not isinstance(head, dict) or head.get("kind") != "release":
            raise ReleaseError(f"{path} is damaged: it does not describe a release")
        found = head.get("format")
        if isinstance(found, int) and found > FORMAT:
            raise ReleaseError(
                f"{path} has format {found}, this version of Bowerbird reads up to {FORMAT}.\n"
                "  Fix: upgrade Bowerbird here, or publish with this version"
            )
        facts = {name: value for name, value in head.items() if name not in ("kind", "format", "sha256")}
        if found != FORMAT or raw != json_text(facts).encode():
            raise ReleaseError(f"{path} is damaged: its content does not match its own hash")
        if head.get("id") != folder.name:
            raise ReleaseError(
                f"{path} describes release {head.get('id')!r}; the folder was renamed or copied"
            )
        try:
            return cls(path=folder, **facts)
        except TypeError as error:
            raise ReleaseError(f"{path} is damaged: it does not describe a release ({error})") from None


def json_text(facts: Mapping[str, Any]) -> str:
    """The text of `release.json` for these facts."""
    head = {"kind": "release", "format": FORMAT, **facts}
    try:
        text = json.dumps({**head, "sha256": hash_of(head)}, indent=1, sort_keys=True, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise ReleaseError(
            f"metrics of a release: {error}.\n  Fix: give finite numbers, strings, booleans, lists and dicts"
        ) from None
    return text + "\n"


def hash_of(value: Any) -> str:
    """SHA-256 of the canonical JSON of plain values; equal values give equal hashes.

    Raises:
        TypeError, ValueError: A value has no JSON form.
    """
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def hash_of_file(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checked_id(text: str) -> str:
    """`text` if it can be the name of a release, so that no name leads out of the releases' folder.

    Raises:
        ReleaseError: It cannot.
    """
    if not _ID.fullmatch(text):
        raise ReleaseError(
            f"{text[:120]!r} cannot be the id of a release.\n  Fix: choose one that `bowerbird releases` lists"
        )
    return text
