"""Guards around every request: known hosts, bounded bodies, and headers that keep the page to itself."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bowerbird.serve.api.errors import fault, reference
from bowerbird.serve.api.trace import request_id

log = logging.getLogger("bowerbird.serve")

MAX_BODY = 256 * 1024
"""Largest request body in bytes."""

BODY_SECONDS = 10.0
"""Longest time a request may take to arrive."""

_HEADERS = {
    # The page brings all it needs: nothing is loaded from, sent to, or framed by anyone else.
    "content-security-policy": "; ".join(
        (
            "default-src 'self'",
            "img-src 'self' data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


class Limits:
    """ASGI middleware.

    A request for a host this server does not answer to is refused (which stops web pages that point their
    own name at a local server), a body over `MAX_BODY` is refused with 413 before it is held in memory, one that
    does not arrive in time with 408, and an unexpected error becomes a plain 500 with a reference that is found in
    the log, without a traceback.

    Args:
        app: What is guarded.
        hosts: Host names this server answers to; None = any.
        body_seconds: Longest time a request may take to arrive.
    """

    def __init__(
        self, app: ASGIApp, hosts: Collection[str] | None, body_seconds: float = BODY_SECONDS
    ) -> None:
        self.app, self.body_seconds = app, body_seconds
        self.hosts = None if hosts is None else {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if self.hosts is not None and host_name(headers.get("host", "")) not in self.hosts:
            await fault(421, "unknown_host", "this server does not answer to that host name")(
                scope, receive, send
            )
            return
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > MAX_BODY:
            await _too_large()(scope, receive, send)
            return
        exchange = _Exchange(receive, send, time.monotonic() + self.body_seconds)
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except Exception:
            # Whatever the application made of a body that was cut off is not the server's fault.
            if exchange.cut_off is None:
                await self._unexpected(scope, exchange)
        if exchange.cut_off is not None:
            await exchange.cut_off(scope, receive, send)

    async def _unexpected(self, scope: Scope, exchange: _Exchange) -> None:
        word = reference()
        log.exception("request %s failed, reference %s", request_id(), word)
        if not exchange.started:
            text = f"something went wrong here; the server's log has the details under {word}"
            await fault(500, "internal", text)(scope, exchange.receive, exchange.send)


class _Exchange:
    """The two channels of one request: counts what comes in, adds headers to what goes out."""

    def __init__(self, receive: Receive, send: Send, due: float) -> None:
        self._receive, self._send = receive, send
        self._due = due
        self._received = 0
        self._complete = False
        self.started = False
        self.cut_off: Response | None = None
        """The answer to a request that was not read to its end."""

    async def receive(self) -> Message:
        if self._complete:  # from here on it only waits for the client to go away
            return await self._receive()
        try:
            async with asyncio.timeout(max(0.0, self._due - time.monotonic())):
                message = await self._receive()
        except TimeoutError:
            self.cut_off = _too_slow()
            return {"type": "http.disconnect"}
        self._complete = not message.get("more_body", False)
        self._received += len(message.get("body", b""))
        if self._received > MAX_BODY:
            self.cut_off = _too_large()
            return {"type": "http.disconnect"}
        return message

    async def send(self, message: Message) -> None:
        if self.cut_off is not None:
            return
        if message["type"] == "http.response.start":
            self.started = True
            out = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                out.setdefault(name, value)
        await self._send(message)


def _too_large() -> Response:
    return fault(413, "too_large", f"the request is larger than {MAX_BODY // 1024} KiB")


def _too_slow() -> Response:
    answer = fault(408, "too_slow", "the request did not arrive in time")
    answer.headers["connection"] = "close"  # the rest of it may still come; nobody will read it
    return answer


def host_name(header: str) -> str:
    """The name in a Host header, without port or brackets, lower case."""
    text = header.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0]
