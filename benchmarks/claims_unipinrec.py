"""The UniPinRec claims U1 to U6, U9 and U10 on one store: arms of one code, three seeds, paired intervals.

Every arm differs from the joint model in the one setting that its claim is about and is trained on the same data for
the same number of epochs. Retrieval is measured on next events after a wall in time over the whole catalogue, ranking
on the slates after it. Results go to ``docs/results/NAME.json``; ``bowerbird ledger`` turns them into rows.

    python benchmarks/claims_unipinrec.py --store STORE --seeds 3 --name claims_unipinrec_simulated
    python benchmarks/claims_unipinrec.py --store MOVIELENS --recipe movielens --action love \
        --only U1 U2 U3 U4 U4b U5 U6 U9 U10 --name claims_unipinrec_movielens
    python benchmarks/claims_unipinrec.py --store MOVIELENS --recipe movielens --only U11 \
        --name claims_unipinrec_movielens_rankers
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

import recipes
from bowerbird.evaluate.bootstrap import Estimate, Statistic, UserBootstrap
from bowerbird.evaluate.metrics.ranks import target_ranks
from bowerbird.evaluate.protocols import future_cases, next_event_cases
from bowerbird.evaluate.rankers import RANKERS, FittedRanker, fitted_rankers
from bowerbird.evaluate.ranking import Ranking
from bowerbird.evaluate.slates import SlateComparison, rank_compare, slate_cases
from bowerbird.learn.artifact import Artifact
from bowerbird.learn.run import Run
from bowerbird.recommend.ranking.config import UniPinRecConfig
from bowerbird.recommend.ranking.learner import UniPinRecLearner
from bowerbird.recommend.ranking.opened import OpenUniPinRec, UniPinRecRanker
from bowerbird.recommend.ranking.value import default_values, reranked
from bowerbird.recommend.retrieval.recommender import PinRecRecommender
from bowerbird.tables.store import Store
from bowerbird.tables.view import Split, time_split
from evidence.places import place_of
from evidence.rows import claim, ledger_row
from results import write

K = 10
MASKS = (0.0, 0.1, 0.3, 0.5)


def arms(joint: UniPinRecConfig) -> dict[str, UniPinRecConfig]:
    """The joint model and its variations; fine-tuning arms start from the retrieval-only model of the same seed."""
    tuned = replace(joint, retrieve=False)
    return {
        "joint": joint,
        "retrieval": joint.retrieval_only(),
        "ranking": joint.ranking_only(),
        "tuned frozen": replace(tuned, start_from="retrieval", freeze_items=True),
        "tuned": replace(joint, start_from="retrieval"),
        "interleaved": joint.interleaved(),
        "interleaved, equal items": joint.interleaved(equal_tokens=False),
        "no past": replace(joint, rank_past=False),
        "plain": joint.plain(),
        "plain ranking": joint.plain().ranking_only(),
        "half the layers": replace(joint, layers=max(1, joint.layers // 2)),
        "half the history": replace(joint, history_length=joint.history_length // 2),
        **{f"mask {p:g}": replace(joint, p_mask=p) for p in MASKS},
    }


ORDERED: dict[str, tuple[str, ...]] = {
    "U2": ("ranking",), "U2b": ("plain", "plain ranking"), "U3": ("tuned frozen", "tuned"),
    "U4": ("interleaved",), "U4b": ("interleaved, equal items",), "U5": tuple(f"mask {p:g}" for p in MASKS),
    "U6": ("half the layers", "half the history"), "U10": ("no past",), "U11": (),
}  # fmt: skip
"""Claims about the order inside slates, and the arms that each needs beside the joint one."""


class Bench:
    """Trains arms once, measures them on the same questions.

    Args:
        split: train, validation and test views.
        joint: the settings of the joint model.
        seeds: training seeds.
        folder: where artifacts are kept.
        limit: most retrieval cases and slates.
    """

    def __init__(
        self, split: Split, joint: UniPinRecConfig, seeds: Sequence[int], folder: Path, *, limit: int
    ) -> None:
        self.split, self.seeds, self.folder, self.arms = split, seeds, folder, arms(joint)
        self.next = next_event_cases(split.test, split.valid, train=split.train, limit=limit)
        self.slates = slate_cases(split.test, split.valid, min_history=1, limit=limit)
        self.seconds: dict[str, float] = {}
        self._models: dict[str, list[OpenUniPinRec]] = {}

    def models(self, arm: str) -> list[OpenUniPinRec]:
        """One opened model per seed."""
        if arm not in self._models:
            self._models[arm] = [self._fitted(arm, seed) for seed in self.seeds]
        return self._models[arm]

    def _fitted(self, arm: str, seed: int) -> OpenUniPinRec:
        config, place = self.arms[arm], self._place(arm, seed)
        if config.start_from:
            self.models(config.start_from)
            config = replace(config, start_from=str(self._place(config.start_from, seed)))
        if not (place / "artifact.json").exists():
            started = time.perf_counter()
            run = Run(seed=seed, quiet=True)
            UniPinRecLearner(config).fit(self.split.train, valid=self.split.valid, run=run).save(place)
            self.seconds[f"{arm}-{seed}"] = time.perf_counter() - started
        artifact = Artifact.load(place)
        training = artifact.facts["training"]
        best = f"best {training['best']:.4f} at step {training['best_step']}"
        print(f"{arm} seed {seed}: {training['seconds']:.0f} s, {best}", flush=True)
        return OpenUniPinRec.open(artifact, self.split.test)

    def _place(self, arm: str, seed: int) -> Path:
        return place_of(self.folder, arm, asdict(self.arms[arm]), seed)

    def recall(self, arm: str) -> Estimate:
        """Recall@10 of the next event."""
        bootstrap = UserBootstrap(self.next.user)
        found = [
            target_ranks(PinRecRecommender(o, arm).recommend(self.next, K), self.next) < K
            for o in self.models(arm)
        ]
        return bootstrap.over_seeds(
            bootstrap.estimates([Statistic.of_targets(f, self.next.target_offsets) for f in found])
        )

    def order(self, names: Sequence[str], baselines: Sequence[FittedRanker] = ()) -> SlateComparison:
        """How arms and rankers order slates."""
        rankers = [UniPinRecRanker(o, name) for name in names for o in self.models(name)]
        return rank_compare([*rankers, *baselines], self.slates)


def run(
    bench: Bench, only: Sequence[str], rankers: Sequence[str] = tuple(RANKERS), about: str = ""
) -> tuple[list[dict], dict[str, object]]:
    """The claims in order, and the tables behind them; those that need one action are ``about`` that one."""
    asked = [name for name in ORDERED if not only or name in only]
    split = bench.split
    baselines = (
        fitted_rankers(split.train, tuple(rankers), valid=split.valid, seeds=bench.seeds, on_progress=print)
        if "U11" in asked
        else []
    )
    table = bench.order(
        list(dict.fromkeys(["joint", *(arm for name in asked for arm in ORDERED[name])])), baselines
    )
    action = about or table.headline[0]
    mask = split.test.positive_mask
    positive = [name for bit, name in enumerate(bench.slates.action_names) if mask >> bit & 1]
    tests: dict[str, Callable[[], list[dict]]] = {
        "U1": lambda: [
            _row("U1", "joint retrieval is as good as retrieval alone", "+0.2 %", "recall@10, parity within 2 %",
                 bench.recall("joint").over(bench.recall("retrieval")), parity=True)
        ],
        "U2": lambda: [
            row for each in (action, *(name for name in positive if name != action)) for row in _against(
                table, each, "U2" if each == action else f"U2 {each}", "joint ranking beats ranking alone", "higher",
                "ranking")
        ],
        "U2b": lambda: [
            _row(f"U2b {metric}", "joint beats ranking alone, heads on hidden states only", "higher",
                 f"{metric} of {action}, joint against ranking only, both without counts and affinity",
                 table.ratio("plain", "plain ranking", action, metric))
            for metric in ("hit@3", "slate_auc")
        ],
        "U3": lambda: _against(table, action, "U3", "joint beats pretraining, then tuning with frozen items",
                               "higher", "tuned frozen")
        + _against(table, action, "U3b", "joint against tuning with trainable items", "not reported", "tuned"),
        "U4": lambda: _against(table, action, "U4", "masked actions beat interleaving at equal tokens", "+3.7 %",
                               "interleaved"),
        "U4b": lambda: _against(table, action, "U4b", "masked actions against interleaving at equal items",
                                "not reported", "interleaved, equal items"),
        "U5": lambda: [
            row for p in MASKS for row in _against(
                table, action, f"U5 {p:g}", f"masking 20 % beats masking {p:.0%}", "0 worst, 0.2 best", f"mask {p:g}")
        ],
        "U6": lambda: _against(table, action, "U6 depth", "deeper helps", "helps", "half the layers")
        + _against(table, action, "U6 length", "longer histories help", "helps", "half the history"),
        "U9": lambda: _overfetch(bench),
        "U10": lambda: _against(table, action, "U10", "asking for past actions helps ranking", "no number", "no past"),
        "U11": lambda: [
            row for ranker in dict.fromkeys(b.name for b in baselines) for each in positive
            for row in _against(table, each, f"U11 {ranker} {each}", f"joint ranking beats {ranker.lower()}",
                                "+14.7 % over the production ranker", ranker)
        ],
    }  # fmt: skip
    rows = [row for name, test in tests.items() if not only or name in only for row in test()]
    return rows, {"slates": table.to_dict(), "headline": list(table.headline)}


def _row(id: str, text: str, paper: str, test: str, ratio: object, *, parity: bool = False) -> dict:
    return claim(id, text, paper, test, ratio, parity=parity) | {"paper": "UniPinRec"}


def _against(table: SlateComparison, action: str, id: str, text: str, paper: str, other: str) -> list[dict]:
    """Hit@3 and the area inside a slate of one action, joint against another row."""
    return [
        _row(f"{id}{suffix}", text, paper, f"{metric} of {action}, joint against {other}",
             table.ratio("joint", other, action, metric))
        for suffix, metric in (("", "hit@3"), (" auc", "slate_auc"))
    ]  # fmt: skip


def _overfetch(bench: Bench) -> list[dict]:
    """U9: the best K of a 1x, 2x, 3x, 5x longer retrieved list by the ranking heads, against retrieval alone."""
    cases = future_cases(bench.split.test, bench.split.valid, train=bench.split.train)
    bootstrap = UserBootstrap(cases.user)

    def recall(rankings: Sequence[Ranking]) -> Estimate:
        found = [Statistic.of_targets(target_ranks(r, cases) < K, cases.target_offsets) for r in rankings]
        return bootstrap.over_seeds(bootstrap.estimates(found))

    models = bench.models("joint")
    alone = recall([PinRecRecommender(o, "alone").recommend(cases, K) for o in models])
    rows = []
    for factor in (2, 3, 5):
        lists = [PinRecRecommender(o, "over").recommend(cases, K * factor) for o in models]
        ranked = [
            reranked(o, cases, found, K, default_values(o)) for o, found in zip(models, lists, strict=True)
        ]
        rows.append(
            _row(f"U9 {factor}x", "ranking an overfetched list beats retrieval alone at equal K", "2 to 3x used",
                 f"recall@10 of everything after the wall, best 10 of {K * factor} by value against the first 10",
                 recall(ranked).over(alone))
        )  # fmt: skip
    return rows


RECIPES = {"simulated": recipes.unified_simulated, "movielens": recipes.unified_movielens}
DATA = {"simulated": "simulated platform", "movielens": "MovieLens session slates"}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--store", type=Path, required=True, help="a store with slates")
    parser.add_argument("--recipe", choices=sorted(RECIPES), default="simulated")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--work", type=Path, default=Path("runs/claims_unipinrec"))
    parser.add_argument("--limit", type=int, default=20_000, help="most retrieval cases and slates")
    parser.add_argument("--only", nargs="*", default=(), help="claims to test, e.g. U1 U9")
    parser.add_argument(
        "--action", default="", help="whose order U2 to U6 and U10 are about; the rarest wanted one when left out"
    )
    parser.add_argument("--rankers", nargs="*", choices=sorted(RANKERS), default=list(RANKERS), help="for U11")
    parser.add_argument("--name", default="claims_unipinrec_simulated", help="name of the result")
    parser.add_argument("--on", default="", help="what the ledger calls the data; by recipe when left out")
    options = parser.parse_args()
    store = Store.open(options.store)
    split = time_split(store)
    joint = RECIPES[options.recipe]()
    work = (
        options.work / f"{options.recipe}-{store.manifest.content_hash[:12]}"
    )  # models of one store never answer for another
    bench = Bench(split, joint, range(options.seeds), work, limit=options.limit)
    rows, tables = run(bench, options.only, options.rankers, options.action)
    write(
        options.name, store, seeds=list(bench.seeds), split=split.description, config=joint,
        arms={name: _changes(config, joint) for name, config in bench.arms.items()},
        seconds=bench.seconds, claims=[ledger_row(row, options.on or DATA[options.recipe]) for row in rows],
        details=rows, **tables,
    )  # fmt: skip
    for row in rows:
        print(row["id"], row["status"], row["ratio"])


def _changes(config: UniPinRecConfig, base: UniPinRecConfig) -> dict[str, object]:
    """The settings in which an arm differs from the joint model."""
    own, joint = asdict(config), asdict(base)
    return {name: value for name, value in own.items() if not np.array_equal(value, joint[name])}


if __name__ == "__main__":
    main()
