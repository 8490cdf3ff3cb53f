"""Incremental refresh of OmniSage vectors: after the last percent of events, what is embedded again, and in what time.

A model is fitted for a few steps (how good it is changes nothing here) on everything before the last share of the
events of a store. Its vectors of all items and collections are written; then the world of all events is opened, and the
vectors are written twice more: from scratch, and from the earlier folder by digests. Reported are the share embedded
again beside the share that got an edge of its own, both times, and how far the vectors are from the full pass: once
with exact walk scores, once with scores on a grid, on which a new edge changes few neighbourhoods. Results go to
``docs/results/omnisage_refresh.json``.

    python benchmarks/refresh_omnisage.py --store STORE [--store ANOTHER]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from bowerbird.learn.run import Run
from bowerbird.represent.config import OmniSageConfig
from bowerbird.represent.inference.opened import OpenOmniSage
from bowerbird.represent.inference.refresh import embed_into, read_vectors
from bowerbird.represent.learner import OmniSageLearner
from bowerbird.tables.store import Store
from bowerbird.tables.store.keys import stable_keys
from bowerbird.tables.view import TimeWall, View
from results import write

SETTINGS: dict[str, dict[str, int]] = {
    "exact scores": {},
    "steady neighbourhoods": {"closing": 0, "score_grid": 2},
}


def measured(
    store: Store, share: float, steps: int, work: Path, sampling: dict[str, int]
) -> dict[str, object]:
    """One store: counts, seconds and gaps of each node type."""
    times = np.sort(View(store).events.time)
    wall = int(times[int(len(times) * (1 - share))])
    before, after = View(store, TimeWall(wall)), View(store)
    config = OmniSageConfig(
        steps=steps, validate_every=steps, pairs=64, sequences=16, features=32, **sampling
    )  # type: ignore[arg-type]
    artifact = OmniSageLearner(config).fit(before, run=Run(seed=0, quiet=True))
    found: dict[str, object] = {
        "dataset": store.manifest.dataset,
        "events_before": before.n_events,
        "events_after": after.n_events,
    }
    opened = OpenOmniSage.open(artifact, before, folder=work / "world before")
    degrees = {}
    for node_type in opened.world.contents:
        embed_into(work / node_type / "old", opened, node_type)
        degrees[node_type] = _degrees(opened, node_type)
    started = time.perf_counter()
    opened = OpenOmniSage.open(artifact, after, folder=work / "world after")
    found["neighbourhoods_seconds"] = time.perf_counter() - started
    for node_type in opened.world.contents:
        opened.vectors(node_type, np.arange(1))
        now = _degrees(opened, node_type)
        moved = sum(degree != degrees[node_type].get(key) for key, degree in now.items())
        found[node_type] = _type(opened, node_type, work / node_type) | {"with_new_edges": moved / len(now)}
    return found


def _degrees(opened: OpenOmniSage, node_type: str) -> dict[int, tuple[float, ...]]:
    """Degrees of the nodes of a type by raw key: those that moved got edges of their own."""
    content = opened.world.contents[node_type]
    keys = stable_keys(opened.world.raw_ids[node_type])
    rows = content.degrees(np.arange(content.count)).reshape(content.count, -1)
    return dict(zip(keys.tolist(), map(tuple, rows.tolist()), strict=True))


def _type(opened: OpenOmniSage, node_type: str, folder: Path) -> dict[str, object]:
    started = time.perf_counter()
    embed_into(folder / "full", opened, node_type)
    full_s = time.perf_counter() - started
    started = time.perf_counter()
    done = embed_into(folder / "new", opened, node_type, previous=folder / "old")
    seconds = time.perf_counter() - started
    gap = np.abs(read_vectors(folder / "new") - read_vectors(folder / "full")).max(axis=1)
    return {
        "nodes": done.nodes, "embedded": done.embedded, "share": done.share, "full_seconds": full_s,
        "refresh_seconds": seconds, "time_ratio": seconds / full_s, "largest_gap": float(gap.max()),
        "nodes_that_differ": int((gap > 1e-6).sum()),
    }  # fmt: skip


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--store", type=Path, action="append", required=True, help="a store with dated events"
    )
    parser.add_argument("--share", type=float, default=0.01, help="events that come later")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--no-write", action="store_true", help="only print")
    options = parser.parse_args()
    found = []
    for path in options.store:
        for name, sampling in SETTINGS.items():
            with tempfile.TemporaryDirectory() as work:
                one = measured(Store.open(path), options.share, options.steps, Path(work), sampling)
            found.append({"setting": name, **one})
            print(found[-1], flush=True)
    if not options.no_write:
        write("omnisage_refresh", Store.open(options.store[0]), share=options.share, stores=found)


if __name__ == "__main__":
    main()
