"""What UniPinRec's lists are worth by the truth of the simulated platform, where no logging policy has a part in it.

A log only says what happened to items that the platform chose to show, in slates it chose to make. Behind a simulated
store lies the truth: how likely a person who looks at an item takes each action. So lists can be judged by what they
would bring. Candidates are what the joint model retrieves for requests of the test part; each ranker picks the best 10
of 30 by value, sum of worth x probability of every action, and the true value of what it picked is compared. Models are
those of ``claims_unipinrec.py`` (same ``--work``); results go to ``docs/results/claims_unipinrec_truth.json``.

    python benchmarks/claims_unipinrec_truth.py --store SIMULATED --work runs/claims_unipinrec
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

import recipes
from bowerbird.evaluate.bootstrap import Estimate, Statistic, UserBootstrap
from bowerbird.evaluate.cases import Cases
from bowerbird.evaluate.protocols import future_cases
from bowerbird.evaluate.rankers import RANKERS, FittedRanker, fitted_rankers
from bowerbird.evaluate.slates import SlateCases
from bowerbird.recommend.ranking.opened import UniPinRecRanker
from bowerbird.recommend.ranking.value import default_values
from bowerbird.recommend.retrieval.recommender import PinRecRecommender
from bowerbird.tables.simulate.truth import Truth
from bowerbird.tables.store import Store
from bowerbird.tables.view import time_split
from claims_unipinrec import Bench
from evidence.rows import claim, ledger_row
from results import write

K, CANDIDATES = 10, 30
RANDOM = "a list drawn from the candidates"
ARMS = {
    "ranking": ("U2", "joint ranking beats ranking alone", "higher"),
    "tuned frozen": ("U3", "joint beats pretraining, then tuning with frozen items", "higher"),
    "interleaved": ("U4", "masked actions beat interleaving at equal tokens", "+3.7 %"),
    "no past": ("U10", "asking for past actions helps ranking", "no number"),
}


class TrueValue:
    """True value of lists, spam accounts left out: they follow a script.

    Args:
        truth: of the platform. cases: the requests. worth: of each action.

    Shapes: C cases, K places.
    """

    def __init__(self, truth: Truth, cases: Cases, worth: dict[str, float]) -> None:
        self._truth, self._cases, self._worth = truth, cases, worth
        self._people = truth.rings.member[truth.user_numbers(cases.user)] < 0
        self._bootstrap = UserBootstrap(cases.user[self._people])

    def __call__(self, lists_CK: Sequence[np.ndarray]) -> Estimate:
        """Mean over a list of the worth of what its owner would do with each item; a list a seed."""
        return self._bootstrap.over_seeds(
            self._bootstrap.estimates([self._statistic(items_CK) for items_CK in lists_CK])
        )

    def _statistic(self, items_CK: np.ndarray) -> Statistic:
        return Statistic.of_cases(self.of_items(items_CK)[self._people].mean(axis=1))

    def of_items(self, items_CK: np.ndarray) -> np.ndarray:
        """The true value of each item to the owner of its list, float64 (C, K); 0 where there is none."""
        user, time = (np.repeat(x, items_CK.shape[1]) for x in (self._cases.user, self._cases.time))
        listed = items_CK.ravel() >= 0
        value = np.zeros(items_CK.size)
        for action, worth in self._worth.items():
            found = self._truth.outcome_probability(user[listed], items_CK.ravel()[listed], action, time[listed])
            value[listed] += worth * found
        return value.reshape(items_CK.shape)


def as_slates(like: SlateCases, cases: Cases, items_CK: np.ndarray) -> SlateCases:
    """Candidate lists as slates that nobody was shown yet, for the rankers to score."""
    sizes = (items_CK >= 0).sum(axis=1)
    items = items_CK[items_CK >= 0].astype(np.int32)
    return replace(
        like, user=cases.user, history_end=cases.history_end, time=cases.time, surface=cases.surface,
        offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64), item=items,
        actions=np.zeros(len(items), np.uint32), position=np.full(len(items), -1, np.int16),
        view=cases.view, earlier=cases.earlier,
    )  # fmt: skip


def picked(scores_RC: np.ndarray, items_CK: np.ndarray, worth_C: np.ndarray) -> np.ndarray:
    """The best K of each list by value, int (C, K)."""
    value_CK = np.full(items_CK.shape, -np.inf)
    value_CK[items_CK >= 0] = scores_RC @ worth_C
    order = np.argsort(-value_CK, axis=1, kind="stable")[:, :K]
    return np.take_along_axis(items_CK, order, axis=1)


def run(
    bench: Bench, store: Store, rankers: Sequence[str], arms: Sequence[str]
) -> tuple[list[dict], dict[str, object]]:
    """Rows of the ledger, and the values behind them."""
    split = bench.split
    cases = future_cases(split.test, split.valid, train=split.train)
    joint = bench.models("joint")
    worth = default_values(joint[0])
    value = TrueValue(Truth.open(store.path), cases, worth)
    worth_C = np.array([worth[name] for name in bench.slates.action_names])
    retrieved = [PinRecRecommender(o, "joint").recommend(cases, CANDIDATES).items for o in joint]
    slates = [as_slates(bench.slates, cases, items_CK) for items_CK in retrieved]

    def lists(rankers: Sequence[UniPinRecRanker | FittedRanker]) -> Estimate:
        """Each seed of a ranker orders what the same seed of the joint model retrieved; a ranker of one seed all."""
        pairs = [(rankers[n % len(rankers)], slates[n], items) for n, items in enumerate(retrieved)]
        return value([picked(r.score(s), items, worth_C) for r, s, items in pairs])

    first = value([items_CK[:, :K] for items_CK in retrieved])
    rng = np.random.default_rng(0)
    drawn = value([rng.permuted(items_CK, axis=1)[:, :K] for items_CK in retrieved])
    ceiling = value(
        [np.take_along_axis(i, np.argsort(-value.of_items(i), axis=1)[:, :K], axis=1) for i in retrieved]
    )
    found = {"joint": lists([UniPinRecRanker(o, "joint") for o in joint])}
    for arm in arms:
        found[arm] = lists([UniPinRecRanker(o, arm) for o in bench.models(arm)])
    baselines = fitted_rankers(
        split.train, tuple(rankers), valid=split.valid, seeds=bench.seeds, on_progress=print
    )
    for name in dict.fromkeys(b.name for b in baselines):
        found[name] = lists([b for b in baselines if b.name == name])
    test = f"true value of the best {K} of {CANDIDATES} retrieved items"
    rows = [
        _row("U9 true", "ranking an overfetched list beats retrieval alone at equal K", "2 to 3x used",
             f"{test}, by value against the first {K}", found["joint"], first),
        *(_row(f"{id} true", text, paper, f"{test}, joint against {arm}", found["joint"], found[arm])
          for arm, (id, text, paper) in ARMS.items() if arm in arms),
        *(_row(f"U11 {name} true", f"joint ranking beats {name.lower()}", "+14.7 % over the production ranker",
               f"{test}, joint against {name}", found["joint"], found[name])
          for name in dict.fromkeys(b.name for b in baselines)),
    ]  # fmt: skip
    values = {"as retrieved": first, RANDOM: drawn, "by the truth itself": ceiling, **found}
    return rows, {"cases": cases.summary(), "values": {k: v.interval().to_dict() for k, v in values.items()}}


def _row(id: str, text: str, paper: str, test: str, ours: Estimate, other: Estimate) -> dict:
    return claim(id, text, paper, test, ours.over(other)) | {"paper": "UniPinRec"}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--store", type=Path, required=True, help="a simulated store, with its truth")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--work", type=Path, default=Path("runs/claims_unipinrec"))
    parser.add_argument("--limit", type=int, default=20_000, help="most retrieval cases and slates")
    parser.add_argument("--arms", nargs="*", choices=sorted(ARMS), default=list(ARMS))
    parser.add_argument("--rankers", nargs="*", choices=sorted(RANKERS), default=list(RANKERS))
    parser.add_argument("--name", default="claims_unipinrec_truth", help="name of the result")
    parser.add_argument("--on", default="simulated platform", help="what the ledger calls the data")
    options = parser.parse_args()
    store = Store.open(options.store)
    split, joint = time_split(store), recipes.unified_simulated()
    work = options.work / f"simulated-{store.manifest.content_hash[:12]}"
    bench = Bench(split, joint, range(options.seeds), work, limit=options.limit)
    rows, tables = run(bench, store, options.rankers, options.arms)
    write(
        options.name, store, seeds=list(bench.seeds), split=split.description, config=joint,
        claims=[ledger_row(row, options.on) for row in rows], details=rows, **tables,
    )  # fmt: skip
    for row in rows:
        print(row["id"], row["status"], row["ratio"])


if __name__ == "__main__":
    main()
