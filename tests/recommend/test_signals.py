"""Vectors that another system emitted: read by id, refused from the future, and used."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bowerbird.evaluate.protocols import next_event_cases
from bowerbird.learn.artifact import Artifact
from bowerbird.learn.run import Run
from bowerbird.learn.signals import Signal, SignalError, write_signal
from bowerbird.recommend.config import PinRecConfig
from bowerbird.recommend.inputs.signals import check_walls, signal_vectors
from bowerbird.recommend.learner import PinRecLearner
from bowerbird.recommend.retrieval.opened import OpenPinRec
from bowerbird.recommend.retrieval.recommender import PinRecRecommender
from bowerbird.tables.errors import ConfigError, WallError
from bowerbird.tables.store import Store
from bowerbird.tables.view import LastOut, View, time_split, user_split
from bowerbird.tables.view.leaks.twins import make_twin
from bowerbird.tables.view.walls import TimeWall
from recommend.worlds import cycle_world


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return cycle_world(tmp_path_factory.mktemp("signals") / "store", titled=False)


def emit(
    view: View, name: str = "circle", entity: str = "item", missing: int = 0, fitted: View | None = None
) -> str:
    """A vector of its own for every item, but for the last few; twice as long as a unit vector."""
    rng = np.random.default_rng(0)
    ids = view.item_ids.decode(np.arange(view.n_items - missing, dtype=np.int32))
    vectors = rng.normal(size=(len(ids), 16)).astype(np.float32)
    vectors *= 2 / np.linalg.norm(vectors, axis=1, keepdims=True)
    facts = {"wall": view.wall, "data": view.fingerprint, "fitted_on": (fitted or view).fingerprint}
    write_signal(view.store_path, Signal(name, entity, ids, vectors, facts=facts), "r1")  # type: ignore[arg-type]
    return f"{name}/r1"


def test_rows_come_by_id_as_unit_vectors(store: Store) -> None:
    view = View(store)
    found = signal_vectors(view, [emit(view, missing=2)])["signal circle"]
    assert found.shape == (view.n_items, 16)
    np.testing.assert_allclose(np.linalg.norm(found[:-2], axis=1), 1, rtol=1e-5)
    assert (found[-2:] == 0).all()


def test_what_cannot_be_used_is_named(store: Store) -> None:
    view = View(store)
    with pytest.raises(ConfigError, match="names no release"):
        signal_vectors(view, ["circle"])
    with pytest.raises(SignalError, match="no signal 'square'"):
        signal_vectors(view, ["square/r1"])
    with pytest.raises(ConfigError, match="holds no vectors of items"):
        signal_vectors(view, [emit(view, "people", "user")])
    with pytest.raises(WallError, match="not of a store on disk"):
        signal_vectors(View(make_twin(store, TimeWall(10**12), "scrambled", 0)), ["circle/r1"])  # type: ignore[arg-type]


def test_a_signal_from_the_future_is_refused(store: Store) -> None:
    split = time_split(store)
    late, early = emit(split.test, "late"), emit(split.train, "early")
    check_walls(split.train, [early])
    check_walls(split.test, [early, late])
    with pytest.raises(
        ConfigError, match=r"late/r1 was made from data no wall, this model may learn from data before"
    ):
        PinRecLearner(PinRecConfig(item_signals=(late,))).fit(split.train)
    learnt = emit(split.train, "learnt", fitted=split.test)
    with pytest.raises(ConfigError, match=r"learnt/r1 was made from data no wall"):
        check_walls(split.train, [learnt])
    strangers = user_split(store, 0.3)
    with pytest.raises(ConfigError, match="of the users"):
        check_walls(strangers.train, [early])
    check_walls(strangers.train, [emit(strangers.train, "few")])
    last = emit(View(store, LastOut(1)), "last")
    check_walls(View(store, LastOut(1)), [last])
    with pytest.raises(ConfigError, match="of each user"):
        check_walls(View(store, LastOut(2)), [last])


def test_a_model_that_knows_items_by_a_signal_alone(store: Store, tiny: PinRecConfig, tmp_path: Path) -> None:
    split = time_split(store)
    name = emit(split.train, "only")
    config = replace(tiny, id_mode="none", item_signals=(name,), content_dim=16, epochs=25)
    artifact = PinRecLearner(config).fit(split.train, run=Run(quiet=True, seed=0))
    artifact.save(tmp_path / "model")
    opened = OpenPinRec.open(Artifact.load(tmp_path / "model"), split.test)
    assert any(key.startswith("items.lifts.signal") for key in artifact.tensors)
    cases = next_event_cases(split.test, split.valid, exclude_seen=False)
    found = PinRecRecommender(opened, "signal").recommend(cases, 1).items[:, 0]
    assert (found == cases.target_item).mean() > 0.9
