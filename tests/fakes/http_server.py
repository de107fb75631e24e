"""An app behind the real HTTP server on a real socket, and callers that may break every rule of HTTP."""

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

import uvicorn
import uvloop
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp

from shared.http.protocol_limits import HttpLimits
from shared.lifecycle import http_server
from shared.metrics import ServiceMetrics

# Far longer than anything here takes, also on a busy machine.
PATIENCE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer as it stood on the wire."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body decoded."""
        return json.loads(self.body)


class Caller:
    """A connection of its own, on which any bytes may be sent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *pieces: bytes) -> Self:
        """Send bytes; a server that has hung up already is no fault here."""
        for piece in pieces:
            self.writer.write(piece)
            try:
                await self.writer.drain()
            except ConnectionError:
                break
        return self

    def close_our_side(self) -> Self:
        """Send nothing more, but go on reading."""
        self.writer.write_eof()
        return self

    async def answer(self) -> Answer:
        """Read one answer. Raises IncompleteReadError when the connection ends without one."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.rstrip("\r\n").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            body = await self.reader.readexactly(int(headers.get("content-length", 0)))
            return Answer(int(first.split()[1]), headers, body)

    async def closed(self) -> bytes:
        """Wait until the server closes, close too, and return what it sent before."""
        rest = b""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while piece := await self.reader.read(65_536):
                    rest += piece
        except ConnectionError:
            pass
        self.writer.transport.abort()
        return rest

    def is_closed(self) -> bool:
        """Tell whether the server has closed, as far as is known by now."""
        return self.reader.at_eof() or self.reader.exception() is not None


class RunningServer:
    """The server, and the metrics of its connections."""

    def __init__(self, server: uvicorn.Server, registry: CollectorRegistry) -> None:
        self._listener = server.servers[0]
        self.port: int = self._listener.sockets[0].getsockname()[1]
        self._registry = registry
        self._callers: list[Caller] = []

    async def connect(self, *, small_window: bool = False) -> Caller:
        """Open a connection. small_window: one that takes few bytes unread."""
        plain = socket.socket()
        if small_window:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        plain.setblocking(False)
        await asyncio.get_running_loop().sock_connect(plain, ("127.0.0.1", self.port))
        self._callers.append(Caller(*await asyncio.open_connection(sock=plain, limit=4_096)))
        return self._callers[-1]

    async def ask(self, *pieces: bytes) -> Answer:
        """Send bytes on a connection of their own and read the first answer."""
        caller = await (await self.connect()).send(*pieces)
        return await caller.answer()

    def do(self, step: Callable[[], None]) -> None:
        """Do something on the server's own event loop."""
        self._listener.get_loop().call_soon_threadsafe(step)

    def count(self, name: str, **labels: str) -> float:
        """Return a metric of the server."""
        value = self._registry.get_sample_value(f"shouwang_edge_http_{name}", labels)
        assert value is not None, name
        return value

    async def until_left(self) -> None:
        """Wait until no connection is open."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.count("connections"):
                await asyncio.sleep(0.01)

    async def until_counted(self, name: str, **labels: str) -> None:
        """Wait until a metric is no longer zero."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not self.count(name, **labels):
                await asyncio.sleep(0.01)

    def hang_up(self) -> None:
        """Close every connection that was opened here."""
        for caller in self._callers:
            caller.writer.transport.abort()


@asynccontextmanager
async def running_server(app: ASGIApp, limits: HttpLimits) -> AsyncIterator[RunningServer]:
    """Serve an app on a free port of the loopback address: on uvloop, as the services do, in a thread of its own."""
    registry = CollectorRegistry()
    server = http_server(app, "127.0.0.1", 0, limits, ServiceMetrics("edge", registry))
    thread = threading.Thread(target=lambda: uvloop.run(server.serve()), name="server")
    thread.start()
    while not server.started:
        await asyncio.sleep(0.005)
    running = RunningServer(server, registry)
    try:
        yield running
    finally:
        running.hang_up()
        server.should_exit = True
        await asyncio.to_thread(thread.join)
