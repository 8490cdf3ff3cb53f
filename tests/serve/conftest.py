"""The small world, opened once, with an engine over a k-nearest-neighbour generator."""

from __future__ import annotations

import pytest

from bowerbird.serve.engine import Engine
from bowerbird.tables.store import Store
from serve.knn import KnnGenerator
from serve.world import build


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return build(tmp_path_factory.mktemp("world") / "store")


@pytest.fixture(scope="session")
def engine(store: Store) -> Engine:
    return Engine(store, KnnGenerator(store))
