"""A fitted OmniSage opened on a view: nodes and users to vectors.

Shapes: B nodes or requests, L history items, I items, D dimension.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from bowerbird.learn.artifact import Artifact
from bowerbird.learn.settings import from_dict
from bowerbird.represent.config import OmniSageConfig
from bowerbird.represent.model import OmniSage
from bowerbird.represent.tasks.spaces import Adapter, OldSpace
from bowerbird.represent.world.contents import ContentEncoder
from bowerbird.represent.world.opening import open_world
from bowerbird.represent.world.subsets import SubsetSpec
from bowerbird.represent.world.world import World
from bowerbird.tables.errors import ConfigError
from bowerbird.tables.view import HistoryBatch, View

CHUNK = 4096
"""Nodes embedded at once."""

_IDENTITY = "nodes.features.item.parts.identity."
UNSEEN = ".unseen"
"""Ends the name of a buffer with an entry per node; only that of the item identities is learned and kept."""


def kept_tensors(model: OmniSage) -> dict[str, Tensor]:
    """What an artifact holds of a model, on the CPU: everything that does not depend on the view it is opened on."""
    return {
        name: tensor.detach().cpu()
        for name, tensor in model.state_dict().items()
        if not name.endswith(UNSEEN) or name.startswith(_IDENTITY)
    }


class OpenOmniSage:
    """A trained network in the world of one view.

    Args:
        model: trained, in evaluation mode.
        world: whose graph and contents it reads.
        trained_items: items that training knew of; all of the world's when left out.
    """

    def __init__(self, model: OmniSage, world: World, *, trained_items: int | None = None) -> None:
        self.model, self.world = model.eval(), world
        self.trained_items = world.contents["item"].count if trained_items is None else trained_items

    @classmethod
    def open(cls, artifact: Artifact, view: View, *, folder: Path | None = None) -> Self:
        """Rebuild the network from an artifact for the world of a view.

        Args:
            artifact: the fitted model. view: what it may see.
            folder: where the graph of the view is kept; temporary when left out.

        Raises:
            ConfigError: if the artifact was made from a store with other item ids.
        """
        config = from_dict(OmniSageConfig, artifact.config, where=artifact.learner)
        facts: Mapping[str, Any] = artifact.facts
        encoder = ContentEncoder.from_dict(facts["content"])
        specs = [SubsetSpec(s["name"], tuple(s["relations"]), dict(s["keep"])) for s in facts["subsets"]]
        world = open_world(view, config, encoder, folder=folder, subsets=specs, types=facts["types"])
        spaces = [
            OldSpace(s["name"], np.zeros((0, s["width"]), np.float32), np.zeros(0, bool))
            for s in facts["spaces"]
        ]
        tensors = _grown(dict(artifact.tensors), view.n_items)
        model = OmniSage(config, world.contents, world.slots, spaces)
        missing, unknown = model.load_state_dict(tensors, strict=False)
        if unknown or any(not name.endswith(UNSEEN) for name in missing):
            raise ConfigError(f"the artifact does not fit its own settings: {[*missing, *unknown]}")
        return cls(model, world, trained_items=facts["nodes"]["item"])

    @property
    def config(self) -> OmniSageConfig:
        """The settings it was trained with."""
        return self.model.config

    @torch.no_grad()
    def vectors(self, node_type: str, ids: np.ndarray) -> np.ndarray:
        """Unit vectors of nodes, float32 (B, D).

        Args:
            node_type: ``"item"`` or ``"collection"``. ids: int64 (B,), dense ids of the world's graph.
        """
        parts = [np.zeros((0, self.config.dim), np.float32)]
        for low in range(0, len(ids), CHUNK):
            batch = self.world.batch({node_type: ids[low : low + CHUNK].astype(np.int64)})
            parts.append(self.model.nodes(batch)[0][node_type].numpy())
        return np.concatenate(parts)

    @cached_property
    def items(self) -> np.ndarray:
        """All item vectors, float32 (I, D)."""
        return self.vectors("item", np.arange(self.world.contents["item"].count))

    @cached_property
    def collections(self) -> np.ndarray:
        """All collection vectors, float32 (C, D); none where the model has no collections."""
        content = self.world.contents.get("collection")
        if content is None:
            return np.zeros((0, self.config.dim), np.float32)
        return self.vectors("collection", np.arange(content.count))

    def use(self, node_type: str, vectors: np.ndarray) -> None:
        """Take the vectors of a type as already made, float32 (N, D), instead of embedding its nodes.

        Args:
            node_type: ``"item"`` or ``"collection"``. vectors: of this model in this world.
        """
        self.__dict__["items" if node_type == "item" else "collections"] = vectors

    @torch.no_grad()
    def users(self, histories: HistoryBatch) -> np.ndarray:
        """User vectors after whole histories, float32 (B, D), unit; zero where a history is empty."""
        lengths = torch.from_numpy(histories.lengths.astype(np.int64))
        item = torch.from_numpy(histories.item.astype(np.int64))
        time = torch.from_numpy(histories.time)
        real = torch.from_numpy(histories.mask)
        e_BLD = torch.from_numpy(self.items)[item] * real[..., None]
        some = lengths > 0
        if self.model.user is None:
            return (F.normalize(e_BLD.sum(1), dim=-1) * some[:, None]).numpy()
        out = torch.zeros(len(lengths), self.config.dim)
        if bool(some.any()):
            # padding carries the time of the first event, as in training it carries that of the last: nobody reads it
            u_BLD = self.model.user(e_BLD[some], lengths[some], time[some], self._lists(histories.user)[some])
            out[some] = u_BLD[torch.arange(len(u_BLD)), lengths[some] - 1]
        return out.numpy()

    def _lists(self, users: np.ndarray) -> Tensor:
        """Sums of the vectors of users' own lists, (B, D), zero where there is none."""
        total = torch.zeros(len(users), self.config.dim)
        if self.model.user is None or self.model.user.list_weight is None:
            return total
        row, place = self.world.lists_of(users.astype(np.int64))
        return total.index_add(0, torch.from_numpy(row), torch.from_numpy(self.collections[place]))

    @torch.no_grad()
    def in_old_space(self, place: int, vectors: np.ndarray) -> np.ndarray:
        """Our vectors as queries of an old space, float32 (B, O)."""
        space: Adapter = self.model.spaces[place]  # type: ignore[assignment]
        return space(torch.from_numpy(vectors)).numpy()


def _grown(tensors: dict[str, Tensor], n_items: int) -> dict[str, Tensor]:
    """The weights for a store that has grown: dense ids never change, new items have the unknown identity."""
    if _IDENTITY + "unseen" not in tensors:
        return tensors
    trained = len(tensors[_IDENTITY + "unseen"])
    if trained > n_items:
        raise ConfigError(
            f"this model knows {trained} items, the store only {n_items}: they do not belong together. "
            "Fix: open it on the store it was trained on, or on one grown from it"
        )
    extra = n_items - trained
    if extra:
        unseen = tensors[_IDENTITY + "unseen"]
        tensors[_IDENTITY + "unseen"] = torch.cat([unseen, torch.ones(extra, dtype=torch.bool)])
        table = _IDENTITY + "identity.weight"
        if table in tensors:
            rows = tensors[table]
            tensors[table] = torch.cat([rows, rows.new_zeros(extra, rows.shape[1])])
    return tensors
