"""Latency of one recommendation: a user's history to 100 items, on catalogues of 10^4, 10^5 and 10^6 items, one thread.

The path is the library's own: read the last 50 events from the store, encode, generate query vectors, search the
index (exact below 50,000 items, inverted lists above), merge. Weights are not trained. What an approximate search
costs depends on how the vectors lie, so each catalogue is measured twice: with vectors in clusters and with vectors in
all directions alike, where inverted lists have the least to gain; trained ones lie between. The recall of the index
against an exact scan, for generated query vectors, stands beside every figure.
Results go to ``docs/results/latency.json``.

    python benchmarks/latency.py
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

SIZES = (10_000, 100_000, 1_000_000)
HISTORY, K, USERS = 50, 100, 500
ITEMS_PER_CLUSTER, SPREAD = 100, 0.8
"""Clustered vectors: a random centre per 100 items plus noise of 0.8 of its length (cosine 0.6 within a cluster)."""
DAY_MS = 86_400_000


def build(folder: Path, items: int, seed: int) -> Any:
    """A store of ``items`` items with a category each and ``USERS`` users of ``HISTORY`` random events."""
    import polars as pl

    from bowerbird.tables.store import build_store

    rng = np.random.default_rng(seed)
    start = 1_700_000_000_000
    categories = rng.integers(0, 200, items)
    item_rows = pl.DataFrame({"item_id": np.arange(items), "category": [f"category {c}" for c in categories]})
    events = pl.DataFrame(
        {
            "user_id": np.repeat(np.arange(USERS), HISTORY),
            "item_id": rng.integers(0, items, USERS * HISTORY),
            "timestamp": start + np.sort(rng.integers(0, 30 * DAY_MS, (USERS, HISTORY)), axis=1).ravel(),
            "actions": rng.choice(["click", "save", "long_click"], USERS * HISTORY),
        }
    ).with_columns(pl.concat_list("actions"))
    return build_store(
        folder, {"items": item_rows, "events": events}, item_roles={"category": "category"}, dataset="synthetic"
    )


def measure(items: int, shape: str, requests: int, warm: int, seed: int) -> dict[str, Any]:
    """Everything about one catalogue; run in a process of its own, so that memory is its own.

    Args:
        items: size of the catalogue.
        shape: ``clustered`` or ``isotropic``.
        requests: timed requests per plan.
        warm: untimed requests before.
        seed: of data, weights and the choice of users.
    """
    import torch
    from threadpoolctl import threadpool_limits

    from bowerbird.nn.features.catalogue import CatalogueEncoder
    from bowerbird.recommend.config import PinRecConfig
    from bowerbird.recommend.inputs.conditions import Conditions
    from bowerbird.recommend.retrieval.generation import Plan
    from bowerbird.recommend.retrieval.opened import OpenPinRec
    from bowerbird.recommend.retrieval.retriever import Retriever
    from bowerbird.tables.view import View

    torch.manual_seed(seed)
    with tempfile.TemporaryDirectory(prefix="bowerbird-latency-") as folder:
        view = View(build(Path(folder) / "store", items, seed))
        config = replace(PinRecConfig.size("s"), history_length=HISTORY)
        conditions, encoder = Conditions.of(view), CatalogueEncoder.fit(view.item_table())
        log_share = torch.full((view.n_items,), -float(np.log(items)))
        model = OpenPinRec.network(config, conditions, encoder, view, log_share, facts={})
        identity = model.items.identity
        assert isinstance(identity, torch.nn.Embedding)
        _lay(identity.weight, shape, seed)
        opened = OpenPinRec(model, conditions, view)
        started = time.perf_counter(), time.process_time()
        retriever = Retriever(opened)
        index = {
            "kind": retriever.index.kind,
            "build_seconds": time.perf_counter() - started[0],
            "build_cpu_seconds": time.process_time() - started[1],
            **getattr(retriever.index, "facts", {}),
        }
        retriever.index.save(Path(folder) / "index")
        index["bytes_on_disk"] = sum(f.stat().st_size for f in (Path(folder) / "index").rglob("*") if f.is_file())
        torch.set_num_threads(1)
        plans = {
            "1 vector": Plan(),
            "6 vectors": Plan(outcomes=dict.fromkeys(conditions.actions, 1 / len(conditions.actions)), steps=2),
        }
        answers = {}
        with threadpool_limits(limits=1), torch.inference_mode():
            for name, plan in plans.items():
                answers[name] = _requests(retriever, plan, requests=requests, warm=warm, seed=seed)
        return {
            "items": items, "vectors": shape, "index": index, "requests": requests, "latency_ms": answers,
            "index_recall@100": _recall(retriever, seed), "resident_mib": _resident(),
            "peak_resident_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "load_average": os.getloadavg()[0],
        }  # fmt: skip


def _lay(weight: Any, shape: str, seed: int) -> None:
    """Overwrite identity rows (I, D) in place: around random centres, or without any structure, equally long."""
    import torch

    rng = torch.Generator().manual_seed(seed)
    rows, dim = weight.shape
    with torch.no_grad():
        weight.normal_(generator=rng)
        if shape == "clustered":
            centres = torch.randn(max(1, rows // ITEMS_PER_CLUSTER), dim, generator=rng)
            weight.mul_(SPREAD).add_(centres[torch.randint(len(centres), (rows,), generator=rng)])
        weight.mul_(1.5 / weight.norm(dim=1, keepdim=True))  # longer than the category's part, so that it decides


def _requests(retriever: Any, plan: Any, *, requests: int, warm: int, seed: int) -> dict[str, Any]:
    """Percentiles of every stage, by wall clock, and of the whole by processor time."""
    opened, rng = retriever.opened, np.random.default_rng(seed)
    now = np.array([opened.view.end_time], np.int64)
    stages: dict[str, list[float]] = {"history": [], "generate": [], "retrieve": [], "total": [], "total_cpu": []}
    for number, user in enumerate(rng.integers(0, USERS, warm + requests)):
        began, cpu = time.perf_counter(), time.process_time()
        tokens = opened.histories(np.array([user], np.int32))
        seen = [tokens.item[0, : int(tokens.lengths[0])].numpy()]
        read = time.perf_counter()
        found = retriever.fetch(tokens, plan, K, surface=np.zeros(1, np.int64), time=now, exclude=seen)
        done, cpu = time.perf_counter(), time.process_time() - cpu
        if len(found.merged[0].item) != K:
            raise RuntimeError(f"asked for {K} items, got {len(found.merged[0].item)}")
        if number >= warm:
            for stage, value in (
                ("history", 1e3 * (read - began)),
                ("generate", found.timings_ms["generate"]),
                ("retrieve", found.timings_ms["retrieve"]),
                ("total", 1e3 * (done - began)),
                ("total_cpu", 1e3 * cpu),
            ):
                stages[stage].append(value)
    return {
        stage: {"p50": float(np.percentile(values, 50)), "p99": float(np.percentile(values, 99))}
        for stage, values in stages.items()
    }


def _recall(retriever: Any, seed: int, queries: int = 100) -> float:
    """Share of the true 100 best that the index returns, for generated query vectors."""
    import torch

    from bowerbird.recommend.retrieval.generation import Plan

    opened = retriever.opened
    users = np.random.default_rng(seed).choice(USERS, queries, replace=False).astype(np.int32)
    tokens = opened.histories(users)
    now = torch.full((queries,), opened.view.end_time)
    found = opened.generate(tokens, Plan(), surface_B=torch.zeros(queries, dtype=torch.int64), time_B=now)
    vectors_QE = found.vectors_BME[:, 0]
    hits = retriever.index.search(vectors_QE.numpy(), K)
    true = torch.topk(vectors_QE @ opened.vectors_IE.T, K, dim=1).indices.numpy()
    return float(np.mean([len(np.intersect1d(a, b)) / K for a, b in zip(hits.ids, true, strict=True)]))


def _resident() -> float:
    """Resident memory of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def run(sizes: Sequence[int], requests: int, warm: int, seed: int) -> list[dict[str, Any]]:
    """All catalogues, each in a fresh process, smallest first."""
    found = []
    for items in sizes:
        for shape in ("clustered", "isotropic"):
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
                row = pool.submit(measure, items, shape, requests, warm, seed).result()
            total = row["latency_ms"]["1 vector"]["total"]
            print(
                f"{items:,} items, {shape}: p50 {total['p50']:.1f} ms, p99 {total['p99']:.1f} ms, index recall "
                f"{row['index_recall@100']:.3f}, built in {row['index']['build_seconds']:.0f} s",
                flush=True,
            )
            found.append(row)
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="catalogue sizes")
    parser.add_argument("--requests", type=int, default=300, help="timed requests per plan")
    parser.add_argument("--warm", type=int, default=30, help="untimed requests before")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read by the processes that measure
    rows = run(options.sizes, options.requests, options.warm, options.seed)

    from bowerbird.recommend.config import PinRecConfig
    from results import write

    write(
        "latency", None, config=replace(PinRecConfig.size("s"), history_length=HISTORY), seed=options.seed,
        protocol=(
            f"One user a request, history of {HISTORY}, {K} items back, the user's own items excluded, one thread "
            "(torch, faiss and BLAS); p50 and p99 in ms. history = reading the store, generate = encoding and query "
            "vectors, retrieve = index search and merging, total = all of it; total_cpu = processor time of the "
            "process for the same request, which other work on the machine moves far less. No HTTP. '6 vectors' asks "
            "for three outcomes in two steps. Weights are random; the index is built with all cores."
        ),
        vectors={
            "clustered": f"identity rows around one random centre per {ITEMS_PER_CLUSTER} items, noise {SPREAD} of it",
            "isotropic": "identity rows in random directions",
        },
        machine={"cores": os.cpu_count()}, catalogues=rows,
    )  # fmt: skip


if __name__ == "__main__":
    main()
