"""Guards around every request: known hosts, bounded bodies, and headers that keep the page to itself."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bowerbird.serve.api.messages import Fault, Faults

log = logging.getLogger("bowerbird.serve")

MAX_BODY = 256 * 1024
"""Largest request body in bytes."""

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


def fault(status: int, code: str, message: str, field: str | None = None) -> Response:
    """An error answer with one fault."""
    return faults(status, [Fault(code=code, field=field, message=message)])


def faults(status: int, found: list[Fault]) -> Response:
    """An error answer."""
    body = Faults(errors=found).model_dump_json().encode("utf-8", errors="replace")
    return Response(body, status, media_type="application/json")


class Limits:
    """ASGI middleware.

    A request for a host this server does not answer to is refused (which stops web pages that point their
    own name at a local server), a body over `MAX_BODY` is refused with 413 before it is held in memory, and
    an unexpected error becomes a plain 500 with a reference that is found in the log, without a traceback.

    Args:
        app: What is guarded.
        hosts: Host names this server answers to; None = any.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] | None) -> None:
        self.app = app
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
        exchange = _Exchange(receive, send)
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except Exception:
            # Whatever the application made of a body that was cut off is not the server's fault.
            if not exchange.cut_off:
                await self._unexpected(scope, exchange)
        if exchange.cut_off:
            await _too_large()(scope, receive, send)

    async def _unexpected(self, scope: Scope, exchange: _Exchange) -> None:
        reference = secrets.token_hex(4)
        log.exception("request failed, reference %s", reference)
        if not exchange.started:
            text = f"something went wrong here; the server's log has the details under {reference}"
            await fault(500, "internal", text)(scope, exchange.receive, exchange.send)


class _Exchange:
    """The two channels of one request: counts what comes in, adds headers to what goes out."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._received = 0
        self.started = False
        self.cut_off = False

    async def receive(self) -> Message:
        message = await self._receive()
        self._received += len(message.get("body", b""))
        if self._received > MAX_BODY:
            self.cut_off = True
            return {"type": "http.disconnect"}
        return message

    async def send(self, message: Message) -> None:
        if self.cut_off:
            return
        if message["type"] == "http.response.start":
            self.started = True
            out = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                out.setdefault(name, value)
        await self._send(message)


def _too_large() -> Response:
    return fault(413, "too_large", f"the request is larger than {MAX_BODY // 1024} KiB")


def host_name(header: str) -> str:
    """The name in a Host header, without port or brackets, lower case."""
    text = header.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0]
