"""One HTTP connection that carries one request at a time, as cheaply as it can be had.

What measures shares the machine with what is measured, so there is no task, no future and no copy for a request.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import NamedTuple, cast

import httptools

from services.ingest.load.target import Target

CONNECT_SECONDS = 10.0


class Reply(NamedTuple):
    """An answer. retry_after: seconds to wait, where the server says so."""

    status: int
    retry_after: float | None
    body: bytes


OnReply = Callable[["Connection", Reply | None], None]
"""Told of each answer; None when the connection has ended without one."""


class Connection(asyncio.Protocol):
    """An open connection."""

    def __init__(self, on_reply: OnReply) -> None:
        self._on_reply = on_reply
        self._transport: asyncio.WriteTransport | None = None
        self._is_waiting = False
        self._begin()

    @property
    def is_open(self) -> bool:
        """Whether a request can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def send(self, request: bytes) -> None:
        """Send a request; its answer comes to `on_reply`."""
        assert self._transport is not None
        self._is_waiting = True
        self._transport.write(request)

    def close(self) -> None:
        """Close it; nobody is told."""
        self._is_waiting = False
        if self._transport is not None:
            self._transport.close()

    def _begin(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._retry_after: float | None = None
        self._body: list[bytes] = []
        self._reply: Reply | None = None
        self._is_last = False

    # --- asyncio and the parser

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note where to write."""
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        """Read on."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._end()
            return
        if self._reply is not None:
            self._settle(self._reply)

    def connection_lost(self, _error: Exception | None) -> None:
        """Tell that no answer will come."""
        self._end()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Look for Retry-After."""
        if name.lower() == b"retry-after" and value.isdigit():
            self._retry_after = float(value)

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Put the answer together."""
        self._reply = Reply(self._parser.get_status_code(), self._retry_after, b"".join(self._body))
        # Asked for later, the parser no longer knows.
        self._is_last = not self._parser.should_keep_alive()

    def _settle(self, reply: Reply) -> None:
        if self._is_last and self._transport is not None:
            self._transport.close()
        self._begin()
        if self._is_waiting:
            self._is_waiting = False
            self._on_reply(self, reply)

    def _end(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None
        if self._is_waiting:
            self._is_waiting = False
            self._on_reply(self, None)


async def connect(target: Target, on_reply: OnReply) -> Connection:
    """Open a connection. Raises OSError, TimeoutError."""
    loop = asyncio.get_running_loop()
    context = ssl.create_default_context() if target.is_https else None
    async with asyncio.timeout(CONNECT_SECONDS):
        _, connection = await loop.create_connection(
            lambda: Connection(on_reply), target.host, target.port, ssl=context
        )
    return connection
