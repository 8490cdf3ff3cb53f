"""The PinRec claims P1 to P9, P11 and P14 to P16 on the simulated platform, three seeds, with intervals.

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
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

import recipes
from bowerbird.evaluate.bootstrap import Estimate, Statistic, UserBootstrap
from bowerbird.evaluate.cases import Cases
from bowerbird.evaluate.metrics.ranks import target_ranks
from bowerbird.evaluate.metrics.unordered import VectorLists, budget_ranks, unordered_ranks
from bowerbird.evaluate.outcomes import outcome_matrix
from bowerbird.evaluate.protocols import future_cases, in_session_cases
from bowerbird.learn.artifact import Artifact
from bowerbird.learn.run import Run
from bowerbird.recommend.config import PinRecConfig
from bowerbird.recommend.learner import PinRecLearner
from bowerbird.recommend.retrieval.generation import Plan
from bowerbird.recommend.retrieval.opened import OpenPinRec
from bowerbird.recommend.retrieval.recommender import PinRecRecommender
from bowerbird.tables.store import Store
from bowerbird.tables.view import Split, time_split
from results import write

K = 10
_MOST_SESSIONS = 3_000
OUTCOMES = ("click", "long_click", "save")


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
    }


class Bench:
    """Trains arms, answers cases and compares answers with paired intervals.

    Args:
        split: train, validation and test views.
        seeds: training seeds.
        folder: where artifacts are kept between runs.
    """

    def __init__(self, split: Split, seeds: Sequence[int], folder: Path, *, limit: int | None) -> None:
        self.split, self.seeds, self.folder = split, seeds, folder
        self.cases = future_cases(split.test, split.valid, train=split.train, limit=limit)
        self.inside = in_session_cases(
            split.test, split.valid, train=split.train, limit=limit or _MOST_SESSIONS
        )
        self.seconds: dict[str, float] = {}

    def opened(self, arm: str, config: PinRecConfig, seed: int) -> OpenPinRec:
        """The arm's model, trained if it is not there yet."""
        place = self.folder / f"{arm}-{seed}"
        if not (place / "artifact.json").exists():
            started = time.perf_counter()
            fitted = PinRecLearner(config).fit(
                self.split.train, valid=self.split.valid, run=Run(seed=seed, quiet=True)
            )
            fitted.save(place)
            self.seconds[f"{arm}-{seed}"] = time.perf_counter() - started
            print(
                f"{arm} seed {seed}: {self.seconds[f'{arm}-{seed}']:.0f} s, {fitted.facts['training']['best']:.4f}"
            )
        return OpenPinRec.open(Artifact.load(place), self.split.test)

    def estimate(
        self, found: Sequence[np.ndarray], chosen: np.ndarray | None = None, *, cases: Cases | None = None
    ) -> Estimate:
        """Micro recall of bool (T,) per seed, over seeds and users."""
        cases = cases or self.cases
        bootstrap = UserBootstrap(cases.user)
        statistics = [Statistic.of_targets(f, cases.target_offsets, chosen) for f in found]
        return bootstrap.over_seeds(bootstrap.estimates(statistics))


def claim(
    id: str,
    claim: str,
    paper: str,
    test: str,
    ratio: object,
    *,
    better: bool = True,
    parity: bool = False,
    extra: dict | None = None,
) -> dict:
    """One row: status follows from the interval of the ratio; ``parity`` asks for one inside 0.98 to 1.02."""
    interval = ratio.to_dict()
    low, high = interval["low"], interval["high"]
    if low is None or high is None:
        status = "inconclusive"
    elif parity:
        inside, outside = low > 0.98 and high < 1.02, high < 0.98 or low > 1.02
        status = "reproduced" if inside else "not reproduced" if outside else "inconclusive"
    elif (low > 1) if better else (high < 1):
        status = "reproduced"
    elif (high < 1) if better else (low > 1):
        status = "not reproduced"
    else:
        status = "inconclusive"
    return {
        "id": id, "paper": "PinRec", "claim": claim, "paper_number": paper, "test": test,
        "ratio": interval, "status": status, **(extra or {}),
    }  # fmt: skip


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
        "P2": lambda: _matrix(bench, models["outcomes"]),
        "P3": lambda: _multi_token(bench, lists, unordered, models["reference"]),
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
        "P11": lambda: _steps(bench, lists, unordered),
        "P14": lambda: _budgets(bench, models["outcomes"]),
        "P15": lambda: _compression(bench, models["reference"]),
        "P16": lambda: _coverage(bench, models),
    }  # fmt: skip
    chosen = [name for name in tests if (not only or name in only) and name not in without]
    return [row for name in chosen for row in tests[name]()]


def _matrix(bench: Bench, opened: Sequence[OpenPinRec]) -> list[dict]:
    """P2: each condition against each true action."""
    answers = {
        name: [
            PinRecRecommender(o, name, Plan(outcomes={name: 1.0})).recommend(bench.cases, K) for o in opened
        ]
        for name in ("any", *OUTCOMES)
    }
    matrix = outcome_matrix(answers, bench.cases, k=K, reference="any")
    diagonal = matrix.diagonal()
    rare = sorted(diagonal, key=lambda name: matrix.share[name])
    rows = [
        claim(f"P2 {name}", f"asking for {name} raises the recall of {name}", "+1.4 to +6.2 %",
              f"recall@10 of {name} targets, condition {name} against any (share {matrix.share[name]:.2f})",
              diagonal[name], extra={"matrix": matrix.to_dict()} if name == rare[0] else None)
        for name in rare
    ]  # fmt: skip
    for asked in OUTCOMES:
        for true in OUTCOMES:
            if asked != true:
                rows.append(
                    claim(f"P2 {asked}/{true}", f"asking for {asked} lowers the recall of {true}", "lower",
                          f"recall@10 of {true} targets, condition {asked} against any", matrix.lift[asked][true],
                          better=False)
                )  # fmt: skip
    return rows


def _multi_token(
    bench: Bench, lists: Callable, unordered: Callable, opened: Sequence[OpenPinRec]
) -> list[dict]:
    """P3, P4, P5: eight vectors as 8 steps of one, 2 of four, 1 of eight, from the middle of a session on."""
    asked = bench.inside
    plans = {"8x1": Plan(steps=8, offsets=(1,)), "2x4": Plan(steps=2, offsets=(1, 3, 5, 7)),
             "1x8": Plan(steps=1, offsets=tuple(range(1, 9)))}  # fmt: skip
    answers = {name: lists("reference", plan, asked=asked) for name, plan in plans.items()}
    single = lists("outcomes", Plan(steps=8), asked=asked)
    recall = {name: unordered(answer, asked=asked) for name, answer in answers.items()}
    unique = {
        name: np.mean([_unique(a) for a in answer]) for name, answer in (answers | {"single": single}).items()
    }
    budget = {
        name: bench.estimate([budget_ranks(a, asked, 40) < 1 for a in answer], cases=asked)
        for name, answer in (answers | {"single": single}).items()
    }
    seconds = {name: _seconds(opened[0], bench.cases, plan) for name, plan in plans.items()}
    rows = [
        claim("P3", "multi-token beats one token per step at equal vectors", "+8 to +28 %",
              "unordered recall@10 inside sessions, 1 step x 8 offsets against 8 steps of a single-token model",
              recall["1x8"].over(unordered(single, asked=asked)),
              extra={"budget_matched": budget["1x8"].over(budget["single"]).to_dict(), "cases": asked.summary()}),
        claim("P3b", "multi-token beats its own steps at equal vectors", "+16 % at 16 vectors",
              "unordered recall@10 inside sessions of one model, 1 x 8 against 8 x 1",
              recall["1x8"].over(recall["8x1"])),
    ]  # fmt: skip
    ratio = float(unique["1x8"] / unique["single"])
    rows.append(
        {"id": "P4", "paper": "PinRec", "claim": "diversity grows with vectors per step", "paper_number": "+21.3 %",
         "test": "share of unique items among all retrieved, 1 x 8 against 8 steps of a single-token model",
         "ratio": {"mean": ratio, "low": None, "high": None},
         "status": "direction only" if ratio > 1 else "not reproduced", "unique_share": unique}
    )  # fmt: skip
    faster = seconds["8x1"] / seconds["1x8"]
    rows.append(
        {"id": "P5", "paper": "PinRec", "claim": "fewer steps cut latency", "paper_number": "about 10x (16 to 1)",
         "test": "median seconds of generate() for 64 users, 8 x 1 against 1 x 8 (encoding included)",
         "ratio": {"mean": faster, "low": None, "high": None},
         "status": "direction only" if faster > 1 else "not reproduced", "seconds": seconds}
    )  # fmt: skip
    return rows


def _steps(bench: Bench, lists: Callable, unordered: Callable) -> list[dict]:
    """P11: many steps against one, as published (more vectors) and at one budget."""
    many, one = lists("outcomes", Plan(steps=16), 160), lists("outcomes", Plan(steps=1), 160)
    matched = bench.estimate([budget_ranks(a, bench.cases, 160) < 1 for a in many]).over(
        bench.estimate([budget_ranks(a, bench.cases, 160) < 1 for a in one])
    )
    return [
        claim("P11", "16 steps against 1", "up to +71.4 %", "unordered recall@10 (16 vectors against 1)",
              unordered(many).over(unordered(one))),
        claim("P11b", "16 steps against 1 at one budget", "not reported", "recall of a union of 160 items", matched),
    ]  # fmt: skip


def _budgets(bench: Bench, opened: Sequence[OpenPinRec]) -> list[dict]:
    """P14: the share of saves among found targets against the budget given to saves."""
    saves = 1 << int(bench.cases.view.actions.encode(["save"])[0])
    is_save = (bench.cases.target_actions & np.uint32(saves)) != 0
    shares = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    mix, found_saves = [], []
    for share in shares:
        plan = Plan(outcomes={"save": share, "click": 1 - share})
        hits = [
            target_ranks(PinRecRecommender(o, "b", plan).recommend(bench.cases, 20), bench.cases) < 20
            for o in opened
        ]
        mix.append(float(np.mean([(h & is_save).sum() / max(1, h.sum()) for h in hits])))
        found_saves.append(bench.estimate(hits, is_save))
    steps = np.diff(mix)
    row = claim("P14", "more budget for an outcome moves the mix towards it", "monotone",
                "recall@20 of saved targets, whole budget on save against whole budget on click",
                found_saves[-1].over(found_saves[0]))  # fmt: skip
    row |= {"budget_shares": shares, "save_share_of_hits": mix, "monotone_steps": int((steps >= 0).sum())}
    return [row]


def _compression(bench: Bench, opened: Sequence[OpenPinRec]) -> list[dict]:
    """P15: merging near-duplicate vectors."""
    outcomes = dict.fromkeys(("any", *OUTCOMES), 0.25)
    found, overlap, kept = {}, {}, {}
    for threshold in (0.8, 0.9, 0.95, 1.0):
        plan = Plan(outcomes=outcomes, steps=2, offsets=(1, 4), compress=threshold)
        answers = [PinRecRecommender(o, "c", plan).recommend(bench.cases, 40) for o in opened]
        found[threshold] = bench.estimate([target_ranks(a, bench.cases) < 40 for a in answers])
        kept[threshold], overlap[threshold] = _overlap(opened[0], bench.cases, plan)
    row = claim("P15", "compression cuts overlap and keeps recall", "no number",
                "recall@40 at threshold 0.9 against no merging (1.0)", found[0.9].over(found[1.0]))  # fmt: skip
    low, high = row["ratio"]["low"], row["ratio"]["high"]
    if low is not None and low > 0.98 and overlap[0.9] < overlap[1.0]:
        row["status"] = "reproduced"
    elif high is not None and high < 0.98:
        row["status"] = "not reproduced"
    row |= {"vectors_kept": kept, "overlap": overlap, "recall": {str(t): e.mean for t, e in found.items()}}
    return [row]


def _coverage(bench: Bench, models: dict[str, list[OpenPinRec]]) -> list[dict]:
    """P16: unique items retrieved at equal list length."""
    prior = dict.fromkeys(OUTCOMES, 1 / len(OUTCOMES))
    plans = {"two-tower": ("unconditioned", Plan()), "UC": ("unconditioned", Plan(steps=6)),
             "OC": ("outcomes", Plan(outcomes=prior, steps=2))}  # fmt: skip
    unique = {
        name: float(np.mean([len(np.unique(PinRecRecommender(o, name, plan).recommend(bench.cases, 60).items))
                             for o in models[arm]]))
        for name, (arm, plan) in plans.items()
    }  # fmt: skip
    ratio = unique["OC"] / unique["two-tower"]
    return [
        {"id": "P16", "paper": "PinRec", "claim": "outcome conditioning covers more of the catalogue than two-tower",
         "paper_number": "OC +17.3 %, UC +6.2 %",
         "test": "unique items in lists of 60: 2 steps x 3 outcomes against one pooled user vector",
         "ratio": {"mean": ratio, "low": None, "high": None},
         "status": "direction only" if ratio > 1 else "not reproduced", "unique_items": unique}
    ]  # fmt: skip


def _unique(lists: VectorLists) -> float:
    items = lists.items[lists.items >= 0]
    return len(np.unique(items)) / len(items)


def _overlap(opened: OpenPinRec, cases: Cases, plan: Plan) -> tuple[float, float]:
    """Vectors kept per user, and the share of repeated items among the kept vectors' own lists."""
    from bowerbird.recommend.retrieval.budgets import compress, vector_budgets

    some = cases.sample(200, 0)
    answer = PinRecRecommender(opened, "o", plan)
    lists = answer.generate(some, 10).items
    found = next(answer._batches(some))[1]
    budgets = vector_budgets(found.outcome, plan.outcomes, 40)
    kept = [compress(v, budgets, plan.compress)[0] for v in found.vectors_BME.numpy()]
    repeated = [1 - len(np.unique(lists[c][m])) / lists[c][m].size for c, m in enumerate(kept)]
    return float(np.mean([len(m) for m in kept])), float(np.mean(repeated))


def _seconds(opened: OpenPinRec, cases: Cases, plan: Plan) -> float:
    import torch

    some = cases.sample(64, 0)
    tokens = opened.histories(some.user, some.history_end)
    surface, now = torch.from_numpy(some.surface.astype(np.int64) + 1), torch.from_numpy(some.time)
    times = []
    for _ in range(15):
        started = time.perf_counter()
        opened.generate(tokens, plan, surface_B=surface, time_B=now)
        times.append(time.perf_counter() - started)
    return float(np.median(times))


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


def ledger_row(row: dict) -> dict:
    """What the ledger shows of a row."""
    ratio = row["ratio"]
    bounds = "" if ratio["low"] is None else f"{ratio['low']:.3f} to {ratio['high']:.3f}"
    result = "not measured" if ratio["mean"] is None else f"ratio {ratio['mean']:.3f}"
    kept = {name: row[name] for name in ("id", "paper", "claim", "paper_number", "status")}
    return {**kept, "test": f"simulated platform: {row['test']}", "result": result, "interval": bounds}


if __name__ == "__main__":
    main()
