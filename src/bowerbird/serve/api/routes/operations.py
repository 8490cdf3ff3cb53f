"""Running it: alive, ready, metrics, which release, going back."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Literal

from fastapi import APIRouter, Response
from pydantic import Field

import bowerbird
from bowerbird.serve.api import messages
from bowerbird.serve.api.errors import fault, reference
from bowerbird.serve.api.metrics import CONTENT_TYPE
from bowerbird.serve.api.ports import Answers, EventSink, ReleaseAdmin, ReleaseState, SinkHealth
from bowerbird.serve.api.routes.traffic import Traffic, Window, kept_events, pool_of
from bowerbird.serve.api.routes.work import Work
from bowerbird.serve.traffic import TrafficError, Workers
from bowerbird.tables.errors import BowerbirdError

log = logging.getLogger("bowerbird.serve")

READY_SECONDS = 2.0
"""Longest time one look at readiness may take; an answer is given again for a second."""


class Health(messages.Outgoing):
    """The process is alive."""

    status: Literal["ok"] = "ok"
    version: str


class Ready(messages.Outgoing):
    """Whether requests should be sent here, and which check says no."""

    ready: bool
    checks: dict[str, bool] = Field(examples=[{"release": True, "history": True, "accepting": True}])


class Release(messages.Outgoing):
    """What is served."""

    serving: str = Field(description="Id of the release that answers now.")
    active: str | None = Field(
        description="Id of the release that should; differs during a swap, or where the server refused it."
    )
    created: int | None = Field(description="When the serving one was made, milliseconds UTC.")
    learner: str | None
    metrics: dict[str, Any] = Field(description="What its model reached, as published.")
    previous: str | None = Field(description="Id a rollback would go to.")
    refused: bool = Field(description="The active release was looked at and refused; the log says why.")


class Readiness:
    """Looks whether the server can do its work.

    Args:
        engine: Ready when it knows its release.
        sink: Ready when it can read and write; None = there is none.
        accepting: Whether the server takes requests, or is about to stop.

    Attributes:
        engine, sink: As above.
        health: What the sink said last; None = nothing yet.
    """

    def __init__(self, engine: Answers, sink: EventSink | None, accepting: Callable[[], bool]) -> None:
        self.engine, self.sink, self._accepting = engine, sink, accepting
        self.health: SinkHealth | None = None
        # Threads of its own: a busy engine is not an engine that is not ready.
        self._workers = Workers(threads=2, max_waiting=8, name="readiness")
        self._found: tuple[float, dict[str, bool]] | None = None

    async def look(self) -> Ready:
        """One look; at most one a second goes to the database, however many ask."""
        now = time.monotonic()
        if self._found is None or now - self._found[0] > 1.0:
            self._found = now, await self._checks()
        checks = {**self._found[1], "accepting": self._accepting()}
        return Ready(ready=all(checks.values()), checks=checks)

    def open(self) -> None:
        """Looks again after `close`."""
        self._found = None
        self._workers.open()

    def close(self) -> None:
        """Lets go of its threads."""
        self._workers.close(wait=False)

    async def _checks(self) -> dict[str, bool]:
        looks: dict[str, Callable[[], bool]] = {"release": lambda: bool(self.engine.about.release)}
        if self.sink is not None:
            looks["history"] = self._sink_is_well
        found = await asyncio.gather(*map(self._check, looks.values()))
        return dict(zip(looks, found, strict=True))

    def _sink_is_well(self) -> bool:
        assert self.sink is not None
        self.health = self.sink.health()
        return self.health.ok

    async def _check(self, look: Callable[[], bool]) -> bool:
        try:
            return await self._workers.run(look, READY_SECONDS)
        except TrafficError:
            return False
        except Exception:
            log.exception("a readiness check failed")
            return False


def operations(work: Work, readiness: Readiness, releases: ReleaseAdmin | None) -> APIRouter:
    """The routes for whoever runs the server."""
    router = APIRouter(tags=["server"])

    @router.get("/v1/health", response_model=Health)
    async def health() -> Health:
        """The process is alive. Says nothing about its work: see `/v1/ready`."""
        return Health(version=bowerbird.__version__)

    @router.get(
        "/v1/ready",
        response_model=Ready,
        responses={503: {"model": Ready, "description": "Send requests elsewhere for now."}},
    )
    async def ready(response: Response) -> Ready:
        """Whether requests should be sent here: a release is loaded, the history answers, no shutdown has begun."""
        found = await readiness.look()
        response.status_code = 200 if found.ready else 503
        return found

    # Not JSON and not for clients of the API: left out of the document.
    @router.get("/v1/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(await asyncio.to_thread(work.metrics.text), media_type=CONTENT_TYPE)

    _add_traffic(router, work, readiness, releases)
    if releases is not None:
        _add_releases(router, work, releases)
    return router


def _add_traffic(router: APIRouter, work: Work, readiness: Readiness, releases: ReleaseAdmin | None) -> None:
    window = Window(work.metrics.registry)

    @router.get("/v1/traffic", response_model=Traffic)
    async def traffic() -> Traffic:
        """What the server is doing: requests and their latencies by route, time by stage, batches, the release, the
        memory for encoded histories, and where events are kept. `/v1/metrics` has the same for Prometheus."""
        checks = (await readiness.look()).checks
        engine = readiness.engine

        def found() -> Traffic:
            recent, total = window.look()
            state = ReleaseState(engine.about.release) if releases is None else releases.state()
            return Traffic(
                time=time.time_ns() // 1_000_000,
                recent=recent,
                total=total,
                serving=state.serving,
                active=state.active,
                previous=state.previous,
                refused=state.refused,
                pool=pool_of(engine),
                history=kept_events(readiness.health, ok=checks["history"]) if "history" in checks else None,
            )

        return await work(found)


def _add_releases(router: APIRouter, work: Work, releases: ReleaseAdmin) -> None:
    @router.get("/v1/release", response_model=Release)
    async def release() -> ReleaseState:
        """Which release answers, and which should."""
        return await work(releases.state)

    @router.post(
        "/v1/admin/rollback",
        response_model=Release,
        responses={409: {"model": messages.Faults, "description": "There is nothing to go back to."}},
    )
    async def rollback() -> Any:
        """Goes back to the release that was active before; requests in flight end on the one they began with."""
        try:
            return await work(releases.rollback)
        except TrafficError:
            raise
        except BowerbirdError as error:
            word = reference()  # the reason names folders: it is for the log
            log.warning("rollback refused, reference %s: %s", word, error)
            text = f"nothing was changed: there is no release to go back to, or it is damaged (log: {word})"
            return fault(409, "rollback", text)
