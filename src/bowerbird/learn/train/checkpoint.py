"""Checkpoints: everything a training needs to go on exactly as if it had never stopped.

One folder per checkpoint, ``<run>/checkpoints/<stage>/step-00000120/``, written whole or not at all, holding
``tensors.safetensors`` (weights, optimiser moments, averages, best weights, random states of every process)
and ``checkpoint.json`` (position, early stopping, settings). The newest few are kept.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from bowerbird.learn.storage.folders import FolderError, read_manifest, staged_folder, write_manifest
from bowerbird.learn.storage.tensors import read_tensors, write_tensors
from bowerbird.learn.train.optimiser import TrainingError

_HEAD, _TENSORS = "checkpoint.json", "tensors.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """One saved state.

    Args:
        step: optimiser steps taken.
        state: JSON-able values.
        parts: named groups of tensors, e.g. ``{"model": state_dict, ...}``; group names hold no ``:``.
    """

    step: int
    state: Mapping[str, Any]
    parts: Mapping[str, Mapping[str, torch.Tensor]]


class Checkpoints:
    """The checkpoints of one training in one folder.

    Args:
        folder: their folder; need not exist.
        keep: newest checkpoints to keep.
    """

    def __init__(self, folder: Path, keep: int) -> None:
        self._folder, self._keep = folder, keep

    def save(self, checkpoint: Checkpoint) -> Path:
        """Write a checkpoint, then remove those beyond the newest few.

        Returns:
            Its folder.
        """
        target = self._folder / f"step-{checkpoint.step:08d}"
        flat = {
            f"{part}:{name}": t for part, tensors in checkpoint.parts.items() for name, t in tensors.items()
        }
        with staged_folder(target) as stage:
            write_tensors(stage / _TENSORS, flat)
            content = {"kind": "checkpoint", "step": checkpoint.step, "state": dict(checkpoint.state)}
            write_manifest(stage, _HEAD, content | {"parts": list(checkpoint.parts)}, [_TENSORS])
        for old in self._found()[: -self._keep]:
            shutil.rmtree(old, ignore_errors=True)
        return target

    def newest(self) -> tuple[Checkpoint | None, list[str]]:
        """The newest checkpoint that is whole.

        Returns:
            The checkpoint, or ``None`` where there is none; and why newer ones were passed over.

        Raises:
            TrainingError: if there are checkpoints and none is whole.
        """
        troubles: list[str] = []
        for folder in reversed(self._found()):
            try:
                head = read_manifest(folder, _HEAD, kind="checkpoint")
                flat = read_tensors(folder / _TENSORS)
            except FolderError as error:
                troubles.append(str(error))
                continue
            parts: dict[str, dict[str, torch.Tensor]] = {part: {} for part in head["parts"]}
            for name, tensor in flat.items():
                part, _, rest = name.partition(":")
                parts[part][rest] = tensor
            return Checkpoint(head["step"], head["state"], parts), troubles
        if troubles:
            raise TrainingError(
                "no checkpoint can be read; start over without resume: " + "; ".join(troubles)
            )
        return None, []

    def clear(self) -> None:
        """Remove all checkpoints."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _found(self) -> list[Path]:
        """Checkpoint folders, oldest first; folders of writers that were killed are removed on the way."""
        if not self._folder.is_dir():
            return []
        for stray in self._folder.glob(".step-*.new-*"):
            shutil.rmtree(stray, ignore_errors=True)
        return sorted(self._folder.glob("step-*"))
