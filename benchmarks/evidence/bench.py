"""The bench of the PinRec claims: arms trained once, questions asked of all of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bowerbird.evaluate.bootstrap import Estimate, Statistic, UserBootstrap
from bowerbird.evaluate.cases import Cases
from bowerbird.evaluate.protocols import future_cases, in_session_cases, next_event_cases
from bowerbird.learn.artifact import Artifact
from bowerbird.learn.run import Run
from bowerbird.recommend.config import PinRecConfig
from bowerbird.recommend.learner import PinRecLearner
from bowerbird.recommend.retrieval.opened import OpenPinRec
from bowerbird.tables.view import Split

K = 10
OUTCOMES = ("click", "long_click", "save")
_MOST_SESSIONS = 3_000
_MOST_EVENTS = 20_000


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
        self.rolling = next_event_cases(
            split.test, split.valid, train=split.train, limit=limit or _MOST_EVENTS
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
