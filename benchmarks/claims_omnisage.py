"""The OmniSage claims A1 to A11 and the floors, on citeulike-a: arms of one code, three seeds, paired intervals.

Every arm differs from the recipe in the one setting that its claim is about and is fitted on everything before the
test wall for the same number of steps. Floors are tuned on validation and fitted on the same data. The cold store is
the same data with whole articles held out. Results go to ``docs/results/NAME.json``; ``bowerbird ledger`` turns them
into rows.

    bowerbird dataset citeulike --path FOLDER --store STORE
    bowerbird dataset citeulike-cold --path FOLDER --store COLD
    python benchmarks/claims_omnisage.py --store STORE --cold-store COLD --seeds 3
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

import recipes_omnisage
from bowerbird.evaluate.baselines import QUICK_GRIDS, fitted_baselines
from bowerbird.evaluate.bootstrap import Estimate, Interval
from bowerbird.learn.settings import override
from bowerbird.represent.config import OmniSageConfig
from bowerbird.represent.inference.recommender import OmniSageRecommender, held_out_cases
from bowerbird.represent.tasks.softmax import Candidates, pool_of, softmax_rows
from bowerbird.tables.store import Store
from bowerbird.tables.view import given_split
from evidence.omnisage import Bench
from evidence.rows import claim, ledger_row
from results import write

FLOORS = ("popularity", "itemknn", "ease", "pagerank", "content", "lightgcn")
PENALTIES = (10.0, 25.0, 50.0, 100.0, 300.0)
GRIDS = {
    "itemknn": {"shrink": (0.0, 3.0, 10.0, 30.0), "neighbours": (100, 1000), "decay": (1.0,)},
    "ease": {"penalty": PENALTIES, "decay": (1.0,)},
    "content": {"decay": (1.0,)},
    "lightgcn": {"layers": (2,), "regularization": (1e-3, 1e-2), "negatives": (1024,)},
}
"""Entries have no order here, so older ones are not worth less; LightGCN's grid is cut to what can be
afforded here (its own one adds a single negative a pair and a third layer). Other floors have their own grids."""

AGGREGATORS = ("pinsage", "graphsage", "gat", "mean")
QUICK = {
    "steps": 4, "validate_every": 4, "sequences": 16, "pairs": 64, "random_nodes": 64, "features": 32, "width": 16,
    "dim": 32, "feature_dim": 32, "members": 8, "folds": 2, "budget": 500, "frequency_draws": 2_000,
}  # fmt: skip


def arms(base: OmniSageConfig) -> dict[str, OmniSageConfig]:
    """The recipe and one variation per claim."""
    half = {name: getattr(base, name) // 2 for name in ("saved_items", "saved_collections", "linked_items")}
    single = {"pair_weight": 0.0, "feature_weight": 0.0, "user_weight": 0.0}
    return {
        "base": base,
        "no graph": replace(base, aggregator="none", user_lists=False, neighbour_pairs=0.0),
        "no links": replace(base, linked_items=0),
        "no tags": replace(base, described_items=0),
        "half the neighbours": replace(base, **half),
        "whole graph": replace(base, folds=0, user_lists=False),
        "no linear path": replace(base, skip=False),
        **{kind: replace(base, aggregator=kind, skip=False) for kind in AGGREGATORS},
        "no random": replace(base, random_nodes=0),
        "many random": replace(base, random_nodes=4 * base.random_nodes),
        "budget/2": replace(base, budget=base.budget // 2),
        "budget*2": replace(base, budget=2 * base.budget),
        **{f"pruned {a:g}": replace(base, pruning=a) for a in (0.5, 0.7, 0.86)},
        "pairs alone": replace(base, **(single | {"pair_weight": 1.0})),
        "features alone": replace(base, **(single | {"feature_weight": 1.0})),
        "users alone": replace(base, **(single | {"user_weight": 1.0})),
        "pairs and features": replace(base, user_weight=0.0),
        "users alone, no graph": replace(
            base, aggregator="none", user_lists=False, **(single | {"user_weight": 1.0})
        ),
    }


def run(
    warm: Bench, cold: Bench | None, only: Sequence[str], *, quick: bool, floors: Sequence[str] = FLOORS
) -> tuple[list[dict], dict]:
    """The claims asked for (all when ``only`` is empty), and the tables behind them."""
    tables: dict[str, object] = {}

    def users(
        id: str, text: str, paper: str, arm: str, other: str, *, parity: bool = False, better: bool = True
    ) -> list[dict]:
        ratio = warm.users(arm).over(warm.users(other))
        return [
            _row(
                id,
                text,
                paper,
                f"users: recall@20, {arm} against {other}",
                ratio,
                parity=parity,
                better=better,
            )
        ]

    def pairs(
        id: str, text: str, paper: str, arm: str, other: str, *, bench: Bench = warm, parity: bool = False,
        better: bool = True, where: str = "warm articles",
    ) -> list[dict]:  # fmt: skip
        ratio = bench.pairs(arm).over(bench.pairs(other))
        test = f"article to library, recall@10, {where}, {arm} against {other}"
        return [_row(id, text, paper, test, ratio, parity=parity, better=better)]

    def graph_helps_pairs() -> list[dict]:
        text = "the graph helps pairs"
        rows = pairs("A1 warm", text, "x1.38", "base", "no graph")
        if cold is not None:
            rows += pairs("A1 cold", text, "x1.38", "base", "no graph", bench=cold, where="cold articles")
        return rows

    def tasks() -> list[dict]:
        text = "tasks learn together"
        features = warm.features("base").over(warm.features("features alone"))
        return [
            *users("A8 users", text, "x1.03", "base", "users alone"),
            *pairs("A8 pairs", text, "x0.98", "base", "pairs alone", parity=True),
            _row("A8 features", text, "x0.91", "article by its text, recall@10, base against features alone", features,
                 better=False),
        ]  # fmt: skip

    def downstream() -> list[dict]:
        text = "the sequence task pays downstream"
        base = warm.ranker("base")
        return [
            _row(f"A9 {name}", text, "+2.6 % against +0.5 %", f"hits@3 of one small ranker, base against {name}",
                 base.over(warm.ranker(name)))
            for name in ("pairs alone", "pairs and features")
        ]  # fmt: skip

    budget, negatives = "half or double the budget changes nothing", "random negatives help users"
    tests: dict[str, Callable[[], list[dict]]] = {
        "floors": lambda: floor_rows(warm, "warm", tables, floors, quick=quick)
        + (floor_rows(cold, "cold", tables, floors, quick=quick) if cold is not None else []),
        "votes": lambda: vote_rows(warm, tables),
        "A1": graph_helps_pairs,
        "A2": lambda: users("A2", "the graph helps users", "x1.55", "base", "no graph"),
        "A3": lambda: pairs("A3 pairs", "the second relation adds", "x1.15", "base", "no links")
        + users("A3 users", "the second relation adds", "x1.03", "base", "no links"),
        "A3 tags": lambda: users("A3 tags", "walks through tags add (ours)", "not in the paper", "base", "no tags"),
        "A4": lambda: [
            row for kind in AGGREGATORS
            for row in pairs(f"A4 {kind}", f"the transformer beats {kind} on the same neighbours",
                             {"gat": "+6 %", "pinsage": "x1.32"}.get(kind, "no number"), "no linear path", kind)
            + users(f"A4 {kind} users", f"the transformer beats {kind} for users", "no number", "no linear path", kind)
        ] + users("A4 linear path", "the linear path helps (ours)", "not in the paper", "base", "no linear path"),
        "A5 none": lambda: users("A5 none", negatives, "x1.31 to x1.44", "base", "no random"),
        "A5 more": lambda: users("A5 more", negatives, "+9 % from 1 K to 10 K", "many random", "base"),
        "A6": lambda: [
            row for arm in ("budget/2", "budget*2", "half the neighbours")
            for row in pairs(f"A6 {arm} pairs", budget, "within 0.7 %", arm, "base", parity=True)
            + users(f"A6 {arm}", budget, "within 0.7 %", arm, "base", parity=True)
        ],
        "A7": lambda: [
            row for a in (0.5, 0.7, 0.86)
            for row in users(f"A7 users {a:g}", "stronger pruning helps users", ".584 / .582 / .576",
                             f"pruned {a:g}", "base")
            + pairs(f"A7 pairs {a:g}", "stronger pruning hurts pairs", ".584 / .592 / .609", f"pruned {a:g}", "base",
                    better=False)
        ],
        "A8": tasks,
        "A9": downstream,
        "A10": lambda: chunk_rows(tables, quick=quick),
        "A11": lambda: users("A11", "joint beats a user model alone", "x1.90", "base", "users alone, no graph"),
        "folds": lambda: users("folds", "learning on held-out folds helps (ours)", "not in the paper", "base",
                               "whole graph"),
    }  # fmt: skip
    asked = [name for name in tests if not only or name in only or name.split()[0] in only]
    return [row for name in asked for row in tests[name]()], tables


def floor_rows(
    bench: Bench, kind: str, tables: dict[str, object], floors: Sequence[str], *, quick: bool
) -> list[dict]:
    """OmniSage against every floor, tuned on validation: all items ranked, and for the cold store cold items alone."""
    split = bench.split
    inner = held_out_cases(split.valid, split.train, limit=2_000)
    cold_floors = ("popularity", "pagerank", "content")  # the others cannot know what nobody kept
    names = [name for name in floors if kind == "warm" or name in cold_floors]
    fitted, log = fitted_baselines(
        split.train, inner, split.valid, names=names, metric="recall@20", grids=QUICK_GRIDS if quick else GRIDS,
        seeds=bench.seeds, on_progress=print,
    )  # fmt: skip
    base = bench.arms["base"]
    ours = [OmniSageRecommender(o, votes_of=base) for o in bench.models("base")]
    found: list[dict] = []
    cold = bench.cold_cases() if kind == "cold" else None
    settings = [("all items ranked", bench.cases)] + (
        [("cold items ranked", cold)] if cold is not None else []
    )
    for where, cases in settings:

        def measure(scorers: Sequence[object], cases: object = cases, where: str = where) -> Estimate:
            if where == "cold items ranked":
                return bench.cold(scorers, cases)  # type: ignore[arg-type]
            return bench.lists(scorers, cases)  # type: ignore[arg-type]

        values = {"OmniSage": measure(ours)}
        for name in dict.fromkeys(b.name for b in fitted):
            values[name] = measure([b for b in fitted if b.name == name])
        tables[f"{kind}, {where}"] = {name: v.interval().to_dict() for name, v in values.items()}
        for name, value in values.items():
            if name != "OmniSage" and value.mean > 0:
                found.append(
                    _row(f"{kind} {name}, {where}", f"graph, content and sequences beat {name}", "no number",
                         f"{kind} split, recall@20, {where}, OmniSage against {name}", values["OmniSage"].over(value))
                )  # fmt: skip
    tables[f"{kind}, tuning"] = [t.to_dict() for t in log]
    return found


def vote_rows(bench: Bench, tables: dict[str, object]) -> list[dict]:
    """What the votes of lists and those of items are worth in the lists of the recipe."""
    base = bench.arms["base"]
    settings = {
        "OmniSage": base,
        "without the votes of lists": replace(base, list_votes=0.0),
        "user vector alone": replace(base, votes=0.0, list_votes=0.0),
    }
    values = {
        name: bench.lists([OmniSageRecommender(o, votes_of=each) for o in bench.models("base")], bench.cases)
        for name, each in settings.items()
    }
    tables["warm, all items ranked, votes"] = {name: v.interval().to_dict() for name, v in values.items()}
    return [
        _row(f"votes {id}", f"votes of {whose} help (ours)", "not in the paper",
             f"users: recall@20, {name} against {other}", values[name].over(values[other]))
        for id, whose, name, other in (
            ("lists", "near lists", "OmniSage", "without the votes of lists"),
            ("items", "the items of a history", "without the votes of lists", "user vector alone"),
        )
    ]  # fmt: skip


def chunk_rows(tables: dict[str, object], *, quick: bool) -> list[dict]:
    """A10: gradients of the chunked softmax against the whole one, and peak memory by number of negatives."""
    gap = _gradient_gap()
    counts = (1_000, 4_000) if quick else (1_000, 10_000, 100_000)
    memory = {f"{n} {'chunked' if rows else 'whole'}": _peak_mb(n, rows) for n in counts for rows in (64, 0)}
    tables["softmax memory, MB"] = memory
    ratio = memory[f"{counts[-1]} chunked"] / max(memory[f"{counts[-1]} whole"], 1e-9)
    return [
        _row("A10 exact", "the chunked softmax is exact", "exact", "largest relative gap of a gradient, float64",
             Interval(gap, gap, gap), better=False) | {"status": "reproduced" if gap < 1e-9 else "not reproduced"},
        _row("A10 memory", "chunks keep the memory of the softmax down", "flat",
             f"memory above the start, 1,024 rows and {counts[-1]:,} negatives, 64 rows at once against all",
             Interval(ratio, ratio, ratio), better=False),
    ]  # fmt: skip


def _loss(negatives: int, chunk: int | None, dtype: torch.dtype) -> tuple[torch.Tensor, list[torch.Tensor]]:
    rng = torch.Generator().manual_seed(0)
    rows, dim, count = 1_024, 64, negatives + 1_024
    leaves = [
        torch.randn(n, dim, generator=rng, dtype=dtype).requires_grad_() for n in (rows, rows, negatives)
    ]
    q, p, n = (torch.nn.functional.normalize(x, dim=-1) for x in leaves)
    ids = torch.arange(rows)
    share = torch.full((rows,), -np.log(count), dtype=dtype)
    positives = Candidates(ids, p, share)
    random = Candidates(torch.arange(rows, count), n, torch.full((negatives,), -np.log(count), dtype=dtype))
    scale = torch.tensor(14.0, dtype=dtype, requires_grad=True)
    loss = softmax_rows(q, positives, pool_of(positives, random, count), scale, chunk_rows=chunk).mean()
    return loss, [*leaves, scale]


def _gradient_gap() -> float:
    found = []
    for chunk in (64, None):
        loss, leaves = _loss(1_000, chunk, torch.float64)
        found.append(torch.autograd.grad(loss, leaves))
    return max(float(((a - b).abs().max() / b.abs().max()).detach()) for a, b in zip(*found, strict=True))


def _peak_mb(negatives: int, rows: int) -> float:
    """Peak resident memory above what it was before, of one loss and its gradients in a process of its own."""
    here = str(Path(__file__).resolve().parent)
    code = (
        f"import sys; sys.path.insert(0, {here!r}); import torch; torch.set_num_threads(1)\n"
        "import claims_omnisage as c\n"
        # getrusage would begin with the peak of the process that starts this one
        "peak = lambda: int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])\n"
        "c._loss(16, 8, torch.float32)[0].backward()\n"
        "before = peak()\n"
        f"c._loss({negatives}, {rows or None}, torch.float32)[0].backward()\n"
        "print((peak() - before) / 1024)\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(found.stdout.split()[-1])


def _row(
    id: str, text: str, paper: str, test: str, ratio: Interval, *, parity: bool = False, better: bool = True
) -> dict:
    return claim(id, text, paper, test, ratio, parity=parity, better=better) | {"paper": "OmniSage"}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--store", type=Path, required=True, help="citeulike-a, its own split")
    parser.add_argument("--cold-store", type=Path, default=None, help="the same data, cold articles")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", nargs="*", default=(), help="settings of every arm, e.g. steps=80 saved_items=8")
    parser.add_argument("--work", type=Path, default=Path("runs/claims_omnisage"))
    parser.add_argument("--limit", type=int, default=20_000, help="most users and pairs")
    parser.add_argument("--only", nargs="*", default=(), help="claims to test, e.g. floors A1 A5 'A3 tags'")
    parser.add_argument("--floors", nargs="*", choices=FLOORS, default=FLOORS, help="what stands beside it")
    parser.add_argument(
        "--quick", action="store_true", help="a few steps of a tiny network: only to see it run"
    )
    parser.add_argument("--name", default="claims_omnisage", help="name of the result")
    options = parser.parse_args()
    benches = []
    for path, recipe in (
        (options.store, recipes_omnisage.citeulike()),
        (options.cold_store, recipes_omnisage.citeulike_cold()),
    ):
        if path is None:
            benches.append(None)
            continue
        base = replace(override(recipe, options.set), **(QUICK if options.quick else {}))
        store = Store.open(path)
        work = options.work / store.manifest.content_hash[:12]  # models of one store never answer for another
        limit = 200 if options.quick else options.limit
        benches.append(Bench(given_split(store), arms(base), range(options.seeds), work, limit=limit))
    warm, cold = benches
    assert warm is not None
    rows, tables = run(warm, cold, options.only, quick=options.quick, floors=options.floors)
    base = warm.arms["base"]
    write(
        options.name, Store.open(options.store), seeds=list(warm.seeds), split=warm.split.description, config=base,
        arms={name: _changes(config, base) for name, config in warm.arms.items()},
        cold_config=None if cold is None else asdict(cold.arms["base"]),
        cases=warm.cases.summary(), seconds=warm.seconds | (cold.seconds if cold is not None else {}),
        claims=[ledger_row(row, "citeulike-a") for row in rows], details=rows, tables=tables,
    )  # fmt: skip
    for row in rows:
        print(row["id"], row["status"], row["ratio"])


def _changes(config: OmniSageConfig, base: OmniSageConfig) -> dict[str, object]:
    before = asdict(base)
    return {name: value for name, value in asdict(config).items() if value != before[name]}


if __name__ == "__main__":
    main()
