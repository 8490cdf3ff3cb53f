"""Opening leaves no threads behind: it happens on a thread that has ended when the service answers."""

from __future__ import annotations

import threading

import pytest

from bowerbird.serve.apart import apart
from bowerbird.serve.engine import Engine
from bowerbird.serve.service import Service
from bowerbird.tables.store import Store
from serve.knn import KnnGenerator


def test_it_returns_and_raises_like_the_call() -> None:
    seen: list[threading.Thread] = []

    def call() -> int:
        seen.append(threading.current_thread())
        return 7

    assert apart(call) == 7
    assert seen[0] is not threading.current_thread() and not seen[0].is_alive()

    def fail() -> int:
        raise KeyError("gone")

    with pytest.raises(KeyError, match="gone"):
        apart(fail)


def test_a_service_warms_up_where_nothing_stays(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[threading.Thread] = []
    plain = Engine.warm_up

    def warm_up(self: Engine) -> None:
        seen.append(threading.current_thread())
        plain(self)

    monkeypatch.setattr(Engine, "warm_up", warm_up)
    service = Service(Engine(store, KnnGenerator(store)))
    assert len(seen) == 1 and seen[0] is not threading.main_thread() and not seen[0].is_alive()
    service.close()
