"""What people do on the simulated platform, in compiled loops."""

from __future__ import annotations

from pathlib import Path


def forget_stale_code(package: Path) -> list[Path]:
    """Delete cached machine code that is older than any source file of the package.

    Compiled functions are cached beside their source, and the cache looks only at the file a function
    stands in. A change in `choice.py` would leave the old choice inside the cached code of `sessions.py`;
    so all of it goes as soon as one file is newer, as `make` would do.

    Args: package: folder searched with its sub-folders. Returns the index files that were deleted.
    """
    newest = max(source.stat().st_mtime_ns for source in package.rglob("*.py"))
    stale = [index for index in sorted(package.rglob("*.nbi")) if index.stat().st_mtime_ns <= newest]
    for index in stale:
        index.unlink(missing_ok=True)
    return stale


forget_stale_code(Path(__file__).parents[1])
