"""Runs the application on a socket."""

from __future__ import annotations

import socket

import uvicorn

from bowerbird.serve.api.app import LOCAL_HOSTS, create_app
from bowerbird.serve.engine import Engine
from bowerbird.tables.errors import BowerbirdError


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


def run(engine: Engine, found: socket.socket) -> None:
    """Serves until interrupted.

    A socket bound to a loopback address answers to loopback host names only; any other answers to every name.
    """
    host = found.getsockname()[0]
    hosts = LOCAL_HOSTS if host in LOCAL_HOSTS else None
    config = uvicorn.Config(
        create_app(engine, hosts=hosts), log_level="warning", access_log=False, timeout_keep_alive=30,
        limit_concurrency=256, server_header=False,
    )  # fmt: skip
    uvicorn.Server(config).run(sockets=[found])
