"""How bytes become requests: a fast parser with the patience and the memory of a server that strangers can reach."""

from __future__ import annotations

import asyncio
from asyncio.events import TimerHandle

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADER_SECONDS = 10.0
"""Longest time from the first byte of a request, or from the connection, to the end of its headers."""
HEADER_BYTES = 64 * 1024
"""Most bytes of a request line with its headers."""


class Wire(HttpToolsProtocol):
    """One connection. A client that dawdles over its headers, or sends too many, loses it."""

    _hurry: TimerHandle | None = None
    _header_bytes: int | None = 0
    """Bytes of the headers that are arriving; None while none are."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins to wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Reads; headers that do not end are refused before they are held in memory."""
        if self._header_bytes is not None:
            self._header_bytes += len(data)
        super().data_received(data)
        if (
            self._header_bytes is not None
            and self._header_bytes > HEADER_BYTES
            and not self.transport.is_closing()
        ):
            self.transport.write(
                b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
            )
            self.transport.close()

    def on_message_begin(self) -> None:
        """The first bytes of a request."""
        super().on_message_begin()
        if self._hurry is None:
            self._wait()

    def on_headers_complete(self) -> None:
        """From here on the application watches the clock."""
        self._rest()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end."""
        self._rest()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._header_bytes = 0
        self._hurry = self.loop.call_later(HEADER_SECONDS, self._give_up)

    def _rest(self) -> None:
        self._header_bytes = None
        if self._hurry is not None:
            self._hurry.cancel()
            self._hurry = None

    def _give_up(self) -> None:
        self._hurry = None
        if not self.transport.is_closing():
            self.transport.close()
