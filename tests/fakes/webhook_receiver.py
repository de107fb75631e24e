"""A real HTTP server that behaves like good and bad webhook receivers, and keeps a journal of what it got."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Request:
    """One request as it came in; header names in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class WebhookReceiver:
    """answers: for the next requests, whole raw HTTP answers or words (see `_ANSWERS`); afterwards 204.
    None: the good answer.

    Words: drip (one byte a second), silent (never answers), garbage, huge, reset, cut (200, then half a body).
    """

    port: int = 0
    journal: list[Request] = field(default_factory=list)
    answers: list[str | None] = field(default_factory=list)
    always: str | None = None
    scheme: str = "http"

    @property
    def url(self) -> str:
        return f"{self.base_url}/hook"

    @property
    def base_url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def ids(self) -> list[str]:
        """The webhook-id of each request."""
        return [request.headers["webhook-id"] for request in self.journal]

    def good_answer(self, request: Request) -> bytes:
        """The whole answer of a receiver that is well."""
        return b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.journal.append(await _read(reader))
            word = self.answers.pop(0) if self.answers else self.always
            if word is None:
                writer.write(self.good_answer(self.journal[-1]))
            else:
                await self._answer(word, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            # Cancelled: the test is over.
            writer.transport.abort()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async def _answer(self, word: str, writer: asyncio.StreamWriter) -> None:
        match word:
            case "silent":
                await asyncio.sleep(60)
            case "drip":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
                for _ in range(100):
                    writer.write(b".")
                    await writer.drain()
                    await asyncio.sleep(1)
            case "garbage":
                writer.write(b"\x00\xff this is not HTTP\r\n\r\n")
            case "huge":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
                for _ in range(1_000):
                    writer.write(b"." * 100_000)
                    await writer.drain()
            case "cut":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n.....")
                await writer.drain()
            case "reset":
                writer.transport.abort()
            case _:
                status, *headers = word.split("\n")
                lines = "".join(f"{header}\r\n" for header in headers)
                writer.write(f"HTTP/1.1 {status}\r\n{lines}Content-Length: 0\r\n\r\n".encode())
                await writer.drain()


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(first.split()[1], headers, body)


@asynccontextmanager
async def webhook_receiver(tls: ssl.SSLContext | None = None) -> AsyncIterator[WebhookReceiver]:
    """Run a receiver on a free port of the loopback. tls: it speaks nothing else."""
    receiver = WebhookReceiver(scheme="https" if tls else "http")
    async with listening(receiver, tls):
        yield receiver


@asynccontextmanager
async def listening(receiver: WebhookReceiver, tls: ssl.SSLContext | None = None) -> AsyncIterator[None]:
    """Run any receiver on a free port of the loopback."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await receiver.serve(reader, writer)
        finally:
            tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
