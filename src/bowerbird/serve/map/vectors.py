"""Which vectors a map is drawn from: those another system emitted for items, else those the model retrieves by.

Shape letters: I items of the store, N items with a vector, D dimensions.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bowerbird.learn.signals import Signal, list_signals, read_signal
from bowerbird.learn.storage.folders import FolderError
from bowerbird.serve.generators.base import Generator
from bowerbird.tables.errors import BowerbirdError
from bowerbird.tables.store import Store

log = logging.getLogger("bowerbird.serve")

SIGNAL = "omnisage_items"
"""The signal that is preferred: what an item is like by graph, content and sequences together."""
_ENOUGH = 0.9
"""A signal is used if it has this share of the items that the model has vectors of: one that was made long ago would
leave the newer part of the catalogue off the map."""


class NoMapError(BowerbirdError):
    """There is nothing to draw a map from."""


@dataclass(frozen=True, eq=False)
class ItemVectors:
    """Items with vectors.

    Attributes:
        item: int32 (N,) dense items, ascending.
        vectors_ND: float32 (N, D) unit vectors.
        source: The signal and its release, or the model's release.
    """

    item: np.ndarray
    vectors_ND: np.ndarray
    source: str


def has_vectors(store: Store, generator: Generator) -> bool:
    """Whether there is anything to draw; nothing is read."""
    return generator.item_vectors is not None or _latest(store.path) is not None


def item_vectors(store: Store, generator: Generator) -> ItemVectors:
    """The vectors to draw.

    The newest release of the signal `omnisage_items` where it covers the catalogue, else the model's own. A signal that
    cannot be read is passed over, and the log says so.

    Raises:
        NoMapError: The model keeps no vectors of items, and no signal has any.
    """
    model_IE = generator.item_vectors
    own = None if model_IE is None else _unit(np.arange(len(model_IE)), model_IE, generator.release)
    release = _latest(store.path)
    emitted = None if release is None else _emitted(store, release)
    if emitted is not None and len(emitted.item) and (own is None or _covers(emitted, own)):
        return emitted
    if own is None or not len(own.item):
        raise NoMapError("there are no vectors of items to draw a map from: the model keeps none")
    return own


def _covers(emitted: ItemVectors, own: ItemVectors) -> bool:
    shared = np.isin(own.item, emitted.item, assume_unique=True).sum()
    if shared >= _ENOUGH * len(own.item):
        return True
    log.warning(
        "the map is drawn from the model: %s has vectors of %d of its %d items", emitted.source, shared, len(own.item)
    )  # fmt: skip
    return False


def _latest(store: Path) -> str | None:
    """The release of the signal that was written last."""
    releases = list_signals(store).get(SIGNAL, [])
    written = {
        name: (store / "signals" / SIGNAL / name / "manifest.json").stat().st_mtime_ns for name in releases
    }
    return max(releases, key=lambda name: (written[name], name), default=None)


def _emitted(store: Store, release: str) -> ItemVectors | None:
    try:
        signal: Signal = read_signal(store.path, SIGNAL, release)
    except (FolderError, OSError) as error:
        log.warning("the map is drawn without the signal %s/%s: %s", SIGNAL, release, error)
        return None
    if signal.entity != "item" or signal.vectors is None:
        log.warning("the map is drawn without the signal %s/%s: it is not vectors of items", SIGNAL, release)
        return None
    item = store.items.encode(signal.ids)
    known = np.flatnonzero(item >= 0)
    known = known[np.argsort(item[known], kind="stable")]
    return _unit(item[known], signal.vectors[known], f"{SIGNAL}/{release}")


def _unit(item: np.ndarray, vectors_ND: np.ndarray, source: str) -> ItemVectors:
    """Rows of unit length; those without a direction are left out."""
    vectors_ND = np.asarray(vectors_ND, np.float32)
    with np.errstate(invalid="ignore", over="ignore"):
        length = np.linalg.norm(vectors_ND, axis=1)
    there = np.isfinite(length) & (length > 0)
    unit_ND = vectors_ND[there] / length[there, None]
    return ItemVectors(item[there].astype(np.int32), unit_ND, source)
