"""Neighbours by random walk with restart: sources a second and overlap with the exact answer, 10^5 to 10^8 edges.

The graph is made up: items in topics, collections that take most of their items from one or two of them, popularity
by a power law within topics and over all (the largest hub has some 10^4 edges), and item-item edges within topics; 81 %
of the edges are item-collection, and there are 20 edges a node, as in the graph of the OmniSage paper. What is sampled
is that paper's neighbourhood: 25 items and 75 collections over item-collection edges, 50 items over item-item edges.

Every method is run with growing budgets. Overlap is the share of the 150 exact neighbours (power iteration until less
than 10^-5 of the mass is left) that were found. What a method costs is read at the smallest budget that reaches 95 %.
As a peer, torch_cluster's random walks where it is installed, else the same walks in plain torch; both get visits
weighted by restart * (1 - restart)^step, so that no step is wasted on restarts, and the library's compiled operation is
called directly, without the sort of all edges that its Python function makes at every call.
Results go to ``docs/results/graph_sampler.json``.

    python benchmarks/graph_sampler.py --edges 1e5 1e6 2e7
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

EDGES = (100_000, 1_000_000, 20_000_000)
EDGES_A_NODE, SAVES, ITEMS = 20, 0.81, 0.625
"""Mean degree, the share of edges that are item-collection, the share of nodes that are items."""

ITEMS_A_TOPIC, FROM_FIRST, FROM_SECOND = 625, 0.6, 0.2
"""A collection takes 60 % of its items from one topic, 20 % from another, and the rest from anywhere."""

DRAWN_SAVES, DRAWN_LINKS = 1.26, 1.12
"""Edges drawn for each that is wanted: popular pairs come more than once, and then count once."""

RESTART, WANTED = 0.2, 0.95
BUDGETS: dict[str, tuple[int, ...]] = {
    "push": (10_000, 30_000, 100_000, 150_000, 200_000, 300_000, 500_000, 1_000_000),
    "push without closing": (100_000, 1_000_000, 10_000_000),
    "walks": (10_000, 100_000, 300_000, 1_000_000),
    "peer": (10_000, 100_000, 300_000),
}
STEPS = 20
"""Length of the peer's walks: (1 - restart)^20 of a walk's weight, 1 %, is cut off."""


def made_up(
    edges: int, seed: int
) -> tuple[dict[str, int], Callable[[], Iterator[Any]], Callable[[], Iterator[Any]]]:
    """Node counts, and two functions that stream batches of item-collection and of item-item edges."""
    from bowerbird.graph import Edges

    nodes = edges // EDGES_A_NODE
    items = int(nodes * ITEMS)
    collections = nodes - items
    topics = max(4, items // ITEMS_A_TOPIC)
    begin = np.linspace(0, items, topics + 1).astype(np.int64)
    shuffled = np.random.default_rng(seed).permutation(items)
    batch = 2_000_000

    def power(rng: np.random.Generator, n: Any, exponent: float, size: int) -> NDArray[np.int64]:
        """Ranks in [0, n) whose frequency falls as rank^-exponent."""
        return np.minimum((n * rng.random(size) ** (1 / (1 - exponent))).astype(np.int64), n - 1)

    def saves() -> Iterator[Any]:
        rng = np.random.default_rng([seed, 1])
        weight = rng.pareto(1.6, collections) + 1.0
        total = DRAWN_SAVES * SAVES * edges
        size = np.clip(np.round(weight * total / weight.sum()), 1, total / 100).astype(np.int64)
        first, second = power(rng, topics, 0.3, collections), rng.integers(0, topics, collections)
        ends = np.cumsum(size)
        for cut in np.split(
            np.arange(collections), np.searchsorted(ends, np.arange(batch, int(total), batch))
        ):
            collection = np.repeat(cut, size[cut])
            draw = rng.random(len(collection))
            topic = np.where(draw < FROM_FIRST, first[collection], second[collection])
            inside = begin[topic] + power(rng, begin[topic + 1] - begin[topic], 0.7, len(collection))
            anywhere = shuffled[power(rng, items, 0.7, len(collection))]
            yield Edges(np.where(draw < FROM_FIRST + FROM_SECOND, inside, anywhere), collection)

    def links() -> Iterator[Any]:
        rng = np.random.default_rng([seed, 2])
        left = int(DRAWN_LINKS * (1 - SAVES) * edges)
        while left > 0:
            count = min(left, batch)
            source = shuffled[power(rng, items, 0.5, count)]
            topic = np.searchsorted(begin, source, side="right") - 1
            inside = begin[topic] + power(rng, begin[topic + 1] - begin[topic], 0.5, count)
            near = source + np.round(rng.standard_cauchy(count) * 5).clip(-1000, 1000).astype(np.int64)
            target = np.where(rng.random(count) < 0.5, near.clip(0, items - 1), inside)
            apart = target != source
            yield Edges(source[apart], target[apart])
            left -= count

    return {"item": items, "collection": collections}, saves, links


def build(folder: Path, edges: int, seed: int) -> tuple[Any, dict[str, Any]]:
    """The graph on disk, and how its building went."""
    from bowerbird.graph import EdgeList, from_edges

    counts, saves, links = made_up(edges, seed)
    began = time.perf_counter()
    graph = from_edges(
        folder / "graph",
        [
            EdgeList("item-collection", "item", "collection", saves()),
            EdgeList("item-item", "item", "item", links(), symmetric=True),
        ],
        counts=counts,
        growable=False,
    )
    seconds = time.perf_counter() - began
    degrees = {name: relation.degrees() for name, relation in graph.relations.items()}
    facts = {
        "nodes": sum(counts.values()),
        "edges": (len(graph.relations["item-collection"]) + len(graph.relations["item-item"]) // 2),
        "build_seconds": seconds,
        "degrees": {
            name: {"mean": float(found.mean()), "p50": int(np.median(found)), "max": int(found.max())}
            for name, found in degrees.items()
        },
        "build_peak_mib": _peak(),
    }
    return graph, facts


def subsets() -> list[Any]:
    """The paper's two."""
    from bowerbird.graph.sampling import Subset

    return [
        Subset("saves", ("item-collection",), {"item": 25, "collection": 75}),
        Subset("led", ("item-item",), {"item": 50}),
    ]


def shared(found: Any, truth: Any) -> dict[str, float]:
    """Share of the exact neighbours that were found: by slot, and of all 150."""
    by_slot, hits, wanted = {}, 0, 0
    for slot, mine, theirs in zip(found.slots, found.ids, truth.ids, strict=True):
        both = sum(len(np.intersect1d(a[a >= 0], b[b >= 0])) for a, b in zip(mine, theirs, strict=True))
        by_slot[f"{slot.subset} {slot.node_type}"] = both / max(1, int((theirs >= 0).sum()))
        hits, wanted = hits + both, wanted + int((theirs >= 0).sum())
    return {**by_slot, "all": hits / max(1, wanted)}


def measure(edges: int, sources: int, judged: int, seconds: float, peers: bool, seed: int) -> dict[str, Any]:
    """Everything about one size; run in a process of its own, so that memory is its own.

    Args:
        edges: size of the graph.
        sources: items timed.
        judged: items whose exact neighbours are computed.
        seconds: how long a method and budget is timed; once judging one took twice as long, larger ones are left out.
        peers: whether to run other libraries' walks.
        seed: of graph and sources.
    """
    from bowerbird.graph.sampling import Sampler

    with tempfile.TemporaryDirectory(prefix="bowerbird-graph-") as folder:
        graph, facts = build(Path(folder), edges, seed)
        rng = np.random.default_rng([seed, 3])
        timed = rng.choice(graph.counts["item"], min(sources, graph.counts["item"]), replace=False)
        known = timed[:judged]
        began = time.perf_counter()
        truth = Sampler(graph, subsets(), restart=RESTART, method="exact", tolerance=1e-5).sample(
            "item", known
        )
        facts["exact_seconds_a_source"] = (time.perf_counter() - began) / len(known)
        rows = []
        for name, budgets in BUDGETS.items():
            if name == "peer" and not peers:
                continue
            for budget in budgets:
                row = _row(graph, name, budget, timed, known, truth, seconds, seed)
                rows.append(row)
                print(_line(edges, row), flush=True)
                if row["overlap"]["all"] >= WANTED or row["judging_seconds"] > 2 * seconds:
                    break
        return {**facts, "peak_mib": _peak(), "load_average": os.getloadavg()[0], "methods": rows}


def _row(
    graph: Any, name: str, budget: int, timed: NDArray[np.int64], known: NDArray[np.int64], truth: Any,
    seconds: float, seed: int,
) -> dict[str, Any]:  # fmt: skip
    from bowerbird.graph.sampling import Sampler

    if name == "peer":
        sample, kind = _peer(graph, budget, seed)
        work = [0, STEPS * budget * 2]
    else:
        options: dict[str, Any] = (
            {"method": "walks"} if name == "walks" else {"closing": 0 if "without" in name else 32}
        )
        sampler = Sampler(graph, subsets(), restart=RESTART, budget=budget, seed=seed, **options)
        kind = name
        work = sampler.work("item", known).mean(axis=0).tolist()

        def sample(items: NDArray[np.int64]) -> Any:
            return sampler.sample("item", items)

    began = time.perf_counter()
    found = sample(known)
    judging = time.perf_counter() - began
    count = int(min(len(timed), max(16, seconds * len(known) / judging)))
    began, cpu = time.perf_counter(), time.process_time()
    sample(timed[:count])
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    return {
        "method": kind, "budget": budget, "overlap": shared(found, truth),
        "edges_visited_a_source": work[0], "steps_a_source": work[1],
        "sources_a_second": count / took, "sources_a_cpu_second": count / cpu, "timed": count, "seconds": took,
        "judging_seconds": judging,
    }  # fmt: skip


def _peer(graph: Any, walks: int, seed: int) -> tuple[Callable[[NDArray[np.int64]], Any], str]:
    """Walks of torch_cluster, or of plain torch, as a sampler of both subsets; and its name."""
    import torch

    from bowerbird.graph.sampling import Neighbourhoods
    from bowerbird.graph.sampling.space import Space

    try:
        import torch_cluster  # noqa: F401

        walk, kind = torch.ops.torch_cluster.random_walk, "walks of torch_cluster"
    except (ImportError, OSError):
        walk, kind = None, "walks in plain torch"
    spaces = [Space(graph, subset) for subset in subsets()]
    matrices = [space.matrix() for space in spaces]
    graphs = [
        (torch.from_numpy(matrix.indptr.astype(np.int64)), torch.from_numpy(matrix.indices.astype(np.int64)))
        for matrix in matrices
    ]
    weight = torch.tensor([RESTART * (1 - RESTART) ** step for step in range(STEPS + 1)]).repeat(walks)
    torch.manual_seed(seed)

    def steps(begins: Any, targets: Any, start: Any) -> Any:
        if walk is not None:
            return walk(begins, targets, start, STEPS, 1.0, 1.0)[0]
        at, seen = start, [start]
        for _ in range(STEPS):
            low = begins[at]
            degree = begins[at + 1] - low
            step = low + torch.minimum((torch.rand(len(at)) * degree).long(), degree - 1)
            at = torch.where(degree > 0, targets[step.clamp_(0, len(targets) - 1)], at)
            seen.append(at)
        return torch.stack(seen, dim=1)

    def sample(items: NDArray[np.int64]) -> Any:
        slots = tuple(slot for subset in subsets() for slot in subset.slots)
        ids = [np.full((len(items), slot.k), -1, np.int64) for slot in slots]
        scores = [np.zeros((len(items), slot.k), np.float32) for slot in slots]
        for row, item in enumerate(items.tolist()):
            place = 0
            for subset, space, (begins, targets) in zip(subsets(), spaces, graphs, strict=True):
                source = item + space.span("item")[0]
                seen = steps(begins, targets, torch.full((walks,), source, dtype=torch.long))
                count = torch.zeros(len(space)).index_add_(0, seen.flatten(), weight)
                count[source] = 0
                for slot in subset.slots:
                    low, high = space.span(slot.node_type)
                    best = torch.topk(count[low:high], slot.k)
                    kept = best.values > 0
                    ids[place][row] = torch.where(kept, best.indices, -1).numpy()
                    scores[place][row] = best.values.numpy()
                    place += 1
        return Neighbourhoods.of(slots, tuple(ids), tuple(scores))

    return sample, kind


def _line(edges: int, row: dict[str, Any]) -> str:
    slots = ", ".join(f"{name} {share:.3f}" for name, share in row["overlap"].items())
    return (
        f"{edges:,} edges, {row['method']}, budget {row['budget']:,}: {row['sources_a_second']:,.0f} sources/s "
        f"({row['sources_a_cpu_second']:,.0f} a processor second), overlap {slots}; "
        f"{row['edges_visited_a_source']:,.0f} edges and {row['steps_a_source']:,.0f} steps a source"
    )


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run(sizes: Sequence[int], options: argparse.Namespace) -> list[dict[str, Any]]:
    """All sizes, each in a fresh process, smallest first."""
    found = []
    for edges in sizes:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            row = pool.submit(
                measure,
                edges,
                options.sources,
                options.judged,
                options.seconds,
                not options.no_peers,
                options.seed,
            ).result()
        print(
            f"{edges:,} edges: built in {row['build_seconds']:.0f} s, exact {row['exact_seconds_a_source']:.2f} s a "
            f"source, peak {row['peak_mib']:,.0f} MiB",
            flush=True,
        )
        found.append(row)
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--edges", type=float, nargs="+", default=list(EDGES), help="sizes, such as 1e5 1e8")
    parser.add_argument("--sources", type=int, default=2000, help="items timed, at most")
    parser.add_argument("--judged", type=int, default=48, help="items compared with the exact answer")
    parser.add_argument("--seconds", type=float, default=20.0, help="time for one method and budget")
    parser.add_argument("--no-peers", action="store_true", help="leave other libraries' walks out")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rows = run(sorted(int(edges) for edges in options.edges), options)

    from results import write

    write(
        "graph_sampler", None, seed=options.seed,
        config={"restart": RESTART, "neighbours": 150, "judged": options.judged, "wanted_overlap": WANTED},
        protocol=(
            "150 neighbours of an item: 25 items and 75 collections over item-collection edges, 50 items over item-item"
            " edges. overlap = share of the exact 150 that were found, mean over the judged items; a method's budget "
            "grows until it reaches the wanted overlap. sources_a_second on all cores, by wall clock; "
            "sources_a_cpu_second by processor time. edges counts an undirected edge once."
        ),
        machine={"cores": os.cpu_count()}, sizes=rows,
    )  # fmt: skip


if __name__ == "__main__":
    main()
