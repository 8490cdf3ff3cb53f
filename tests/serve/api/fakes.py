"""Stand-ins for what the HTTP side talks to, and an application around them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

from fastapi.testclient import TestClient

from bowerbird.serve.api import Access, ReleaseState, create_app
from bowerbird.serve.api.keys import Key, KeyRing
from bowerbird.serve.online import OnlineEvent, Receipt
from bowerbird.tables.errors import BowerbirdError


class MemorySink:
    """Keeps events in a dictionary, by the rules of the online history: once, and the first content stays."""

    def __init__(self) -> None:
        self.kept: dict[str, OnlineEvent] = {}
        self.failure: Exception | None = None
        self.ok = True

    def append(self, posted: Sequence[OnlineEvent]) -> Receipt:
        if self.failure is not None:
            raise self.failure
        accepted, duplicates, conflicts = 0, 0, []
        for event in posted:
            before = self.kept.setdefault(event.event_id, event)
            if before is event:
                accepted += 1
            elif before == event:
                duplicates += 1
            else:
                conflicts.append(event.event_id)
        return Receipt(accepted, duplicates, tuple(conflicts))

    def health(self) -> Any:
        return SimpleNamespace(ok=self.ok)


class MemoryReleases:
    """Two releases; going back once is possible."""

    def __init__(self) -> None:
        self.now = ReleaseState("r2", "r2", 2_000, "pinrec", {"recall": 0.25}, previous="r1")

    def state(self) -> ReleaseState:
        return self.now

    def rollback(self) -> ReleaseState:
        if self.now.previous is None:
            raise BowerbirdError("there is nothing to go back to in /srv/bowerbird/releases")
        self.now = replace(self.now, serving="r1", active="r1", previous=None)
        return self.now


@dataclass
class Served:
    """An application with keys, and a client for it.

    Attributes:
        keys: One for each scope, one for all (`every`).
    """

    client: TestClient
    app: Any
    sink: MemorySink
    releases: MemoryReleases
    ring: KeyRing
    keys: dict[str, Key]

    def headers(self, scope: str) -> dict[str, str]:
        """The header that presents the key of a scope."""
        return {"authorization": f"Bearer {self.keys[scope].text}"}


def closed_over(engine: Any, **options: Any) -> Served:
    """An application with keys; `options` go to `create_app`, those of `Access` in `access`."""
    ring = KeyRing()
    access = Access(ring, **options.pop("access", {}))
    keys = {scope: ring.issue(scope, [scope]) for scope in ("read", "write", "admin")}  # type: ignore[list-item]
    keys["every"] = ring.issue("every", ["read", "write", "admin"])
    sink, releases = MemorySink(), MemoryReleases()
    app = create_app(engine, access=access, events=sink, releases=releases, **options)
    client = TestClient(app, base_url="http://localhost:8000", raise_server_exceptions=False)
    return Served(client, app, sink, releases, ring, keys)


@contextmanager
def served(engine: Any, **options: Any) -> Iterator[Served]:
    """The same, started and stopped."""
    found = closed_over(engine, **options)
    with found.client:
        yield found
