"""Appending: new edges are checked and kept in a delta folder of the graph. Nobody who reads it sees them yet."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from bowerbird.graph.building.assemble import locked
from bowerbird.graph.building.delta.format import MANIFEST, Delta, delta_folders, delta_nodes, read_delta
from bowerbird.graph.building.delta.growth import grown_nodes, stored_nodes
from bowerbird.graph.building.input.checks import EdgeChecker
from bowerbird.graph.building.input.edges import EdgeList
from bowerbird.graph.building.input.rejects import RejectedEdges
from bowerbird.graph.building.nodes import Ids, NodeType, collect_ids, given_ids
from bowerbird.graph.building.sorting.runs import unpack
from bowerbird.graph.errors import GraphError
from bowerbird.graph.store import Graph
from bowerbird.graph.store.graph import DELTAS
from bowerbird.tables.atomic import TEMPORARY, replace_directory, write_atomic
from bowerbird.tables.errors import did_you_mean
from bowerbird.tables.store import Vocabulary


def append_edges(
    path: str | Path,
    edges: EdgeList | Sequence[EdgeList],
    *,
    counts: Mapping[str, int] | None = None,
    ids: Mapping[str, Ids] | None = None,
    max_rejected_share: float = 0.01,
) -> int:
    """Adds edges to a graph as a delta: durable on return, in the graph after `merge_deltas`.

    Args:
        path: Folder of the graph.
        edges: New edges of relations that the graph has. Dense ids are those of the graph as it is now; raw ids (with
            `raw=True`) may be new where the vocabulary is the graph's own.
        counts: Number of nodes afterwards, of types without raw ids that got new nodes.
        ids: Raw ids afterwards, of types with given raw ids that got new nodes: the old ones, then the new ones.
        max_rejected_share: Nothing is appended when a larger share of a relation's edges is rejected.

    Returns:
        How many edges were appended; rejected ones are listed in `rejected.jsonl` of the delta.

    Raises:
        GraphError: The graph has no such relation or type, or was built with `growable=False`.
        EdgesRejectedError: Too many edges were rejected.
    """
    folder = Path(path)
    lists = [edges] if isinstance(edges, EdgeList) else list(edges)
    with locked(folder):
        graph = Graph.open(folder)
        lists = [checked_list(graph, each) for each in lists]
        before, given = _nodes(graph, lists, given_ids(ids, counts))
        number = max((int(found.name) for found in delta_folders(folder)), default=0) + 1
        (folder / DELTAS).mkdir(exist_ok=True)
        temporary = folder / DELTAS / f"{TEMPORARY}{os.getpid()}"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        try:
            rejects = RejectedEdges(temporary, folder, max_rejected_share)
            delta = _written(graph, lists, before, given, rejects, temporary)
            write_atomic(temporary / MANIFEST, json.dumps(dataclasses.asdict(delta), indent=1).encode())
            replace_directory(temporary, folder / DELTAS / f"{number:06d}")
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return sum(delta.edges.values())


def checked_list(graph: Graph, edges: EdgeList) -> EdgeList:
    """A list of new edges, once it fits a relation of the graph.

    Raises:
        GraphError: There is no such relation, it joins other types, or the graph keeps no unpruned edges.
    """
    if not graph.manifest.base:
        raise GraphError(
            f"{graph.path} was built with growable=False: it has no unpruned edges to merge with.\n"
            "  Fix: build it again with growable=True"
        )
    if edges.name not in graph.manifest.base:
        raise GraphError(
            f"{graph.path} takes no edges of {edges.name!r}; {did_you_mean(edges.name, graph.manifest.base)}"
        )
    relation = graph.manifest.relations[edges.name]
    wanted = (relation.source, relation.target)
    if (edges.source, edges.target) != wanted:
        raise GraphError(
            f"relation {edges.name!r} joins {wanted[0]!r} and {wanted[1]!r}, not {edges.source!r} and {edges.target!r}"
        )
    return dataclasses.replace(
        edges,
        symmetric=graph.manifest.base[edges.name].symmetric,
        reverse=relation.reverse,
    )


def _nodes(
    graph: Graph, lists: Sequence[EdgeList], given: Mapping[str, NodeType]
) -> tuple[dict[str, NodeType], dict[str, NodeType]]:
    """The node types before this delta (earlier ones included), and what this delta says of them."""
    nodes = stored_nodes(graph)
    for folder in delta_folders(graph.path):
        nodes = grown_nodes(nodes, delta_nodes(folder, read_delta(folder), nodes))
    closed = {name: node for name, node in nodes.items() if not node.own}
    found = collect_ids([each for each in lists if each.raw], closed)
    return nodes, {**given, **found}


def _written(
    graph: Graph,
    lists: Sequence[EdgeList],
    before: Mapping[str, NodeType],
    given: Mapping[str, NodeType],
    rejects: RejectedEdges,
    folder: Path,
) -> Delta:
    """Writes the good edges of every list and the new nodes."""
    after = grown_nodes(before, given)
    # Dense ids of the graph's own types are those of the graph as people see it: nothing appended has moved them yet.
    seen = {**after, **{name: node for name, node in stored_nodes(graph).items() if node.own}}
    delta = Delta()
    for number, edges in enumerate(lists):
        raw = any(after[end].own for end in (edges.source, edges.target))
        if raw and edges.name not in delta.raw:
            delta.raw.append(edges.name)
        read = 0
        for run, n_read in _checked(edges, after if edges.raw else seen, rejects):
            file = f"{number:02d}-{read:012d}.parquet"
            run.write_parquet(folder / file)
            delta.files.setdefault(edges.name, []).append(file)
            delta.edges[edges.name] = delta.edges.get(edges.name, 0) + run.height
            read = n_read
    for name, node in given.items():
        old = before[name]
        delta.counts[name] = node.count
        if node.vocabulary is not None:
            new = node.vocabulary.ids if old.own else node.vocabulary.ids.slice(old.count)
            delta.tails[name] = f"ids-{len(delta.tails):02d}.parquet"
            Vocabulary(new).save(folder / delta.tails[name])
    delta.rejected.update({name: dict(reasons) for name, reasons in rejects.counts.items()})
    return delta


def _checked(
    edges: EdgeList, nodes: Mapping[str, NodeType], rejects: RejectedEdges
) -> Iterator[tuple[pl.DataFrame, int]]:
    """The good edges of a list as they are kept, with how many edges were read so far."""
    counts = {name: node.count for name, node in nodes.items()}
    vocabularies = {name: node.vocabulary for name, node in nodes.items() if node.vocabulary is not None}
    checker = EdgeChecker(edges, counts, vocabularies)
    ends = [nodes[edges.source], nodes[edges.target]]
    by_raw_id = any(end.own for end in ends)
    for batch in edges.batches():
        for run, rejected in checker.check(batch):
            rejects.add(edges.name, rejected, checker.read)
            if not len(run):
                continue
            columns: dict[str, Any] = {}
            for side, dense, end in zip(
                ("source", "target"), unpack(run.key, checker.column_bits), ends, strict=True
            ):
                dense = dense.astype(np.int64)
                columns[side] = end.vocabulary.ids.gather(dense) if by_raw_id and end.vocabulary else dense
            if run.total is not None:
                columns["units"] = run.total
            if run.time is not None:
                columns["time"] = run.time
            yield pl.DataFrame(columns), checker.read
    rejects.finish(edges.name, checker.read)
