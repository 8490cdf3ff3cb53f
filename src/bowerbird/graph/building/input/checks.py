"""Checks a batch of edges: what is wrong with each one that cannot be in a graph.

The rule, in this order; an edge is rejected for the first thing wrong with it: an id that no node has, a self loop
(where both ends are of one type), a weight that is not a number, infinite, negative, zero, or outside 2^-30 to
2^32 - 1 (weights are summed exactly, in units of 2^-30). Several edges between the same two nodes are fine: they are
merged.

Shape letters: B edges of one batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bowerbird.graph.building.input.edges import EdgeList, Edges, as_ids
from bowerbird.graph.building.sorting.runs import CAP, UNIT, Run, pack
from bowerbird.graph.errors import GraphError
from bowerbird.graph.store.relation import UNDATED
from bowerbird.tables.store import Vocabulary

PIECE = 1 << 21
"""Edges that are checked at once, however many come in one batch."""

REASONS = (
    "",
    "unknown source id",
    "unknown target id",
    "self loop",
    "weight is not a number",
    "weight is infinite",
    "weight is negative",
    "weight is zero",
    "weight is outside 2^-30 to 2^32 - 1",
    "an end without a node",
)

STRANGER = REASONS[-1]
"""What edges are left out for, but no mistake: see `EdgeList.strangers`."""


@dataclass(frozen=True, eq=False)
class Rejected:
    """Edges of one piece that were rejected.

    Attributes:
        row: int64 (R,) their number in the list of edges, from 1.
        reason: uint8 (R,) place in `REASONS`.
        source, target: (R,) ids as they were given.
        weight, time: (R,) as given, or None.
    """

    row: NDArray[np.int64]
    reason: NDArray[np.uint8]
    source: NDArray[Any]
    target: NDArray[Any]
    weight: NDArray[Any] | None
    time: NDArray[Any] | None

    def __len__(self) -> int:
        return len(self.row)


def node_bits(count: int) -> int:
    """Bits that hold every dense id of a type with `count` nodes."""
    return max(int(count) - 1, 0).bit_length()


class EdgeChecker:
    """Turns batches of one relation into sortable runs, and sorts out what cannot be an edge.

    Args:
        edges: The relation.
        counts: Number of nodes of each type.
        vocabularies: Raw ids of the node types, for lists of raw ids.
    """

    def __init__(
        self, edges: EdgeList, counts: Mapping[str, int], vocabularies: Mapping[str, Vocabulary]
    ) -> None:
        self._list, self._vocabularies = edges, vocabularies
        self._n_source, self._n_target = counts[edges.source], counts[edges.target]
        self.column_bits = node_bits(self._n_target)
        self.read = 0

    def check(self, batch: Edges) -> Iterator[tuple[Run, Rejected]]:
        """The good edges and the rejected ones of a batch, piece by piece.

        Raises:
            GraphError: The columns of the batch do not fit together.
        """
        columns = self._columns(batch)
        n = len(columns["source"])
        for low in range(0, n, PIECE):
            piece = {name: None if c is None else c[low : low + PIECE] for name, c in columns.items()}
            yield self._piece(piece)

    def _columns(self, batch: Edges) -> dict[str, Any]:
        name = self._list.name
        found: dict[str, Any] = {}
        for side in ("source", "target"):
            values = getattr(batch, side)
            # Raw ids may be a column of text: only its length and its slices are needed here.
            found[side] = values if self._list.raw and hasattr(values, "__getitem__") else np.asarray(values)
        for side in ("weight", "time"):
            values = getattr(batch, side)
            found[side] = None if values is None else np.asarray(values)
        sizes = {key: len(values) for key, values in found.items() if values is not None}
        if len(set(sizes.values())) > 1:
            told = ", ".join(f"{size:,} {key}" for key, size in sizes.items())
            raise GraphError(f"relation {name!r}: the columns of a batch differ in length: {told}")
        if found["weight"] is not None and found["weight"].dtype.kind not in "iufb" and len(found["weight"]):
            raise GraphError(f"relation {name!r}: weights must be numbers, not {found['weight'].dtype}")
        if found["time"] is not None and found["time"].dtype.kind not in "iu" and len(found["time"]):
            raise GraphError(
                f"relation {name!r}: times must be whole milliseconds UTC, not {found['time'].dtype}.\n"
                f"  Fix: convert them to int64, with {UNDATED} (bowerbird.graph.UNDATED) where unknown"
            )
        return found

    def _ids(self, values: Any, node_type: str, side: str) -> NDArray[np.int64]:
        if self._list.raw:
            return self._vocabularies[node_type].encode(values).astype(np.int64)
        return as_ids(values, self._list.name, side)

    def _piece(self, piece: dict[str, Any]) -> tuple[Run, Rejected]:
        edges = self._list
        source = self._ids(piece["source"], edges.source, "source")
        target = self._ids(piece["target"], edges.target, "target")
        reason = np.zeros(len(source), np.uint8)
        if piece["weight"] is not None:
            weight = piece["weight"].astype(np.float64, copy=False)
            for number, wrong in _wrong_weights(weight):
                reason[wrong] = number
        else:
            weight = None
        if edges.source == edges.target:
            reason[source == target] = REASONS.index("self loop")
        for ids, count, side in ((target, self._n_target, "target"), (source, self._n_source, "source")):
            told = STRANGER if edges.strangers else f"unknown {side} id"
            reason[(ids < 0) | (ids >= count)] = REASONS.index(told)
        bad = np.flatnonzero(reason)
        rejected = Rejected(
            self.read + 1 + bad,
            reason[bad],
            _taken(piece["source"], bad),
            _taken(piece["target"], bad),
            None if piece["weight"] is None else piece["weight"][bad],
            None if piece["time"] is None else piece["time"][bad],
        )
        self.read += len(source)
        time = piece["time"]
        if len(bad):
            good = reason == 0
            source, target = source[good], target[good]
            weight = None if weight is None else weight[good]
            time = None if time is None else time[good]
        if edges.symmetric:
            source, target = np.minimum(source, target), np.maximum(source, target)
        return Run(pack(source, target, self.column_bits), _total(weight), _time(time)), rejected


def _wrong_weights(weight: NDArray[np.float64]) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """Which weights are wrong for which reason; a later reason is the more telling one."""
    with np.errstate(invalid="ignore"):
        fine = (weight >= 1 / UNIT) & (weight <= CAP / UNIT)
        if fine.all():
            return
        yield REASONS.index("weight is outside 2^-30 to 2^32 - 1"), ~fine
        yield REASONS.index("weight is zero"), weight == 0
        yield REASONS.index("weight is negative"), weight < 0
        yield REASONS.index("weight is infinite"), np.isinf(weight)
        yield REASONS.index("weight is not a number"), np.isnan(weight)


def _total(weight: NDArray[np.float64] | None) -> NDArray[np.int64] | None:
    if weight is None or bool((weight == 1).all()):
        return None
    return np.rint(weight * UNIT).astype(np.int64)


def _time(time: Any | None) -> NDArray[np.int64] | None:
    if time is None or bool((time == UNDATED).all()):
        return None
    found: NDArray[np.int64] = np.ascontiguousarray(time, np.int64)
    return found


def _taken(values: Any, rows: NDArray[np.int64]) -> NDArray[Any]:
    if not len(rows):
        return np.empty(0, object)
    if hasattr(values, "gather"):  # a column of polars
        values = values.gather(rows)
        return np.array(values.to_list(), object)
    return np.asarray(values)[rows]
