"""What a delta folder holds, and how it is read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bowerbird.graph.building.nodes import NodeType
from bowerbird.graph.building.sorting import Run
from bowerbird.graph.building.sorting.runs import pack
from bowerbird.graph.store.graph import DELTAS
from bowerbird.tables.store import Vocabulary

MANIFEST = "delta.json"


@dataclass(frozen=True)
class Delta:
    """What one delta folder holds.

    Attributes:
        edges: Number of edges by relation.
        raw: Relations whose edges are kept by raw id, since dense ids of the graph's own types may move.
        files: Parquet files by relation.
        counts: Number of nodes that a type has afterwards.
        tails: Files with the raw ids of new nodes, by type.
        rejected: Rejected edges, by relation, by reason.
    """

    edges: dict[str, int] = field(default_factory=dict)
    raw: list[str] = field(default_factory=list)
    files: dict[str, list[str]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    tails: dict[str, str] = field(default_factory=dict)
    rejected: dict[str, dict[str, int]] = field(default_factory=dict)


def delta_folders(path: Path) -> list[Path]:
    """Folders of the deltas of a graph that wait to be merged, oldest first."""
    return sorted(found for found in (path / DELTAS).glob("[0-9]*") if (found / MANIFEST).exists())


def read_delta(folder: Path) -> Delta:
    """The manifest of a delta folder."""
    return Delta(**json.loads((folder / MANIFEST).read_bytes()))


def delta_nodes(folder: Path, delta: Delta, nodes: Mapping[str, NodeType]) -> dict[str, NodeType]:
    """What a delta says about node types of a graph: new counts, and raw ids, own vocabularies included.

    Args:
        folder: Folder of the delta.
        delta: Its manifest.
        nodes: Node types so far.
    """
    found: dict[str, NodeType] = {name: NodeType(count) for name, count in delta.counts.items()}
    for name, file in delta.tails.items():
        tail = pl.read_parquet(folder / file)["id"]
        before = nodes[name]
        assert before.vocabulary is not None
        if before.own:
            found[name] = NodeType(len(tail), Vocabulary(tail), own=True)
        else:
            column = pl.concat([before.vocabulary.ids.head(delta.counts[name] - len(tail)), tail])
            found[name] = NodeType(len(column), Vocabulary(column))
    return found


def delta_runs(
    folder: Path,
    files: Sequence[str],
    ends: tuple[NodeType, NodeType],
    *,
    raw: bool,
    symmetric: bool,
    bits: int,
) -> Iterator[Run]:
    """The edges of one relation in a delta folder, which were checked when they were appended.

    Args:
        folder: Folder of the delta.
        files: Its files with edges of the relation.
        ends: Source and target type as they are now.
        raw: Whether the files hold raw ids.
        symmetric: Whether (u, v) and (v, u) are one edge.
        bits: Bits of the target type in a key.
    """
    for file in files:
        part = pl.read_parquet(folder / file)
        source, target = (
            _dense(part[side], end, raw) for side, end in zip(("source", "target"), ends, strict=True)
        )
        if symmetric:
            source, target = np.minimum(source, target), np.maximum(source, target)
        yield Run(
            pack(source, target, bits),
            part["units"].to_numpy() if "units" in part.columns else None,
            part["time"].to_numpy() if "time" in part.columns else None,
        )


def _dense(ids: pl.Series, end: NodeType, raw: bool) -> NDArray[Any]:
    if not raw:
        return ids.to_numpy()
    assert end.vocabulary is not None
    return end.vocabulary.encode(ids)
