from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from bowerbird.learn.artifact import Artifact
from bowerbird.learn.run import Run
from bowerbird.recommend.config import PinRecConfig
from bowerbird.recommend.learner import PinRecLearner
from bowerbird.tables.store import Store
from bowerbird.tables.view import View
from recommend.worlds import cycle_world, outcome_world

TINY = replace(
    PinRecConfig(),
    history_length=12,
    id_dim=16,
    item_dim=16,
    content_dim=8,
    width=16,
    heads=2,
    layers=1,
    dropout=0.0,
    embedding_dropout=0.0,
    id_dropout=0.0,
    random_negatives=16,
    in_batch_negatives=64,
    batch_positions=128,
    learning_rate=1e-2,
    warmup_steps=5,
    precision="fp32",
    mask_same_user=False,
)


@pytest.fixture(scope="session")
def tiny() -> PinRecConfig:
    return TINY


@pytest.fixture(scope="session")
def cycle(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return cycle_world(tmp_path_factory.mktemp("cycle") / "store")


@pytest.fixture(scope="session")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return outcome_world(tmp_path_factory.mktemp("outcomes") / "store")


@pytest.fixture(scope="session")
def cycle_artifact(cycle: Store) -> Artifact:
    config = replace(TINY, epochs=25, offset_buckets=4, targets_per_anchor=2)
    return PinRecLearner(config).fit(View(cycle), run=Run(quiet=True, seed=0))


@pytest.fixture(scope="session")
def outcomes_artifact(outcomes: Store) -> Artifact:
    return PinRecLearner(replace(TINY, epochs=8)).fit(View(outcomes), run=Run(quiet=True, seed=0))
