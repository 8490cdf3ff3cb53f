"""Publishing: a fitted model and the state of a store become one immutable folder that servers only open."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bowerbird.serve.releases.pointer import in_use, remove_folder
from bowerbird.serve.releases.release import (
    INDEX,
    MODEL,
    VOCABULARY,
    Release,
    ReleaseError,
    hash_of,
    hash_of_file,
)
from bowerbird.serve.releases.releases import Releases
from bowerbird.serve.releases.verification import damages
from bowerbird.serve.releases.vocabulary import save_vocabularies, vocabulary_facts
from bowerbird.tables.atomic import TEMPORARY, sync_file, sync_folder
from bowerbird.tables.store import Store

_ARTIFACT_HEAD, _INDEX_HEAD = "artifact.json", "index.json"


def publish(
    artifact: Path | str,
    store: Store,
    root: Path | str,
    *,
    metrics: Mapping[str, Any] | None = None,
    note: str = "",
    activate: bool = True,
) -> Release:
    """Makes a release from a fitted model and the store it will answer from.

    The index is built here. The folder appears whole or not at all and is read-only from then on. The same model,
    state of the store and metrics are the same release: it is found, not made again (and keeps its first note).

    Args:
        artifact: Folder of the fitted model; it is copied.
        store: The store the model was fitted on, or one grown from it.
        root: Folder whose `releases/` takes it; usually that of the store.
        metrics: What the model reached; JSON values.
        note: For people.
        activate: Make it the active release.

    Raises:
        BowerbirdError: The artifact is missing or damaged or was fitted on another store, its learner cannot be
            served, or the metrics have no JSON form. Nothing is changed then.
    """
    source, releases = Path(artifact), Releases(root)
    facts = _facts(source, store, metrics or {})
    found = _same(releases, facts["content"])
    if found is None:
        with _stage(releases) as stage:
            release = _made(stage, source, store, releases.folder, {**facts, "note": note})
            with releases.pointer.locked():
                found = _same(releases, release.content)  # somebody else may have published it meanwhile
                if found is None:
                    stage.rename(release.path)
                    sync_folder(releases.folder)
                    found = release
    if activate:
        releases.activate(found.id)
    return found


def _facts(source: Path, store: Store, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """What is known before anything is built, and the hash of what the release is made from."""
    import bowerbird
    from bowerbird.learn.storage.folders import FolderError

    head, manifest = source / _ARTIFACT_HEAD, store.manifest
    if not head.is_file():
        raise FolderError(
            f"{source} holds no fitted model (no {_ARTIFACT_HEAD}).\n  Fix: make one with `bowerbird fit`"
        )
    vocabulary = vocabulary_facts(store)
    facts: dict[str, Any] = {
        "model_hash": hash_of_file(head), "version": bowerbird.__version__, "metrics": dict(metrics),
        "vocabulary": vocabulary, "vocabulary_hash": hash_of(vocabulary),
        "store": {
            "dataset": manifest.dataset, "content_hash": manifest.content_hash,
            "schema_version": manifest.schema_version,
        },
    }  # fmt: skip
    try:
        return {**facts, "content": hash_of(facts)}
    except (TypeError, ValueError) as error:
        raise ReleaseError(
            f"the metrics of a release cannot be kept: {error}.\n"
            "  Fix: give finite numbers, strings, booleans, lists and dicts"
        ) from None


def _same(releases: Releases, content: str) -> Release | None:
    """A whole release of this content; a damaged one does not count, so that publishing again mends it."""
    for release in releases.all():
        if release.content == content and not damages(release, full=True):
            return release
    return None


@contextmanager
def _stage(releases: Releases) -> Iterator[Path]:
    """An empty folder beside the releases that nobody else touches while this process lives; removed at the end."""
    with ExitStack() as claims:
        with releases.pointer.locked():  # claimed inside the lock: nobody sweeps it in between
            stage = releases.folder / f"{TEMPORARY}{os.getpid()}-{secrets.token_hex(4)}"
            stage.mkdir()
            claims.enter_context(in_use(stage))
        try:
            yield stage
        finally:
            if stage.exists():
                remove_folder(stage)


def _made(stage: Path, source: Path, store: Store, folder: Path, facts: Mapping[str, Any]) -> Release:
    """Fills the stage: model, index, vocabulary, `release.json`; flushed to the disk and read-only."""
    from bowerbird.learn.artifact import Artifact
    from bowerbird.serve.generators.opening import generator_of

    created = time.time_ns() // 1_000_000
    stamp = f"{datetime.fromtimestamp(created / 1000, UTC):%Y%m%dT%H%M%S}{created % 1000:03d}"
    id = f"{stamp}-{facts['content'][:10]}"
    _copy(source, stage / MODEL)
    if hash_of_file(stage / MODEL / _ARTIFACT_HEAD) != facts["model_hash"]:
        raise ReleaseError(f"{source} was replaced while it was being published.\n  Fix: publish it again")
    artifact = Artifact.load(stage / MODEL)
    _require_own_store(source, artifact.facts.get("data", {}), store)
    generator_of(artifact, store, id, pool_bytes=0).index.save(stage / INDEX)
    (stage / VOCABULARY).mkdir()
    save_vocabularies(store, stage / VOCABULARY)
    files = sorted(path for path in stage.rglob("*") if path.is_file())
    release = Release(
        id=id, path=folder / id, created=created, learner=artifact.learner, data=artifact.facts.get("data", {}),
        index_hash=hash_of_file(stage / INDEX / _INDEX_HEAD),
        files={path.relative_to(stage).as_posix(): hash_of_file(path) for path in files},
        sizes={path.relative_to(stage).as_posix(): path.stat().st_size for path in files}, **facts,
    )  # fmt: skip
    release.write(stage)
    for path in sorted(stage.rglob("*"), reverse=True):
        path.chmod(0o555 if path.is_dir() else 0o444)
        (sync_folder if path.is_dir() else sync_file)(path)
    stage.chmod(0o555)
    sync_folder(stage)
    return release


def _copy(source: Path, target: Path) -> None:
    """Copies an artifact's own files, whatever else lies in its folder, after verifying them."""
    from bowerbird.learn.storage.folders import read_manifest

    names = [*read_manifest(source, _ARTIFACT_HEAD, kind="artifact")["files"], _ARTIFACT_HEAD]
    target.mkdir()
    for name in names:
        if Path(name).name != name:
            raise ReleaseError(f"{source / _ARTIFACT_HEAD} names a file outside of its folder: {name!r}")
        shutil.copyfile(source / name, target / name)


def _require_own_store(source: Path, data: Mapping[str, Any], store: Store) -> None:
    """What can be told of an artifact's origin: a store only grows, so its counter of commits never goes back."""
    manifest = store.manifest
    generation, content = data.get("generation"), data.get("content_hash")
    if generation is None or content == manifest.content_hash:
        return
    if generation >= manifest.generation:
        raise ReleaseError(
            f"{source} was fitted on another store than {store.path} (commit {generation} with content "
            f"{str(content)[:10]}, here commit {manifest.generation} with content {manifest.content_hash[:10]}).\n"
            "  Fix: give the store it was fitted on, or one grown from it; or fit again"
        )
