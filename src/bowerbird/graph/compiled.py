"""Compiled loops are kept between runs, and forgotten when any source they were made from has changed.

numba notices a change of the file that a function stands in, not of the functions it calls: after an edit or an upgrade
it would run old and new machine code together, which crashes at best.
"""

from __future__ import annotations

import contextlib
from functools import cache
from hashlib import blake2b
from pathlib import Path

from bowerbird.tables.atomic import write_atomic

_STAMP = "sources.digest"


@cache
def forget_stale(folder: Path = Path(__file__).parent) -> bool:
    """Deletes what was compiled from other sources than the ones in a folder. Cheap; once a process.

    Args:
        folder: Of the sources; this package when left out.

    Returns:
        Whether there was anything to forget. A folder that cannot be written to is left alone: numba keeps what it
        compiles elsewhere then.
    """
    digest = blake2b(digest_size=16)
    for source in sorted(folder.rglob("*.py")):
        digest.update(f"{source.relative_to(folder)}\0".encode() + source.read_bytes())
    stamp = folder / "__pycache__" / _STAMP
    with contextlib.suppress(OSError):
        if stamp.read_text() == digest.hexdigest():
            return False
    found = False
    with contextlib.suppress(OSError):
        for kept in folder.rglob("__pycache__/*.nb[ic]"):
            kept.unlink(missing_ok=True)
            found = True
        stamp.parent.mkdir(exist_ok=True)
        write_atomic(stamp, digest.hexdigest().encode())
    return found
