"""Which vectors are drawn, what is shown of many items, and that a map is made once while requests go on."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bowerbird.learn.signals import Signal, write_signal
from bowerbird.serve.engine import Engine
from bowerbird.serve.map import CatalogueMap, Making, MapFailedError, MapMaker, NoMapError, has_vectors, maker
from bowerbird.serve.map.drawing import chosen, sizes
from bowerbird.serve.map.layout import layout
from bowerbird.serve.map.vectors import SIGNAL, item_vectors
from bowerbird.tables.store import Store
from serve.knn import KnnGenerator

RNG = np.random.default_rng(1)


@pytest.fixture
def own(store: Store, tmp_path: Path) -> Store:
    """A store that a test may write signals to."""
    return Store.open(shutil.copytree(store.path, tmp_path / "store"))


def emit(store: Store, ids: list[str], release: str, **changes: Any) -> Path:
    vectors = changes.pop("vectors", RNG.normal(size=(len(ids), 8)))
    signal = Signal(**{"name": SIGNAL, "entity": "item", "ids": ids, "vectors": vectors, **changes})
    return write_signal(store.path, signal, release)


def films(n: int = 60) -> list[str]:
    return [f"f{i:02d}" for i in range(n)]


def test_an_emitted_signal_goes_before_the_vectors_of_the_model(own: Store) -> None:
    vectors = RNG.normal(size=(61, 8))
    emit(own, [*reversed(films()), "unheard of"], "r1", vectors=vectors)
    found = item_vectors(own, KnnGenerator(own))
    assert found.source == f"{SIGNAL}/r1" and found.item.tolist() == own.items.encode(films()).tolist()
    unit = vectors[:60][::-1] / np.linalg.norm(vectors[:60][::-1], axis=1, keepdims=True)
    np.testing.assert_allclose(found.vectors_ND, unit, rtol=1e-5)


def test_the_signal_written_last_counts(own: Store) -> None:
    for age, release in enumerate(("zz-oldest", "newest", "older")):
        manifest = emit(own, films(), release) / "manifest.json"
        os.utime(manifest, ns=(10**18, 10**18 - abs(age - 1)))
    assert item_vectors(own, KnnGenerator(own)).source == f"{SIGNAL}/newest"


def test_a_signal_of_an_earlier_catalogue_leaves_nothing_off_the_map(own: Store) -> None:
    emit(own, films(30), "early")
    found = item_vectors(own, KnnGenerator(own))
    assert found.source == "item-knn-test" and len(found.item) == 56
    generator = KnnGenerator(own)
    generator.item_vectors = None
    assert len(item_vectors(own, generator).item) == 30, "better than nothing"


def test_a_signal_that_cannot_be_used_is_passed_over(own: Store, caplog: pytest.LogCaptureFixture) -> None:
    generator = KnnGenerator(own)
    folder = emit(own, films(), "damaged")
    (folder / "vectors.safetensors").write_bytes(b"cut")
    assert item_vectors(own, generator).source == "item-knn-test" and "damaged" in caplog.text
    emit(own, ["u00"], "users", entity="user")
    assert item_vectors(own, generator).source == "item-knn-test"
    emit(own, films(), "scores", vectors=None, scores={"spam": np.zeros(60)})
    assert item_vectors(own, generator).source == "item-knn-test"


def test_items_without_a_direction_are_left_out(store: Store) -> None:
    generator = KnnGenerator(store)
    assert generator.item_vectors is not None
    found = item_vectors(store, generator)
    assert set(found.item) == set(np.flatnonzero(np.isfinite(generator.item_vectors).all(axis=1)))
    generator.item_vectors = np.zeros_like(generator.item_vectors)
    with pytest.raises(NoMapError):
        item_vectors(store, generator)
    generator.item_vectors = None
    assert not has_vectors(store, generator)
    with pytest.raises(NoMapError, match="keeps none"):
        item_vectors(store, generator)


def test_of_too_many_items_the_popular_half_and_a_lot() -> None:
    counts, item = np.arange(1000)[::-1], np.arange(1000)
    assert np.array_equal(chosen(item, counts, seed=0), item)
    some = chosen(item, counts, seed=0, most=100)
    assert len(some) == len(set(some)) == 100 and (np.diff(some) > 0).all()
    assert np.array_equal(some[:50], np.arange(50)) and some[-1] > 500
    assert np.array_equal(some, chosen(item, counts, seed=0, most=100))


def test_sizes_follow_popularity() -> None:
    found = sizes(np.arange(1000))
    assert [int((found == size).sum()) for size in range(4)] == [600, 300, 90, 10]
    assert (np.diff(found) >= 0).all() and (sizes(np.zeros(10, int)) == 0).all()


class Slow:
    """Lays items out when it is told to."""

    def __init__(self) -> None:
        self.go, self.calls, self.fails, self.stopped = threading.Event(), 0, False, False

    def layout(self, vectors_ND: np.ndarray, *, seed: int) -> np.ndarray:
        self.calls += 1
        assert self.go.wait(30)
        if self.fails:
            raise RuntimeError("no room")
        return layout(vectors_ND, seed=seed)

    def stop(self) -> None:
        self.stopped = True


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
def making(engine: Engine, slow: Slow) -> MapMaker:
    return MapMaker(engine.store, engine.generator, engine.catalogue, engine.catalogue._counts, child=slow)  # type: ignore[arg-type]


def test_a_map_is_made_once_however_many_ask(making: MapMaker, slow: Slow, engine: Engine) -> None:
    first = making.get(wait=0.0)
    assert isinstance(first, Making) and first.retry_after >= 1
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(making.get(wait=30))) for _ in range(8)]
    for thread in threads:
        thread.start()
    slow.go.set()
    for thread in threads:
        thread.join(30)
    drawn = found[0]
    assert isinstance(drawn, CatalogueMap) and all(one is drawn for one in found) and slow.calls == 1
    assert making.get() is drawn
    assert drawn.release == drawn.source == "item-knn-test" and drawn.total == 56 and drawn.items == 61
    assert drawn.column == "genres" and drawn.categories == ("Sea", "Town")
    counts = {card.id: card.events for card in engine.items("", 100)}
    shown = [counts[id] for id in drawn.ids]
    assert shown == sorted(shown), "popular items lie on top"
    sea = {id for id, code in zip(drawn.ids, drawn.category, strict=True) if drawn.categories[code] == "Sea"}
    assert sea == {id for id in drawn.ids if id < "f30"}


def test_a_failure_is_told_and_tried_again_later(
    making: MapMaker, slow: Slow, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    slow.fails = True
    slow.go.set()
    for _ in range(2):
        with pytest.raises(MapFailedError) as failed:
            making.get(wait=30)
    assert slow.calls == 1 and 1 <= failed.value.retry_after <= 60 and "no room" in caplog.text
    assert "no room" not in str(failed.value), "reasons are for the log"
    slow.fails = False
    clock = SimpleNamespace(monotonic=lambda now=maker.time.monotonic: now() + 61)
    monkeypatch.setattr(maker, "time", clock)
    assert isinstance(making.get(wait=30), CatalogueMap) and slow.calls == 2


def test_closing_an_engine_ends_what_is_being_made(store: Store, slow: Slow) -> None:
    engine = Engine(store, KnnGenerator(store))
    engine.maps._child = slow  # type: ignore[assignment]
    assert isinstance(engine.maps.get(wait=0.0), Making)
    engine.close()
    assert slow.stopped
    slow.go.set()
