"""`Graph`: a folder of memory-mapped relations, opened in an instant and read-only."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from bowerbird.graph.errors import GraphError
from bowerbird.graph.store.arrays import check_array, check_size, checksum, open_array
from bowerbird.graph.store.manifest import ArrayFile, GraphManifest, RelationEntry
from bowerbird.graph.store.relation import Relation
from bowerbird.tables.errors import did_you_mean

if TYPE_CHECKING:
    import polars as pl

DELTAS: Final = "deltas"
"""Folder of the edges that were appended to a graph and not merged yet."""


class Graph:
    """A heterogeneous graph on disk.

    Opening reads the manifest and compares the size and header of every file with it; the arrays are memory-mapped,
    so that processes share them and nothing is parsed. Checksums are compared by `verify()`, which reads everything.
    Features are not in here: gather them from the store by id.

    Example:
        >>> graph = Graph.open("graph")                                         # doctest: +SKIP
        >>> boards = graph.relation("item-collection").targets(item)            # doctest: +SKIP
        >>> graph.reverse("item-collection")                                    # doctest: +SKIP
        'collection-item'
    """

    def __init__(self, path: Path, manifest: GraphManifest) -> None:
        self.path = path
        self.manifest = manifest
        self._counts = {name: entry.count for name, entry in manifest.nodes.items()}
        self._read_ids: dict[str, pl.Series] = {}
        self._relations = {name: self._opened(entry) for name, entry in manifest.relations.items()}

    @classmethod
    def open(cls, path: str | Path) -> Graph:
        """Opens a finished graph.

        Raises:
            GraphError: There is none, a newer program wrote it, or a file is missing, cut short or of a wrong size.
        """
        folder = Path(path)
        manifest = GraphManifest.read(folder)
        for base in manifest.base.values():
            for file in base.arrays.values():
                check_array(folder, file)
        for node in manifest.nodes.values():
            if node.ids is not None:
                check_size(folder, node.ids, node.bytes)
        return cls(folder, manifest)

    def _opened(self, entry: RelationEntry) -> Relation:
        arrays = {name: open_array(self.path, file) for name, file in entry.arrays.items()}
        relation = Relation(entry.name, entry.source, entry.target, **arrays)
        wanted = self._counts[entry.source] + 1
        if len(relation.indptr) != wanted or int(relation.indptr[-1]) != relation.n_edges:
            raise GraphError(
                f"graph {self.path}, relation {entry.name!r}: the rows do not fit {wanted - 1:,} nodes and "
                f"{relation.n_edges:,} edges.\n  Fix: build the graph again, or restore it from a copy"
            )
        return relation

    @property
    def counts(self) -> Mapping[str, int]:
        """Number of nodes of each node type."""
        return MappingProxyType(self._counts)

    @property
    def relations(self) -> Mapping[str, Relation]:
        """All directed relations by name; an undirected one is two of them, or one that is its own reverse."""
        return MappingProxyType(self._relations)

    @property
    def n_edges(self) -> int:
        """Number of stored directed edges."""
        return sum(len(relation) for relation in self._relations.values())

    @property
    def pending(self) -> int:
        """Number of deltas that were appended and not merged yet; nothing here shows their edges."""
        return len(list((self.path / DELTAS).glob("[0-9]*")))

    def relation(self, name: str) -> Relation:
        """One relation by name.

        Raises:
            GraphError: There is no relation of that name.
        """
        if name not in self._relations:
            raise GraphError(f"no relation {name!r} in {self.path}; {did_you_mean(name, self._relations)}")
        return self._relations[name]

    def reverse(self, name: str) -> str:
        """Name of the relation that holds the same edges the other way round."""
        return self.manifest.relations[self.relation(name).name].reverse

    def ids(self, node_type: str) -> pl.Series:
        """Raw ids of a node type in dense order; 0, 1, 2 ... where the graph was built from dense ids alone.

        Raises:
            GraphError: There is no such node type, or its file is missing.
        """
        import polars as pl

        if node_type not in self._counts:
            raise GraphError(
                f"no node type {node_type!r} in {self.path}; {did_you_mean(node_type, self._counts)}"
            )
        entry = self.manifest.nodes[node_type]
        if entry.ids is None:
            return pl.Series("id", range(entry.count), dtype=pl.Int64)
        if node_type not in self._read_ids:
            try:
                found = pl.read_parquet(self.path / entry.ids, columns=["id"])["id"]
            except (OSError, pl.exceptions.PolarsError) as error:
                raise GraphError(
                    f"graph {self.path}: the raw ids of {node_type!r} cannot be read ({error}).\n"
                    "  Fix: build the graph again, or restore the folder from a copy"
                ) from error
            self._read_ids[node_type] = found
        return self._read_ids[node_type]

    def verify(self) -> None:
        """Reads every file and compares its checksum with the manifest.

        Raises:
            GraphError: A file differs from what was written.
        """
        files: list[ArrayFile] = []
        for arrays in (
            *(entry.arrays for entry in self.manifest.relations.values()),
            *(entry.arrays for entry in self.manifest.base.values()),
        ):
            files.extend(arrays.values())
        expected = {file.file: file.checksum for file in files}
        expected |= {node.ids: node.checksum for node in self.manifest.nodes.values() if node.ids}
        for name, wanted in expected.items():
            try:
                found = checksum(self.path / name)
            except FileNotFoundError as error:
                raise GraphError(f"graph {self.path}: the file {name} is missing") from error
            if found != wanted:
                raise GraphError(
                    f"graph {self.path}: the file {name} is damaged (its checksum is {found}, the manifest says "
                    f"{wanted}).\n  Fix: build the graph again, or restore the folder from a copy"
                )

    def __repr__(self) -> str:
        nodes = ", ".join(f"{count:,} {name}" for name, count in self._counts.items())
        return f"Graph({self.path}: {nodes}; {len(self._relations)} relations, {self.n_edges:,} edges)"
