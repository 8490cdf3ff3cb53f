"""Artifacts: a fitted learner as a folder of safetensors and JSON that loads back to the same bytes.

``artifact.json`` holds the learner's name, its settings, facts (wall, data fingerprint, metrics, seed,
version) and the content hash of every file, its own included; ``tensors.safetensors`` holds torch tensors and
``arrays.safetensors`` numpy arrays. Nothing in it can run code when loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bowerbird.learn.storage.folders import FolderError, read_manifest, staged_folder, write_manifest
from bowerbird.learn.storage.tensors import read_arrays, read_tensors, write_arrays, write_tensors

_HEAD, _TENSORS, _ARRAYS = "artifact.json", "tensors.safetensors", "arrays.safetensors"


class ArtifactError(FolderError):
    """An artifact cannot be written, or is missing, damaged or of another version."""


@dataclass(frozen=True)
class Artifact:
    """A fitted learner.

    Args:
        learner: the registry name of the learner that made it.
        config: the learner's settings in JSON form (:func:`bowerbird.learn.settings.to_dict`).
        tensors: torch tensors by name, usually a ``state_dict()``; stored as CPU tensors.
        arrays: numpy arrays by name (numbers and booleans; no objects or strings).
        facts: JSON-able facts: the wall, the data fingerprint, metrics, the seed, the version.
    """

    learner: str
    config: Mapping[str, Any]
    tensors: Mapping[str, torch.Tensor] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    def save(self, folder: Path | str) -> Path:
        """Write the artifact; a reader sees the old folder or the new one, never a mixture.

        Args:
            folder: where to write; an artifact already there is replaced, any other folder is left alone.

        Returns:
            The folder written.

        Raises:
            ArtifactError: if ``folder`` holds something that is not an artifact, or a value cannot be stored.
        """
        target = Path(folder)
        if (
            target.exists()
            and not (target / _HEAD).is_file()
            and (not target.is_dir() or any(target.iterdir()))
        ):
            raise ArtifactError(f"{target} exists and is not an artifact; choose another folder or empty it")
        try:
            with staged_folder(target) as stage:
                write_tensors(stage / _TENSORS, self.tensors)
                write_arrays(stage / _ARRAYS, self.arrays)
                content = {
                    "kind": "artifact", "learner": self.learner, "config": dict(self.config),
                    "facts": dict(self.facts),
                }  # fmt: skip
                write_manifest(stage, _HEAD, content, [_TENSORS, _ARRAYS])
        except FolderError as error:
            raise ArtifactError(f"cannot save the artifact of {self.learner!r}: {error}") from error
        return target

    @classmethod
    def load(cls, folder: Path | str) -> Artifact:
        """Read an artifact back, verifying version and content hashes.

        Raises:
            ArtifactError: if a file is missing, damaged, or of a format this version cannot read.
        """
        source = Path(folder)
        try:
            content = read_manifest(source, _HEAD, kind="artifact")
            tensors, arrays = read_tensors(source / _TENSORS), read_arrays(source / _ARRAYS)
        except FolderError as error:
            raise ArtifactError(str(error)) from error
        return cls(content["learner"], content["config"], tensors, arrays, content["facts"])
