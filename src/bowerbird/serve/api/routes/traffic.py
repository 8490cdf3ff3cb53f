"""What the server is doing, for its console: rates, latencies, stages, the release, the memory of the model."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry
from pydantic import Field

from bowerbird.serve.api import messages
from bowerbird.serve.api.ports import Answers, SinkHealth
from bowerbird.serve.api.routes.figures import Counters, Figures, figures, read

RECENT_SECONDS = 60.0
"""The stretch of time that recent figures are about."""
_APART = 2.0
"""Least seconds between two readings that are kept."""


class Pool(messages.Outgoing):
    """Memory for encoded histories, and what became of the histories that were asked for."""

    slots: int = Field(description="Histories there is room for.")
    used: int
    bytes: int = Field(description="Most memory it may take.")
    bytes_per_slot: int
    hits: int = Field(description="Nothing had to be encoded.")
    appends: int = Field(description="Only the new events were encoded.")
    events_appended: int
    misses: int = Field(description="Nothing of the user was kept.")
    changed: int = Field(description="Another history of the user was kept.")
    unkept: int = Field(description="Encoded without a place to keep it.")
    evictions: int
    overwritten: int


class KeptEvents(messages.Outgoing):
    """Where posted events are kept."""

    ok: bool = Field(description="No problem is known; the log says more.")
    database: str | None = Field(default=None, examples=["sqlite"])
    events: int | None = Field(default=None, description="Events kept.")
    waiting: int | None = Field(default=None, description="Events handed in and not on the disk yet.")


class Traffic(messages.Outgoing):
    """What the server is doing."""

    time: int = Field(description="When this was read, milliseconds UTC.")
    recent: Figures = Field(
        description="The last minute where somebody looked a minute ago, else since the last look, or the start."
    )
    total: Figures = Field(description="Since the start of the server.")
    serving: str = Field(description="Id of the release that answers.")
    active: str | None = Field(description="Id of the release that should; null: releases are not followed.")
    previous: str | None = Field(description="Id a rollback would go to.")
    refused: bool = Field(description="The active release was looked at and refused.")
    pool: Pool | None = Field(description="Null: this model keeps no histories.")
    history: KeptEvents | None = Field(description="Null: events cannot be posted.")


class Window:
    """Readings of counters, kept where somebody looks, so that the last minute can be told from the rest.

    Args:
        registry: Has the counters.
        clock: Seconds that only grow.
    """

    def __init__(self, registry: CollectorRegistry, clock: Callable[[], float] = time.monotonic) -> None:
        self._registry, self._clock = registry, clock
        self._started = clock()
        self._kept: deque[tuple[float, Counters]] = deque([(self._started, {})])
        self._alone = threading.Lock()

    def look(self) -> tuple[Figures, Figures]:
        """Recent figures, and those since the start."""
        with self._alone:
            now, counters = self._clock(), read(self._registry)
            kept = self._kept
            while len(kept) > 1 and kept[1][0] <= now - RECENT_SECONDS:
                kept.popleft()
            # One reading from before the last minute is the end of what came before it, unless it is much older.
            stale = len(kept) > 1 and kept[0][0] < now - RECENT_SECONDS - 2 * _APART
            at, before = kept[1] if stale else kept[0]
            if now - kept[-1][0] >= _APART:
                kept.append((now, counters))
        return figures(counters, before, now - at), figures(counters, {}, now - self._started)


def pool_of(engine: Answers) -> Pool | None:
    """The pool of an engine that tells of one in `describe()`."""
    describe = getattr(engine, "describe", None)
    found: Any = describe().get("pool") if callable(describe) else None
    if not isinstance(found, Mapping) or not Pool.model_fields.keys() <= found.keys():
        return None
    return Pool.model_validate(dict(found))


def kept_events(health: SinkHealth | None, *, ok: bool) -> KeptEvents:
    """What a sink says of itself.

    Args:
        health: What it said last, where it ever said something.
        ok: Whether it could be asked just now and was well.
    """
    if health is None or not ok:
        return KeptEvents(ok=False)
    return KeptEvents.model_validate(health)
