"""Connections that dawdle or overflow, byte by byte on a real socket."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from bowerbird.serve.api import wire
from bowerbird.serve.api.server import address, listen

LONG = 20.0


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    """A server that echoes bodies and is out of patience after a tenth of a second."""
    monkeypatch.setattr(wire, "HEADER_SECONDS", 0.1)

    async def echo(request: Request) -> PlainTextResponse:
        return PlainTextResponse((await request.body()).decode())

    app = Starlette(routes=[Route("/", echo, methods=["GET", "POST"])])
    found = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", http=wire.Wire, timeout_keep_alive=30))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [found]}, daemon=True)
    thread.start()
    ended = time.monotonic() + LONG
    while not server.started and thread.is_alive() and time.monotonic() < ended:
        time.sleep(0.01)
    parts = urlsplit(address(found))
    assert parts.hostname is not None and parts.port is not None
    yield parts.hostname, parts.port
    server.should_exit = True
    thread.join(LONG)


def said(connection: socket.socket) -> bytes:
    """Everything until the server closes."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def answer(connection: socket.socket, body: bytes) -> bytes:
    """What comes until the body was echoed."""
    got = b""
    while not got.endswith(body):
        part = connection.recv(65536)
        assert part, f"closed after {got!r}"
        got += part
    return got


@pytest.mark.parametrize("begun", [b"", b"POST / HTTP/1.1\r\nhost: x\r\nx-slow: "])
def test_headers_that_never_end_lose_the_connection(place: tuple[str, int], begun: bytes) -> None:
    with socket.create_connection(place, timeout=LONG) as connection:
        connection.sendall(begun)
        assert said(connection) == b""


def test_a_request_in_pieces_is_answered_and_so_is_the_next_one(place: tuple[str, int]) -> None:
    with socket.create_connection(place, timeout=LONG) as connection:
        for body in (b"one", b"and another"):
            head = f"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode()
            connection.sendall(head[:20])
            connection.sendall(head[20:] + body[:1])
            connection.sendall(body[1:])
            assert answer(connection, body).startswith(b"HTTP/1.1 200")
            threading.Event().wait(0.15)  # longer than the patience with headers: an idle connection may stay
        connection.sendall(b"POST / HTTP/1.1\r\nhost: x\r\n")
        assert said(connection) == b"", "the third one dawdles"


def test_a_body_may_take_longer_than_the_headers(place: tuple[str, int]) -> None:
    with socket.create_connection(place, timeout=LONG) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nsl")
        threading.Event().wait(0.15)
        connection.sendall(b"ow")
        assert answer(connection, b"slow").startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("first", [b"", b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nok"])
def test_headers_without_end_are_refused(place: tuple[str, int], first: bytes) -> None:
    with socket.create_connection(place, timeout=LONG) as connection:
        if first:
            connection.sendall(first)
            answer(connection, b"ok")
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n")
        try:
            for _ in range(4 * wire.HEADER_BYTES // 1000):
                connection.sendall(b"x-more: " + b"y" * 990 + b"\r\n")
        except (BrokenPipeError, ConnectionResetError):
            return  # it stopped listening
        try:
            assert said(connection).startswith(b"HTTP/1.1 431")
        except ConnectionResetError:
            return
