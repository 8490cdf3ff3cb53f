"""A small HTTP/1.1 client on asyncio streams, and the open loop that drives it.

It speaks just what the server answers with (`content-length`, keep-alive), because a full client library takes as much
processor time a request as the server, and both share the cores here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


class Client:
    """Requests to one server. Every request takes a connection of its own; idle ones are used again.

    Args:
        host, port: The server.
        key: Bearer key.
        connections: Most connections at once; further requests fail.
    """

    def __init__(self, host: str, port: int, key: str, connections: int = 900) -> None:
        self._host, self._port, self._most = host, port, connections
        self._head = (
            f"Host: {host}:{port}\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
        )
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._open = 0

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer.

        Raises:
            ConnectionError: The server hung up, or there are too many connections.
        """
        head = f"POST {path} HTTP/1.1\r\n{self._head}Content-Length: {len(body)}\r\n\r\n"
        data = head.encode() + body
        while (
            self._idle
        ):  # an idle connection may have been closed in the meantime: then the next one, or a new one
            reader, writer = self._idle.pop()
            if reader.at_eof() or writer.is_closing():
                self._drop(writer)
                continue
            return await self._exchange(reader, writer, data)
        if self._open >= self._most:
            raise ConnectionError(f"{self._most} connections are open")
        self._open += 1
        try:
            reader, writer = await asyncio.open_connection(self._host, self._port)
        except BaseException:
            self._open -= 1
            raise
        return await self._exchange(reader, writer, data)

    def close(self) -> None:
        """Hangs up."""
        for _, writer in self._idle:
            self._drop(writer)
        self._idle.clear()

    async def _exchange(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes
    ) -> tuple[int, bytes]:
        try:
            writer.write(data)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            status = int(head[9:12])
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
            body = await reader.readexactly(length)
        except asyncio.IncompleteReadError as error:
            self._drop(writer)
            raise ConnectionError("the server hung up") from error
        except BaseException:
            self._drop(writer)
            raise
        if b"connection: close" in head:
            self._drop(writer)
        else:
            self._idle.append((reader, writer))
        return status, body

    def _drop(self, writer: asyncio.StreamWriter) -> None:
        self._open -= 1
        writer.close()


@dataclass(frozen=True, eq=False)
class Record:
    """What became of scheduled requests.

    Attributes:
        at: Scheduled arrivals, float64 (R,), seconds.
        sent: When each was really sent; infinite = never. The difference is the client's own delay.
        done: When each was answered; infinite = never.
        status: HTTP status, int (R,); 0 = none.
        bodies: Of the answers.
    """

    at: np.ndarray
    sent: np.ndarray
    done: np.ndarray
    status: np.ndarray
    bodies: list[bytes]

    @property
    def ok(self) -> np.ndarray:
        """bool (R,): answered with success."""
        return self.status == 200

    @property
    def latency_ms(self) -> np.ndarray:
        """float64 (R,) from the scheduled arrival."""
        return 1e3 * (self.done - self.at)


async def open_loop(
    client: Client, path: str, at: np.ndarray, bodies: Sequence[bytes], *, timeout_s: float, most_open: int
) -> Record:
    """Sends requests when they are due, whatever became of earlier ones.

    Args:
        client: To the server.
        path: Where they go.
        at: Scheduled arrivals, ascending, seconds from now.
        bodies: One a request.
        timeout_s: Seconds from the scheduled arrival after which a request counts as never answered.
        most_open: With so many requests unanswered the server is lost; the rest is not sent any more.
    """
    loop = asyncio.get_running_loop()
    begin = loop.time() + 0.05
    requests = len(at)
    sent, done = np.full(requests, np.inf), np.full(requests, np.inf)
    status, answers = np.zeros(requests, int), [b""] * requests
    unanswered = 0

    async def one(number: int) -> None:
        nonlocal unanswered
        unanswered += 1
        try:
            async with asyncio.timeout_at(begin + at[number] + timeout_s):
                status[number], answers[number] = await client.post(path, bodies[number])
            done[number] = loop.time() - begin
        except (OSError, TimeoutError, ValueError):
            status[number] = 0
        finally:
            unanswered -= 1

    async with asyncio.TaskGroup() as group:
        for number in range(requests):
            wait = begin + at[number] - loop.time()
            if wait > 0:
                await asyncio.sleep(wait)
            if unanswered >= most_open:
                break
            sent[number] = loop.time() - begin
            group.create_task(one(number))
    return Record(at, sent, done, status, answers)
