"""Approximate search: Faiss inverted lists with 4-bit product codes (IVF, PQ fast scan), then the exact order.

Shapes: N stored vectors, D dimensions, P >= D even, Q queries, k list length, C candidates.

The vectors are cut into about 4 sqrt(N) cells; a search visits the `probes` cells nearest to the query, reads half a
byte for every two dimensions there, and sorts the best `refine` x k candidates by their 16-bit vectors: it reads an
eighth of what a search over the vectors themselves would. The build finds the smallest `refine` and then about the
fewest `probes` (to a sixteenth) that reach the recall target on sample queries against an exact scan. Faiss is imported
here and nowhere else, so small catalogues never load it next to torch.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray

from bowerbird.index.base import Index
from bowerbird.index.checks import together
from bowerbird.index.config import IndexConfig
from bowerbird.index.files import write_folder
from bowerbird.index.hits import best, candidates

_FINE = 16
"""The number of cells visited is tuned to within this fraction of itself."""

_REFINE = (2, 4, 8, 16, 32)
"""Candidates whose exact score is looked up, per place of the list: what tuning chooses from."""

_TOGETHER = 1 << 15
"""Vectors read for their exact scores at once."""

_TRAIN_PER_CELL = 64
"""Vectors a cell that the clustering sees at most."""

_TRAIN_LEAST = 1_024
"""Vectors the codes are learnt from at least; a smaller catalogue is repeated."""


class IVFIndex(Index):
    """A Faiss index of codes whose own ids are our ids, plus the vectors themselves in ascending order of id."""

    kind: ClassVar[str] = "ivf"

    def __init__(
        self, faiss_index: Any, vectors_ND: NDArray[np.float16], ids_N: NDArray[np.int64], config: IndexConfig,
        facts: dict[str, Any],
    ) -> None:  # fmt: skip
        super().__init__(int(vectors_ND.shape[1]), config)
        self._faiss, self._vectors, self._ids = faiss_index, vectors_ND, ids_N
        self.facts = facts
        self._file: Path | None = None
        self._mapped = False

    @property
    def probes(self) -> int:
        """Cells a search visits."""
        return int(self.facts["probes"])

    @property
    def refine(self) -> int:
        """Candidates whose exact score is looked up, per place of a list of the length that was tuned for."""
        return int(self.facts["refine"])

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
        vectors = _even(vectors_ND)
        n, dim = vectors.shape
        cells = min(config.lists or max(1, round(4 * n**0.5)), n)
        coarse = faiss.IndexFlatIP(dim)
        index = faiss.IndexIVFPQFastScan(coarse, dim, cells, dim // 2, 4, faiss.METRIC_INNER_PRODUCT)
        index.by_residual = False
        for clustering in (index.cp, index.pq.cp):
            clustering.seed = seed
            clustering.min_points_per_centroid = 1  # tiny indexes are legal; faiss would print a warning
        index.cp.niter = 10
        index.cp.max_points_per_centroid = _TRAIN_PER_CELL
        index.train(vectors if n >= _TRAIN_LEAST else np.resize(vectors, (_TRAIN_LEAST, dim)))
        index.add_with_ids(vectors, ids_N)
        built = cls(index, vectors_ND.astype(np.float16), ids_N, config, {"lists": cells, "probes": cells})
        built.facts |= built._tuned(vectors_ND, sample, seed)
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

        def recall_at(probes: int, refine: int) -> float:
            place, _ = self._nearest(queries, k, refine * k, self._parameters(probes, None), ())
            return sum(len(np.intersect1d(*pair)) for pair in zip(rows, place, strict=True)) / rows.size

        target, cells = self.config.recall_target, self.facts["lists"]
        for refine in _REFINE:  # codes may cost half of what the target allows to lose, cells the other half
            if recall_at(cells, refine) >= (1 + target) / 2:
                break
        few, probes, recall = 0, 1, recall_at(1, refine)
        while recall < target and probes < cells:
            few, probes = probes, min(probes * 2, cells)
            recall = recall_at(probes, refine)
        while probes - few > max(1, probes // _FINE):
            middle = (few + probes) // 2
            reached = recall_at(middle, refine)
            if reached >= target:
                probes, recall = middle, reached
            else:
                few = middle
        return {"probes": probes, "refine": refine, "recall": recall, "recall_k": k}

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
            "vectors.npy": lambda path: np.save(path, self._vectors),
            "ids.npy": lambda path: np.save(path, self._ids),
        }
        write_folder(Path(folder), head, files)

    @classmethod
    def read(cls, folder: Path, head: dict[str, Any], *, mmap: bool) -> Self:
        """From a saved folder whose head was checked."""
        faiss = _faiss()
        file = folder / "cells.faiss"
        index = faiss.read_index(str(file), faiss.IO_FLAG_MMAP if mmap else 0)
        mode: Any = "r" if mmap else None
        vectors = np.load(folder / "vectors.npy", mmap_mode=mode, allow_pickle=False)
        ids = np.load(folder / "ids.npy", mmap_mode=mode, allow_pickle=False)
        opened = cls(index, vectors, ids, IndexConfig(**head["config"]), head["facts"])
        opened._file, opened._mapped = file, mmap
        return opened

    def _writable(self) -> None:
        """Mapped lists are read-only: load them before the first change."""
        if self._mapped:
            faiss = _faiss()
            self._faiss = faiss.read_index(str(self._file))
            self._mapped = False

    # -- contents -----------------------------------------------------------------------------------------

    @property
    def ids(self) -> NDArray[np.int64]:
        """See `Index.ids`."""
        return self._ids

    def _stored(self, place: NDArray[np.int64]) -> NDArray[np.float32]:
        # by torch, since numpy widens 16-bit numbers one by one: ten times as long
        rows: NDArray[np.float32] = torch.from_numpy(self._vectors.take(place, axis=0)).float().numpy()
        return rows

    def _add(self, vectors_ND: NDArray[np.float32], ids_N: NDArray[np.int64]) -> None:
        self._writable()
        self._faiss.add_with_ids(_even(vectors_ND), np.ascontiguousarray(ids_N))
        ids = np.concatenate([self._ids, ids_N])
        order = np.argsort(ids, kind="stable")
        self._vectors = np.concatenate([self._vectors, vectors_ND.astype(np.float16)])[order]
        self._ids = ids[order]

    def _remove(self, place: NDArray[np.int64]) -> None:
        self._writable()
        self._faiss.remove_ids(np.ascontiguousarray(self._ids[place]))
        self._vectors = np.delete(self._vectors, place, axis=0)
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
        wanted = min(self.refine * max(k, self.facts["recall_k"]), available)
        place, scores = self._nearest(queries_QD, k, wanted, self._parameters(probes, selector), excluded)
        # Cells that hold too few allowed vectors would leave places empty: those queries are scanned.
        short = np.flatnonzero(place[:, min(k, available) - 1] < 0)
        if len(short):
            barred_short = [excluded[int(query)] for query in short] if excluded else []
            place[short], scores[short] = self._scan(queries_QD[short], k, subset, barred_short)
        return place, scores

    def _nearest(
        self, queries_QD: NDArray[np.float32], k: int, wanted: int, parameters: Any,
        excluded: Sequence[NDArray[np.int64]],
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:  # fmt: skip
        """The best k by exact score of the best `wanted` by code and as many more as are excluded: places, scores."""
        more = [len(ids) for ids in excluded] or [0] * len(queries_QD)
        most = min(wanted + max(more, default=0), len(self))
        _, ids_QC = self._faiss.search(_even(queries_QD), most, params=parameters)
        place_QC = self.places(ids_QC)
        scores_QC = np.full(place_QC.shape, -np.inf, np.float32)
        # a query looks through as many as it asked for, however many the others of its batch do
        looked_QC = (place_QC >= 0) & (np.arange(most) < wanted + np.array(more)[:, None])
        step = max(1, _TOGETHER // most)
        for low in range(0, len(queries_QD), step):
            part = slice(low, low + step)
            rows_XD = self._stored(place_QC[part][looked_QC[part]])
            ends = np.cumsum(looked_QC[part].sum(axis=1))
            for query, scores, looked, rows in zip(
                queries_QD[part], scores_QC[part], looked_QC[part], np.split(rows_XD, ends[:-1]), strict=True
            ):
                scores[looked] = rows @ query
        for barred, queries in together(excluded):
            out = np.zeros(len(self) + 1, dtype=bool)  # one more, so that what is not stored marks nothing
            out[self.places(barred)] = True
            out[-1] = False
            scores_QC[queries] = np.where(out[place_QC[queries]], -np.inf, scores_QC[queries])
        kept = candidates(scores_QC, k)
        return best(np.take_along_axis(place_QC, kept, 1), np.take_along_axis(scores_QC, kept, 1), k)


def _even(vectors_ND: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows in one piece, with a zero more where D is odd: a code stands for two dimensions."""
    odd = vectors_ND.shape[1] % 2
    return np.ascontiguousarray(np.pad(vectors_ND, ((0, 0), (0, 1))) if odd else vectors_ND, np.float32)


def _faiss() -> Any:
    """Faiss, loaded at first use."""
    return importlib.import_module("faiss")
