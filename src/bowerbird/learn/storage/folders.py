"""Folders that appear whole: staged beside their place, flushed, renamed; with a manifest of content hashes.

Artifacts, checkpoints and signals are all such folders. The manifest is a JSON file with the format version,
the content, the SHA-256 and size of every other file, and a hash of itself, so that any changed byte is
noticed.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bowerbird.tables.atomic import sync_file, sync_folder
from bowerbird.tables.errors import BowerbirdError

FORMAT = 1


class FolderError(BowerbirdError):
    """A folder of ours cannot be written, or is missing, damaged or of another format."""


@contextmanager
def staged_folder(target: Path) -> Iterator[Path]:
    """A temporary folder beside ``target`` that takes its place when the block ends without an error.

    Every file is flushed to disk before the rename. A killed writer leaves ``target`` as it was; in the
    instant between moving an old folder aside and the new one in, the old one is found again by
    :func:`read_manifest`.

    Args:
        target: the final folder; replaced if it exists.

    Yields:
        The empty folder to fill.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    stage = target.with_name(f".{target.name}.new-{secrets.token_hex(4)}")
    stage.mkdir()
    try:
        yield stage
        for file in stage.iterdir():
            sync_file(file)
        sync_folder(stage)
        _put_back(target)
        aside = target.with_name(f".{target.name}.old-{secrets.token_hex(4)}")
        if target.exists():
            target.rename(aside)
        stage.rename(target)
        sync_folder(target.parent)
        for old in target.parent.glob(f".{target.name}.old-*"):
            shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def write_manifest(folder: Path, name: str, content: Mapping[str, Any], files: Sequence[str]) -> None:
    """Write ``folder/name``: the content plus format version and hashes.

    Args:
        folder: the folder holding ``files``.
        name: file name of the manifest.
        content: JSON-able values with string keys, ``"kind"`` among them.
        files: names of the files to hash.

    Raises:
        FolderError: if the content has no JSON form.
    """
    head = dict(content) | {
        "format": FORMAT,
        "files": {
            file: {"sha256": _sha256(folder / file), "bytes": (folder / file).stat().st_size}
            for file in files
        },
    }
    try:
        head["sha256"] = hashlib.sha256(_canonical(head)).hexdigest()
        text = json.dumps(head, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise FolderError(
            f"{name}: {error}; only finite numbers, strings, booleans, lists and dicts fit"
        ) from error
    (folder / name).write_text(text + "\n", encoding="utf-8")


def read_manifest(folder: Path, name: str, *, kind: str) -> dict[str, Any]:
    """Read and verify ``folder/name`` and every file it lists.

    Args:
        folder: the folder.
        name: file name of the manifest.
        kind: the expected ``"kind"``.

    Returns:
        The content that :func:`write_manifest` was given, plus ``format`` and ``files``.

    Raises:
        FolderError: if anything is missing, damaged, of another kind or of a newer format.
    """
    _put_back(folder)
    path = folder / name
    try:
        head = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FolderError(f"{folder} has no {name}, so it is not {_a(kind)}") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise FolderError(f"{path} is damaged: not valid JSON ({error})") from error
    if not isinstance(head, dict) or head.get("kind") != kind:
        raise FolderError(f"{path} does not describe {_a(kind)}")
    if head.get("format") != FORMAT:
        raise FolderError(
            f"{path} has format {head.get('format')!r}; this version of Bowerbird reads format {FORMAT}"
        )
    stated = head.pop("sha256", None)
    if stated != hashlib.sha256(_canonical(head)).hexdigest():
        raise FolderError(f"{path} is damaged: its content does not match its own hash")
    for file, facts in head["files"].items():
        found = folder / file
        if not found.is_file():
            raise FolderError(f"{folder} is damaged: {file} is missing")
        if found.stat().st_size != facts["bytes"]:
            raise FolderError(f"{found} is damaged: {found.stat().st_size} bytes, expected {facts['bytes']}")
        if _sha256(found) != facts["sha256"]:
            raise FolderError(f"{found} is damaged: its content does not match the hash in {name}")
    return head


def _a(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def _canonical(head: Mapping[str, Any]) -> bytes:
    return json.dumps(
        head, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":")
    ).encode()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _put_back(target: Path) -> None:
    """Undo a replacement that was killed between its two renames."""
    if target.exists() or not target.parent.is_dir():
        return
    aside = sorted(target.parent.glob(f".{target.name}.old-*"))
    if aside:
        aside[-1].rename(target)
