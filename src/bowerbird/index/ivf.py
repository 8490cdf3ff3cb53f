"""Approximate search: Faiss inverted lists with 16-bit codes (IVF, SQfp16).

Shapes: N stored vectors, D dimensions, Q queries, k list length.

The vectors are cut into about 4 sqrt(N) cells; a search visits the `probes` cells nearest to the query. The
build finds the fewest (in doublings) that reach the recall target on sample queries against an exact scan.
Faiss is imported here and nowhere else, so small catalogues never load it next to torch.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from bowerbird.index.base import Index
from bowerbird.index.checks import together
from bowerbird.index.config import IndexConfig
from bowerbird.index.files import write_folder
from bowerbird.index.hits import best

_TRAIN_PER_CELL = 64
"""Vectors a cell that the clustering sees at most."""


class IVFIndex(Index):
    """A Faiss index whose own ids are our ids, plus the ascending list of ids."""

    kind: ClassVar[str] = "ivf"

    def __init__(
        self, faiss_index: Any, ids_N: NDArray[np.int64], config: IndexConfig, facts: dict[str, Any]
    ) -> None:
        super().__init__(int(faiss_index.d), config)
        self._faiss, self._ids = faiss_index, ids_N
        self.facts = facts
        self._file: Path | None = None
        self._mapped = False

    @property
    def probes(self) -> int:
        """Cells a search visits."""
        return int(self.facts["probes"])

    @classmethod
    def of(
        cls,
        vectors_ND: NDArray[np.float32],
        ids_N: NDArray[np.int64],
        config: IndexConfig,
        sample: NDArray[np.float32] | None,
        seed: int,
    ) -> Self:
        """Cluster, store and tune. Takes checked vectors in ascending order of id, N >= 1."""
        faiss = _faiss()
        n, dim = vectors_ND.shape
        cells = min(config.lists or max(1, round(4 * n**0.5)), n)
        coarse = faiss.IndexFlatIP(dim)
        index = faiss.IndexIVFScalarQuantizer(
            coarse, dim, cells, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT, False
        )
        index.cp.seed = seed
        index.cp.niter = 10
        index.cp.min_points_per_centroid = 1  # tiny indexes are legal; faiss would print a warning
        index.cp.max_points_per_centroid = _TRAIN_PER_CELL
        vectors = np.ascontiguousarray(vectors_ND)
        index.train(vectors)
        index.add_with_ids(vectors, ids_N)
        built = cls(index, ids_N, config, {"lists": cells, "probes": cells})
        built.facts |= built._tuned(vectors, sample, seed)
        return built

    def _tuned(
        self, vectors_ND: NDArray[np.float32], sample: NDArray[np.float32] | None, seed: int
    ) -> dict[str, Any]:
        """The fewest probes that reach the recall target on sample queries."""
        rng = np.random.default_rng(seed)
        pool = vectors_ND if sample is None or not len(sample) else np.ascontiguousarray(sample)
        queries = pool[rng.choice(len(pool), size=min(self.config.tuning_queries, len(pool)), replace=False)]
        faiss = _faiss()
        k = min(self.config.tuning_k, len(vectors_ND))
        _, rows = faiss.knn(queries, vectors_ND, k, faiss.METRIC_INNER_PRODUCT)
        probes = 1
        while True:
            _, found = self._faiss.search(queries, k, params=self._parameters(probes, None))
            hits = sum(
                len(np.intersect1d(self._ids[true], ids)) for true, ids in zip(rows, found, strict=True)
            )
            recall = hits / rows.size
            if recall >= self.config.recall_target or probes >= self.facts["lists"]:
                return {"probes": probes, "recall": recall, "recall_k": k}
            probes = min(probes * 2, self.facts["lists"])

    def _parameters(self, probes: int, selector: Any) -> Any:
        faiss = _faiss()
        return faiss.SearchParametersIVF(nprobe=probes, sel=selector)

    # -- keeping ------------------------------------------------------------------------------------------

    def save(self, folder: str | Path) -> None:
        """See `Index.save`."""
        faiss = _faiss()
        head = {
            "kind": self.kind,
            "dim": self.dim,
            "count": len(self),
            "config": self.config.to_dict(),
            "facts": self.facts,
        }
        self._writable()
        files = {
            "cells.faiss": lambda path: faiss.write_index(self._faiss, str(path)),
            "ids.npy": lambda path: np.save(path, self._ids),
        }
        write_folder(Path(folder), head, files)

    @classmethod
    def read(cls, folder: Path, head: dict[str, Any], *, mmap: bool) -> Self:
        """From a saved folder whose head was checked."""
        faiss = _faiss()
        file = folder / "cells.faiss"
        index = faiss.read_index(str(file), faiss.IO_FLAG_MMAP if mmap else 0)
        ids = np.load(folder / "ids.npy", mmap_mode="r" if mmap else None, allow_pickle=False)
        opened = cls(index, ids, IndexConfig(**head["config"]), head["facts"])
        opened._file, opened._mapped = file, mmap
        return opened

    def _writable(self) -> None:
        """Mapped lists are read-only: load them before the first change."""
        if self._mapped:
            faiss = _faiss()
            self._faiss = faiss.read_index(str(self._file))
            self._ids = np.array(self._ids)
            self._mapped = False

    # -- contents -----------------------------------------------------------------------------------------

    @property
    def ids(self) -> NDArray[np.int64]:
        """See `Index.ids`."""
        return self._ids

    def _stored(self, place: NDArray[np.int64]) -> NDArray[np.float32]:
        if not len(place):
            return np.empty((0, self.dim), np.float32)
        if self._faiss.direct_map.type == 0:  # built when first needed: id -> where its code lies
            faiss = _faiss()
            self._faiss.set_direct_map_type(faiss.DirectMap.Hashtable)
        return self._faiss.reconstruct_batch(np.ascontiguousarray(self._ids[place]))

    def _add(self, vectors_ND: NDArray[np.float32], ids_N: NDArray[np.int64]) -> None:
        self._writable()
        self._faiss.add_with_ids(np.ascontiguousarray(vectors_ND), np.ascontiguousarray(ids_N))
        self._ids = np.sort(np.concatenate([self._ids, ids_N]))

    def _remove(self, place: NDArray[np.int64]) -> None:
        faiss = _faiss()
        self._writable()
        self._faiss.set_direct_map_type(faiss.DirectMap.NoMap)
        self._faiss.remove_ids(np.ascontiguousarray(self._ids[place]))
        self._ids = np.delete(self._ids, place)

    def _selector(self, subset: NDArray[np.int64]) -> Any:
        """A Faiss filter: a bit map where ids are dense, a hash set where they are not."""
        kept = np.ascontiguousarray(self._ids[subset])
        if self._ids[-1] > 64 * len(self):
            return _faiss().IDSelectorBatch(kept)
        bits = np.zeros(int(self._ids[-1]) + 1, dtype=bool)
        bits[kept] = True
        packed = np.packbits(bits, bitorder="little")
        selector = _faiss().IDSelectorBitmap(packed)
        selector.bits_alive = packed  # the selector only points at the bits
        return selector

    # -- searching ----------------------------------------------------------------------------------------

    def _find(
        self,
        queries_QD: NDArray[np.float32],
        k: int,
        subset: NDArray[np.int64] | None,
        excluded: Sequence[NDArray[np.int64]],
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        available = len(self) if subset is None else len(subset)
        if subset is not None and available <= max(self.config.scan_share * len(self), k):
            return self._scan(queries_QD, k, subset, excluded)
        selector, probes = None, self.probes
        if subset is not None:
            selector = self._selector(subset)
            # The best k of a share s of the vectors lie as far away as the best k / s of all: look as far.
            probes = min(math.ceil(2 * probes * len(self) / available), self.facts["lists"])
        longest = max((len(ids) for ids in excluded), default=0)
        wanted = min(k + longest, available)
        scores, ids = self._faiss.search(queries_QD, wanted, params=self._parameters(probes, selector))
        scores = np.where(ids < 0, -np.inf, scores).astype(np.float32)
        for barred, queries in together(excluded):
            scores[queries] = np.where(np.isin(ids[queries], barred), -np.inf, scores[queries])
        place, scores = best(self.places(ids), scores, k)
        # Cells that hold too few allowed vectors would leave places empty: those queries are scanned.
        short = np.flatnonzero(place[:, min(k, available) - 1] < 0)
        if len(short):
            barred_short = [excluded[int(query)] for query in short] if excluded else []
            place[short], scores[short] = self._scan(queries_QD[short], k, subset, barred_short)
        return place, scores


def _faiss() -> Any:
    """Faiss, loaded at first use."""
    return importlib.import_module("faiss")
