"""The bench of the OmniSage claims: arms fitted once, asked for users, pairs, features and a ranker downstream.

Shapes: I items, Q queries, P pairs, D dimension, C cases, K candidates.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from bowerbird.evaluate.bootstrap import Estimate, Statistic, UserBootstrap
from bowerbird.evaluate.cases import Cases
from bowerbird.evaluate.metrics.accuracy import recall
from bowerbird.evaluate.metrics.ranks import target_ranks
from bowerbird.learn.artifact import Artifact
from bowerbird.learn.run import Run
from bowerbird.represent.config import OmniSageConfig
from bowerbird.represent.inference.opened import OpenOmniSage
from bowerbird.represent.inference.recommender import OmniSageRecommender, held_out_cases
from bowerbird.represent.learner import OmniSageLearner
from bowerbird.represent.measuring.cold import Among, cold_cases
from bowerbird.represent.measuring.pairs import Pairs, model_scores, new_pairs, pair_hits
from bowerbird.tables.view import Split
from evidence.places import digest, place_of

K, PAIRS_K, FIRST = 20, 10, 3
_GRAPH = (
    "subsets", "saved_items", "saved_collections", "linked_items", "described_items", "restart", "budget", "closing",
    "score_grid", "pruning", "folds", "fold_by", "seed",
)  # fmt: skip

_LISTS = ("votes", "vote_sharpness", "list_votes", "list_sharpness")
"""Say how lists are made of a model, not what it learns."""


class Bench:
    """Fits arms, measures them on the same questions, compares with paired intervals.

    Every arm is fitted on all that lies before the test wall, for a fixed number of steps.

    Args:
        split: train, validation and test views.
        arms: name -> settings. seeds: of training.
        folder: where artifacts and graphs are kept. limit: most users and pairs.
    """

    def __init__(
        self, split: Split, arms: dict[str, OmniSageConfig], seeds: Sequence[int], folder: Path, *, limit: int
    ) -> None:
        self.split, self.arms, self.seeds, self.folder, self.limit = split, arms, seeds, folder, limit
        self.cases = held_out_cases(split.test, split.valid, limit=limit)
        self.users_of = UserBootstrap(self.cases.user)
        self.seconds: dict[str, float] = {}
        self._models: dict[tuple[str, bool], list[OpenOmniSage]] = {}
        self._pairs: list[Pairs] | None = None

    def models(self, arm: str, *, early: bool = False) -> list[OpenOmniSage]:
        """One opened model per seed; ``early`` ones were fitted on the training part alone."""
        if (arm, early) not in self._models:
            self._models[arm, early] = [self._opened(arm, seed, early) for seed in self.seeds]
        return self._models[arm, early]

    def _opened(self, arm: str, seed: int, early: bool) -> OpenOmniSage:
        config, view = self.arms[arm], self.split.train if early else self.split.valid
        place = self._place(arm, seed, early)
        if not (place / "artifact.json").exists():
            started = time.perf_counter()
            learner = OmniSageLearner(config)
            learner.world_folder = self._world_folder(config, early)
            fitted = learner.fit(view, run=Run(seed=seed, quiet=True))
            fitted.save(place)
            self.seconds[place.name] = time.perf_counter() - started
            print(f"{place.name}: {self.seconds[place.name]:.0f} s", flush=True)
        return OpenOmniSage.open(Artifact.load(place), view, folder=self._world_folder(config, early))

    def _place(self, arm: str, seed: int, early: bool) -> Path:
        settings = {k: v for k, v in asdict(self.arms[arm]).items() if k not in _LISTS}
        return place_of(self.folder, arm, settings, f"early-{seed}" if early else seed)

    def _world_folder(self, config: OmniSageConfig, early: bool) -> Path:
        told = digest({name: getattr(config, name) for name in _GRAPH})
        return self.folder / "worlds" / f"{'early' if early else 'late'}-{told}"

    # --- questions -----------------------------------------------------------------------------------------------

    def users(self, arm: str) -> Estimate:
        """Recall@20 of users to items, the whole catalogue ranked."""
        alone = replace(self.arms[arm], votes=0.0, list_votes=0.0)
        return self.lists([OmniSageRecommender(o, arm, votes_of=alone) for o in self.models(arm)], self.cases)

    def cold(self, scorers: Sequence[object], cases: Cases) -> Estimate:
        """Recall@20 of cold targets, only cold items ranked."""
        allowed = self.split.valid.item_counts() == 0
        return self.lists([Among(s, allowed) for s in scorers], cases)  # type: ignore[arg-type]

    def cold_cases(self) -> Cases:
        """The cases with their cold targets alone."""
        return cold_cases(self.cases)

    def lists(self, recommenders: Sequence[object], cases: Cases) -> Estimate:
        """Recall@20 of recommenders, a seed each."""
        bootstrap = self.users_of if cases is self.cases else UserBootstrap(cases.user)
        found = []
        for one in recommenders:
            ranks = target_ranks(one.recommend(cases, K), cases)  # type: ignore[attr-defined]
            found.append(Statistic.of_cases(recall(ranks, cases.target_offsets, K)))
        return bootstrap.over_seeds(bootstrap.estimates(found))

    def pairs(self, arm: str) -> Estimate:
        """Recall@10 of the library of a new entry, asked for by its article."""
        models = self.models(arm)
        if self._pairs is None:
            self._pairs = new_pairs(models[0].world, self.split.test, self.split.valid, limit=self.limit)
        pairs = next(p for p in self._pairs if p.positive_type == "collection")
        hits = [pair_hits(model_scores(o, pairs), o.world, pairs, PAIRS_K) for o in models]
        return _estimate(pairs.positive, hits)

    def features(self, arm: str) -> Estimate:
        """Recall@10 of an article, asked for by its own content."""
        models = self.models(arm)
        content = models[0].world.contents["item"]
        ids = np.flatnonzero(self.split.valid.known_items())
        ids = ids[content.present(content.names[0], ids)]  # what says nothing cannot be asked for by what it says
        ids = np.random.default_rng(0).permutation(ids)[: self.limit]
        return _estimate(ids, [_feature_hits(o, ids) for o in models])

    def ranker(self, arm: str) -> Estimate:
        """Hits@3 of a small ranker on frozen vectors: trained on the validation part, asked about the test part."""
        learnt_on = held_out_cases(self.split.valid, self.split.train, limit=self.limit)
        found = []
        for seed, before in zip(self.seeds, self.models(arm, early=True), strict=True):
            artifact = Artifact.load(self._place(arm, seed, early=True))
            folder = self._world_folder(self.arms[arm], early=False)
            after = OpenOmniSage.open(artifact, self.split.valid, folder=folder)
            found.append(_ranker_hits(before, after, learnt_on, self.cases, seed))
        case = np.repeat(np.arange(len(self.cases)), np.diff(self.cases.target_offsets))
        return _estimate(self.cases.user[case], found)


def _estimate(unit: np.ndarray, hits: Sequence[np.ndarray]) -> Estimate:
    bootstrap = UserBootstrap(unit)
    return bootstrap.over_seeds(bootstrap.estimates([Statistic.of_cases(h.astype(float)) for h in hits]))


@torch.no_grad()
def _feature_hits(opened: OpenOmniSage, ids: np.ndarray) -> np.ndarray:
    model = opened.model
    content = opened.world.contents["item"]
    name = content.names[0]
    features = model.nodes.features["item"]
    raw = features(torch.from_numpy(ids))[:, features.column(name)]  # type: ignore[operator]
    encoder = model.feature_queries["item_0"] if "item_0" in model.feature_queries else torch.nn.Identity()
    query = F.normalize(encoder(raw), dim=-1).numpy()
    hits = []
    for low in range(0, len(ids), 512):
        scores = query[low : low + 512] @ opened.items.T
        own = scores[np.arange(len(scores)), ids[low : low + 512]]
        hits.append((scores > own[:, None]).sum(1) < PAIRS_K)
    return np.concatenate(hits)


_CANDIDATES, _ROUNDS = 50, 300


def _ranker_hits(
    before: OpenOmniSage, after: OpenOmniSage, learnt_on: Cases, asked: Cases, seed: int
) -> np.ndarray:
    """bool (T,): whether each test entry is among the first three of itself and 50 items drawn by popularity."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    x = _candidates(before, learnt_on, rng)
    net = torch.nn.Sequential(torch.nn.Linear(x.shape[-1], 64), torch.nn.GELU(), torch.nn.Linear(64, 1))
    adam = torch.optim.Adam(net.parameters(), lr=3e-3, weight_decay=1e-5)
    for _ in range(_ROUNDS):
        rows = torch.randint(len(x), (256,))
        loss = F.cross_entropy(net(x[rows]).squeeze(-1), torch.zeros(256, dtype=torch.long))
        adam.zero_grad()
        loss.backward()
        adam.step()
    x = _candidates(after, asked, np.random.default_rng(1))
    with torch.no_grad():
        scores = net(x).squeeze(-1)
    return ((scores[:, 1:] >= scores[:, :1]).sum(1) < FIRST).numpy()


def _candidates(opened: OpenOmniSage, cases: Cases, rng: np.random.Generator) -> torch.Tensor:
    """Features (T, 1 + K, D + 2) of each target and K others: products with the mean of the history, and its cosines
    with that mean and with the nearest item of the history."""
    items = torch.from_numpy(opened.items)
    case = np.repeat(np.arange(len(cases)), np.diff(cases.target_offsets))
    count = opened.world.view.item_counts().astype(np.float64)
    others = rng.choice(len(count), size=(len(case), _CANDIDATES), p=count / count.sum())
    asked = torch.from_numpy(np.concatenate([cases.target_item[:, None], others], axis=1))
    history = cases.histories(opened.config.history_length)
    real = torch.from_numpy(history.mask)
    e_CLD = items[torch.from_numpy(history.item.astype(np.int64))] * real[..., None]
    mean = F.normalize(e_CLD.sum(1), dim=-1)
    found = []
    for low in range(0, len(case), 1024):
        rows = case[low : low + 1024]
        v = items[asked[low : low + 1024]]
        product = v * mean[rows][:, None]
        nearest = torch.einsum("tkd,tld->tkl", v, e_CLD[rows]).amax(-1, keepdim=True)
        found.append(torch.cat([product * v.shape[-1], product.sum(-1, keepdim=True), nearest], dim=-1))
    return torch.cat(found)
