"""From an artifact to a generator the engine can ask, and to the index that a release carries."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bowerbird.serve.generators.base import Generator
from bowerbird.tables.errors import BowerbirdError
from bowerbird.tables.store import Store
from bowerbird.tables.view import View

if TYPE_CHECKING:
    from bowerbird.index import Index
    from bowerbird.learn.artifact import Artifact


class MismatchError(BowerbirdError):
    """An artifact that cannot be served, or not from this store."""


class Indexed(Generator, Protocol):
    """A generator whose index can be kept and handed in again."""

    @property
    def index(self) -> Index:
        """What it retrieves from."""
        ...


def open_generator(artifact: Path, store: Store, *, pool_bytes: int | None = None) -> Generator:
    """Opens the generator that belongs to an artifact on disk; its index is built now.

    Args:
        artifact: Folder of the artifact.
        store: The store it will answer from: the one it was trained on, or one grown from it.
        pool_bytes: Most memory for encoded histories; None = as usual.

    Raises:
        BowerbirdError: The artifact is missing or damaged, was made from other data, or its learner makes no
            candidates.
    """
    from bowerbird.learn.artifact import Artifact

    found = Artifact.load(artifact)
    digest = hashlib.sha256((artifact / "artifact.json").read_bytes()).hexdigest()
    return generator_of(found, store, f"{found.learner}-{digest[:10]}", pool_bytes=pool_bytes)


def generator_of(
    artifact: Artifact,
    store: Store,
    release: str,
    *,
    index: Index | None = None,
    pool_bytes: int | None = None,
) -> Indexed:
    """The generator of an artifact.

    Args:
        artifact: The fitted model.
        store: The store it will answer from: the one it was trained on, or one grown from it.
        release: The name that answers carry.
        index: Built before from this artifact (see `Indexed.index`), perhaps on an earlier state of the
            store; brought up to the store's state. Built now when left out.
        pool_bytes: Most memory for encoded histories; None = as usual.

    Raises:
        MismatchError: It was made from other data, or its learner makes no candidates.
        BowerbirdError: Its settings or its index do not fit.
    """
    trained_on = artifact.facts.get("data", {}).get("dataset", store.manifest.dataset)
    if trained_on != store.manifest.dataset:
        raise MismatchError(
            f"this {artifact.learner} was trained on {trained_on!r}, the store holds {store.manifest.dataset!r}; "
            "give the store it was trained on, or one grown from it"
        )
    from bowerbird.serve.generators.pinrec import POOL_BYTES, PinRecGenerator, UniPinRecGenerator

    kinds: dict[str, type[PinRecGenerator]] = {"pinrec": PinRecGenerator, "unipinrec": UniPinRecGenerator}
    if artifact.learner not in kinds:
        raise MismatchError(
            f"this model was made by {artifact.learner!r}, which does not retrieve items; serve one of "
            + ", ".join(kinds)
        )
    memory = POOL_BYTES if pool_bytes is None else pool_bytes
    return kinds[artifact.learner].open(artifact, View(store), release, index=index, pool_bytes=memory)
