"""Runs the application on a socket."""

from __future__ import annotations

import gc
import logging
import signal
import socket
import sys
import time
from types import FrameType

import uvicorn

from bowerbird.serve.api.app import LOCAL_HOSTS, Lifecycle, Load, create_app
from bowerbird.serve.api.gate import Access
from bowerbird.serve.api.metrics import Metrics
from bowerbird.serve.api.ports import Answers, EventSink, ReleaseAdmin
from bowerbird.serve.api.trace import log_to_stderr
from bowerbird.serve.api.wire import Wire
from bowerbird.serve.traffic.rates import is_loopback
from bowerbird.tables.errors import BowerbirdError

_TURN_S = 0.001
"""How long a thread may keep the interpreter while others wait (Python's own is 5 ms): the threads of the model would
otherwise hold up the one that reads and writes requests for as long, several times a request."""
_MAX_CONNECTIONS = 1024
"""Open connections, idle ones included; far above what is worked on at once, so that clients are told 429 by `Load`."""


class AddressError(BowerbirdError):
    """The address cannot be listened on."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on an address; port 0 picks a free one. Visitors wait until `run` serves them.

    Raises:
        AddressError: The port is taken, or the host is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
        found.listen(128)
    except (OSError, OverflowError) as error:
        found.close()
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise AddressError(
            f"cannot listen on {host}:{port}: {reason}; choose another --port or --host"
        ) from error
    return found


def address(found: socket.socket) -> str:
    """The address a person opens in a browser."""
    host, port = found.getsockname()[:2]
    host = "localhost" if host in ("0.0.0.0", "::") else host
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def is_local(found: socket.socket) -> bool:
    """Whether only this machine can reach a socket."""
    return is_loopback(found.getsockname()[0])


def run(
    engine: Answers,
    found: socket.socket,
    *,
    access: Access | None = None,
    events: EventSink | None = None,
    releases: ReleaseAdmin | None = None,
    metrics: Metrics | None = None,
    load: Load | None = None,
    drain_s: float = 0.0,
    access_log: bool = False,
) -> None:
    """Serves until interrupted (SIGINT) or terminated (SIGTERM); requests in flight are finished.

    A socket bound to a loopback address answers to loopback host names only; any other answers to every name.

    Args:
        engine: What answers.
        found: A listening socket.
        access: Keys and rates; None = no keys, on a loopback address only.
        events: Where posted events go.
        releases: What is served.
        metrics: Where everything is counted.
        load: How much is worked on at once.
        drain_s: Seconds to go on serving after SIGTERM, while `/v1/ready` already says no.
        access_log: Log a line for each request.

    Raises:
        AddressError: No keys, on an address that others can reach.
    """
    if not is_local(found) and (access is None or access.keys is None):
        raise AddressError(
            "a server that others can reach needs keys; leave out --no-auth, or listen on 127.0.0.1"
        )
    load = load or Load()
    app = create_app(
        engine, hosts=LOCAL_HOSTS if is_local(found) else None, access=access, events=events, releases=releases,
        metrics=metrics, load=load,
    )  # fmt: skip
    log_to_stderr(logging.INFO if access_log else logging.WARNING)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_keep_alive=30, limit_concurrency=_MAX_CONNECTIONS,
        server_header=False, ws="none", http=Wire, timeout_graceful_shutdown=int(load.timeout_s) + 2,
    )  # fmt: skip
    sys.setswitchinterval(_TURN_S)
    gc.collect()
    gc.freeze()  # what was opened stays: a collection that walks through it would hold up every request
    _Server(config, app.state.lifecycle, drain_s).run(sockets=[found])


class _Server(uvicorn.Server):
    """Says that it is not ready before it stops, and returns after SIGTERM so that files and databases get closed."""

    def __init__(self, config: uvicorn.Config, lifecycle: Lifecycle, drain_s: float) -> None:
        super().__init__(config)
        self._lifecycle, self._drain_s = lifecycle, drain_s
        self._stop_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Takes a signal to stop; a second one does not wait for the drain."""
        self._lifecycle.draining = True
        if sig == signal.SIGTERM:
            if self._drain_s > 0 and self._stop_at is None:
                self._stop_at = time.monotonic() + self._drain_s
            else:
                self.should_exit = True
            return
        super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """Ends the drain."""
        if self._stop_at is not None and time.monotonic() >= self._stop_at:
            self.should_exit = True
        return await super().on_tick(counter)
