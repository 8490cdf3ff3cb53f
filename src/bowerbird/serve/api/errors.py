"""Every answer that is not a success has one shape, and says nothing about the machine."""

from __future__ import annotations

import logging
import math
import secrets

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from bowerbird.serve import request as asked
from bowerbird.serve.api.messages import Fault, Faults
from bowerbird.serve.engine import UnknownEntityError
from bowerbird.serve.online.errors import OnlineError
from bowerbird.serve.traffic import Busy, ClosedError, DeadlineError

log = logging.getLogger("bowerbird.serve")


def fault(
    status: int, code: str, message: str, field: str | None = None, *, retry_after: float | None = None
) -> Response:
    """An error answer with one fault.

    Args:
        status: HTTP status.
        code: For programs.
        message: For people.
        field: The part of the request at fault.
        retry_after: Seconds; rounded up to whole ones, as the header wants them.
    """
    answer = faults(status, [Fault(code=code, field=field, message=message)])
    if retry_after is not None:
        answer.headers["retry-after"] = str(max(1, math.ceil(retry_after)))
    return answer


def faults(status: int, found: list[Fault]) -> Response:
    """An error answer."""
    body = Faults(errors=found).model_dump_json().encode("utf-8", errors="replace")
    return Response(body, status, media_type="application/json")


def reference() -> str:
    """A short word that stands in an answer and in the log, so that one is found by the other."""
    return secrets.token_hex(4)


def add_error_answers(app: FastAPI) -> None:
    """Turns what routes raise into answers."""

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        found = []
        for entry in error.errors():
            place = [str(part) for part in entry["loc"] if part not in ("body", "query", "path")]
            text = entry["msg"].removeprefix("Value error, ")
            found.append(Fault(code="invalid", field=".".join(place)[:200] or None, message=text[:500]))
        return faults(422, found[:20])

    @app.exception_handler(asked.RequestError)
    async def refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, asked.RequestError)
        return fault(422, "invalid", str(error), error.field)

    @app.exception_handler(UnknownEntityError)
    async def unknown(_: Request, error: Exception) -> Response:
        return fault(404, "not_found", str(error))

    @app.exception_handler(Busy)
    async def busy(_: Request, error: Exception) -> Response:
        assert isinstance(error, Busy)
        return fault(429, "busy", str(error), retry_after=error.retry_after)

    @app.exception_handler(DeadlineError)
    async def late(_: Request, error: Exception) -> Response:
        return fault(504, "deadline", str(error))

    @app.exception_handler(ClosedError)
    async def closed(_: Request, error: Exception) -> Response:
        return fault(503, "closing", str(error), retry_after=1.0)

    @app.exception_handler(OnlineError)
    async def unkept(_: Request, error: Exception) -> Response:
        assert isinstance(error, OnlineError)
        # The reason may name a file or a database server: it is for the log.
        word = reference()
        log.warning("the online history refused, reference %s: %s", word, error)
        text = "the history cannot be used right now; posting the same events again later is safe"
        return fault(
            503, "history", f"{text} (the log has the details under {word})", retry_after=error.retry_after
        )

    @app.exception_handler(HTTPException)
    async def plain(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        answer = fault(error.status_code, "http", str(error.detail))
        for name, value in (error.headers or {}).items():  # e.g. `allow` of a 405
            answer.headers[name] = value
        return answer
