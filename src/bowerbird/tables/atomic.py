"""Writes that survive a crash: temporary name, flush to disk, rename. Plus the lock that forbids two writers."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from bowerbird.tables.errors import StoreError

TEMPORARY = ".writing-"
"""Prefix of every file or folder that is not finished; whoever writes next may delete it."""


def write_atomic(path: Path, content: bytes | Callable[[BinaryIO], object]) -> None:
    """Writes `path` so that a reader sees the old file or the whole new one, never a part.

    Args:
        path: The file to (re)place; its folder must exist.
        content: The bytes, or a function that writes them to an open binary file.
    """
    with replacing(path) as temporary, temporary.open("wb") as file:
        if isinstance(content, bytes):
            file.write(content)
        else:
            content(file)
        flush(file)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary sibling path; when the block ends well it is flushed and renamed to `path`.

    For libraries that insist on opening the file themselves. On an error the temporary file is deleted.
    """
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")
    try:
        yield temporary
        sync_file(temporary)
        temporary.replace(path)
        sync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def replace_directory(temporary: Path, final: Path) -> None:
    """Puts the finished folder `temporary` at `final`, replacing what is there.

    Files are flushed first. POSIX cannot exchange two non-empty folders in one step, so an existing `final` is
    moved aside before the rename: a crash between the two leaves no folder at `final`, never a mixed one.
    """
    for found in sorted(temporary.rglob("*")):
        if found.is_file():
            sync_file(found)
        else:
            sync_folder(found)
    sync_folder(temporary)
    if final.exists():
        old = final.with_name(f"{TEMPORARY}{os.getpid()}-old-{final.name}")
        final.rename(old)
        temporary.rename(final)
        sync_folder(final.parent)
        shutil.rmtree(old)
        return
    temporary.rename(final)
    sync_folder(final.parent)


def flush(file: BinaryIO) -> None:
    """Pushes an open file through Python's and the system's buffers to the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_file(path: Path) -> None:
    """Flushes a closed file to the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Flushes a folder, so that renames inside it are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class WriterLock:
    """Only one writer at a time. The kernel frees the lock when its process ends, kill -9 included.

    Args:
        path: The lock file; it holds the process id of the writer, for the message shown to the second one.

    Raises:
        StoreError: Another writer holds the lock.
    """

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.read(self._handle, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(self._handle)
            raise StoreError(
                f"another writer (process {owner}) is busy with the store {path.parent}; wait for it to finish"
            ) from error
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, f"{os.getpid()}\n".encode("ascii"), 0)

    def release(self) -> None:
        """Frees the lock; harmless when called twice."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def __enter__(self) -> WriterLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
