"""The manifest of a graph: which files make it up, how many nodes and edges, and how it was made."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bowerbird.graph.errors import GraphError
from bowerbird.graph.store.arrays import ArrayFile
from bowerbird.tables.atomic import write_atomic

MANIFEST: Final = "manifest.json"
FORMAT: Final = "bowerbird-graph"
SCHEMA_VERSION: Final = 1


@dataclass(frozen=True)
class RelationEntry:
    """One directed relation.

    Attributes:
        name, source, target: Its name and node types.
        reverse: Name of the relation that holds the same edges the other way round; its own where symmetric.
        base: Name of the relation under which the unpruned edges are kept (`GraphManifest.base`).
        edges: Number of stored edges, after pruning.
        arrays: `indptr`, `indices`, and `weight` and `time` where the relation has them.
    """

    name: str
    source: str
    target: str
    reverse: str
    base: str
    edges: int
    arrays: dict[str, ArrayFile]


@dataclass(frozen=True)
class BaseEntry:
    """The unpruned, merged edges of a relation, from which deltas are merged.

    Attributes:
        edges: Number of distinct edges.
        symmetric: Whether an edge and its reverse are one edge, kept as (smaller id, larger id).
        arrays: `indptr`, `indices`, `total` (summed weight: whole numbers, or units of 2^-30), and `time`.
    """

    edges: int
    symmetric: bool
    arrays: dict[str, ArrayFile]


@dataclass(frozen=True)
class NodeEntry:
    """One node type.

    Attributes:
        count: Number of dense ids.
        ids: File of the raw ids inside the folder, or None where the dense ids are the raw ids.
        bytes: Size of that file.
        checksum: BLAKE2b-128 of that file.
        own: Whether the vocabulary belongs to this graph (sorted raw ids, which a delta may extend) and not to a
            store.
    """

    count: int
    ids: str | None = None
    bytes: int = 0
    checksum: str = ""
    own: bool = False


@dataclass(frozen=True)
class GraphManifest:
    """What a graph folder holds.

    Attributes:
        nodes: Node types.
        relations: Directed relations.
        base: Unpruned edges by relation name; empty where the graph was built with `deltas=False`.
        pruning: Parameters of the pruning (see `Pruning`), or None.
        seed: Seed of the pruning.
        data: What the edges came from: the fingerprint of a view with its wall, or nothing.
        rejected: Rejected edges, by relation, by reason.
        rejected_file: Where they are listed, inside the folder, or None.
        version: Version of this layout.
    """

    nodes: dict[str, NodeEntry]
    relations: dict[str, RelationEntry]
    base: dict[str, BaseEntry] = field(default_factory=dict)
    pruning: dict[str, Any] | None = None
    seed: int = 0
    data: dict[str, Any] = field(default_factory=dict)
    rejected: dict[str, dict[str, int]] = field(default_factory=dict)
    rejected_file: str | None = None
    version: int = SCHEMA_VERSION

    def write(self, folder: Path) -> None:
        """Writes `manifest.json`."""
        content = {"format": FORMAT, **dataclasses.asdict(self)}
        write_atomic(folder / MANIFEST, json.dumps(content, indent=1).encode() + b"\n")

    @classmethod
    def read(cls, folder: Path) -> GraphManifest:
        """Reads the manifest of a graph folder.

        Raises:
            GraphError: There is none, it cannot be read, or a newer program wrote it.
        """
        path = folder / MANIFEST
        try:
            content = json.loads(path.read_bytes())
        except FileNotFoundError as error:
            raise GraphError(
                f"{folder} is not a graph: it has no {MANIFEST}.\n  Fix: give the folder that a graph was built in"
            ) from error
        except ValueError as error:
            raise GraphError(
                f"{path} cannot be read ({error}).\n  Fix: build the graph again, or restore it from a copy"
            ) from error
        if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
            raise GraphError(f"{path} is not the manifest of a graph.\n  Fix: give the folder of a graph")
        if content.get("version", 0) > SCHEMA_VERSION:
            raise GraphError(
                f"{folder} was written by a newer program (layout {content['version']}, this one reads "
                f"{SCHEMA_VERSION}).\n  Fix: upgrade bowerbird, or build the graph again"
            )
        try:
            return _parsed(content)
        except (KeyError, TypeError, AttributeError) as error:
            raise GraphError(
                f"{path} lacks or mistypes something ({error}).\n  Fix: build the graph again, or restore it"
            ) from error


def _parsed(content: dict[str, Any]) -> GraphManifest:
    def arrays(entry: dict[str, Any]) -> dict[str, Any]:
        return {**entry, "arrays": {name: ArrayFile(**found) for name, found in entry["arrays"].items()}}

    return GraphManifest(
        **{
            **content,
            "nodes": {name: NodeEntry(**entry) for name, entry in content["nodes"].items()},
            "relations": {
                name: RelationEntry(**arrays(entry)) for name, entry in content["relations"].items()
            },
            "base": {name: BaseEntry(**arrays(entry)) for name, entry in content["base"].items()},
        }
    )
