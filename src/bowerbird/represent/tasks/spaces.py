"""Old spaces that must stay searchable: frozen item vectors of earlier models, and the map from ours to each.

Shapes: R rows, D our dimension, O an old dimension, N items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bowerbird.learn.signals import read_signal
from bowerbird.tables.errors import ConfigError
from bowerbird.tables.view import View


@dataclass(frozen=True)
class OldSpace:
    """The frozen vectors of an earlier model.

    Attributes:
        name: signal and release, e.g. ``"omnisage_items-r1"``.
        vectors: float32 (N, O), unit; zero where the old model knew nothing of the item.
        known: bool (N,).
    """

    name: str
    vectors: np.ndarray
    known: np.ndarray


def read_spaces(folders: Sequence[str], view: View) -> list[OldSpace]:
    """Old item signals aligned with the items of a view.

    Args:
        folders: ``<store>/signals/<name>/<release>`` each.
        view: whose dense item ids the vectors are put in order of.

    Raises:
        ConfigError: a folder is no such path, or its signal holds no item vectors, or none of this view's items.
    """
    found = []
    for folder in folders:
        path = Path(folder)
        if len(path.parts) < 4 or path.parent.parent.name != "signals":
            raise ConfigError(
                f"old_spaces: {folder!r} is no signal folder. Fix: write <store>/signals/<name>/<release>"
            )
        signal = read_signal(path.parents[2], path.parent.name, path.name)
        if signal.entity != "item" or signal.vectors is None:
            raise ConfigError(
                f"old_spaces: {folder!r} holds no item vectors but {signal.entity} {', '.join(signal.scores)}"
            )
        item = view.item_ids.encode(list(signal.ids))
        if not (item >= 0).any():
            raise ConfigError(f"old_spaces: none of the ids of {folder!r} is an item of {view.dataset}")
        vectors = np.zeros((view.n_items, signal.vectors.shape[1]), np.float32)
        norm = np.linalg.norm(signal.vectors[item >= 0], axis=1, keepdims=True)
        vectors[item[item >= 0]] = signal.vectors[item >= 0] / np.maximum(norm, 1e-12)
        known = np.zeros(view.n_items, dtype=bool)
        known[item[item >= 0]] = True
        found.append(OldSpace(f"{path.parent.name}-{path.name}", vectors, known))
    return found


class Adapter(nn.Module):
    """Our vectors as queries of an old space.

    Args:
        dim: D. space: the old space.
        kind: ``linear``, or ``identity`` where the widths are equal.

    Raises:
        ConfigError: for ``identity`` between different widths.
    """

    vectors: Tensor
    known: Tensor

    def __init__(self, dim: int, space: OldSpace, kind: str) -> None:
        super().__init__()
        width = space.vectors.shape[1]
        if kind == "identity" and width != dim:
            raise ConfigError(
                f"old space {space.name} has {width} dimensions, this model {dim}; set adapter=linear"
            )
        self.lift = nn.Identity() if kind == "identity" else nn.Linear(dim, width, bias=False)
        if isinstance(self.lift, nn.Linear):
            nn.init.eye_(self.lift.weight)
        self.register_buffer("vectors", torch.from_numpy(space.vectors), persistent=False)
        self.register_buffer("known", torch.from_numpy(space.known), persistent=False)

    def forward(self, vectors_RD: Tensor) -> Tensor:
        """Unit vectors of the old space, (R, O)."""
        return F.normalize(self.lift(vectors_RD).float(), dim=-1)
