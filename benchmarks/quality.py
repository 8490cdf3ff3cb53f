"""PinRec on a known data set beside every baseline: report, JSON and learning curve under ``docs/results``.

The model is fitted with early stopping on the validation part, which says how many epochs to train, and then once
per seed for that many epochs on everything before the test wall, as the baselines are. Under leave-last-out the first
of the two, a seed each, is what the literature reports, so both stand in the table: "PinRec" has never learnt from
the validation event, "PinRec, fitted as the baselines" has.

    python benchmarks/quality.py beauty --path FOLDER --seeds 3
    python benchmarks/quality.py movielens
    python benchmarks/quality.py globo --path FOLDER --seeds 3
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import recipes
from bowerbird.evaluate.compare import Comparison
from bowerbird.learn.artifact import Artifact
from bowerbird.learn.run import Run
from bowerbird.recommend.config import PinRecConfig
from bowerbird.recommend.evaluation import report
from bowerbird.recommend.learner import PinRecLearner
from bowerbird.tables.datasets import bundled, load_dataset
from bowerbird.tables.store import Store
from bowerbird.tables.view import Split, leave_last_out, time_split
from results import write

DAY_MS = 86_400_000
REFITTED = "PinRec, fitted as the baselines"


@dataclass(frozen=True)
class Task:
    """One data set under one protocol.

    Attributes:
        adapter: name of the data-set adapter.
        recipe: the settings.
        last_out: leave last out, else a split in time.
        days: with a split in time, days of validation and of test at the end of the log; 0 = tenths of the events.
        limit: most cases per table.
        same_session_only: only next-event cases that continue a session.
        headline: the metric that picks the best baseline.
        bars: metric -> the number this is held against.
    """

    adapter: str
    recipe: PinRecConfig
    last_out: bool = False
    days: float = 0.0
    limit: int = 5_000
    same_session_only: bool = False
    headline: str = "ndcg@10"
    bars: tuple[tuple[str, float], ...] = ()


TASKS = {
    "beauty": Task(
        "amazon", recipes.amazon(), last_out=True, limit=100_000, bars=(("hit_rate@10", 0.092), ("ndcg@10", 0.052))
    ),
    "sports": Task(
        "amazon", recipes.sports(), last_out=True, limit=100_000, bars=(("hit_rate@10", 0.056), ("ndcg@10", 0.031))
    ),
    "movielens": Task("movielens", recipes.movielens()),
    "beibei": Task("beibei", recipes.beibei(), last_out=True, limit=20_000),
    "globo": Task(
        "globo", recipes.globo(), days=1.0, limit=20_000, same_session_only=True, headline="hit_rate@20",
        bars=(("hit_rate@20", 0.591),),
    ),
}  # fmt: skip


def split_of(task: Task, store: Store) -> Split:
    """The three views."""
    if task.last_out:
        return leave_last_out(store)
    if not task.days:
        return time_split(store)
    end = store.manifest.time_range[1] + 1
    return time_split(
        store, valid_from=end - int(2 * task.days * DAY_MS), test_from=end - int(task.days * DAY_MS)
    )


def fitted(task: Task, split: Split, seed: int, epochs: int) -> Artifact:
    """One seed. ``epochs`` > 0: that many on everything before the test wall."""
    if epochs:
        return PinRecLearner(replace(task.recipe, epochs=epochs)).fit(split.valid, run=Run(seed=seed))
    return PinRecLearner(task.recipe).fit(split.train, valid=split.valid, run=Run(seed=seed))


def best_epochs(artifact: Artifact) -> int:
    """The epoch of the best validation."""
    training = artifact.facts["training"]
    best = next(point for point in training["history"] if point["step"] == training["best_step"])
    return max(1, int(best["epoch"]))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", choices=sorted(TASKS))
    parser.add_argument("--path", type=Path, help="folder of the data set; MovieLens latest-small is bundled")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--work", type=Path, default=Path("runs/quality"), help="where stores and models are kept"
    )
    parser.add_argument("--baselines", nargs="*", default=None, help="short names; all when left out")
    options = parser.parse_args()
    task = TASKS[options.task]
    folder = options.path or bundled(task.adapter)
    place = options.work / options.task
    if not (place / "store" / "manifest.json").exists():
        place.mkdir(parents=True, exist_ok=True)
        load_dataset(task.adapter, folder, place / "store")
    store = Store.open(place / "store")
    split = split_of(task, store)
    seeds = range(options.seeds)
    stopped = kept(
        place, "stopped", seeds if task.last_out else seeds[:1], lambda seed: fitted(task, split, seed, 0)
    )
    epochs = best_epochs(stopped[0])
    print(f"best number of epochs on validation: {epochs}")
    refitted = kept(place, "refitted", seeds, lambda seed: fitted(task, split, seed, epochs))
    artifacts = stopped if task.last_out else refitted
    extra = {} if options.baselines is None else {"baselines": tuple(options.baselines)}
    found = report(
        artifacts, split.test, since=split.valid, run=Run(), limit=task.limit, headline=task.headline,
        same_session_only=task.same_session_only, variants={REFITTED: refitted} if task.last_out else None, **extra,
    )  # fmt: skip
    found.print()
    found.save(place / "report")
    write(
        f"pinrec_{options.task}", store, config=task.recipe, seeds=list(seeds), split=split.description,
        bars=_bars(task, found.blocks[0]), stopped=facts(stopped), refitted=facts(refitted), refitted_epochs=epochs,
        report=found.to_dict(),
    )  # fmt: skip


def kept(place: Path, name: str, seeds: Sequence[int], fit: Callable[[int], Artifact]) -> list[Artifact]:
    """The artifact of each seed, fitted where it is not there yet."""
    found = []
    for seed in seeds:
        folder = place / f"{name}-{seed}"
        if not (folder / "artifact.json").exists():
            fit(seed).save(folder)
        found.append(Artifact.load(folder))
    return found


def facts(artifacts: Sequence[Artifact]) -> dict[str, list[object]]:
    """How training went, per seed."""
    runs = [artifact.facts["training"] for artifact in artifacts]
    return {
        "training_seconds": [round(run["seconds"], 1) for run in runs],
        "epochs_run": [run["epochs"] for run in runs],
        "best_validation": [run["best"] for run in runs],
    }


def _bars(task: Task, table: object) -> dict[str, dict[str, object]]:
    if not isinstance(table, Comparison):
        return {}
    rows = ["PinRec", *([REFITTED] if task.last_out else [])]
    out: dict[str, dict[str, object]] = {}
    for metric, bar in task.bars:
        reached = {name: table.value(name, metric) for name in rows}
        out[metric] = {
            "bar": bar,
            "reached": {name: value.to_dict() for name, value in reached.items()},
            "passed": {name: bool(value.mean >= bar) for name, value in reached.items()},
        }
    return out


if __name__ == "__main__":
    main()
