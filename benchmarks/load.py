"""The highest request rate a server holds, what requests take at half of it, and how soon an event changes an answer.

A server of its own process (the library's HTTP server with keys, batching, KV pool and online history) answers an open
loop: requests arrive as a Poisson process scheduled in advance, and latency counts from the scheduled arrival, so
waiting is never left out. A rate holds when in two consecutive windows p99 is below 100 ms, no request fails and the
backlog does not grow. The highest such rate is doubled towards, then bisected to 10 %. Then, at half of it: p50, p95
and p99, each stage's share of the time, and the time from posting an event to an answer that has it. The model is
untrained, its item vectors lie in clusters. The client is a small asyncio one in this process, on the same cores.
Results go to ``docs/results/load_<items>.json``.

    python benchmarks/load.py                     # 10^5 items, size m
    python benchmarks/load.py --items 1000000
    python benchmarks/load.py --quick
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import orjson

from serving.client import Client
from serving.schedule import LIMIT_MS
from serving.server import Setup, serve, server
from serving.trials import Search, Traffic, events, summary, trial, warm

RESOLUTION = 0.1
START_RATE = 8.0


async def measure(client: Client, traffic: Traffic, options: argparse.Namespace) -> dict[str, Any]:
    """Everything asked of one server."""
    await warm(client, traffic, options.warm)
    search = Search(client, traffic, options.seconds)
    best = await _highest(search, options)
    half = best / 2
    found: dict[str, Any] = {"highest_rate": best, "tried": search.tried}
    if not best:
        return found
    record, _ = await trial(client, traffic, half, seconds=options.half_seconds, windows=1, seed=10_000)
    found["half"] = {"rate": half, "seconds": options.half_seconds, **summary(record)}
    found["events"] = {"rate": half, **await events(client, traffic, half, seconds=options.half_seconds)}
    return found


async def _highest(search: Search, options: argparse.Namespace) -> float:
    """`schedule.highest` is plain arithmetic that calls; here every call is awaited in a thread's stead."""
    from serving.schedule import highest

    loop = asyncio.get_running_loop()

    def holds(rate: float) -> bool:
        return asyncio.run_coroutine_threadsafe(search.holds(rate), loop).result()

    return await asyncio.to_thread(highest, holds, options.start, options.rate_limit, options.resolution)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Starts the server, measures, stops it."""
    with tempfile.TemporaryDirectory(prefix="bowerbird-load-") as made:
        setup = Setup(
            str(options.folder or made), options.size, options.items, options.users, options.pool_mib << 20,
            options.threads, options.max_batch, options.seed,
        )  # fmt: skip
        traffic = Traffic(options.users, options.zipf, options.returning, options.k, options.seed)
        began = time.perf_counter()
        load_before = os.getloadavg()[0]

        async def ask(port: int, key: str) -> dict[str, Any]:
            client = Client("127.0.0.1", port, key)
            try:
                return await measure(client, traffic, options)
            finally:
                client.close()

        with server(Path(__file__).resolve(), setup) as running:
            print(f"ready after {time.perf_counter() - began:.0f} s: {running.facts}", flush=True)
            found = asyncio.run(ask(running.port, running.key))
    return {
        **found,
        "server": {**running.facts, **running.ended},
        "machine": {
            "cores": os.cpu_count(), "model_threads": options.threads, "max_batch": options.max_batch or "as served",
            "load_average_before": load_before, "load_average_after": os.getloadavg()[0],
        },
    }  # fmt: skip


def options_of(words: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=100_000, help="size of the catalogue")
    parser.add_argument("--size", choices=("s", "m"), default="m", help="size of the model")
    parser.add_argument("--users", type=int, default=2_000, help="users of the platform")
    parser.add_argument(
        "--returning", type=float, default=0.7,
        help="share of requests from regulars, a tenth of the users, drawn Zipf-like; the others rarely come",
    )  # fmt: skip
    parser.add_argument("--zipf", type=float, default=1.0, help="exponent of the regulars' frequencies")
    parser.add_argument("--pool-mib", type=int, default=512, help="memory of the KV pool")
    parser.add_argument("--rate-limit", type=float, default=1_000.0, help="no higher rate is tried")
    parser.add_argument("--start", type=float, default=START_RATE, help="first rate tried")
    parser.add_argument(
        "--resolution", type=float, default=RESOLUTION, help="of the highest rate, as a share"
    )
    parser.add_argument("--seconds", type=float, default=8.0, help="of a window; a rate takes two")
    parser.add_argument("--half-seconds", type=float, default=40.0, help="at half of the highest rate, twice")
    parser.add_argument("--warm", type=int, default=600, help="requests before anything is measured")
    parser.add_argument("--k", type=int, default=20, help="items wanted")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="threads of the model")
    parser.add_argument("--max-batch", type=int, default=0, help="most requests in one batch; 0 = as served")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="keep store and index here and use them again")
    parser.add_argument("--print", action="store_true", help="print the figures instead of writing the file")
    parser.add_argument("--quick", action="store_true", help="short windows, a coarse search; prints only")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if options.quick:
        options.seconds, options.half_seconds, options.warm = 1.5, 4.0, 100
        options.resolution, options.users, options.print = 0.3, 500, True
    return options


def main() -> None:
    """Command line."""
    options = options_of()
    if options.serve:
        serve(Setup(**orjson.loads(options.serve)))
        return
    found = run(options)
    if options.print:
        print(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
        return
    from results import write
    from serving.world import config_of

    path = write(
        f"load_{options.items}", None, config=config_of(options.size), seed=options.seed,
        protocol=(
            f"Open loop: Poisson arrivals scheduled in advance, latency from the scheduled arrival. A rate holds when "
            f"in two consecutive windows (200 requests or 40 s, at least {options.seconds:g} s) "
            f"p99 < {LIMIT_MS:g} ms, no request fails and the backlog does not grow; highest rate by doubling "
            f"from {options.start:g}/s, then bisecting to {options.resolution:.0%}. "
            f"Server and client (raw asyncio streams) are two processes on the same cores. "
            f"k = {options.k}, history {config_of(options.size).history_length}, a key per request."
        ),
        traffic={
            "users": options.users, "regulars": options.users // 10, "share_of_regulars": options.returning,
            "zipf_exponent": options.zipf, "pool_mib": options.pool_mib,
        },
        **found,
    )  # fmt: skip
    print(path)


if __name__ == "__main__":
    main()
