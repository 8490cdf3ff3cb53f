"""Is a release whole, and does it fit this program and this store? Every answer names the file or the reason.

Reading all bytes of a large index takes seconds, so there are two depths: sizes of all files with the content of the
small ones, and the content of all.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

from bowerbird.serve.releases.release import HEAD, VOCABULARY, Release, ReleaseError, hash_of_file
from bowerbird.serve.releases.vocabulary import difference

if TYPE_CHECKING:
    from bowerbird.tables.store import Store

SMALL = 1 << 20
"""Bytes up to which the content of a file is compared even where only sizes are asked for."""
_SHOWN = 5


def damages(release: Release, *, full: bool) -> list[str]:
    """What is wrong with the files of a release, one sentence each; empty where it is whole.

    Args:
        release: Its `release.json` was read from its folder.
        full: Compare the content of every file, not only of the small ones.
    """
    found: list[str] = []
    folders = {parent.as_posix() for name in release.files for parent in Path(name).parents}
    present: set[str] = set()
    for path in sorted(release.path.rglob("*")):
        name = path.relative_to(release.path).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            found.append(f"{name} is not a plain file")
        elif path.is_dir():
            if name not in folders:
                found.append(f"the folder {name} does not belong to the release")
        elif name in release.files:
            present.add(name)
        elif name != HEAD:
            found.append(f"{name} does not belong to the release")
    for name in release.files:
        try:
            problem = _damage(release, name, full) if name in present else f"{name} is missing"
        except OSError as error:
            problem = f"{name} cannot be read ({error.strerror})"
        if problem:
            found.append(problem)
    return found


def _damage(release: Release, name: str, full: bool) -> str:
    path, size = release.path / name, release.sizes[name]
    if path.stat().st_size != size:
        return f"{name} has {path.stat().st_size} bytes, not {size}"
    if (full or size <= SMALL) and hash_of_file(path) != release.files[name]:
        return f"the content of {name} was changed"
    return ""


def require_whole(release: Release, *, full: bool) -> None:
    """Raises a `ReleaseError` naming the files where a release is damaged; see `damages`."""
    found = damages(release, full=full)
    if not found:
        return
    more = f" (and {len(found) - _SHOWN} more)" if len(found) > _SHOWN else ""
    raise ReleaseError(
        f"release {release.id} is damaged: {'; '.join(itertools.islice(found, _SHOWN))}{more}.\n"
        "  Fix: publish the model again; `bowerbird rollback` goes back to the release before"
    )


def require_fit(release: Release, store: Store) -> None:
    """Checks that this program and this store can serve a release, without loading its model.

    Raises:
        ReleaseError: With the reason and what to do.
    """
    import bowerbird
    from bowerbird.learn.registry import LEARNERS
    from bowerbird.tables.errors import did_you_mean

    def refuse(reason: str, fix: str) -> ReleaseError:
        return ReleaseError(f"release {release.id} cannot be served here: {reason}.\n  Fix: {fix}")

    if release.learner not in LEARNERS:
        raise refuse(
            f"its model was made by {release.learner!r}, which this Bowerbird does not know "
            f"({did_you_mean(release.learner, LEARNERS)})",
            "upgrade Bowerbird, or publish a model of a learner known here",
        )
    if _version(release.version) > _version(bowerbird.__version__):
        raise refuse(
            f"it was made by Bowerbird {release.version}, this is {bowerbird.__version__}",
            "upgrade Bowerbird, or fit and publish with this version",
        )
    schema, served = release.store.get("schema_version"), store.manifest.schema_version
    if schema != served:
        newer = isinstance(schema, int) and schema > served
        raise refuse(
            f"it was made from a store of version {schema}, this store has version {served}",
            "upgrade Bowerbird and ingest again" if newer else "publish the model again from this store",
        )
    if release.store.get("dataset") != store.manifest.dataset:
        raise refuse(
            f"it was made from {release.store.get('dataset')!r}, the store holds {store.manifest.dataset!r}",
            "give the store it was published from, or one grown from it",
        )
    reason = difference(release.vocabulary, release.path / VOCABULARY, store)
    if reason is not None:
        raise refuse(
            reason, "give the store it was published from, or one grown from it; or fit and publish again"
        )


def _version(text: str) -> tuple[int, ...]:
    """Major and minor number; models stay readable within one minor version."""
    parts = text.split(".")[:2]
    return tuple(int(part) if part.isdecimal() else 0 for part in parts)
