"""A graph from edges that a person gives: arrays, frames, files, streams."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bowerbird.graph.building.assemble import Options, Shape, Stream, assemble, check_shapes, writing
from bowerbird.graph.building.input.checks import EdgeChecker, node_bits
from bowerbird.graph.building.input.edges import EdgeList
from bowerbird.graph.building.input.rejects import RejectedEdges
from bowerbird.graph.building.nodes import Ids, NodeType, collect_ids, given_ids
from bowerbird.graph.building.pruning import Pruning
from bowerbird.graph.building.sorting import EdgeSorter, Run
from bowerbird.graph.errors import GraphError
from bowerbird.graph.store import Graph


def from_edges(
    path: str | Path,
    edges: EdgeList | Sequence[EdgeList],
    *,
    counts: Mapping[str, int] | None = None,
    ids: Mapping[str, Ids] | None = None,
    pruning: Pruning | None = None,
    seed: int = 0,
    memory: int = 1 << 30,
    max_rejected_share: float = 0.01,
    growable: bool = True,
    overwrite: bool = False,
) -> Graph:
    """Builds a graph from edge lists.

    Edges between the same two nodes become one: weights are summed (each counts 1 where none are given), the latest
    time is kept. The result depends on the set of edges only, not on their order or on how they are cut into batches.
    Edges that cannot be in a graph (an id that no node has, a self loop, a weight that is no positive finite number)
    are counted and listed in `rejected.jsonl` in the graph folder.

    Args:
        path: Folder of the graph; it appears when all of it is written.
        edges: One list a relation; the reverse relation is made too.
        counts: Number of nodes of a type. Types that are neither here nor in `ids` are found from the edges: one past
            the largest dense id, or the sorted raw ids.
        ids: Raw ids of a node type in dense order.
        pruning: How hubs are thinned; None keeps every edge.
        seed: Seed of the pruning.
        memory: Bytes that sorting may take; beyond it edges are spilled to files. What grows with the number of nodes
            (about 60 bytes a node) comes on top.
        max_rejected_share: The build stops when a larger share of a relation's edges is rejected.
        growable: Keep the unpruned edges in the folder, so that deltas can be merged.
        overwrite: Replace a graph that is already there.

    Returns:
        The graph, opened. `BuildReport.read_from(path)` says how the build went.

    Raises:
        GraphError: The lists contradict each other, or there is something at `path` already.
        EdgesRejectedError: Too many edges were rejected.

    Example:
        >>> saves = Edges(source=[0, 0, 1], target=[0, 1, 1])                       # doctest: +SKIP
        >>> from_edges("graph", EdgeList("item-collection", "item", "collection", saves))   # doctest: +SKIP
    """
    lists = [edges] if isinstance(edges, EdgeList) else list(edges)
    known = given_ids(ids, counts)
    options = Options(pruning, seed, memory, max_rejected_share, growable)
    check_shapes([shape_of(each) for each in lists])
    nodes = {**known, **collect_ids(lists, known)}
    return build_lists(Path(path), lists, nodes, options, data={}, overwrite=overwrite)


def shape_of(edges: EdgeList) -> Shape:
    """Name, ends and direction of a list of edges."""
    return Shape(edges.name, edges.source, edges.target, edges.reverse_name)


def key_bits(shape: Shape, nodes: Mapping[str, NodeType]) -> int:
    """Bits of the keys of a relation.

    Raises:
        GraphError: They are more than a number has.
    """
    counts = nodes[shape.source].count, nodes[shape.target].count
    bits = node_bits(counts[0]) + node_bits(counts[1])
    if bits > 64:
        raise GraphError(
            f"relation {shape.name!r}: {counts[0]:,} x {counts[1]:,} nodes are too many for one graph (both numbers "
            "together may take 64 bits).\n  Fix: cut the graph into parts"
        )
    return bits


def build_lists(
    path: Path,
    lists: Sequence[EdgeList],
    nodes: Mapping[str, NodeType],
    options: Options,
    *,
    data: dict[str, Any],
    overwrite: bool,
) -> Graph:
    """Builds a graph once its node types are known. Arguments as in `from_edges`; `data` goes into the manifest."""
    started = time.perf_counter()
    shapes = [shape_of(each) for each in lists]
    check_shapes(shapes)
    bits = {shape.name: key_bits(shape, nodes) for shape in shapes}
    by_name = {each.name: each for each in lists}
    with writing(path, overwrite=overwrite) as folder:
        rejects = RejectedEdges(folder, path, options.max_rejected_share)

        def open_stream(shape: Shape, scratch: Path) -> Stream:
            return sorted_stream(
                shape.name,
                [by_name[shape.name]],
                nodes,
                rejects,
                scratch,
                memory=options.memory,
                key_bits=bits[shape.name],
            )

        assemble(
            folder,
            shapes,
            open_stream,
            nodes,
            options,
            data=data,
            rejected_file=rejects.file,
            started=started,
        )
    return Graph.open(path)


def sorted_stream(
    name: str,
    lists: Sequence[EdgeList],
    nodes: Mapping[str, NodeType],
    rejects: RejectedEdges,
    scratch: Path,
    *,
    memory: int,
    key_bits: int,
    checked: Iterable[Run] = (),
) -> Stream:
    """The edges of one relation, checked, sorted and merged; read when the runs are asked for.

    Args:
        name: Name of the relation.
        lists: Its edges.
        nodes: Node types.
        rejects: Takes what is wrong.
        scratch: Folder for spill files.
        memory: Bytes that sorting may take.
        key_bits: Bits of a key.
        checked: Further edges that need no check.
    """
    counts = {node_type: node.count for node_type, node in nodes.items()}
    vocabularies = {
        node_type: node.vocabulary for node_type, node in nodes.items() if node.vocabulary is not None
    }
    checkers = [EdgeChecker(edges, counts, vocabularies) for edges in lists]
    sorter = EdgeSorter(scratch, key_bits, memory=memory)

    def runs() -> Iterator[Run]:
        for edges, checker in zip(lists, checkers, strict=True):
            for batch in edges.batches():
                for run, rejected in checker.check(batch):
                    rejects.add(name, rejected, checker.read)
                    sorter.add(run)
        for run in checked:
            sorter.add(run)
        stream.read = sum(checker.read for checker in checkers)
        rejects.finish(name, stream.read)
        stream.rejected = dict(rejects.counts.get(name, {}))
        yield from sorter.sorted()
        stream.spilled = sorter.spilled

    stream = Stream(runs())
    return stream
