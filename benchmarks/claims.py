"""The PinRec claims P1 to P9, P11, P14 to P16 and A1 on the simulated platform, three seeds, with intervals.

Every arm differs from the reference in the one setting that its claim is about and is trained on the same data with
the same number of epochs. Targets are what users do after a wall in time; for several tokens per step (P3 to P5) what
they do from the middle of a session on, since offsets of seconds and minutes mean nothing at a wall between sessions.
Results go to ``docs/results/NAME.json``; ``bowerbird ledger`` turns them into rows.

    bowerbird simulate STORE --events 200000
    python benchmarks/claims.py --store STORE --seeds 3 --without P3
    bowerbird simulate LARGE --events 1000000
    python benchmarks/claims.py --store LARGE --seeds 3 --only P3 --name claims_simulated_1m
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import recipes
from bowerbird.evaluate.bootstrap import Estimate
from bowerbird.evaluate.cases import Cases
from bowerbird.evaluate.metrics.ranks import target_ranks
from bowerbird.evaluate.metrics.unordered import VectorLists, unordered_ranks
from bowerbird.recommend.config import PinRecConfig
from bowerbird.recommend.retrieval.generation import Plan
from bowerbird.recommend.retrieval.opened import OpenPinRec
from bowerbird.recommend.retrieval.recommender import PinRecRecommender
from bowerbird.tables.store import Store
from bowerbird.tables.view import time_split
from evidence.bench import OUTCOMES, Bench, K
from evidence.generation import (
    budget_rows,
    compression_rows,
    coverage_rows,
    matrix_rows,
    multi_token_rows,
    query_rows,
    step_rows,
)
from evidence.rows import claim, ledger_row
from results import write


def arms(base: PinRecConfig) -> dict[str, PinRecConfig]:
    """The reference model and one variation per claim."""
    single = replace(base, offset_buckets=1, targets_per_anchor=1)
    return {
        "reference": base,
        "outcomes": single,
        "unconditioned": base.unconditioned(),
        "relax_min": replace(single, relax="min"),
        "relax_mean": replace(single, relax="mean"),
        "few_negatives": replace(single, random_negatives=64, in_batch_negatives=64),
        "many_negatives": replace(single, random_negatives=2048, in_batch_negatives=2048),
        "no_log_q": replace(single, log_q=False, random_negatives=0),
        "log_q": replace(single, random_negatives=0),
        "content_only": replace(single, id_mode="none"),
        "wide": replace(single, width=128, item_dim=128, id_dim=128),
        "no_queries": replace(single, mentions=()),
    }


class Models(dict[str, list[OpenPinRec]]):
    """Arm -> its models, one per seed, trained when first asked for."""

    def __init__(self, bench: Bench, base: PinRecConfig) -> None:
        super().__init__()
        self._bench, self._configs = bench, arms(base)

    def __missing__(self, arm: str) -> list[OpenPinRec]:
        self[arm] = [self._bench.opened(arm, self._configs[arm], seed) for seed in self._bench.seeds]
        return self[arm]


def run(
    bench: Bench, base: PinRecConfig, only: Sequence[str] = (), without: Sequence[str] = ()
) -> list[dict]:
    """The claims asked for (all when ``only`` is empty) and not left out, in order."""
    models = Models(bench, base)
    cases = bench.cases

    def lists(arm: str, plan: Plan, k: int = K, asked: Cases = cases) -> list[VectorLists]:
        return [PinRecRecommender(opened, arm, plan).generate(asked, k) for opened in models[arm]]

    def unordered(answers: Sequence[VectorLists], k: int = K, asked: Cases = cases) -> Estimate:
        return bench.estimate([unordered_ranks(answer, asked) < k for answer in answers], cases=asked)

    def ranked(arm: str) -> Estimate:
        answers = [PinRecRecommender(opened, arm).recommend(cases, K) for opened in models[arm]]
        return bench.estimate([target_ranks(answer, cases) < K for answer in answers])

    def conditioned() -> list[dict]:
        prior = dict.fromkeys(OUTCOMES, 1 / len(OUTCOMES))
        both = [
            unordered(lists("outcomes", Plan(outcomes=prior, steps=2))),
            unordered(lists("unconditioned", Plan(steps=6))),
        ]
        text = "unordered recall@10 at 6 vectors: 2 steps x 3 outcomes against 6 unconditioned steps"
        return [
            claim(
                "P1",
                "outcome conditioning beats no conditioning",
                "+0.6 to +3.1 %",
                text,
                both[0].over(both[1]),
            )
        ]

    def against(
        id: str, text: str, paper: str, test: str, arm: str, base_arm: str, *, parity: bool = False
    ) -> Callable[[], list[dict]]:
        return lambda: [
            claim(id, text, paper, f"recall@10, {test}", ranked(arm).over(ranked(base_arm)), parity=parity)
        ]

    relaxed = "intra-feed relaxation ({}) is at least as good as the strict next item"
    tests: dict[str, Callable[[], list[dict]]] = {
        "P1": conditioned,
        "P2": lambda: matrix_rows(bench, models["outcomes"]),
        "P3": lambda: multi_token_rows(bench, lists, unordered, models["reference"]),
        "P6": against("P6", relaxed.format("min"), "no number", "min against none", "relax_min", "outcomes"),
        "P6b": against("P6b", relaxed.format("mean"), "no number", "mean against none", "relax_mean", "outcomes"),
        "P7": against(
            "P7", "more negatives help", "+2.5 % random 2x, +18.3 % in-batch 12x",
            "2048 random + 2048 in-batch against 64 + 64", "many_negatives", "few_negatives",
        ),
        "P8": against(
            "P8", "identity tables help on top of content", "+14 %", "content + table against content",
            "outcomes", "content_only",
        ),
        "P8b": against(
            "P8b", "width matters little", "-0.9 to +2.2 %", "width 128 against 64, parity within 2 %", "wide",
            "outcomes", parity=True,
        ),
        "P9": against(
            "P9", "logQ correction matters", "no ablation", "in-batch negatives, with against without",
            "log_q", "no_log_q",
        ),
        "A1": lambda: query_rows(bench, models),
        "P11": lambda: step_rows(bench, lists, unordered),
        "P14": lambda: budget_rows(bench, models["outcomes"]),
        "P15": lambda: compression_rows(bench, models["reference"]),
        "P16": lambda: coverage_rows(bench, models),
    }  # fmt: skip
    chosen = [name for name in tests if (not only or name in only) and name not in without]
    return [row for name in chosen for row in tests[name]()]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=Path, required=True, help="a simulated store (bowerbird simulate)")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--work", type=Path, default=Path("runs/claims"), help="where trained arms are kept")
    parser.add_argument("--limit", type=int, default=None, help="most evaluation users")
    parser.add_argument(
        "--only", nargs="*", default=(), help="claims to test, e.g. P1 P2 (P3 covers P3 to P5)"
    )
    parser.add_argument("--without", nargs="*", default=(), help="claims to leave out")
    parser.add_argument("--name", default="claims_simulated", help="name of the result")
    options = parser.parse_args()
    store = Store.open(options.store)
    split = time_split(store)
    base = recipes.simulated()
    work = options.work / store.manifest.content_hash[:12]  # models of one store never answer for another
    bench = Bench(split, range(options.seeds), work, limit=options.limit)
    rows = run(bench, base, options.only, options.without)
    write(
        options.name,
        store,
        seeds=list(range(options.seeds)),
        split=split.description,
        config=base,
        cases=bench.cases.summary(),
        seconds=bench.seconds,
        claims=[ledger_row(row) for row in rows],
        details=rows,
    )
    for row in rows:
        print(row["id"], row["status"], row["ratio"])


if __name__ == "__main__":
    main()
