from __future__ import annotations

import pytest

from bowerbird.learn.artifact import Artifact
from bowerbird.learn.run import Run
from bowerbird.represent.learner import OmniSageLearner
from bowerbird.represent.world.contents import ContentEncoder
from bowerbird.represent.world.opening import open_world
from bowerbird.represent.world.world import World
from bowerbird.tables.store import Store
from bowerbird.tables.view import Split, View, time_split

from .worlds import TEST_FROM, TINY, VALID_FROM, library_store


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return library_store(tmp_path_factory.mktemp("libraries") / "store")


@pytest.fixture(scope="session")
def split(store: Store) -> Split:
    return time_split(store, valid_from=VALID_FROM, test_from=TEST_FROM)


@pytest.fixture(scope="session")
def train_view(split: Split) -> View:
    return split.train


@pytest.fixture(scope="session")
def world(train_view: View, tmp_path_factory: pytest.TempPathFactory) -> World:
    encoder = ContentEncoder.fit(train_view)
    return open_world(train_view, TINY, encoder, folder=tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def artifact(split: Split) -> Artifact:
    return OmniSageLearner(TINY).fit(
        split.train, valid=split.valid, run=Run(seed=0, device="cpu", quiet=True)
    )
