"""Who may do what, how often. Nothing behind the gate sees a key."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from bowerbird.serve.api import keys as api_keys
from bowerbird.serve.api.errors import fault
from bowerbird.serve.api.metrics import Metrics
from bowerbird.serve.traffic.rates import Rates, is_loopback, network_of

_OPEN = frozenset(("/", "/openapi.json", "/v1/health", "/v1/ready", "/console"))
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")
_SAFE = ("GET", "HEAD", "OPTIONS")


def scope_of(path: str) -> api_keys.Scope | None:
    """The scope a path needs; None = no key. Whatever is not listed needs one, so a new route is never open by mistake.

    Args:
        path: Without the prefix the application is mounted under.
    """
    if path in _OPEN or path.startswith("/console/"):
        return None
    if path == "/v1/events":
        return "write"
    if path.startswith("/v1/admin/"):
        return "admin"
    return "read"


@dataclass(frozen=True)
class Access:
    """Who is let in, and how often each may ask.

    Attributes:
        keys: Accepted keys; None = everybody may do everything, which only a server on a loopback address offers.
        per_key: Requests of one key, or of one address where no keys are asked for.
        per_address: Requests of one address without a key (where a path needs one, they are refused anyway).
        attempts: Wrong keys from one address.
    """

    keys: api_keys.KeyRing | None = None
    per_key: Rates = field(default_factory=lambda: Rates(per_second=500, burst=1000))
    per_address: Rates = field(default_factory=lambda: Rates(per_second=10, burst=50))
    attempts: Rates = field(default_factory=lambda: Rates(per_second=0.2, burst=10))


class _Refusal(NamedTuple):
    reason: Literal["key", "attempts", "scope", "rate", "origin"]
    answer: Response


class Gate:
    """ASGI middleware: keys, scopes and rates, before a body is read.

    A wrong key is answered 401, and 429 once an address has sent too many. Keys that are right pass all the same:
    otherwise one broken client could lock out everybody behind the same address. Guessing 256 bits is hopeless at any
    rate; the limit protects the log and the processor.

    Args:
        app: What is guarded.
        access: Who is let in.
        metrics: Where refusals are counted.
    """

    def __init__(self, app: ASGIApp, access: Access, metrics: Metrics) -> None:
        self.app, self.access, self.metrics = app, access, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":  # none is offered
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] == "http":
            refusal = self._refuse(scope)
            if refusal is not None:
                self.metrics.refused(refusal.reason)
                await refusal.answer(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _refuse(self, scope: Scope) -> _Refusal | None:
        path = _path(scope)
        needed = scope_of(path)
        if needed is None:
            return None
        headers = Headers(scope=scope)
        host = (scope.get("client") or ("", 0))[0]
        if self.access.keys is None:
            return _foreign(scope["method"], headers) or _too_often(self.access.per_key, network_of(host))
        shown = headers.get("authorization")
        if shown is None:
            # A Prometheus on the same machine needs no key. One behind a proxy on this machine is somebody else.
            local = is_loopback(host) and not any(name in headers for name in _FORWARDED)
            if local and path == "/v1/metrics":
                return None
            return _too_often(self.access.per_address, network_of(host)) or _Refusal(
                "key", _unauthorised("this needs a key: Authorization: Bearer bb_...")
            )
        return self._check(self.access.keys, shown, needed, network_of(host), scope)

    def _check(
        self, keys: api_keys.KeyRing, shown: str, needed: api_keys.Scope, address: str, scope: Scope
    ) -> _Refusal | None:
        scheme, _, text = shown.partition(" ")
        record = keys.check(text.strip()) if scheme.lower() == "bearer" else None
        if record is None:
            wait = self.access.attempts.take(address)
            if wait:
                text = "too many wrong keys from this address"
                return _Refusal("attempts", fault(429, "rate", text, retry_after=wait))
            return _Refusal("key", _unauthorised("this key is not known here; it may have been revoked"))
        scope.setdefault("state", {})["key_id"] = record.id
        too_often = _too_often(self.access.per_key, record.id)
        if too_often is not None:
            return too_often
        if needed not in record.scopes:
            text = f"this key has {_listed(record.scopes)}; this needs the scope {needed}"
            return _Refusal("scope", fault(403, "forbidden", text))
        return None


def _path(scope: Scope) -> str:
    path: str = scope["path"]
    root: str = scope.get("root_path", "").rstrip("/")
    return path[len(root) :] if root and path.startswith(f"{root}/") else path


def _too_often(rates: Rates, caller: str) -> _Refusal | None:
    wait = rates.take(caller)
    if not wait:
        return None
    return _Refusal("rate", fault(429, "rate", "too many requests; slow down", retry_after=wait))


def _foreign(method: str, headers: Headers) -> _Refusal | None:
    """Without keys, a page of another site could post to a server on the visitor's own machine."""
    origin = headers.get("origin")
    if method in _SAFE or origin is None or origin.partition("://")[2] == headers.get("host"):
        return None
    return _Refusal("origin", fault(403, "origin", "this server takes no changes from pages of other sites"))


def _unauthorised(text: str) -> Response:
    answer = fault(401, "unauthorized", text)
    answer.headers["www-authenticate"] = "Bearer"
    return answer


def _listed(scopes: tuple[api_keys.Scope, ...]) -> str:
    return f"the scope{'s' if len(scopes) > 1 else ''} {' and '.join(scopes)}"
