"""The HTTP application: routes, the console's files, and the layers around them.

A request passes, from the outside in: `Trace` (id, log, metrics), `Limits` (host, size, time, unexpected errors),
`Gate` (key, scope, rate), the route, and then a thread of `Workers` that calls the engine.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.responses import RedirectResponse
from fastapi.staticfiles import StaticFiles

import bowerbird
from bowerbird.serve.api import messages
from bowerbird.serve.api.errors import add_error_answers
from bowerbird.serve.api.gate import Access, Gate, scope_of
from bowerbird.serve.api.limits import Limits
from bowerbird.serve.api.metrics import Metrics
from bowerbird.serve.api.ports import Answers, EventSink, ReleaseAdmin
from bowerbird.serve.api.routes.answers import answers
from bowerbird.serve.api.routes.around import around
from bowerbird.serve.api.routes.events import events as posting
from bowerbird.serve.api.routes.operations import Readiness, operations
from bowerbird.serve.api.routes.work import Work
from bowerbird.serve.api.trace import Trace
from bowerbird.serve.traffic import Workers

CONSOLE = Path(__file__).parent.parent / "console"
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")

_ABOUT = """\
Recommendations from one store with one model. Every answer says how it came about: the outcome, the
generation step and the stage behind each item, timings by stage, the release that answered, and notes on
whatever was not as asked.
An unknown user is no error: the answer falls back to what is popular and says so.

Every answer carries `x-request-id`: the one sent along, or a new one. It is in the server's log.
"""
_WAIT = {"headers": {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}}
_FAULTS: dict[int | str, dict[str, Any]] = {
    status: {"model": messages.Faults, "description": says, **(_WAIT if status in (429, 503) else {})}
    for status, says in {
        400: "The body cannot be read.",
        401: "A key is needed, and there is none or it is unknown.",
        403: "The key lacks the scope.",
        408: "The request did not arrive in time.",
        413: "The body is too large.",
        421: "The server does not answer to that host name.",
        422: "The request cannot be meant as written.",
        429: "Too many requests, or too many are waiting.",
        503: "Not now; trying again later is safe.",
        504: "There was no answer in time.",
    }.items()
}


@dataclass(frozen=True)
class Load:
    """How much is worked on at once.

    Attributes:
        threads: Requests inside the engine at the same time; most of them wait for the model's thread there.
        max_waiting: Requests that wait for a thread; more are answered 429.
        timeout_s: Seconds a request may take, waiting included; then it is answered 504.
    """

    threads: int = 32
    max_waiting: int = 256
    timeout_s: float = 10.0


@dataclass
class Lifecycle:
    """Whether the server is about to stop; `app.state.lifecycle`."""

    draining: bool = False


def create_app(
    engine: Answers,
    *,
    hosts: Collection[str] | None = LOCAL_HOSTS,
    access: Access | None = None,
    events: EventSink | None = None,
    releases: ReleaseAdmin | None = None,
    metrics: Metrics | None = None,
    load: Load | None = None,
) -> FastAPI:
    """The application for one engine.

    Args:
        engine: What answers.
        hosts: Host names the server answers to; None = any (for use behind a proxy that checks them).
        access: Keys and rates; None = everybody may do everything, for tests and for a server that only this machine
            can reach.
        events: Where posted events go; None = there is no such route.
        releases: What is served; None = there are no such routes.
        metrics: Where everything is counted; None = new ones.
        load: How much is worked on at once.
    """
    access, metrics, load = access or Access(), metrics or Metrics(), load or Load()
    workers = Workers(load.threads, load.max_waiting)
    work = Work(workers, load.timeout_s, metrics)
    lifecycle = Lifecycle()
    readiness = Readiness(engine, events, lambda: not lifecycle.draining)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> Any:
        if lifecycle.draining:  # stopped and started again
            lifecycle.draining = False
            workers.open()
            readiness.open()
        yield
        lifecycle.draining = True
        # No waiting: every request has been answered by now, and a call that hangs must not keep the server up.
        workers.close(wait=False)
        readiness.close()

    app = FastAPI(
        title="Bowerbird", version=bowerbird.__version__, description=_ABOUT, docs_url=None, redoc_url=None,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"}, responses=_FAULTS, lifespan=lifespan,
    )  # fmt: skip
    app.state.lifecycle, app.state.metrics = lifecycle, metrics
    # First: an item's id may hold slashes, so the route of items takes whatever is left.
    app.include_router(around(engine, work))
    app.include_router(answers(engine, work))
    if events is not None:
        app.include_router(posting(events, work))
    app.include_router(operations(work, readiness, releases))

    @app.get("/", include_in_schema=False)
    def root() -> RedirectResponse:
        return RedirectResponse("/console/")

    add_error_answers(app)
    app.mount("/console", StaticFiles(directory=CONSOLE, html=True), name="console")
    _describe_keys(app, needed=access.keys is not None)
    _add_metrics(metrics, engine, workers, releases)
    for layer, settings in (  # the last one added is the outermost
        (Gate, {"access": access, "metrics": metrics}),
        (Limits, {"hosts": hosts}),
        (Trace, {"metrics": metrics}),
    ):
        app.add_middleware(layer, **settings)
    return app


def _describe_keys(app: FastAPI, *, needed: bool) -> None:
    """Says in the OpenAPI document which scope each route needs, from the same table that the gate reads."""
    plain = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is not None:
            return app.openapi_schema
        document = plain()
        scheme = {"type": "http", "scheme": "bearer", "description": "A key made by `bowerbird keys create`."}
        document.setdefault("components", {})["securitySchemes"] = {"key": scheme}
        for path, methods in document["paths"].items():
            scope = scope_of(path)
            for operation in methods.values():
                if scope is None:
                    for status in ("401", "403"):
                        operation["responses"].pop(status, None)
                else:
                    operation["security"] = [{"key": []}]
                    operation["description"] += f"\n\nNeeds a key with the scope `{scope}`."
        return document

    if needed:
        app.openapi = described  # type: ignore[method-assign]


def _add_metrics(metrics: Metrics, engine: Answers, workers: Workers, releases: ReleaseAdmin | None) -> None:
    def release() -> dict[str, float]:
        return {releases.state().serving if releases is not None else engine.about.release: 1.0}

    metrics.follow("bowerbird_release_info", "1 for the release that answers.", release, label="release")
    metrics.follow("bowerbird_requests_waiting", "Requests that wait for a thread.", lambda: workers.waiting)
