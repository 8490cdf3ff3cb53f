"""What may be indexed and asked for: shapes, finite values, ids.

Shapes: N vectors, D dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bowerbird.tables.errors import BowerbirdError

Exclude = Sequence[ArrayLike] | NDArray[Any]


class VectorIndexError(BowerbirdError):
    """Vectors or ids that cannot be indexed, a query of the wrong shape, or a damaged index on disk."""


def checked(vectors: ArrayLike, ids: ArrayLike | None) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Vectors and ids in ascending order of id."""
    vectors_ND = np.asarray(vectors, np.float32)
    if vectors_ND.ndim != 2:
        raise VectorIndexError(f"vectors must be a matrix (N, D), not of shape {vectors_ND.shape}")
    ids_N = np.arange(len(vectors_ND)) if ids is None else np.asarray(ids)
    if ids_N.shape != (len(vectors_ND),):
        raise VectorIndexError(f"{len(vectors_ND)} vectors but ids of shape {ids_N.shape}")
    if len(ids_N) and not np.issubdtype(ids_N.dtype, np.integer):
        raise VectorIndexError(f"ids must be integers, not {ids_N.dtype}")
    bad = np.flatnonzero(~np.isfinite(vectors_ND).all(axis=1))
    if len(bad):
        raise VectorIndexError(f"the vector of id {int(ids_N[bad[0]])} holds a value that is not finite")
    ids_N = ids_N.astype(np.int64)
    if len(ids_N) and (ids_N[1:] > ids_N[:-1]).all() and ids_N[0] >= 0:
        return vectors_ND, ids_N
    order = np.argsort(ids_N, kind="stable")
    ids_N = ids_N[order]
    if len(ids_N) and ids_N[0] < 0:
        raise VectorIndexError(f"ids must not be negative, found {int(ids_N[0])}")
    again = np.flatnonzero(ids_N[1:] == ids_N[:-1])
    if len(again):
        raise VectorIndexError(f"id {int(ids_N[again[0]])} stands for two vectors")
    return vectors_ND[order], ids_N


def excluded_ids(exclude: Exclude | None, n_queries: int) -> list[NDArray[np.int64]]:
    if exclude is None:
        return []
    if len(exclude) != n_queries:
        raise VectorIndexError(f"exclude has {len(exclude)} lists for {n_queries} queries")
    given = list(exclude)  # keeps the rows of an array alive, so that an id() stands for one of them only
    made: dict[int, NDArray[np.int64]] = {}  # queries of one request share a list: it is read once
    for ids in given:
        if id(ids) not in made:
            found = np.atleast_1d(np.asarray(ids, np.int64))
            made[id(ids)] = found[found >= 0]
    return [made[id(ids)] for ids in given]


def together(lists: Sequence[NDArray[np.int64]]) -> list[tuple[NDArray[np.int64], list[int]]]:
    """Lists that are not empty, each once, with the places where it stands (the same object, not an equal one)."""
    places: dict[int, list[int]] = {}
    for place, ids in enumerate(lists):
        if len(ids):
            places.setdefault(id(ids), []).append(place)
    return [(lists[found[0]], found) for found in places.values()]
