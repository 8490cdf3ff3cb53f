"""The node types of a graph: how many dense ids each has, and which raw ids stand behind them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bowerbird.graph.building.input.edges import EdgeList, Edges, as_ids
from bowerbird.graph.errors import GraphError
from bowerbird.graph.store.arrays import checksum
from bowerbird.graph.store.manifest import NodeEntry
from bowerbird.tables.store import Vocabulary

Ids = pl.Series | Vocabulary | Sequence[Any] | NDArray[Any]


@dataclass(frozen=True, eq=False)
class NodeType:
    """One node type.

    Attributes:
        count: Number of dense ids.
        vocabulary: Raw ids in dense order, or None: dense ids are all there is.
        own: The vocabulary is the graph's own: the sorted raw ids of its edges. A delta with a new raw id puts it in
            its place, so that the grown graph equals the rebuilt one.
    """

    count: int
    vocabulary: Vocabulary | None = None
    own: bool = False

    def keys(self) -> NDArray[np.uint64]:
        """uint64 (N,): what stands for each node in random numbers; does not change when the graph grows."""
        if self.own and self.vocabulary is not None:
            return self.vocabulary.keys
        return np.arange(self.count, dtype=np.uint64)


def given_ids(ids: Mapping[str, Ids] | None, counts: Mapping[str, int] | None) -> dict[str, NodeType]:
    """Node types that a person described.

    Raises:
        GraphError: Raw ids are missing, repeated, or do not agree with the count; or a count is negative.
    """
    found: dict[str, NodeType] = {}
    for name, values in (ids or {}).items():
        vocabulary = as_vocabulary(name, values)
        found[name] = NodeType(len(vocabulary), vocabulary)
    for name, count in (counts or {}).items():
        if int(count) < 0:
            raise GraphError(f"node type {name!r}: a count is 0 or more, not {count}")
        if name in found and found[name].count != int(count):
            raise GraphError(
                f"node type {name!r}: {found[name].count:,} raw ids, but a count of {count:,}.\n"
                "  Fix: leave the count out"
            )
        found.setdefault(name, NodeType(int(count)))
    return found


def as_vocabulary(name: str, values: Ids) -> Vocabulary:
    """A vocabulary from raw ids in dense order.

    Raises:
        GraphError: One is missing or occurs twice.
    """
    if isinstance(values, Vocabulary):
        return values
    column = raw_column(values)
    if column.null_count() or column.n_unique() != len(column):
        raise GraphError(
            f"node type {name!r}: every raw id must be there once; {column.null_count():,} are missing and "
            f"{len(column) - column.n_unique():,} repeated.\n  Fix: give the distinct raw ids in dense order"
        )
    return Vocabulary(column)


def raw_column(values: Any) -> pl.Series:
    """Raw ids as a column of Int64 or text."""
    column = values if isinstance(values, pl.Series) else pl.Series("id", values, strict=False)
    return column.cast(pl.Int64 if column.dtype.is_integer() else pl.String)


def collect_ids(lists: Iterable[EdgeList], known: Mapping[str, NodeType]) -> dict[str, NodeType]:
    """The node types that nobody described: sorted raw ids of raw lists, one past the largest id of dense lists.

    Reads every list that touches such a type once more.

    Raises:
        GraphError: Such a list can be read only once, or a type is given both by raw and by dense ids.
    """
    raw: dict[str, pl.Series] = {}
    largest: dict[str, int] = {}
    for edges in lists:
        open_sides = [side for side in ("source", "target") if getattr(edges, side) not in known]
        if not open_sides:
            continue
        if not isinstance(edges.edges, Edges) and iter(edges.edges) is edges.edges:
            types = ", ".join(repr(getattr(edges, side)) for side in open_sides)
            raise GraphError(
                f"relation {edges.name!r}: its edges can be read only once, and how many nodes of {types} there are "
                "is not known.\n  Fix: give counts={...} or ids={...}, or edges that can be read again"
            )
        for batch in edges.batches():
            for side in open_sides:
                node_type, values = getattr(edges, side), getattr(batch, side)
                if edges.raw:
                    column = raw_column(values).drop_nulls().unique()
                    raw[node_type] = _union(node_type, raw.get(node_type), column)
                else:
                    ids = as_ids(values, edges.name, side)
                    largest[node_type] = max(largest.get(node_type, -1), int(ids.max()) if len(ids) else -1)
    for name in raw.keys() & largest.keys():
        raise GraphError(
            f"node type {name!r}: one relation gives raw ids and another one dense ids.\n"
            "  Fix: give raw ids everywhere, or ids={...} with the raw ids in dense order"
        )
    found = {name: NodeType(n + 1) for name, n in largest.items()}
    return found | {name: own_type(column) for name, column in raw.items()}


def own_type(column: pl.Series) -> NodeType:
    """A node type of the graph's own from its raw ids."""
    vocabulary = Vocabulary(column.unique().sort())
    return NodeType(len(vocabulary), vocabulary, own=True)


def _union(node_type: str, old: pl.Series | None, new: pl.Series) -> pl.Series:
    if old is None:
        return new
    if old.dtype != new.dtype:
        raise GraphError(
            f"node type {node_type!r}: raw ids are whole numbers in one place and text in another.\n"
            "  Fix: give them one type"
        )
    return pl.concat([old, new]).unique()


def write_nodes(types: Mapping[str, NodeType], folder: Path) -> dict[str, NodeEntry]:
    """Writes the raw ids and returns the entries of the manifest."""
    (folder / "ids").mkdir()
    found = {}
    for number, (name, node) in enumerate(types.items()):
        entry = NodeEntry(node.count, own=node.own)
        if node.vocabulary is not None:
            file = f"ids/{number:02d}.parquet"
            node.vocabulary.save(folder / file)
            size = (folder / file).stat().st_size
            entry = replace(entry, ids=file, bytes=size, checksum=checksum(folder / file))
        found[name] = entry
    return found
