"""What an item is to the network: identity and content, mixed into one unit vector used for inputs and targets.

Identity (a table or hashed tables) is concatenated with content (bags of text n-grams and categories, numbers,
precomputed vectors), mixed and L2-normalised (arXiv 2504.10507 A1.1). The identity of an item can be replaced by a
learned "unknown" row: at random in training, always for items training never saw.

Shapes: I items, U ids of one call, De output dimension.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bowerbird.nn.features.bags import bag_means
from bowerbird.nn.features.hashing import HashEmbedding

Mixer = Literal["identity", "linear", "mlp", "residual"]


@dataclass(frozen=True)
class ItemFeatureSpec:
    """Which parts an item vector is made of.

    Attributes:
        n_items: I.
        id_mode: ``none``, ``table`` (one row per item) or ``hash``.
        id_dim: width of the identity part.
        id_hashes, id_rows: tables and rows per table in ``hash`` mode.
        bags: name -> number of buckets or categories, for text and category features.
        numbers: how many standardised number features.
        vectors: name -> width of precomputed vector features.
        content_dim: width of each content feature.
        mixer: ``identity`` (parts must add up to the output width), ``linear``, ``mlp`` (two layers) or ``residual``
            (linear plus mlp).
    """

    n_items: int
    id_mode: Literal["none", "table", "hash"] = "table"
    id_dim: int = 64
    id_hashes: int = 4
    id_rows: int = 0
    bags: Mapping[str, int] = field(default_factory=dict)
    numbers: int = 0
    vectors: Mapping[str, int] = field(default_factory=dict)
    content_dim: int = 64
    mixer: Mixer = "residual"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "bags": dict(self.bags), "vectors": dict(self.vectors)}


@dataclass(frozen=True)
class ItemFeatures:
    """The content of a whole catalogue as arrays.

    Attributes:
        bags: name -> (int32 flat ids, int64 offsets (I + 1)).
        numbers: float32 (I, n), already standardised.
        vectors: name -> float32 (I, width).
    """

    bags: Mapping[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    numbers: np.ndarray | None = None
    vectors: Mapping[str, np.ndarray] = field(default_factory=dict)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Flat names to arrays, for an artifact."""
        arrays = {f"vector.{name}": vectors for name, vectors in self.vectors.items()}
        for name, (ids, offsets) in self.bags.items():
            arrays[f"bag.{name}.ids"], arrays[f"bag.{name}.offsets"] = ids, offsets
        if self.numbers is not None:
            arrays["numbers"] = self.numbers
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """The inverse of :meth:`to_arrays`; other names are ignored."""
        names = sorted(key[4:-4] for key in arrays if key.startswith("bag.") and key.endswith(".ids"))
        return cls(
            bags={name: (arrays[f"bag.{name}.ids"], arrays[f"bag.{name}.offsets"]) for name in names},
            numbers=arrays.get("numbers"),
            vectors={key[7:]: value for key, value in arrays.items() if key.startswith("vector.")},
        )


class ItemEmbedder(nn.Module):
    """Item ids to unit vectors.

    Args:
        spec: the parts.
        features: the catalogue's content; kept as buffers that are not part of the state dict.
        dim: De.
        id_dropout: share of ids per training call whose identity becomes the unknown row.

    Attributes:
        unseen: bool (I,), part of the state dict: items whose identity was never trained.

    Raises:
        ValueError: if an item would have no part at all, parts do not fit the identity mixer, or the features do not
            fit the spec (rows, codes, widths).
    """

    unseen: Tensor
    numbers: Tensor

    def __init__(
        self, spec: ItemFeatureSpec, features: ItemFeatures, dim: int, *, id_dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.spec, self.dim, self.id_dropout = spec, dim, id_dropout
        _check(spec, features)
        self.identity, self.unknown = _identity(spec)
        self.tables = nn.ModuleDict()
        for name, size in spec.bags.items():
            ids, offsets = features.bags[name]
            key = _key(name)
            self.register_buffer(f"bag_ids_{key}", torch.from_numpy(ids.astype(np.int32)), persistent=False)
            self.register_buffer(f"bag_offsets_{key}", torch.from_numpy(offsets), persistent=False)
            table = nn.Embedding(size, spec.content_dim)
            nn.init.normal_(table.weight, std=0.04)
            self.tables[key] = table
        self.lifts = nn.ModuleDict()
        for name, width in spec.vectors.items():
            vectors = torch.from_numpy(features.vectors[name]).float()
            self.register_buffer(f"vector_{_key(name)}", vectors, persistent=False)
            self.lifts[_key(name)] = nn.Linear(width, spec.content_dim)
        self.number_lift: nn.Linear | None = None
        if spec.numbers and features.numbers is not None:
            self.register_buffer("numbers", torch.from_numpy(features.numbers).float(), persistent=False)
            self.number_lift = nn.Linear(spec.numbers, spec.content_dim)
        parts = len(spec.bags) + len(spec.vectors) + (self.number_lift is not None)
        total = parts * spec.content_dim + (spec.id_dim if self.identity is not None else 0)
        if total == 0:
            raise ValueError("an item needs an identity or at least one content feature")
        if spec.mixer == "identity" and total != dim:
            raise ValueError(f"the identity mixer needs parts of {dim} in total, they are {total}")
        self.linear = nn.Linear(total, dim, bias=False) if spec.mixer in ("linear", "residual") else None
        self.mlp = (
            nn.Sequential(nn.Linear(total, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))
            if spec.mixer in ("mlp", "residual")
            else None
        )
        for linear in (m for m in self.modules() if isinstance(m, nn.Linear)):
            nn.init.xavier_uniform_(linear.weight)
            if linear.bias is not None:
                nn.init.zeros_(linear.bias)
        self.register_buffer("unseen", torch.zeros(spec.n_items, dtype=torch.bool))

    def forward(self, ids: Tensor) -> Tensor:
        """Unit vectors of int64 ids (...,) -> (..., De), float32. Pass unique ids: the work is per id given."""
        flat = ids.reshape(-1)
        mixed = torch.cat(self._parts(flat), dim=-1)
        outs = [part(mixed) for part in (self.linear, self.mlp) if part is not None]
        out = sum(outs[1:], start=outs[0]) if outs else mixed
        return F.normalize(out.float(), dim=-1).view(*ids.shape, self.dim)

    @torch.no_grad()
    def embed_all(self, chunk: int = 65_536) -> Tensor:
        """The whole catalogue (I, De), float32, in evaluation mode, ``chunk`` items at a time."""
        was_training = self.training
        self.eval()
        try:
            device = self.unseen.device
            rows = [
                self(torch.arange(low, min(low + chunk, self.spec.n_items), device=device))
                for low in range(0, self.spec.n_items, chunk)
            ]
            return torch.cat(rows)
        finally:
            self.train(was_training)

    def _parts(self, flat: Tensor) -> list[Tensor]:
        parts = []
        if self.identity is not None and self.unknown is not None:
            identity = self.identity(flat)
            hidden = self.unseen[flat]
            if self.training and self.id_dropout:
                hidden = hidden | (torch.rand(len(flat), device=flat.device) < self.id_dropout)
            parts.append(torch.where(hidden[:, None], self.unknown, identity))
        for name, table in self.tables.items():
            ids, offsets = getattr(self, f"bag_ids_{name}"), getattr(self, f"bag_offsets_{name}")
            parts.append(bag_means(ids, offsets, flat, table.weight))  # type: ignore[arg-type]
        for name, lift in self.lifts.items():
            parts.append(lift(getattr(self, f"vector_{name}")[flat]))
        if self.number_lift is not None:
            parts.append(self.number_lift(self.numbers[flat]))
        return parts


def _check(spec: ItemFeatureSpec, features: ItemFeatures) -> None:
    for name, size in spec.bags.items():
        if name not in features.bags:
            raise ValueError(f"the spec has a bag {name!r}, the features have {sorted(features.bags)}")
        ids, offsets = features.bags[name]
        if (
            len(offsets) != spec.n_items + 1
            or offsets[0] != 0
            or offsets[-1] != len(ids)
            or (np.diff(offsets) < 0).any()
        ):
            raise ValueError(
                f"bag {name!r} needs {spec.n_items + 1} ascending offsets from 0 to {len(ids)}, "
                f"got {len(offsets)} from {offsets[:1]} to {offsets[-1:]}"
            )
        if len(ids) and not 0 <= ids.min() <= ids.max() < size:
            raise ValueError(
                f"bag {name!r} has ids from {ids.min()} to {ids.max()}, its table has {size} rows"
            )
    for name, width in spec.vectors.items():
        shape = features.vectors[name].shape if name in features.vectors else None
        if shape != (spec.n_items, width):
            raise ValueError(f"vector {name!r} needs the shape {(spec.n_items, width)}, got {shape}")
    numbers = None if features.numbers is None else features.numbers.shape
    if spec.numbers and numbers != (spec.n_items, spec.numbers):
        raise ValueError(f"numbers need the shape {(spec.n_items, spec.numbers)}, got {numbers}")


def _key(name: str) -> str:
    """A feature name as part of an attribute name: unusual characters spelled out, reserved names set apart."""
    plain = re.sub(r"\W", lambda found: f"_{ord(found.group()):x}_", name)
    return f"{plain}_" if hasattr(nn.ModuleDict, plain) or plain in vars(nn.Module()) else plain


def _identity(spec: ItemFeatureSpec) -> tuple[nn.Module | None, nn.Parameter | None]:
    if spec.id_mode == "none":
        return None, None
    identity: nn.Module
    if spec.id_mode == "table":
        identity = nn.Embedding(spec.n_items, spec.id_dim)
        nn.init.normal_(identity.weight, std=0.02)
    else:
        identity = HashEmbedding(
            spec.id_dim, spec.id_rows or 2 * spec.n_items // spec.id_hashes + 1, spec.id_hashes
        )
    return identity, nn.Parameter(torch.zeros(spec.id_dim))
