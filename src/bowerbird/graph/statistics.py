"""What a graph looks like: sizes, degrees, components, and a plot of the degrees.

Shape letters: S nodes of the source type of a relation, N nodes of all types.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bowerbird.graph.store import UNDATED, Graph, Relation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CHUNK = 1 << 24


@dataclass(frozen=True)
class DegreeStatistics:
    """The degrees of the source nodes of a relation.

    Attributes:
        mean, median, p90, p99, largest: Of all nodes, those without an edge included.
        isolated: Nodes without an edge.
        hub_share: Share of the edges that belong to the 1 % of nodes with the most (at least one node); nan where
            there are no edges.
    """

    mean: float
    median: float
    p90: float
    p99: float
    largest: int
    isolated: int
    hub_share: float


@dataclass(frozen=True, eq=False)
class Components:
    """The connected components of a graph, whatever the direction of its edges.

    Attributes:
        labels: int64 (count of the type,) component of each node, by node type; components are numbered by falling
            size, ties by their first node.
        sizes: int64 (C,) number of nodes of each component, falling.
    """

    labels: Mapping[str, NDArray[np.int64]]
    sizes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def isolated(self) -> int:
        """Components of one node."""
        return int((self.sizes == 1).sum())

    @property
    def largest_share(self) -> float:
        """Share of all nodes that are in the largest component; nan in a graph without nodes."""
        return float(self.sizes[0] / self.sizes.sum()) if len(self.sizes) else float("nan")


def degree_statistics(relation: Relation) -> DegreeStatistics:
    """Degrees of the source nodes of a relation; 0 everywhere where there are no nodes."""
    degree = relation.degrees()
    if not len(degree):
        return DegreeStatistics(0.0, 0.0, 0.0, 0.0, 0, 0, float("nan"))
    median, p90, p99 = (float(found) for found in np.percentile(degree, [50, 90, 99]))
    hubs = max(len(degree) // 100, 1)
    top = np.partition(degree, len(degree) - hubs)[len(degree) - hubs :].sum()
    edges = int(degree.sum())
    return DegreeStatistics(
        float(degree.mean()),
        median,
        p90,
        p99,
        int(degree.max()),
        int((degree == 0).sum()),
        float(top / edges) if edges else float("nan"),
    )


def components(graph: Graph, relations: Sequence[str] | None = None) -> Components:
    """Finds the connected components, a part of the edges at a time (memory grows with the nodes, not the edges).

    Args:
        graph: The graph.
        relations: Only the edges of these relations; None: of all.

    Raises:
        GraphError: There is no such relation.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    sizes = np.array([0, *graph.counts.values()], np.int64)
    start = dict(zip(graph.counts, np.cumsum(sizes)[:-1].tolist(), strict=True))
    label = np.arange(int(sizes.sum()), dtype=np.int64)
    n_labels = len(label)
    for name in graph.relations if relations is None else relations:
        relation = graph.relation(name)
        for low in range(0, len(relation), _CHUNK):
            high = min(low + _CHUNK, len(relation))
            row = np.searchsorted(relation.indptr, np.arange(low, high), side="right") - 1
            ends = (
                label[start[relation.source] + row],
                label[start[relation.target] + relation.indices[low:high].astype(np.int64)],
            )
            joins = coo_matrix((np.ones(high - low, np.int8), ends), (n_labels, n_labels))
            n_labels, merged = connected_components(joins, directed=False)
            label = merged.astype(np.int64)[label]
    found, first, counts = np.unique(label, return_index=True, return_counts=True)
    order = np.lexsort((first, -counts))
    place = np.empty(len(found), np.int64)
    place[order] = np.arange(len(found))
    label = place[label] if len(label) else label
    return Components(
        {name: label[low : low + graph.counts[name]] for name, low in start.items()},
        counts[order].astype(np.int64),
    )


def describe(graph: Graph) -> dict[str, Any]:
    """A graph in numbers, as plain values that a command line can print and JSON can hold.

    Returns:
        `path`; `nodes` (type to count); `relations`, one row each: name, source, target, reverse, edges, `unpruned`
        edges (None where they are not kept), weighted, dated, and the fields of `DegreeStatistics`; `edges`, `bytes`
        of the folder, `pruning`, `seed`, `wall` in words, `rejected` by relation and reason, `pending` deltas.
    """
    manifest = graph.manifest
    rows = []
    for name, relation in graph.relations.items():
        entry = manifest.relations[name]
        base = manifest.base.get(entry.base)
        unpruned = None if base is None else base.edges * (2 if base.symmetric else 1)
        rows.append(
            {
                "name": name,
                "source": relation.source,
                "target": relation.target,
                "reverse": entry.reverse,
                "edges": len(relation),
                "unpruned": unpruned,
                "weighted": relation.weight is not None,
                "dated": relation.time is not None,
                **dataclasses.asdict(degree_statistics(relation)),
            }
        )
    return {
        "path": str(graph.path),
        "nodes": dict(graph.counts),
        "relations": rows,
        "edges": graph.n_edges,
        "bytes": _size(graph.path),
        "pruning": manifest.pruning,
        "seed": manifest.seed,
        "wall": manifest.data.get("view", {}).get("wall"),
        "rejected": manifest.rejected,
        "pending": graph.pending,
    }


def time_range(relation: Relation) -> tuple[int, int] | None:
    """Earliest and latest time of the dated edges, ms UTC; None where no edge is dated."""
    if relation.time is None:
        return None
    dated = relation.time[relation.time != UNDATED]
    return (int(dated.min()), int(dated.max())) if len(dated) else None


def plot_degrees(graph: Graph, path: str | Path | None = None) -> Figure:
    """Draws how many nodes of each relation have at least so many edges, both axes logarithmic.

    Args:
        graph: The graph.
        path: Where to save the picture (the ending says as what: `.svg`, `.png`, `.pdf`); None: nowhere.

    Returns:
        The figure.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    for name, relation in graph.relations.items():
        degree, count = np.unique(relation.degrees(), return_counts=True)
        at_least = np.cumsum(count[::-1])[::-1]
        shown = degree > 0
        if shown.any():
            axes.step(degree[shown], at_least[shown], where="pre", label=f"{name} ({len(relation):,} edges)")
    axes.set(xscale="log", yscale="log", xlabel="edges of a node, at least", ylabel="nodes")
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend(frameon=False, fontsize="small")
    if path is not None:
        figure.savefig(path)
    return figure


def _size(folder: Path) -> int:
    """Bytes of all files; a file under two names counts once."""
    found = {
        (stat.st_dev, stat.st_ino): stat.st_size
        for stat in (p.stat() for p in folder.rglob("*") if p.is_file())
    }
    return sum(found.values())
