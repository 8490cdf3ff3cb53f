"""The running service: releases change under load without a failed request, events stay through all of it."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from bowerbird.graph import build_graph
from bowerbird.serve.engine import Engine
from bowerbird.serve.online import OnlineEvent
from bowerbird.serve.releases import Release, ReleaseError, Releases
from bowerbird.serve.request import Request
from bowerbird.serve.service import Service
from bowerbird.tables.store import Store
from bowerbird.tables.view import View


@pytest.fixture
def service(store: Store, root: Path, tmp_path: Path):
    opened = Service.open(store.path, releases=root, history=tmp_path / "online.sqlite", every=3600)
    yield opened
    opened.close()


def test_rollback_serves_the_release_before_and_forward_again(
    service: Service, root: Path, published: tuple[Path, Release, Release]
) -> None:
    _, one, two = published
    assert service.state().serving == two.id and service.state().previous == one.id
    assert service.about.release == two.id
    state = service.rollback()
    assert (state.serving, state.active, state.previous) == (one.id, one.id, None)
    assert service.recommend(Request(user="u00", k=3)).release == one.id
    with pytest.raises(ReleaseError):
        service.rollback()
    assert service.state().serving == one.id


def test_a_swap_under_load_drops_no_request(
    service: Service, root: Path, published: tuple[Path, Release, Release]
) -> None:
    _, one, two = published
    releases, stop = Releases(root), threading.Event()
    seen: set[str] = set()
    failures: list[BaseException] = []

    def ask() -> None:
        while not stop.is_set():
            try:
                seen.add(service.recommend(Request(user="u00", k=3)).release)
            except BaseException as error:
                failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for release in (one, two, one, two):
            releases.activate(release.id)
            service._watcher.look()  # type: ignore[union-attr]
            assert service.state().serving == release.id
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failures and seen == {one.id, two.id}


def test_each_release_has_a_map_of_its_own_and_all_share_the_graph(
    store: Store, root: Path, published: tuple[Path, Release, Release], tmp_path: Path
) -> None:
    _, one, two = published
    build_graph(View(store), tmp_path / "graph")
    service = Service.open(store.path, releases=root, graph=tmp_path / "graph", every=3600)
    try:
        before, near = service.map(), service.neighbourhood("f05", 5)
        assert before.release == two.id and service.map() is before  # type: ignore[union-attr]
        service.rollback()
        after = service.map()
        assert after.release == after.source == one.id  # type: ignore[union-attr]
        assert not np.array_equal(before.x, after.x)  # type: ignore[union-attr]
        assert service.neighbourhood("f05", 5).types == near.types and service.about.graph
    finally:
        service.close()


def test_a_damaged_release_is_refused_and_the_old_one_goes_on(
    service: Service, root: Path, published: tuple[Path, Release, Release]
) -> None:
    _, one, two = published
    releases = Releases(root)
    file = next(path for path in (root / "releases" / one.id).rglob("*.safetensors"))
    file.chmod(0o644)
    before = service.recommend(Request(user="u00", k=5))
    releases.activate(one.id)
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.parent.chmod(0o755)
    file.write_bytes(bytes(content))
    service._watcher.look()  # type: ignore[union-attr]
    state = service.state()
    assert state.refused and state.serving == two.id and state.active == one.id
    after = service.recommend(Request(user="u00", k=5))
    assert [card.item.id for card in after.items] == [card.item.id for card in before.items]


def test_a_posted_event_changes_the_next_answer_and_outlives_a_swap(service: Service, store: Store) -> None:
    first = service.recommend(Request(user="u00", k=3))
    picked = first.items[0].item.id
    posted = OnlineEvent(
        event_id="e1", user="u00", item=picked, time=service.about.last + 1000, actions=("click",)
    )
    assert service.append([posted]).accepted == 1
    assert service.append([posted]).duplicates == 1
    for _ in range(2):
        answer = service.recommend(Request(user="u00", k=3))
        assert picked not in [card.item.id for card in answer.items]
        if service.state().previous:
            service.rollback()
    assert service.history("u00", 1).events[0].item.id == picked
    assert service.health().ok


def test_an_artifact_is_served_without_releases(
    store: Store, models: tuple[Path, Path], tmp_path: Path
) -> None:
    service = Service.open(store.path, artifact=models[0])
    engine = Engine.open(models[0], store.path)
    asked = Request(user="u01", k=5)
    assert [c.item.id for c in service.recommend(asked).items] == [
        c.item.id for c in engine.recommend(asked).items
    ]
    assert not service.keeps_events and not service.follows_releases
    with pytest.raises(ReleaseError, match="opened on an artifact"):
        service.rollback()
    service.close()
    with pytest.raises(ReleaseError, match="has no active release; make one: bowerbird publish"):
        Service.open(store.path, releases=tmp_path / "none")
    with pytest.raises(ReleaseError, match="nothing to serve"):
        Service.open(store.path)
    shutil.rmtree(tmp_path / "none", ignore_errors=True)
