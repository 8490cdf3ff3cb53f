"""Vectors that other systems emitted for items, as features of the item embedder (OmniSage vectors, say).

A signal was made behind a wall of its own. One that saw more than a model may learn from would carry the future into
training, so it is refused there; a later view may use it.

Shapes: I items, D dimensions of a signal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bowerbird.learn.signals import read_signal
from bowerbird.tables.errors import ConfigError
from bowerbird.tables.view import View


def signal_vectors(view: View, names: Sequence[str]) -> dict[str, np.ndarray]:
    """The signals as columns: name -> float32 (I, D), unit vectors, zero where an item has none.

    Args:
        view: whose items, and in whose store the signals lie.
        names: ``name/release`` of each.

    Raises:
        ConfigError: a name without a release, a signal of other entities, or one without vectors.
        SignalError: a signal that is not there or damaged.
    """
    found: dict[str, np.ndarray] = {}
    for written in names:
        name, _, release = written.partition("/")
        if not release:
            raise ConfigError(f"item_signals: {written!r} names no release. Fix: write name/release")
        signal = read_signal(view.store_path, name, release)
        if signal.entity != "item" or signal.vectors is None:
            raise ConfigError(f"item_signals: {written} holds no vectors of items (entity {signal.entity!r})")
        items = view.item_ids.encode(signal.ids)
        known = items >= 0
        vectors = np.zeros((view.n_items, signal.vectors.shape[1]), np.float32)
        norm = np.linalg.norm(signal.vectors[known], axis=1, keepdims=True)
        vectors[items[known]] = signal.vectors[known] / np.maximum(norm, 1e-12)
        found[f"signal {name}"] = vectors
    return found


def check_walls(view: View, names: Sequence[str]) -> None:
    """Refuses signals that know more than a training view shows: from their rows, or through the model that made them.

    Raises:
        ConfigError: naming the signal and both walls.
    """
    for written in names:
        name, _, release = written.partition("/")
        facts: Mapping[str, Any] = read_signal(view.store_path, name, release).facts
        for source in ("data", "fitted_on"):
            if not _within(facts.get(source, {}), view.fingerprint):
                wall = facts.get(source, {}).get("wall", "that it does not name")
                raise ConfigError(
                    f"item_signals: {written} was made from data {wall}, this model may learn from data {view.wall} "
                    "only. Fix: emit the signal from a model that was fitted on the same or an earlier part"
                )


def _within(made: Mapping[str, Any], shown: Mapping[str, Any]) -> bool:
    """Whether everything one fingerprint stands for is visible to a view with the other."""
    if made.get("wall") == shown["wall"]:
        return True
    in_time = made.get("walls_in_time_only", False) and shown["walls_in_time_only"]
    more_rows = made.get("evaluation_rows", False) and not shown["evaluation_rows"]
    return bool(in_time and not more_rows and made["end_time"] <= shown["end_time"])
