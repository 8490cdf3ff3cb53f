"""Which release is active: one small file replaced in one step, and the history of activations.

The pointer (`active.json`) is the truth; it also holds what was active before, so that going back needs nothing else.
The history (`history.jsonl`) is for people. A process killed between the two leaves a history that lacks its last
line; it is read with the pointer's own line added, and whoever writes next puts it there.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from bowerbird.serve.releases.release import ReleaseError
from bowerbird.tables.atomic import TEMPORARY, sync_folder, write_atomic

POINTER, HISTORY, _LOCK = "active.json", "history.jsonl", ".lock"
_MOST_BEFORE = 100
"""Releases one can go back through."""

Mark = tuple[int, int, int]


@dataclass(frozen=True)
class Active:
    """What the pointer says.

    Attributes:
        id: The active release.
        since: ms UTC when it became active.
        action: How.
        sequence: Counts activations and rollbacks.
        before: The releases active before it, oldest first; going back takes the last.
    """

    id: str
    since: int
    action: Literal["activate", "rollback"]
    sequence: int
    before: tuple[str, ...] = ()

    def line(self) -> dict[str, Any]:
        """Its line in the history."""
        found = asdict(self)
        del found["before"]
        return found


class Pointer:
    """The pointer in a folder of releases.

    Args:
        folder: The folder; made when something is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / POINTER

    def read(self) -> Active | None:
        """What is active; None where nothing ever was.

        Raises:
            ReleaseError: The file was damaged by something else than this program.
        """
        try:
            found = json.loads(self.path.read_bytes())
            return Active(**{**found, "before": tuple(found["before"])})
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError):
            raise ReleaseError(
                f"{self.path} is damaged.\n  Fix: choose the active release again: bowerbird rollback --to ID"
            ) from None

    def mark(self) -> Mark | None:
        """Changes whenever the pointer is written; None without a pointer."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size

    @contextmanager
    def locked(self) -> Iterator[None]:
        """The one place where things change; waits for another process that is there.

        It is held for moments only, and the kernel frees it when its process ends. Leftovers of processes that died
        are removed on entering.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            self._sweep()
            yield
        finally:
            os.close(handle)

    def move(self, decide: Callable[[Active | None], Active]) -> Active:
        """Points to another release.

        Args:
            decide: Called inside the lock with what is active now (None also where the pointer is damaged).

        Returns:
            What `decide` returned, once it is on the disk.
        """
        with self.locked():
            try:
                now = self.read()
            except ReleaseError:
                now = None
            self._mend(now)
            following = decide(now)
            write_atomic(self.path, json.dumps(asdict(following), indent=1).encode() + b"\n")
            self._append(following)
        return following

    def history(self) -> list[dict[str, Any]]:
        """All activations and rollbacks, oldest first: sequence, action, id, since (ms UTC)."""
        lines = _lines(self._history_bytes())
        active = self.read()
        if active is not None and (not lines or lines[-1]["sequence"] < active.sequence):
            lines.append(active.line())
        return lines

    def last_sequence(self) -> int:
        """The highest sequence number in the history, 0 where there is none."""
        return max((int(line["sequence"]) for line in _lines(self._history_bytes())), default=0)

    def _history_bytes(self) -> bytes:
        path = self.folder / HISTORY
        return path.read_bytes() if path.exists() else b""

    def _mend(self, now: Active | None) -> None:
        """Cuts off half a line, and adds the line that a process killed after moving the pointer still owed."""
        content = self._history_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(self.folder / HISTORY, whole)
        if now is not None and self.last_sequence() < now.sequence:
            self._append(now)

    def _append(self, entry: Active) -> None:
        path = self.folder / HISTORY
        new = not path.exists()
        with path.open("ab") as file:
            file.write(json.dumps(entry.line()).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if new:
            sync_folder(self.folder)

    def _sweep(self) -> None:
        for path in self.folder.glob(f"{TEMPORARY}*"):
            if not path.is_dir():
                path.unlink(missing_ok=True)  # files are only written inside the lock, which is ours
            elif not _in_use(path):
                remove_folder(path)


@contextmanager
def in_use(folder: Path) -> Iterator[None]:
    """Marks an unfinished folder as somebody's, for as long as the block and its process live."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _in_use(folder: Path) -> bool:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def remove_folder(folder: Path) -> None:
    """Deletes a folder that may be read-only; what cannot be deleted is left for the next sweep."""
    for path in (folder, *folder.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(stat.S_IRWXU)
    shutil.rmtree(folder, ignore_errors=True)


def _lines(content: bytes) -> list[dict[str, Any]]:
    found = []
    for line in content.split(b"\n"):
        try:
            entry = json.loads(line)
            int(entry["sequence"])
        except (ValueError, TypeError, KeyError):
            continue
        found.append(entry)
    return found


def following(
    now: Active | None, id: str, action: Literal["activate", "rollback"], since: int, sequence: int
) -> Active:
    """What the pointer says after an activation of `id` that comes after `now`."""
    before = () if now is None else now.before
    if action == "activate" and now is not None and now.id != id:
        before = (*before, now.id)[-_MOST_BEFORE:]
    elif action == "rollback":
        place = len(before) - 1 - before[::-1].index(id)
        before = before[:place]
    return Active(id, since, action, sequence, before)
