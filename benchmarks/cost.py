"""What reading a history once saves: the ranking pass, one model against two, a returning user's second request.

All figures are ratios of arms that take turns in one run.

- Ranking pass: candidates and history in one dense pass against candidates on a cached history, at the paper's shapes
  (992 events, 656 candidates, 12 layers, a width that fits) and at the served ones. Target 0.9 x (n + k) / k.
- Engine: the same requests through the whole engine with two models (the ranker reads the history again, in one dense
  pass with the candidates), with one model whose encoding is kept from stage to stage, and with one whose encoding is
  kept for the next request, too. Target 1.6 x the requests/s of two models, and lower p50 and p99.
- Second request: the encode time of a user's first request against that of the next, after 0, 1 and 5 new events.
  Target 5 x.

Weights are untrained: what is timed does not depend on them, see ``serving/world.py``. The faster the products, the
smaller these ratios: what is saved is products, and the rest of a request stays. So the library's choice of products
(oneDNN's on AMD processors) and PyTorch's own are measured each.
Results go to ``docs/results/serving_cost.json`` and ``docs/results/serving_cost_mkl.json``.

    python benchmarks/cost.py
    python benchmarks/cost.py --mkl
    python benchmarks/cost.py --quick
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any


def run(options: argparse.Namespace) -> dict[str, Any]:
    """All measurements."""
    import torch
    from threadpoolctl import threadpool_limits

    from bowerbird.nn import linear
    from serving import arms, passes
    from serving.world import config_of, make_store, untrained

    if options.mkl:
        linear.onednn_is_faster = lambda: False
    torch.set_num_threads(options.threads)
    before = os.getloadavg()[0]
    out: dict[str, Any] = {"products": "oneDNN" if linear.onednn_is_faster() else "MKL", "ranking_pass": []}
    with (
        threadpool_limits(limits=options.threads),
        tempfile.TemporaryDirectory(prefix="bowerbird-cost-") as made,
    ):
        for shape in passes.shapes(options.widths, quick=options.quick):
            heavy = shape.layers > 4
            row = passes.measure(shape, options.passes if heavy else 4 * options.passes, options.seed)
            out["ranking_pass"].append(row)
            print(
                f"ranking pass, {row['name']}: dense {row['dense_ms']['median']:.1f} ms, cached "
                f"{row['cached_ms']['median']:.1f} ms, ratio {row['ratio']['median']:.2f} (target {row['target']:.2f}, "
                f"arithmetic {row['ratio_by_arithmetic']:.2f})",
                flush=True,
            )
        folder, config = Path(made), config_of(options.size)
        length = config.history_length
        store = make_store(
            folder / "store", items=options.items, users=options.users, history=length, seed=options.seed
        )
        opened = untrained(store, config, options.seed)
        with arms.engines(store, opened, folder, options.pool_mib << 20) as engines:
            kept = engines[arms.ARMS[-1]]
            clicks = arms.Clicks(kept, options.items, options.seed)
            out["pool"] = kept.describe()["pool"]
            # user u has length + u % (length / 4) events: these fill the window up to six short of its end
            stride = length // 4
            near = [user for user in range(options.users) if stride - 14 <= user % stride < stride - 6]
            near = near[-options.second :]
            out["second_request"] = arms.second_request(kept, clicks, near)
            print("second request:", out["second_request"]["first_to_later"], flush=True)
            regulars = options.users // 10
            out["agreement"] = arms.agreement(engines, range(regulars))
            print("agreement of the arms:", out["agreement"], flush=True)
            out["engine"] = {}
            strangers = iter([user for user in range(regulars, options.users) if user not in set(near)])
            for batch in (1, 8):
                rows = arms.compare(
                    engines, clicks, regulars=regulars, strangers=strangers, rounds=options.rounds, block=options.block,
                    returning=options.returning, batch=batch, seed=options.seed,
                )  # fmt: skip
                out["engine"][f"batches of {batch}"] = rows
                for name, row in rows.items():
                    against = row.get("against_two_models")
                    more = (
                        ""
                        if against is None
                        else f"; {against['requests_per_second']['median']:.2f} x requests/s, "
                        f"{against['requests_per_cpu_second']['median']:.2f} x by processor time, "
                        f"p50 x {against['p50']:.2f}, p99 x {against['p99']:.2f}"
                    )
                    print(
                        f"batches of {batch}, {name}: {row['requests_per_second']['median']:.1f}/s, p50 "
                        f"{row['p50_ms']:.1f} ms, p99 {row['p99_ms']:.1f} ms{more}",
                        flush=True,
                    )
            out["pool"] = kept.describe()["pool"]
    out["machine"] = {
        "cores": os.cpu_count(), "threads": options.threads,
        "environment": {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "OMP_WAIT_POLICY")},
        "load_average_before": before, "load_average_after": os.getloadavg()[0],
    }  # fmt: skip
    return out


def claims(found: dict[str, Any]) -> list[dict[str, str]]:
    """U7 and U8 as rows of the ledger; quartiles over rounds stand for the interval."""
    rows = []
    for row in found["ranking_pass"]:
        if row["name"].startswith("paper"):
            rows.append(
                _row(
                    f"U7 {row['name'].removeprefix('paper, ')}",
                    "ranking against the cached history costs k of n + k tokens", "2.38 to 2.51 (GPU)",
                    f"n = 992, k = 656, 12 layers, {row['name']}, {found['products']}: dense pass over cached "
                    f"pass, largest difference of scores {row['largest_difference']:.0e}", row["ratio"], row["target"],
                )
            )  # fmt: skip
    for batches, arms in found["engine"].items():
        against = arms["kept across stages and requests"]["against_two_models"]
        rows.append(
            _row(
                f"U8 {batches}", "one model served once per user beats two models",
                "+63.6 % requests/s, -11.1 % latency",
                f"requests/s through the engine, {batches}, {found['products']}: one model with shared keys and "
                f"values over two models; p50 x {against['p50']:.2f}, p99 x {against['p99']:.2f}",
                against["requests_per_second"], 1.6,
            )
        )  # fmt: skip
    return rows


def _row(id: str, claim: str, paper: str, test: str, ratio: dict[str, float], target: float) -> dict[str, str]:
    status = "reproduced" if ratio["q25"] >= target else "direction only" if ratio["q25"] > 1 else "inconclusive"
    return {
        "id": id, "paper": "UniPinRec", "claim": claim, "paper_number": paper, "test": f"{test} (target {target:.2f})",
        "result": f"ratio {ratio['median']:.3f}", "interval": f"{ratio['q25']:.3f} to {ratio['q75']:.3f}",
        "status": status,
    }  # fmt: skip


def options_of(words: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=100_000, help="size of the catalogue")
    parser.add_argument("--size", choices=("s", "m"), default="m", help="size of the model in the engine")
    parser.add_argument("--users", type=int, default=1_200, help="a tenth of them are the returning ones")
    parser.add_argument("--returning", type=float, default=0.5, help="share of requests from returning users")
    parser.add_argument("--pool-mib", type=int, default=512, help="memory of the KV pool")
    parser.add_argument(
        "--widths", type=int, nargs="+", default=[128, 384], help="of the decoder at the paper's shapes"
    )
    parser.add_argument(
        "--passes", type=int, default=12, help="rounds of the ranking pass (4 x for small shapes)"
    )
    parser.add_argument("--rounds", type=int, default=12, help="rounds of the engine")
    parser.add_argument("--block", type=int, default=32, help="requests of an arm in a round")
    parser.add_argument("--second", type=int, default=40, help="users whose second request is timed")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="threads of torch and BLAS")
    parser.add_argument("--mkl", action="store_true", help="PyTorch's own products, on every processor")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--print", action="store_true", help="print the figures instead of writing the file")
    parser.add_argument("--quick", action="store_true", help="few rounds, a small catalogue; prints only")
    options = parser.parse_args(words)
    if options.quick:
        options.items, options.users, options.passes, options.rounds = 20_000, 400, 3, 3
        options.block, options.second, options.print = 16, 8, True
        options.widths = options.widths[:1]
    if 2 * options.rounds * options.block > 0.8 * options.users:
        parser.error("every stranger asks once: give more --users, or fewer --rounds")
    return options


def main() -> None:
    """Command line."""
    options = options_of()
    os.environ.setdefault("OMP_NUM_THREADS", str(options.threads))
    found = run(options)
    if options.print:
        import orjson

        print(orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY).decode())
        return
    from results import write
    from serving.world import config_of

    path = write(
        "serving_cost_mkl" if options.mkl else "serving_cost", None, config=config_of(options.size), seed=options.seed,
        protocol=(
            "Arms take turns in every round, each time in another order; a ratio is that of one round, its median and "
            "quartiles over the rounds. p50 and p99 are over all requests of an arm. requests_per_cpu_second is the "
            "same ratio by processor time, which other work on the machine moves far less. Engine without HTTP, k = "
            f"20 from 60 candidates; {options.items:,} items; {options.returning:.0%} of the requests come from "
            "returning users, half of whom clicked 1 to 3 times since; the others are new."
        ),
        claims=claims(found), **found,
    )  # fmt: skip
    print(path)


if __name__ == "__main__":
    main()
