"""How the node types of a graph grow when edges are added to it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bowerbird.graph.building.nodes import NodeType, own_type
from bowerbird.graph.errors import GraphError
from bowerbird.graph.store import Graph
from bowerbird.tables.store import Vocabulary


def stored_nodes(graph: Graph) -> dict[str, NodeType]:
    """The node types of a graph as they are."""
    return {
        name: NodeType(entry.count, Vocabulary(graph.ids(name)) if entry.ids else None, entry.own)
        for name, entry in graph.manifest.nodes.items()
    }


def grown_nodes(old: Mapping[str, NodeType], new: Mapping[str, NodeType]) -> dict[str, NodeType]:
    """The node types after growth.

    A vocabulary of the graph's own takes new raw ids in their sorted place. Any other one, and a plain count, may
    only get longer at the end.

    Args:
        old: Node types of the graph.
        new: What is known of some of them afterwards.

    Raises:
        GraphError: A type is new to the graph, shrinks, or its given ids no longer begin with the old ones.
    """
    found = dict(old)
    for name, after in new.items():
        if name not in old:
            raise GraphError(
                f"the graph has no node type {name!r}; it has {', '.join(old)}.\n"
                "  Fix: a delta adds nodes and edges, not types; build the graph again"
            )
        before = old[name]
        if before.own and before.vocabulary is not None:
            if after.vocabulary is not None:
                found[name] = own_type(_together(name, before.vocabulary.ids, after.vocabulary.ids))
        elif after.count < before.count:
            raise GraphError(
                f"node type {name!r} has {before.count:,} nodes; it cannot shrink to {after.count:,}"
            )
        elif before.vocabulary is None:
            found[name] = NodeType(after.count)
        elif after.vocabulary is None and after.count > before.count:
            raise GraphError(
                f"node type {name!r} has raw ids.\n  Fix: give ids={{...}} with those of the new nodes, not a count"
            )
        elif after.vocabulary is not None:
            if not after.vocabulary.ids.head(before.count).equals(before.vocabulary.ids):
                raise GraphError(
                    f"node type {name!r}: the ids given do not begin with the {before.count:,} that the graph has.\n"
                    "  Fix: add new ids at the end"
                )
            found[name] = NodeType(after.count, after.vocabulary)
    return found


def moved(old: NodeType, new: NodeType) -> NDArray[np.int64] | None:
    """Where the nodes of a type went when it grew: int64 (N,), ascending; None where they stayed."""
    if not old.own or old.vocabulary is None or new.vocabulary is None or old.count == new.count:
        return None
    return new.vocabulary.encode(old.vocabulary.ids).astype(np.int64)


def _together(name: str, old: pl.Series, new: pl.Series) -> pl.Series:
    if len(new) and old.dtype != new.dtype and len(old):
        raise GraphError(
            f"node type {name!r}: the graph has {old.dtype} ids, the new edges bring {new.dtype}.\n"
            "  Fix: give the new ids the type of the old ones"
        )
    return pl.concat([part for part in (old, new) if len(part)]) if len(old) or len(new) else old
