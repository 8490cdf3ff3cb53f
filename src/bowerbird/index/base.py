"""The one interface of nearest-neighbour search: checks, filters and exclusions; the kinds only find.

Shapes: N stored vectors, D dimensions, Q queries, k list length. Inner product; callers normalise for cosine.
Ids are any non-negative integers (dense item ids inside the engine).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bowerbird.index.checks import Exclude, VectorIndexError, checked, excluded_ids
from bowerbird.index.config import IndexConfig, Kind
from bowerbird.index.hits import Hits, best, candidates
from bowerbird.tables.errors import ConfigError

_CELLS = 1 << 24
"""Scores an exact scan holds at once."""


class Index(ABC):
    """Vectors under ids, found by inner product. Make one with `build` or `open`.

    Searches come back in one order for every kind: higher score first, among equal scores the lower id first.
    What is asked for and exists is returned: a filter or exclusion never leaves places empty while allowed
    vectors are left.
    """

    kind: ClassVar[str]

    def __init__(self, dim: int, config: IndexConfig) -> None:
        self.dim = dim
        self.config = config

    # -- making and keeping -------------------------------------------------------------------------------

    @staticmethod
    def build(
        vectors: ArrayLike,
        ids: ArrayLike | None = None,
        *,
        kind: Kind = "auto",
        config: IndexConfig | None = None,
        sample_queries: ArrayLike | None = None,
        seed: int = 0,
    ) -> Index:
        """Index a catalogue.

        Args:
            vectors: float32 (N, D), finite.
            ids: N distinct integers >= 0; 0 .. N-1 when left out.
            kind: "exact", "ivf", or "auto" to choose by size.
            config: how; the defaults when left out.
            sample_queries: float32 (n, D) queries like those to come, to tune an approximate index on; a
                sample of the stored vectors when left out.
            seed: of the clustering and of the tuning sample.

        Raises:
            VectorIndexError: wrong shapes, a value that is not finite, or repeated or negative ids.
            ConfigError: unknown kind.
        """
        from bowerbird.index.exact import ExactIndex

        config = config or IndexConfig()
        vectors_ND, ids_N = checked(vectors, ids)
        if kind not in ("auto", "exact", "ivf"):
            raise ConfigError(f"unknown kind of index {kind!r}; known: auto, exact, ivf")
        if kind == "exact" or (kind == "auto" and len(ids_N) < config.exact_below) or not len(ids_N):
            return ExactIndex.of(vectors_ND, ids_N, config)
        from bowerbird.index.ivf import IVFIndex

        sample = None if sample_queries is None else checked(sample_queries, None)[0]
        return IVFIndex.of(vectors_ND, ids_N, config, sample, seed)

    @staticmethod
    def open(folder: str | Path, *, mmap: bool = True, verify: bool = True) -> Index:
        """Open a saved index.

        Args:
            folder: where `save` put it.
            mmap: leave vectors on disk until they are touched.
            verify: compare content hashes (reads every byte once); sizes are always compared.

        Raises:
            VectorIndexError: missing, damaged, or written by a newer version.
        """
        from bowerbird.index.files import read_head

        head = read_head(Path(folder), verify=verify)
        if head["kind"] == "exact":
            from bowerbird.index.exact import ExactIndex

            return ExactIndex.read(Path(folder), head, mmap=mmap)
        from bowerbird.index.ivf import IVFIndex

        return IVFIndex.read(Path(folder), head, mmap=mmap)

    @abstractmethod
    def save(self, folder: str | Path) -> None:
        """Write the index as a folder that appears whole: `index.json` with hashes, and its files."""

    # -- contents -----------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def ids(self) -> NDArray[np.int64]:
        """int64 (N,) stored ids, ascending."""

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, id: int) -> bool:
        return bool(self.places(np.array([id]))[0] >= 0)

    def places(self, ids: ArrayLike) -> NDArray[np.int64]:
        """Positions of ids in `self.ids`, -1 where they are not stored."""
        wanted = np.asarray(ids, np.int64)
        if not len(self.ids):
            return np.full(wanted.shape, -1, np.int64)
        first, last = int(self.ids[0]), int(self.ids[-1])
        if last - first + 1 == len(self.ids):  # no gaps, as in a whole catalogue: nothing to search
            return np.where((wanted >= first) & (wanted <= last), wanted - first, -1)
        place = np.minimum(np.searchsorted(self.ids, wanted), len(self.ids) - 1)
        return np.where(self.ids[place] == wanted, place, -1)

    def vectors(self, ids: ArrayLike) -> NDArray[np.float32]:
        """float32 (n, D) stored vectors of ids.

        Raises:
            VectorIndexError: an id is not stored.
        """
        wanted = np.atleast_1d(np.asarray(ids, np.int64))
        place = self.places(wanted)
        if (place < 0).any():
            missing = int(wanted[np.flatnonzero(place < 0)[0]])
            raise VectorIndexError(f"id {missing} is not in the index of {len(self)} vectors")
        return self._stored(place)

    def add(self, vectors: ArrayLike, ids: ArrayLike) -> None:
        """Store more vectors; an id that is stored already gets its new vector.

        Raises:
            VectorIndexError: as for `build`, or another dimension.
        """
        vectors_ND, ids_N = checked(vectors, ids)
        if vectors_ND.shape[1] != self.dim:
            raise VectorIndexError(
                f"vectors of dimension {vectors_ND.shape[1]} for an index of dimension {self.dim}"
            )
        self.remove(ids_N)
        self._add(vectors_ND, ids_N)

    def remove(self, ids: ArrayLike) -> int:
        """Forget vectors; unknown ids are ignored. Returns how many went."""
        place = np.unique(self.places(np.atleast_1d(np.asarray(ids, np.int64))))
        place = place[place >= 0]
        if len(place):
            self._remove(place)
        return len(place)

    # -- searching ----------------------------------------------------------------------------------------

    def search(
        self, queries: ArrayLike, k: int, *, allowed: ArrayLike | None = None, exclude: Exclude | None = None
    ) -> Hits:
        """The k best of each query.

        Args:
            queries: float32 (Q, D) or (D,), finite.
            k: list length, >= 1; lists are padded with -1 beyond what is stored and allowed.
            allowed: only these ids (one filter for all queries); unknown ids are ignored.
            exclude: never these: one array of ids a query, or an integer array (Q, X) padded with -1.

        Raises:
            VectorIndexError: wrong shape, a value that is not finite, or k < 1.
        """
        return self._search(queries, k, allowed, exclude, with_vectors=False)

    def search_and_reconstruct(
        self, queries: ArrayLike, k: int, *, allowed: ArrayLike | None = None, exclude: Exclude | None = None
    ) -> Hits:
        """Like `search`, with the stored vectors of the hits, so that a ranker needs no second lookup."""
        return self._search(queries, k, allowed, exclude, with_vectors=True)

    def _search(
        self,
        queries: ArrayLike,
        k: int,
        allowed: ArrayLike | None,
        exclude: Exclude | None,
        *,
        with_vectors: bool,
    ) -> Hits:
        queries_QD = self._checked_queries(queries, k)
        out = excluded_ids(exclude, len(queries_QD))
        subset: NDArray[np.int64] | None = None
        if allowed is not None:
            found = np.unique(self.places(np.atleast_1d(np.asarray(allowed, np.int64))))
            subset = found[found >= 0]
        place, scores = self._find(queries_QD, k, subset, out)
        ids = np.where(place >= 0, self.ids[np.maximum(place, 0)] if len(self) else -1, -1)
        vectors: NDArray[np.float32] | None = None
        if with_vectors:
            vectors = np.zeros((*place.shape, self.dim), np.float32)
            vectors[place >= 0] = self._stored(place[place >= 0])
        return Hits(ids.astype(np.int64), scores.astype(np.float32), vectors)

    def _scan(
        self,
        queries_QD: NDArray[np.float32],
        k: int,
        subset: NDArray[np.int64] | None,
        excluded: Sequence[NDArray[np.int64]],
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Exact search over all places or an ascending subset of them, in blocks that bound memory."""
        n = len(self) if subset is None else len(subset)
        rows = np.full((len(queries_QD), 0), -1, np.int64)
        scores = np.full((len(queries_QD), 0), -np.inf, np.float32)
        barred = [self.places(ids) for ids in excluded]
        step = max(1, _CELLS // max(len(queries_QD), 1))
        for low in range(0, n, step):
            place = np.arange(low, min(low + step, n)) if subset is None else subset[low : low + step]
            block = queries_QD @ self._stored(place).T
            _bar(block, place, barred)
            columns = candidates(block, min(k, len(place)))
            rows = np.concatenate([rows, place[columns]], axis=1)
            scores = np.concatenate([scores, np.take_along_axis(block, columns, 1)], axis=1)
            rows, scores = best(rows, scores, min(k, rows.shape[1]))
        return best(rows, scores, k)

    def _checked_queries(self, queries: ArrayLike, k: int) -> NDArray[np.float32]:
        queries_QD = np.atleast_2d(np.asarray(queries, np.float32))
        if queries_QD.ndim != 2 or queries_QD.shape[1] != self.dim:
            raise VectorIndexError(
                f"queries of shape {queries_QD.shape} for an index of dimension {self.dim}"
            )
        if k < 1:
            raise VectorIndexError(f"k must be at least 1, not {k}")
        if not np.isfinite(queries_QD).all():
            raise VectorIndexError("a query holds a value that is not finite")
        return np.ascontiguousarray(queries_QD)

    # -- what a kind does; places are positions in `self.ids` ---------------------------------------------

    @abstractmethod
    def _stored(self, place: NDArray[np.int64]) -> NDArray[np.float32]: ...

    @abstractmethod
    def _add(self, vectors_ND: NDArray[np.float32], ids_N: NDArray[np.int64]) -> None: ...

    @abstractmethod
    def _remove(self, place: NDArray[np.int64]) -> None: ...

    @abstractmethod
    def _find(
        self,
        queries_QD: NDArray[np.float32],
        k: int,
        subset: NDArray[np.int64] | None,
        excluded: Sequence[NDArray[np.int64]],
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Places (Q, k) and scores (Q, k), sorted and padded.

        `subset`: ascending places that are allowed, None = all; `excluded`: ids, one array a query, or empty.
        """


def _bar(
    scores_QX: NDArray[np.float32], place_X: NDArray[np.int64], barred: Sequence[NDArray[np.int64]]
) -> None:
    """Set the scores of each query's barred places to -inf."""
    for query, places in enumerate(barred):
        inside = places[(places >= place_X[0]) & (places <= place_X[-1])] if len(place_X) else places[:0]
        column = np.searchsorted(place_X, inside)
        scores_QX[query, column[place_X[column] == inside]] = -np.inf
