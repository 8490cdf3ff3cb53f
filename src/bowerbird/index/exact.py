"""Exact search: one blocked float32 matrix product and a partial sort. Right for up to some 10^5 vectors.

Shapes: N stored vectors, D dimensions, Q queries, k list length.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from bowerbird.index.base import Index
from bowerbird.index.config import IndexConfig
from bowerbird.index.files import write_folder


class ExactIndex(Index):
    """All vectors in one float32 matrix, in order of id."""

    kind: ClassVar[str] = "exact"

    def __init__(
        self, vectors_ND: NDArray[np.float32], ids_N: NDArray[np.int64], config: IndexConfig
    ) -> None:
        super().__init__(int(vectors_ND.shape[1]), config)
        self._vectors, self._ids = vectors_ND, ids_N

    @classmethod
    def of(cls, vectors_ND: NDArray[np.float32], ids_N: NDArray[np.int64], config: IndexConfig) -> Self:
        """From checked vectors in ascending order of id; they are copied."""
        return cls(np.array(vectors_ND, np.float32, order="C"), ids_N, config)

    @classmethod
    def read(cls, folder: Path, head: dict[str, Any], *, mmap: bool) -> Self:
        """From a saved folder whose head was checked."""
        mode: Any = "r" if mmap else None
        vectors = np.load(folder / "vectors.npy", mmap_mode=mode, allow_pickle=False)
        return cls(vectors, np.load(folder / "ids.npy", allow_pickle=False), IndexConfig(**head["config"]))

    def save(self, folder: str | Path) -> None:
        """See `Index.save`."""
        head = {"kind": self.kind, "dim": self.dim, "count": len(self), "config": self.config.to_dict()}
        files = {
            "vectors.npy": lambda path: np.save(path, self._vectors),
            "ids.npy": lambda path: np.save(path, self._ids),
        }
        write_folder(Path(folder), head, files)

    @property
    def ids(self) -> NDArray[np.int64]:
        """See `Index.ids`."""
        return self._ids

    def _stored(self, place: NDArray[np.int64]) -> NDArray[np.float32]:
        if len(place) and place[-1] - place[0] + 1 == len(place) and (np.diff(place) == 1).all():
            return self._vectors[int(place[0]) : int(place[-1]) + 1]  # a run of neighbours needs no copy
        return self._vectors[place]

    def _add(self, vectors_ND: NDArray[np.float32], ids_N: NDArray[np.int64]) -> None:
        ids = np.concatenate([self._ids, ids_N])
        order = np.argsort(ids, kind="stable")
        self._vectors = np.concatenate([self._vectors, vectors_ND])[order]
        self._ids = ids[order]

    def _remove(self, place: NDArray[np.int64]) -> None:
        self._vectors = np.delete(self._vectors, place, axis=0)
        self._ids = np.delete(self._ids, place)

    def _find(
        self,
        queries_QD: NDArray[np.float32],
        k: int,
        subset: NDArray[np.int64] | None,
        excluded: Sequence[NDArray[np.int64]],
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        return self._scan(queries_QD, k, subset, excluded)
