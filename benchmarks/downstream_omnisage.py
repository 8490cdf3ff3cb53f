"""OmniSage vectors as item features of PinRec and UniPinRec, on citeulike-a: with against without, warm and cold.

OmniSage is fitted on the training part of a store and emits its item vectors into it; then both recommenders are
fitted on the same part, once from the content alone and once with the vectors beside it, everything else equal. Asked
is everything users keep after the wall: over the whole catalogue, and for cold items also among cold items alone.
Results go to ``docs/results/omnisage_downstream.json``; ``bowerbird ledger`` turns them into rows.

    python benchmarks/downstream_omnisage.py --store STORE --cold-store COLD --seeds 3
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import recipes
import recipes_omnisage
from bowerbird.evaluate.bootstrap import Estimate, Statistic, UserBootstrap
from bowerbird.evaluate.cases import Cases
from bowerbird.evaluate.metrics.accuracy import recall
from bowerbird.evaluate.metrics.ranks import target_ranks
from bowerbird.learn.artifact import Artifact
from bowerbird.learn.contract import Learner
from bowerbird.learn.run import Run
from bowerbird.learn.signals import write_signal
from bowerbird.recommend.config import PinRecConfig
from bowerbird.recommend.learner import PinRecLearner
from bowerbird.recommend.ranking.learner import UniPinRecLearner
from bowerbird.recommend.ranking.opened import OpenUniPinRec
from bowerbird.recommend.retrieval.opened import OpenPinRec
from bowerbird.recommend.retrieval.recommender import PinRecRecommender
from bowerbird.represent.config import OmniSageConfig
from bowerbird.represent.inference.recommender import held_out_cases
from bowerbird.represent.learner import OmniSageLearner
from bowerbird.represent.measuring.cold import Among, cold_cases
from bowerbird.tables.store import Store
from bowerbird.tables.view import Split, given_split
from evidence.rows import claim, ledger_row
from results import write

K = 20
OPENED = {"PinRec": OpenPinRec, "UniPinRec": OpenUniPinRec}


def recommender() -> PinRecConfig:
    """PinRec for libraries without times or order."""
    return replace(
        PinRecConfig(),
        history_length=50,
        use_time=False,
        use_surface=False,
        outcome_conditioning=False,
        surface_conditioning=False,
        epochs=10,
        patience=2,
    )


def learners(signals: tuple[str, ...]) -> dict[str, Learner]:
    """Both systems, reading the content and these signals."""
    config = replace(recommender(), item_signals=signals)
    return {"PinRec": PinRecLearner(config), "UniPinRec": UniPinRecLearner(recipes.unified(config))}


class Bench:
    """Fits once, measures on one set of cases.

    Args:
        store: the data. config: of OmniSage. seeds: of every training. folder: where artifacts are kept.
        limit: most users asked about.
    """

    def __init__(
        self, store: Store, config: OmniSageConfig, seeds: Sequence[int], folder: Path, limit: int
    ) -> None:
        self.store, self.config, self.seeds, self.folder = store, config, seeds, folder
        self.split: Split = given_split(store)
        self.cases = held_out_cases(self.split.test, self.split.valid, limit=limit)
        self.seconds: dict[str, float] = {}

    def signal(self, seed: int) -> str:
        """The emitted vectors of one seed, as ``item_signals`` names them."""
        release = f"downstream-{seed}"
        if not (self.store.path / "signals" / "omnisage_items" / release).exists():
            artifact = self._fit(OmniSageLearner(self.config), "omnisage", seed, stop=False)
            for signal in OmniSageLearner(self.config).emit(artifact, self.split.train):
                write_signal(self.store.path, signal, release)
        return f"omnisage_items/{release}"

    def models(self, system: str, *, signals: bool) -> list[PinRecRecommender]:
        """One opened recommender a seed."""
        found = []
        for seed in self.seeds:
            learner = learners((self.signal(seed),) if signals else ())[system]
            artifact = self._fit(learner, f"{system}-{'with' if signals else 'without'}", seed)
            opened = OPENED[system].open(artifact, self.split.test)
            found.append(PinRecRecommender(opened, system))
        return found

    def _fit(self, learner: Learner, name: str, seed: int, *, stop: bool = True) -> Artifact:
        place = self.folder / f"{name}-{seed}"
        if not (place / "artifact.json").exists():
            started = time.perf_counter()
            valid = self.split.valid if stop else None
            learner.fit(self.split.train, valid=valid, run=Run(seed=seed, quiet=True)).save(place)
            self.seconds[place.name] = time.perf_counter() - started
            print(f"{self.folder.name} {place.name}: {self.seconds[place.name]:.0f} s", flush=True)
        return Artifact.load(place)

    def recall(self, models: Sequence[PinRecRecommender], *, among_cold: bool) -> Estimate:
        """Recall@20, a seed each."""
        cases: Cases = cold_cases(self.cases) if among_cold else self.cases
        bootstrap = UserBootstrap(cases.user)
        allowed = self.split.valid.item_counts() == 0
        lists = [(Among(m, allowed) if among_cold else m).recommend(cases, K) for m in models]
        values = [recall(target_ranks(found, cases), cases.target_offsets, K) for found in lists]
        return bootstrap.over_seeds(bootstrap.estimates([Statistic.of_cases(v) for v in values]))


def rows_of(bench: Bench, kind: str, systems: Sequence[str]) -> tuple[list[dict], dict[str, object]]:
    """The claim of each system on one store, and the values behind it."""
    rows, values = [], {}
    for system in systems:
        without, with_them = (bench.models(system, signals=on) for on in (False, True))
        for among_cold in (False, True) if kind == "cold" else (False,):
            where = "cold items ranked" if among_cold else "all items ranked"
            before, after = (bench.recall(m, among_cold=among_cold) for m in (without, with_them))
            values[f"{system}, {where}"] = {
                "without": before.interval().to_dict(), "with": after.interval().to_dict()
            }  # fmt: skip
            test = f"{kind} articles, {where}, recall@20 of everything kept later, {system} with against without"
            row = claim(
                f"downstream {kind} {system}{', among cold' if among_cold else ''}",
                "OmniSage vectors help the recommenders that read them", "+0.92 % repins online", test,
                after.over(before),
            )  # fmt: skip
            rows.append(row | {"paper": "OmniSage"})
    return rows, values


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--store", type=Path, required=True, help="citeulike-a, its own split")
    parser.add_argument("--cold-store", type=Path, required=True, help="the same data, cold articles")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=0, help="steps of OmniSage; the recipes' when left out")
    parser.add_argument("--systems", nargs="*", default=["PinRec", "UniPinRec"])
    parser.add_argument("--kinds", nargs="*", default=["cold", "warm"])
    parser.add_argument("--limit", type=int, default=20_000, help="most users asked about")
    parser.add_argument("--work", type=Path, default=Path("runs/downstream_omnisage"))
    parser.add_argument("--name", default="omnisage_downstream", help="name of the result")
    options = parser.parse_args()
    rows: list[dict] = []
    values: dict[str, object] = {}
    seconds: dict[str, object] = {}
    used: dict[str, OmniSageConfig] = {}
    stores = {
        "warm": (options.store, recipes_omnisage.citeulike()),
        "cold": (options.cold_store, recipes_omnisage.citeulike_cold()),
    }
    for kind in options.kinds:
        path, recipe = stores[kind]
        config = used[kind] = replace(recipe, steps=options.steps or recipe.steps)
        bench = Bench(Store.open(path), config, range(options.seeds), options.work / kind, options.limit)
        found, values[kind] = rows_of(bench, kind, options.systems)
        rows += found
        seconds[kind] = bench.seconds
    write(
        options.name, Store.open(options.store), seeds=list(range(options.seeds)), config=recommender(),
        omnisage={kind: asdict(config) for kind, config in used.items()}, seconds=seconds, values=values,
        claims=[ledger_row(row, "citeulike-a") for row in rows], details=rows,
    )  # fmt: skip
    for row in rows:
        print(row["id"], row["status"], row["ratio"])


if __name__ == "__main__":
    main()
