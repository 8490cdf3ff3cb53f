"""Merging: the unpruned edges of a graph and its deltas become one graph again.

The old edges lie sorted on disk and only pass through; only the new ones are sorted. What follows (turning round,
pruning) is the same code as in a build, on the same edges, so that the merged graph equals the rebuilt one to the byte
of every array.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bowerbird.graph.building.assemble import Options, Shape, Stream, assemble, summed, writing
from bowerbird.graph.building.delta.append import checked_list
from bowerbird.graph.building.delta.format import Delta, delta_folders, delta_nodes, delta_runs, read_delta
from bowerbird.graph.building.delta.growth import grown_nodes, moved, stored_nodes
from bowerbird.graph.building.from_edges import key_bits, sorted_stream
from bowerbird.graph.building.input.checks import node_bits
from bowerbird.graph.building.input.edges import EdgeList
from bowerbird.graph.building.input.rejects import FILE as REJECTED
from bowerbird.graph.building.input.rejects import RejectedEdges
from bowerbird.graph.building.nodes import NodeType
from bowerbird.graph.building.pruning import Pruning
from bowerbird.graph.building.sorting import CSRFiles, Run
from bowerbird.graph.building.sorting.csr import BLOCK
from bowerbird.graph.building.sorting.merging import merge_sorted
from bowerbird.graph.building.sorting.runs import pack
from bowerbird.graph.errors import GraphError
from bowerbird.graph.store import Graph


def merge_deltas(path: str | Path, *, memory: int = 1 << 30) -> Graph:
    """Merges everything that was appended; the graph is replaced at once, or not at all.

    Args:
        path: Folder of the graph.
        memory: Bytes that sorting may take.

    Returns:
        The graph, opened: equal to the one built from all edges, pruned with the same parameters and seed.

    Raises:
        GraphError: There is no graph, or it was built with `growable=False`.
    """
    return merge_lists(Path(path), [], {}, memory=memory, max_rejected_share=1.0)


def merge_lists(
    path: Path,
    lists: Sequence[EdgeList],
    nodes: Mapping[str, NodeType],
    *,
    memory: int,
    max_rejected_share: float,
    data: dict[str, Any] | None = None,
) -> Graph:
    """Merges everything that was appended, and some lists of new edges.

    Args:
        path: Folder of the graph.
        lists: New edges.
        nodes: Node types afterwards, as far as they change.
        memory, max_rejected_share: As in `from_edges`.
        data: What the graph now comes from; None: as before.

    Raises:
        GraphError: There is no graph, it cannot grow, or the lists do not fit it.
        EdgesRejectedError: Too many edges were rejected; the graph is what it was.
    """
    started = time.perf_counter()
    with writing(path, overwrite=True) as folder:
        graph = Graph.open(path)
        manifest = graph.manifest
        if not manifest.base:
            raise GraphError(
                f"{path} was built with growable=False: it has no unpruned edges to merge with.\n"
                "  Fix: build it again with growable=True"
            )
        before = after = stored_nodes(graph)
        deltas = [(place, read_delta(place)) for place in delta_folders(path)]
        for place, delta in deltas:
            after = grown_nodes(after, delta_nodes(place, delta, after))
        after = grown_nodes(after, nodes)
        lists = [checked_list(graph, each) for each in lists]
        rejects = RejectedEdges(folder, path, max_rejected_share)
        for report in (path / REJECTED, *(place / REJECTED for place, _ in deltas)):
            rejects.carry_over(report)
        options = Options(
            Pruning(**manifest.pruning) if manifest.pruning else None,
            manifest.seed,
            memory,
            max_rejected_share,
        )
        assemble(
            folder,
            [_shape(graph, name) for name in manifest.base],
            _opener(path, before, after, lists, deltas, rejects, options),
            after,
            options,
            data=manifest.data if data is None else data,
            rejected_file=rejects.file,
            started=started,
            earlier=summed([manifest.rejected, *(delta.rejected for _, delta in deltas)]),
        )
    return Graph.open(path)


def _shape(graph: Graph, name: str) -> Shape:
    entry = graph.manifest.relations[name]
    return Shape(name, entry.source, entry.target, entry.reverse)


def _opener(
    path: Path,
    before: Mapping[str, NodeType],
    after: Mapping[str, NodeType],
    lists: Sequence[EdgeList],
    deltas: Sequence[tuple[Path, Delta]],
    rejects: RejectedEdges,
    options: Options,
) -> Callable[[Shape, Path], Stream]:
    """Opens the old and the new edges of a relation as one stream."""
    manifest = Graph.open(path).manifest

    def open_stream(shape: Shape, scratch: Path) -> Stream:
        bits = node_bits(after[shape.target].count)
        ends = (after[shape.source], after[shape.target])
        appended = itertools.chain.from_iterable(
            delta_runs(
                place,
                delta.files.get(shape.name, []),
                ends,
                raw=shape.name in delta.raw,
                symmetric=shape.symmetric,
                bits=bits,
            )
            for place, delta in deltas
        )
        new = sorted_stream(
            shape.name,
            [each for each in lists if each.name == shape.name],
            after,
            rejects,
            scratch,
            memory=options.memory,
            key_bits=key_bits(shape, after),
            checked=appended,
        )
        base = CSRFiles.open((path / manifest.base[shape.name].arrays["indptr"].file).parent)
        old = _old_runs(base, shape, before, after, bits, options.memory)
        new.runs = merge_sorted(old, new.runs)
        return new

    return open_stream


def _old_runs(
    base: CSRFiles,
    shape: Shape,
    before: Mapping[str, NodeType],
    after: Mapping[str, NodeType],
    bits: int,
    memory: int,
) -> Iterator[Run]:
    """The edges that the graph has, under the ids that its nodes have now. Ids only move apart: order is kept."""
    rows, columns = (moved(before[name], after[name]) for name in (shape.source, shape.target))
    for part in base.blocks(max(min(BLOCK, memory // 128), 1 << 10)):
        row = part.rows if rows is None else rows[part.rows]
        column = part.indices if columns is None else columns[part.indices]
        yield Run(pack(row, column, bits), part.total, part.time)
