"""Results kept by what they were made from: made once, found again until something they depend on changes."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

_DONE = ".complete"


def key_of(*parts: Any) -> str:
    """A short fingerprint of plain values; equal values give equal keys."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:12]


def content_of(folder: Path) -> str:
    """A fingerprint of the files below a folder: their names and bytes."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{file.relative_to(folder).as_posix()}\0{file.stat().st_size}\0".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def kept(home: Path, name: str, key: str, make: Callable[[Path], Any]) -> tuple[Path, bool]:
    """The folder with a result, made now where it is not there yet.

    Args:
        home: Where results are kept.
        name: What it is; earlier results of the same name are removed once this one is complete.
        key: What it was made from.
        make: Makes the result in an empty place: called with the folder, which does not exist yet.

    Returns:
        The folder, and whether it was there already.
    """
    folder = home / f"{name}-{key}"
    if (folder / _DONE).exists():
        return folder, True
    if folder.exists():  # cut off the last time
        shutil.rmtree(folder)
    home.mkdir(parents=True, exist_ok=True)
    make(folder)
    (folder / _DONE).touch()
    for old in home.glob(f"{name}-*"):
        if old != folder and old.is_dir():
            shutil.rmtree(old)
    return folder, False
