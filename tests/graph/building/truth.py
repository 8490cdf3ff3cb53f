"""Graphs as dictionaries: what a build must come to, worked out the slow way; and how graphs are compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bowerbird.graph import UNDATED, Graph, Relation

Row = tuple[int, int, float, int]
"""Source, target, weight, time."""


def as_dict(relation: Relation) -> dict[tuple[int, int], tuple[float, int]]:
    """(source, target) -> (weight, time) of every stored edge."""
    weight = np.ones(len(relation)) if relation.weight is None else relation.weight
    time = np.full(len(relation), UNDATED) if relation.time is None else relation.time
    pairs = zip(relation.sources().tolist(), relation.indices.tolist(), strict=True)
    found = dict(zip(pairs, zip(weight.tolist(), time.tolist(), strict=True), strict=True))
    assert len(found) == len(relation), "an edge is stored twice"
    return found


def merged(rows: list[Row], *, symmetric: bool = False) -> dict[tuple[int, int], tuple[float, int]]:
    """What the relation of these rows must hold. Weights must be multiples of 2^-30 with small sums."""
    found: dict[tuple[int, int], tuple[float, int]] = {}
    for source, target, weight, time in rows:
        for edge in [(source, target), (target, source)] if symmetric else [(source, target)]:
            old_weight, old_time = found.get(edge, (0.0, UNDATED))
            found[edge] = (old_weight + weight, max(old_time, time))
    return found


def turned(edges: dict[tuple[int, int], Any]) -> dict[tuple[int, int], Any]:
    """The same edges the other way round."""
    return {(target, source): value for (source, target), value in edges.items()}


def assert_same_arrays(one: Graph, two: Graph) -> None:
    """Every array file of both graphs has the same bytes; counts, relations and raw ids agree."""
    assert dict(one.counts) == dict(two.counts)
    assert list(one.relations) == list(two.relations)
    for kind in ("relations", "base"):
        for name, entry in getattr(one.manifest, kind).items():
            other = getattr(two.manifest, kind)[name]
            assert sorted(entry.arrays) == sorted(other.arrays), name
            for array, file in entry.arrays.items():
                assert file == other.arrays[array], (name, array)
                assert _bytes(one.path / file.file) == _bytes(two.path / file.file), (name, array)
    for node_type in one.counts:
        assert one.ids(node_type).equals(two.ids(node_type))


def _bytes(path: Path) -> bytes:
    return path.read_bytes()
