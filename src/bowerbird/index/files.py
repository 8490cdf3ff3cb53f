"""Saved indexes: a folder with `index.json` (version, kind, sizes and SHA-256 of the other files)."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bowerbird.index.checks import VectorIndexError
from bowerbird.tables.atomic import TEMPORARY, replace_directory

FORMAT = 2
HEAD = "index.json"


def write_folder(
    folder: Path, head: Mapping[str, Any], files: Mapping[str, Callable[[Path], object]]
) -> None:
    """Write an index so that a reader sees the old one or the whole new one.

    Args:
        folder: the final place; replaced if it exists.
        head: JSON-able facts.
        files: file name -> a function that writes the file at the path it is given.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    stage = folder.with_name(f"{TEMPORARY}{os.getpid()}-{folder.name}")
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir()
    try:
        for name, write in files.items():
            write(stage / name)
        listed = {
            name: {"bytes": (stage / name).stat().st_size, "sha256": _sha256(stage / name)} for name in files
        }
        text = json.dumps({**head, "format": FORMAT, "files": listed}, indent=1, sort_keys=True)
        (stage / HEAD).write_text(text + "\n", encoding="utf-8")
        replace_directory(stage, folder)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def read_head(folder: Path, *, verify: bool) -> dict[str, Any]:
    """Read and check `index.json`.

    Args:
        folder: where the index is.
        verify: compare the content of every file with its hash, not only its size.

    Raises:
        VectorIndexError: missing, damaged, or of another version.
    """
    path = folder / HEAD
    try:
        head: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise VectorIndexError(f"{folder} holds no index (no {HEAD}); build one and save it there") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise VectorIndexError(f"{path} is damaged ({error}); build the index again") from None
    if head.get("format") != FORMAT or head.get("kind") not in ("exact", "ivf"):
        raise VectorIndexError(
            f"{path} has format {head.get('format')!r} and kind {head.get('kind')!r}; "
            f"this program reads format {FORMAT}"
        )
    for name, facts in head["files"].items():
        file = folder / name
        if not file.is_file():
            raise VectorIndexError(f"{folder} is damaged: {name} is missing; build the index again")
        if file.stat().st_size != facts["bytes"] or (verify and _sha256(file) != facts["sha256"]):
            raise VectorIndexError(f"{file} is damaged: it is not what {HEAD} says; build the index again")
    return head


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
