"""The HTTP application: thin routes over the engine, and the console's files."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

import bowerbird
from bowerbird.serve import request as asked
from bowerbird.serve import response as answered
from bowerbird.serve.api import messages
from bowerbird.serve.api.limits import Limits, fault, faults
from bowerbird.serve.engine import Engine, UnknownEntityError

CONSOLE = Path(__file__).parent.parent / "console"
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")

_ABOUT = """\
Recommendations from one store with one model. Every answer says how it came about: the outcome, the
generation step and the stage behind each item, timings by stage, the release that answered, and notes on
whatever was not as asked.
An unknown user is no error: the answer falls back to what is popular and says so.
"""
_FAULTS: dict[int | str, dict[str, Any]] = {
    413: {"model": messages.Faults, "description": "The body is too large."},
    422: {"model": messages.Faults, "description": "The request cannot be meant as written."},
}
_NOT_FOUND: dict[int | str, dict[str, Any]] = {
    404: {"model": messages.Faults, "description": "There is none."}
}

Search = Annotated[str, Query(max_length=200, description="Words to search for; empty: all.")]
Limit = Annotated[int, Query(ge=1, le=messages.MAX_K, description="At most so many.")]
K = Annotated[int, Query(ge=1, le=messages.MAX_K, description="Number of items.")]


def create_app(engine: Engine, *, hosts: Collection[str] | None = LOCAL_HOSTS) -> FastAPI:
    """The application for one engine.

    Args:
        engine: What answers.
        hosts: Host names the server answers to; None = any (for use behind a proxy that checks them).
    """
    app = FastAPI(
        title="Bowerbird", version=bowerbird.__version__, description=_ABOUT, docs_url=None, redoc_url=None,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"}, responses=_FAULTS,
    )  # fmt: skip
    _add_routes(app, engine)
    _add_error_answers(app)
    app.mount("/console", StaticFiles(directory=CONSOLE, html=True), name="console")
    app.add_middleware(Limits, hosts=hosts)
    return app


def _add_routes(app: FastAPI, engine: Engine) -> None:
    # Routes are plain functions, so they run on worker threads; the response model is serialised by pydantic
    # in one pass straight to bytes.
    @app.post("/v1/recommendations", response_model=messages.Recommendations, tags=["recommend"])
    def recommendations(body: messages.RecommendationRequest) -> answered.Response:
        """Recommendations for a user, or for a history sent along."""
        return engine.recommend(body.to_engine())

    @app.get("/v1/similar/{item:path}", response_model=messages.Similar, tags=["recommend"])
    def similar(item: str, k: K = 20) -> answered.Similar:
        """Items like one item."""
        return engine.similar(item, k)

    @app.get("/v1/users", response_model=messages.Users, tags=["browse"])
    def users(search: Search = "", limit: Limit = 20) -> dict[str, Any]:
        """Users whose id holds the search text, most active first."""
        return {"users": engine.users(search, limit)}

    @app.get(
        "/v1/users/{user:path}/history",
        response_model=messages.Timeline,
        responses=_NOT_FOUND,
        tags=["browse"],
    )
    def history(user: str, limit: Limit = 100) -> answered.Timeline:
        """A user's events, newest first."""
        return engine.history(user, limit)

    @app.get("/v1/items", response_model=messages.Items, tags=["browse"])
    def items(search: Search = "", limit: Limit = 20) -> dict[str, Any]:
        """Items whose title or id holds every word of the search text, most popular first."""
        return {"items": engine.items(search, limit)}

    @app.get("/v1/items/{item:path}", response_model=messages.Item, responses=_NOT_FOUND, tags=["browse"])
    def item(item: str) -> answered.ItemCard:
        """One item."""
        return engine.item(item)

    @app.get("/v1/about", response_model=messages.About, tags=["server"])
    def about() -> answered.About:
        """What is served: the data, the model, the outcomes a request can weigh, the category columns."""
        return engine.about

    @app.get("/v1/health", response_model=messages.Health, tags=["server"])
    def health() -> messages.Health:
        """The server is up."""
        return messages.Health(version=bowerbird.__version__, release=engine.generator.release)

    @app.get("/", include_in_schema=False)
    def root() -> RedirectResponse:
        return RedirectResponse("/console/")


def _add_error_answers(app: FastAPI) -> None:
    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        found = []
        for entry in error.errors():
            place = [str(part) for part in entry["loc"] if part not in ("body", "query", "path")]
            text = entry["msg"].removeprefix("Value error, ")
            found.append(
                messages.Fault(code="invalid", field=".".join(place)[:200] or None, message=text[:500])
            )
        return faults(422, found[:20])

    @app.exception_handler(asked.RequestError)
    async def refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, asked.RequestError)
        return fault(422, "invalid", str(error), error.field)

    @app.exception_handler(UnknownEntityError)
    async def unknown(_: Request, error: Exception) -> Response:
        return fault(404, "not_found", str(error))

    @app.exception_handler(HTTPException)
    async def plain(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return fault(error.status_code, "http", str(error.detail))
