"""Follows each request: its id in and out, its line in the log, its time in the metrics."""

from __future__ import annotations

import logging
import re
import secrets
import sys
import time
from contextvars import ContextVar
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bowerbird.serve.api.metrics import Metrics

access = logging.getLogger("bowerbird.serve.access")

HEADER = "x-request-id"

_current: ContextVar[str] = ContextVar("bowerbird_request_id", default="-")
_GIVEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))


def request_id() -> str:
    """Id of the request being worked on, on whichever thread; `-` outside of one."""
    return _current.get()


class Trace:
    """ASGI middleware, the outermost.

    The id is the one the client sent in `x-request-id`, where it is a plain word of at most 64 characters, else a new
    one. The log line has the route's template and never the path, the query or a header: ids of users stay out of the
    log, and so does a key that somebody put into an address by mistake.

    Args:
        app: What is followed.
        metrics: Where requests are counted.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        id = given if _GIVEN.fullmatch(given) else secrets.token_hex(8)
        status = 499  # the client went away before an answer began

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = id
            await send(message)

        token = _current.set(id)
        started = time.perf_counter()
        try:
            await self.app(scope, receive, answer)
        finally:
            elapsed = time.perf_counter() - started
            route = route_of(scope)
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self.metrics.request(method, route, status, elapsed)
            access.info(
                "%s %s %d %.1f ms request=%s key=%s",
                method, route, status, elapsed * 1000, id, scope.get("state", {}).get("key_id", "-"),
            )  # fmt: skip
            _current.reset(token)


def route_of(scope: Scope) -> str:
    """The template of the route that answered, e.g. `/v1/items/{item}`; there are only so many of them."""
    template: Any = getattr(scope.get("route"), "path", None)
    if not isinstance(template, str):
        return "/console" if scope["path"].startswith("/console/") else "none"
    return template.replace(":path}", "}") or "/"


class _AddId(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        """Gives every record the id of its request."""
        record.request_id = request_id()
        return True


def log_to_stderr(level: int) -> None:
    """Sends what the server logs to stderr, each line with the id of its request."""
    logger = logging.getLogger("bowerbird.serve")
    logger.setLevel(level)
    if any(isinstance(flt, _AddId) for handler in logger.handlers for flt in handler.filters):
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_AddId())
    handler.setFormatter(
        logging.Formatter("%(asctime)s %(levelname)s [%(request_id)s] %(name)s: %(message)s")
    )
    logger.addHandler(handler)
