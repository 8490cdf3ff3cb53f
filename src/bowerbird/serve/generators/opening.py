"""From an artifact on disk to a generator the engine can ask."""

from __future__ import annotations

import hashlib
from pathlib import Path

from bowerbird.serve.generators.base import Generator
from bowerbird.tables.errors import BowerbirdError
from bowerbird.tables.store import Store
from bowerbird.tables.view import View


class MismatchError(BowerbirdError):
    """An artifact that cannot be served, or not from this store."""


def open_generator(artifact: Path, store: Store) -> Generator:
    """Opens the generator that belongs to an artifact.

    Args:
        artifact: Folder of the artifact.
        store: The store it will answer from: the one it was trained on, or one grown from it.

    Raises:
        BowerbirdError: The artifact is missing or damaged, was made from other data, or its learner makes no
            candidates.
    """
    from bowerbird.learn.artifact import Artifact

    found = Artifact.load(artifact)
    trained_on = found.facts.get("data", {}).get("dataset", store.manifest.dataset)
    if trained_on != store.manifest.dataset:
        raise MismatchError(
            f"{artifact} was trained on {trained_on!r}, the store holds {store.manifest.dataset!r}; "
            "give the store it was trained on, or one grown from it"
        )
    digest = hashlib.sha256((artifact / "artifact.json").read_bytes()).hexdigest()
    release = f"{found.learner}-{digest[:10]}"
    if found.learner == "pinrec":
        from bowerbird.serve.generators.pinrec import PinRecGenerator

        return PinRecGenerator.open(found, View(store), release)
    raise MismatchError(
        f"{artifact} was made by {found.learner!r}, which does not retrieve items; serve a pinrec"
    )
