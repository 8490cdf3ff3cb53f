"""What a graph is built from: batches of edges between nodes of two types.

Shape letters: B edges of one batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bowerbird.graph.errors import GraphError


@dataclass(frozen=True, eq=False)
class Edges:
    """A batch of edges; anything array-like is taken.

    Attributes:
        source: (B,) dense ids, 0 to the number of nodes of the type - 1; raw ids where the list says `raw`.
        target: (B,) the same for the targets.
        weight: (B,) positive weights, or None: every edge counts 1.
        time: (B,) int64 ms UTC, `UNDATED` where unknown, or None: no edge is dated.
    """

    source: ArrayLike
    target: ArrayLike
    weight: ArrayLike | None = None
    time: ArrayLike | None = None


@dataclass(frozen=True, eq=False)
class EdgeList:
    """All edges of one relation.

    Attributes:
        name: Name of the relation, such as `"item-collection"`.
        source, target: Node types.
        edges: The edges at once, or batches of them (streamed; a batch is all that has to be held).
        reverse: Name of the relation the other way round. By default `"target-source"` where the name is
            `"source-target"`, else the name with `":reverse"`; the name itself where `symmetric`.
        symmetric: The relation has no direction: (u, v) and (v, u) are one edge. Only between nodes of one type.
        raw: Ids are raw ids and are looked up in the vocabulary of their node type.
        strangers: Ids without a node are to be expected, as where accounts follow others that made nothing: such edges
            are reported with the rejected ones, but do not stop a build however many they are.
    """

    name: str
    source: str
    target: str
    edges: Edges | Iterable[Edges]
    reverse: str | None = None
    symmetric: bool = False
    raw: bool = False
    strangers: bool = False

    def __post_init__(self) -> None:
        if self.symmetric and self.source != self.target:
            raise GraphError(
                f"relation {self.name!r}: symmetric needs one node type, not {self.source!r} and {self.target!r}.\n"
                "  Fix: leave symmetric out; the reverse relation is always made"
            )
        if self.symmetric and self.reverse not in (None, self.name):
            raise GraphError(
                f"relation {self.name!r} is symmetric: it is its own reverse.\n  Fix: leave reverse out"
            )

    @property
    def reverse_name(self) -> str:
        """Name of the relation the other way round."""
        if self.symmetric:
            return self.name
        if self.reverse is not None:
            return self.reverse
        if self.source != self.target and self.name == f"{self.source}-{self.target}":
            return f"{self.target}-{self.source}"
        return f"{self.name}:reverse"

    def batches(self) -> Iterator[Edges]:
        """The edges, batch by batch."""
        if isinstance(self.edges, Edges):
            yield self.edges
        else:
            yield from self.edges


def as_ids(values: Any, relation: str, side: str) -> NDArray[np.int64]:
    """Dense ids as int64 (B,).

    Raises:
        GraphError: They are not whole numbers in one dimension.
    """
    found = np.asarray(values)
    if found.ndim != 1 or (len(found) and not np.issubdtype(found.dtype, np.integer)):
        raise GraphError(
            f"relation {relation!r}: the {side} ids must be whole numbers in one dimension, not "
            f"{found.dtype} of shape {found.shape}.\n  Fix: give dense ids, or raw=True to look raw ids up"
        )
    return found.astype(np.int64, copy=False)
