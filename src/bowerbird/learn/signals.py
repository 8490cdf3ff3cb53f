"""Signals: the only thing one system hands to another.

A signal is a table of vectors or scores keyed by an entity (item, user, collection, query, creator, clip),
with the release that made it. It lies in ``<store>/signals/<name>/<release>/`` as ``signal.parquet`` (raw ids
and scores, one row per entity), ``vectors.safetensors`` (row-aligned, where there are vectors) and
``manifest.json``.

Legend: N rows, D dimensions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import polars as pl
from safetensors.numpy import load_file, save_file

from bowerbird.learn.storage.folders import FolderError, read_manifest, staged_folder, write_manifest

if TYPE_CHECKING:
    from bowerbird.learn.artifact import Artifact
    from bowerbird.tables.view import View

Entity = Literal["item", "user", "collection", "query", "creator", "clip"]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_TABLE, _VECTORS = "signal.parquet", "vectors.safetensors"


class SignalError(FolderError):
    """A signal is malformed, missing or damaged."""


@dataclass(frozen=True)
class Signal:
    """Vectors and/or scores of one kind of entity.

    Args:
        name: the signal's name, e.g. ``"pinrec_items"`` (letters, digits, ``_ . -``).
        entity: what the rows are.
        ids: raw ids (all strings or all integers), length N, each once.
        vectors: float array (N, D), or ``None``.
        scores: named float or integer arrays (N,).
        facts: anything a reader should know, JSON-able: what a score means, the wall, the artifact.

    Raises:
        SignalError: for unequal lengths, repeated ids, non-finite values, or neither vectors nor scores.
    """

    name: str
    entity: Entity
    ids: Sequence[int] | Sequence[str] | np.ndarray
    vectors: np.ndarray | None = None
    scores: Mapping[str, np.ndarray] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise SignalError(f"signal name {self.name!r} may hold letters, digits, '_', '.' and '-' only")
        if self.entity not in get_args(Entity):
            raise SignalError(
                f"signal {self.name}: entity {self.entity!r} is none of {', '.join(get_args(Entity))}"
            )
        if self.vectors is None and not self.scores:
            raise SignalError(f"signal {self.name} has neither vectors nor scores")
        n = len(self.ids)
        if len(set(self._plain_ids())) != n:
            raise SignalError(f"signal {self.name}: an id appears more than once")
        if self.vectors is not None:
            self._check("vectors", self.vectors, (n, self.vectors.shape[-1] if self.vectors.ndim else 0))
        for key, column in self.scores.items():
            if key == "id":
                raise SignalError(f"signal {self.name}: a score cannot be called 'id'")
            self._check(f"score {key!r}", column, (n,))

    def _plain_ids(self) -> list[int] | list[str]:
        plain: list[Any] = self.ids.tolist() if isinstance(self.ids, np.ndarray) else list(self.ids)
        if not (all(isinstance(i, str) for i in plain) or all(type(i) is int for i in plain)):
            raise SignalError(f"signal {self.name}: ids must be all strings or all integers")
        return plain

    def _check(self, what: str, values: np.ndarray, shape: tuple[int, ...]) -> None:
        if values.shape != shape:
            raise SignalError(f"signal {self.name}: {what} has shape {values.shape}, expected {shape}")
        if values.dtype.kind not in "fiu":
            raise SignalError(f"signal {self.name}: {what} has type {values.dtype}, expected numbers")
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            row = int(np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(axis=1))[0])
            raise SignalError(f"signal {self.name}: {what} of id {self.ids[row]!r} (row {row}) is not finite")

    def __len__(self) -> int:
        return len(self.ids)


def origin(artifact: Artifact, view: View) -> dict[str, Any]:
    """Facts of a signal that say what it knows: what its model was fitted on, and what it was made from.

    Args:
        artifact: the model's.
        view: what it looked at when it emitted.
    """
    return {"wall": view.wall, "data": view.fingerprint, "fitted_on": artifact.facts.get("data", {})}


def write_signal(store: Path | str, signal: Signal, release: str) -> Path:
    """Write a signal into a store; readers see all of it or nothing.

    Args:
        store: the store's folder.
        signal: what to write.
        release: the release that made it; writing the same name and release again replaces it.

    Returns:
        The folder written.

    Raises:
        SignalError: if the release name is not usable as a folder name.
    """
    if not _NAME.fullmatch(release):
        raise SignalError(f"release {release!r} may hold letters, digits, '_', '.' and '-' only")
    target = Path(store) / "signals" / signal.name / release
    with staged_folder(target) as folder:
        columns: dict[str, Any] = {"id": signal._plain_ids()}
        columns |= {key: np.ascontiguousarray(column) for key, column in signal.scores.items()}
        pl.DataFrame(columns).write_parquet(folder / _TABLE)
        files = [_TABLE]
        if signal.vectors is not None:
            save_file({"vectors": np.ascontiguousarray(signal.vectors)}, folder / _VECTORS)
            files.append(_VECTORS)
        content = {
            "kind": "signal", "name": signal.name, "entity": signal.entity, "release": release,
            "rows": len(signal),
            "dimensions": None if signal.vectors is None else int(signal.vectors.shape[1]),
            "scores": list(signal.scores), "facts": dict(signal.facts),
        }  # fmt: skip
        write_manifest(folder, "manifest.json", content, files)
    return target


def read_signal(store: Path | str, name: str, release: str) -> Signal:
    """Read one signal of one release, verifying its content.

    Raises:
        SignalError: if it is missing or damaged; a missing one is reported with the releases that exist.
    """
    folder = Path(store) / "signals" / name / release
    if not folder.is_dir():
        known = ", ".join(f"{n}/{r}" for n, rs in list_signals(store).items() for r in rs) or "none"
        raise SignalError(f"the store has no signal {name!r} of release {release!r}; it has: {known}")
    try:
        content = read_manifest(folder, "manifest.json", kind="signal")
    except FolderError as error:
        raise SignalError(str(error)) from error
    table = pl.read_parquet(folder / _TABLE)
    vectors = load_file(folder / _VECTORS)["vectors"] if content["dimensions"] is not None else None
    return Signal(
        name=content["name"], entity=content["entity"], ids=table["id"].to_list(), vectors=vectors,
        scores={key: table[key].to_numpy() for key in content["scores"]}, facts=content["facts"],
    )  # fmt: skip


def list_signals(store: Path | str) -> dict[str, list[str]]:
    """The releases of every signal in a store: name -> release names, sorted."""
    root = Path(store) / "signals"
    if not root.is_dir():
        return {}
    found = {
        folder.name: sorted(r.name for r in folder.iterdir() if (r / "manifest.json").is_file())
        for folder in sorted(root.iterdir())
        if folder.is_dir()
    }
    return {name: releases for name, releases in found.items() if releases}
