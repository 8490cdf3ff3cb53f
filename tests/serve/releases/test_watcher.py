"""The watcher: follows activations, keeps the old release when the new one is refused, never raises."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from bowerbird.serve.releases import OpenedRelease, Releases, Swap, Watcher
from bowerbird.tables.errors import ConfigError, StoreError
from bowerbird.tables.store import Store

Make = Callable[..., Watcher]


class Told:
    """What a watcher said."""

    def __init__(self) -> None:
        self.ready: list[str] = []
        self.refused: list[str] = []


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def make(releases: Releases, store: Store, told: Told) -> Make:
    def of(**named: object) -> Watcher:
        given: dict[str, object] = {
            "store": lambda: store,
            "on_ready": lambda opened: told.ready.append(opened.id),
            "on_refused": told.refused.append,
            **named,
        }
        return Watcher(releases, **given)  # type: ignore[arg-type]

    return of


def damage(releases: Releases, id: str) -> None:
    file = releases.folder / id / "index" / "vectors.npy"
    file.chmod(0o644)
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))


def test_it_follows_what_is_active(make: Make, told: Told, releases: Releases, one: str, two: str) -> None:
    watcher = make()
    watcher.look()
    watcher.look()
    assert told.ready == [two] and watcher.serving == two
    releases.rollback()
    watcher.look()
    releases.activate(two)
    watcher.look()
    releases.activate(two)
    watcher.look()
    assert told.ready == [two, one, two] and told.refused == []


def test_what_is_served_already_is_not_opened_again(make: Make, told: Told, two: str) -> None:
    watcher = make(serving=two)
    watcher.look()
    assert told.ready == []


def test_nothing_is_active(make: Make, told: Told, releases: Releases) -> None:
    shutil.rmtree(releases.folder)
    make().look()
    assert told.ready == told.refused == []


def test_a_damaged_release_is_refused_once_and_again_when_activated_again(
    make: Make, told: Told, releases: Releases, one: str, two: str
) -> None:
    watcher = make()
    watcher.look()
    good = (releases.folder / one / "index" / "vectors.npy").read_bytes()
    releases.activate(one)
    damage(releases, one)
    watcher.look()
    watcher.look()
    assert watcher.serving == two and told.ready == [two]
    assert len(told.refused) == 1 and "index/vectors.npy" in told.refused[0]
    (releases.folder / one / "index" / "vectors.npy").write_bytes(good)
    releases.activate(one)
    watcher.look()
    assert told.ready == [two, one] and watcher.serving == one


def test_going_back_after_a_refusal_changes_nothing(
    make: Make, told: Told, releases: Releases, one: str, two: str
) -> None:
    watcher = make(serving=one)
    damage(releases, two)
    watcher.look()
    assert len(told.refused) == 1
    releases.rollback()
    watcher.look()
    assert told.ready == [] and watcher.serving == one


def test_a_damaged_pointer_is_told(make: Make, told: Told, releases: Releases) -> None:
    releases.pointer.path.write_text("{")
    make().look()
    assert "active.json is damaged" in told.refused[0]


def test_a_store_that_cannot_be_opened_and_callbacks_that_raise(
    make: Make, told: Told, releases: Releases, two: str, caplog: pytest.LogCaptureFixture
) -> None:
    def no_store() -> Store:
        raise StoreError("the store is being rebuilt")

    make(store=no_store).look()
    assert told.refused == ["the store is being rebuilt"]

    def fails(_: object) -> None:
        raise RuntimeError("size mismatch for weight")

    watcher = make(on_ready=fails)
    watcher.look()
    assert "RuntimeError: size mismatch" in told.refused[1] and watcher.serving is None
    make(on_ready=fails, on_refused=fails).look()
    assert "telling that a release was refused failed" in caplog.text


def test_overtaken_while_opening_only_the_last_is_handed_over(
    make: Make, told: Told, releases: Releases, store: Store, one: str
) -> None:
    opened = []

    def slow() -> Store:
        opened.append(1)
        if len(opened) == 1:
            releases.rollback()
        return store

    make(store=slow).look()
    assert told.ready == [one] and len(opened) == 2


def test_a_server_swaps_without_losing_a_request(
    make: Make, releases: Releases, store: Store, one: str, two: str
) -> None:
    """The thread: readers ask all the time while the release changes; each answer is of one whole release."""
    wanted, arrived = [one], threading.Event()
    swap: Swap[OpenedRelease] = Swap(releases.open(two, store))

    def ready(opened: OpenedRelease) -> None:
        swap.set(opened)
        if opened.id == wanted[0]:
            arrived.set()

    answers: list[str] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            with swap.use() as opened:
                query = opened.index.vectors([0])
                assert len(opened.index.search(query, 2).ids[0]) == 2
                answers.append(opened.id)
            done.wait(0.001)

    readers = [threading.Thread(target=ask) for _ in range(2)]
    watcher = make(on_ready=ready, serving=two, every=0.01)
    watcher.start()
    watcher.start()
    for reader in readers:
        reader.start()
    releases.rollback()
    assert arrived.wait(30)
    wanted[0] = two
    arrived.clear()
    releases.activate(two)
    assert arrived.wait(30)
    done.set()
    for reader in readers:
        reader.join()
    watcher.stop()
    assert set(answers) <= {one, two} and watcher.serving == two
    releases.rollback()
    watcher.look()
    assert watcher.serving == two, "a stopped watcher hands nothing over"


def test_it_must_look_now_and_then(make: Make) -> None:
    with pytest.raises(ConfigError, match="above 0"):
        make(every=0)


def test_a_pointer_that_cannot_be_read_is_looked_at_later(
    make: Make, told: Told, two: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher = make()
    with monkeypatch.context() as broken:

        def fails(_: Path) -> None:
            raise PermissionError("not now")

        broken.setattr(Path, "stat", fails)
        watcher.look()
    assert told.ready == told.refused == []
    watcher.look()
    assert told.ready == [two]
