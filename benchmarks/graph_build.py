"""Graph building: edges/s and peak memory, from 10^5 to 10^7 edges (more with ``--edges``), pruned as in the paper.

Edges are made batch by batch while the graph is built (items by a Zipf law, so that there are hubs; collections
evenly), so that only what the build itself needs is in memory. Each build, and each merge of one percent more edges,
runs in a process of its own, so that its peak memory is its own; what Python and its libraries take before the first
edge is reported beside it.

    python benchmarks/graph_build.py --edges 100000 1000000 10000000 --memory 1024

Wall time says little on a busy machine (`load_average` is kept with each case); processor time says more.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bowerbird.graph import (
    BuildReport,
    EdgeList,
    Edges,
    Graph,
    Pruning,
    append_edges,
    describe,
    from_edges,
    merge_deltas,
)
from bowerbird.graph.building.report import peak_memory

BATCH = 1 << 20


def sizes(edges: int) -> dict[str, int]:
    """Node counts: twenty edges a node, as in the paper's graph."""
    return {"item": max(edges // 32, 10), "collection": max(edges // 53, 10)}


def stream(edges: int, *, seed: int, weighted: bool) -> Iterator[Edges]:
    """Edges in random order, in batches of a million."""
    rng = np.random.default_rng(seed)
    counts = sizes(edges)
    for low in range(0, edges, BATCH):
        n = min(BATCH, edges - low)
        # A Zipf law with exponent 1 by inversion: item = N^u - 1.
        item = (float(counts["item"]) ** rng.random(n)).astype(np.int64) - 1
        collection = rng.integers(0, counts["collection"], n)
        if weighted:
            yield Edges(item, collection, rng.random(n) + 0.5, rng.integers(0, 1 << 40, n))
        else:
            yield Edges(item, collection)


def relation(edges: Iterator[Edges]) -> EdgeList:
    """The one relation of this benchmark."""
    return EdgeList("item-collection", "item", "collection", edges)


def warm() -> None:
    """Compiles the loops of pruning, which would otherwise count against the first build."""
    with tempfile.TemporaryDirectory() as folder:
        for keep in (Edges([0, 0], [0, 1]), Edges([0, 0], [0, 1], [1, 2])):
            from_edges(Path(folder) / "g", relation(iter([keep])), counts={"item": 2, "collection": 2},
                       pruning=Pruning(floor=1, cap=1), overwrite=True)  # fmt: skip


def measured(work: Path, step: str, edges: int, weighted: bool, memory: int) -> dict[str, float]:
    """One step in this process."""
    warm()
    before = peak_memory()
    started, processor = time.perf_counter(), time.process_time()
    if step == "build":
        edge_list = relation(stream(edges, seed=0, weighted=weighted))
        from_edges(work, edge_list, counts=sizes(edges), pruning=Pruning(), memory=memory, overwrite=True)
    elif step == "append":
        more = max(edges // 100, 1)
        batches = stream(edges, seed=1, weighted=weighted)
        first = next(batches)
        cut = Edges(*(None if column is None else np.asarray(column)[:more] for column in
                      (first.source, first.target, first.weight, first.time)))  # type: ignore[arg-type]  # fmt: skip
        append_edges(work, relation(iter([cut])))
    elif step == "merge":
        merge_deltas(work, memory=memory)
    elif step == "open":
        Graph.open(work)
    wall = time.perf_counter() - started
    found = {
        "seconds": round(wall, 4),
        "processor_seconds": round(time.process_time() - processor, 4),
        "peak_memory_mib": round(peak_memory() / 2**20),
        "before_mib": round(before / 2**20),
    }
    if step == "build":
        report = BuildReport.read_from(work)
        found["edges_per_second"] = round(report.read / wall)
        found["spilled_mib"] = round(sum(each.spilled for each in report.relations.values()) / 2**20)
    return found


def run(work: Path, step: str, edges: int, weighted: bool, memory: int) -> dict[str, float]:
    """One step in a process of its own."""
    command = [
        sys.executable,
        __file__,
        "--step",
        str(work),
        step,
        str(edges),
        str(int(weighted)),
        str(memory),
    ]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def case(work: Path, edges: int, memory: int, *, weighted: bool) -> dict[str, object]:
    """Build, open, append one percent, merge."""
    folder = work / "graph"
    found: dict[str, object] = {"edges": edges, "weighted_and_dated": weighted, "memory_mib": memory >> 20}
    for step in ("build", "open", "append", "merge"):
        found[step] = run(folder, step, edges, weighted, memory)
        if step == "build":
            told = describe(Graph.open(folder))
            found["nodes"] = told["nodes"]
            found["folder_mib"] = round(told["bytes"] / 2**20)
            found["stored"] = {row["name"]: row["edges"] for row in told["relations"]}
            found["distinct"] = told["relations"][0]["unpruned"]
    found["load_average"] = round(os.getloadavg()[1], 1)
    print(json.dumps(found, indent=1), flush=True)
    return found


def main() -> None:
    """Runs the cases and writes `docs/results/graph_build.json`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--edges", type=int, nargs="+", default=[10**5, 10**6, 10**7], help="edges of each case"
    )
    parser.add_argument("--memory", type=int, default=1024, help="MiB that sorting may take")
    parser.add_argument("--weighted", action="store_true", help="edges with weights and times as well")
    parser.add_argument(
        "--work", type=Path, default=None, help="folder for the graphs (about 40 bytes an edge)"
    )
    parser.add_argument("--no-write", action="store_true", help="only print")
    parser.add_argument("--step", nargs=5, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        work, step, edges, weighted, memory = arguments.step
        print(json.dumps(measured(Path(work), step, int(edges), bool(int(weighted)), int(memory))))
        return
    kinds = [False, True] if arguments.weighted else [False]
    with tempfile.TemporaryDirectory(dir=arguments.work) as temporary:
        cases = [
            case(Path(temporary), edges, arguments.memory << 20, weighted=kind)
            for kind in kinds
            for edges in arguments.edges
        ]
    if not arguments.no_write:
        from results import write

        write("graph_build", None, cores=os.cpu_count(), cases=cases)


if __name__ == "__main__":
    main()
