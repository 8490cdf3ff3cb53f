"""Where a report comes from: program, commit, data, machine."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bowerbird.tables.view import View

_LIBRARIES = ("numpy", "scipy", "torch", "polars", "implicit", "faiss-cpu")


def gather_facts(view: View | None = None, **more: Any) -> dict[str, Any]:
    """The circumstances of a result.

    Args:
        view: the data it was measured on; its fingerprint is recorded.
        more: anything else worth recording, e.g. `seed=0`.
    """
    facts: dict[str, Any] = {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "bowerbird": importlib.metadata.version("bowerbird"),
        "commit": commit(),
        "python": platform.python_version(),
        "libraries": {name: importlib.metadata.version(name) for name in _LIBRARIES if _installed(name)},
        "machine": f"{platform.system()} {platform.machine()}, {len(os.sched_getaffinity(0))} processors",
        "data": view.fingerprint if view is not None else None,
    }
    return facts | more


def commit(folder: Path | None = None) -> str | None:
    """The commit of the checkout this program runs from, with "+" if files differ from it; None elsewhere.

    Args:
        folder: a folder of the checkout; that of this package when left out.
    """
    where = folder or Path(__file__).parent
    if folder is None and not _git(where, "ls-files", "--error-unmatch", Path(__file__).name):
        return None  # installed inside somebody else's repository
    head = _git(where, "rev-parse", "HEAD")
    if not head:
        return None
    return head + ("+" if _git(where, "status", "--porcelain", "--untracked-files=no") else "")


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
