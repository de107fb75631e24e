"""The receivers of signed webhooks, one for each person at /hook/{staff_id}; modes see `devices`."""

import asyncio
import ssl
import time
from collections import defaultdict, deque
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tests.chaos.certificates import Certificate
from tests.chaos.device_state import Modes, Receipts, Told, check_webhook_mode, reset
from tests.told import read_webhook

HOOKS = "/hook/"
REDIRECT_TARGET = "/moved-here"
READ_SECONDS = 10.0
MAX_BYTES = 1024 * 1024
HUGE_PART = b"." * 64 * 1024
HUGE_PARTS = 1600
THROTTLE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Request:
    """One request; header names in lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def staff(self) -> str | None:
        """Whose receiver it came to."""
        return self.path.removeprefix(HOOKS) if self.path.startswith(HOOKS) else None

    @property
    def told(self) -> Told:
        """What it says of itself."""
        return Told.by(self.staff, self.headers.get("webhook-id"), read_webhook(self.body))


class WebhookServer:
    """Takes one request from each connection."""

    def __init__(
        self, modes: Modes, receipts: Receipts, secret: str, contexts: Mapping[Certificate, ssl.SSLContext]
    ) -> None:
        self.followed_redirects = 0
        self._modes = modes
        self._receipts = receipts
        self._verifier = Webhook(secret)
        self._contexts = contexts
        self._taken_at: defaultdict[str | None, deque[float]] = defaultdict(deque)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a plain connection."""
        # Once a message has its line in the journal, it does not matter how its sender goes away.
        with closing(writer), suppress(OSError):
            request = await self._request(reader, writer)
            if request is not None:
                await self._judge(request, reader, writer)

    async def serve_tls(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection over TLS, with the certificate of the moment."""
        certificate = self._modes.webhook_certificate
        try:
            await writer.start_tls(self._contexts[certificate], ssl_handshake_timeout=READ_SECONDS)
        except (OSError, EOFError) as error:
            # This is how it ends when the other side does not trust us.
            await self._receipts.write("webhook", "dropped", certificate, Told(), str(error) or type(error).__name__)
            writer.close()
            return
        await self.serve(reader, writer)

    async def _request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request | None:
        mode = self._modes.webhook
        if mode == "refuse":
            await self._receipts.write("webhook", "dropped", mode, Told())
            reset(writer.transport)
            return None
        try:
            async with asyncio.timeout(READ_SECONDS):
                return await _read(reader)
        except (OSError, EOFError, ValueError, IndexError, asyncio.LimitOverrunError) as error:
            await self._receipts.write("webhook", "dropped", mode, Told(), type(error).__name__)
            return None

    async def _judge(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if request.path == REDIRECT_TARGET:
            self.followed_redirects += 1
            await _reply(writer, "200 OK")
            return
        try:
            self._verifier.verify(request.body, dict(request.headers))
        except WebhookVerificationError as error:
            await self._receipts.write("webhook", "refused", "ok", request.told, str(error))
            await _reply(writer, "401 Unauthorized")
            return
        mode = self._modes.webhook_of.get(request.staff or "", self._modes.webhook)
        await self._answer(check_webhook_mode(mode), request.told, reader, writer)

    async def _answer(self, mode: str, told: Told, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        word, _, more = mode.partition(":")
        write = self._receipts.write
        match word:
            case "ok":
                await write("webhook", "taken", mode, told)
                await _reply(writer, "204 No Content")
            case "reset_after_200":
                await write("webhook", "taken", mode, told)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n.")
                await writer.drain()
                reset(writer.transport)
            case "huge":
                await write("webhook", "taken", mode, told)
                await _pour(writer)
            case "drop" | "refuse":
                await write("webhook", "dropped", mode, told)
                reset(writer.transport)
            case "garbage":
                await write("webhook", "dropped", mode, told)
                writer.write(b"\x00\xff this is not HTTP\r\n\r\n")
                await writer.drain()
            case "silent":
                await write("webhook", "dropped", mode, told)
                await reader.read()
            case "drip":
                await write("webhook", "dropped", mode, told)
                await _drip(writer)
            case "redirect":
                await write("webhook", "refused", mode, told)
                await _reply(writer, "302 Found", f"Location: {more}")
            case "throttle":
                await self._throttle(int(more), mode, told, writer)
            case _:
                await write("webhook", "refused", mode, told)
                await _reply(writer, f"{word} Refused", *([f"Retry-After: {more}"] if more else []))

    async def _throttle(self, most: int, mode: str, told: Told, writer: asyncio.StreamWriter) -> None:
        """Take so many a minute for each person, as chat services do, and no more."""
        taken_at, now = self._taken_at[told.staff], time.monotonic()
        while taken_at and now - taken_at[0] >= THROTTLE_SECONDS:
            taken_at.popleft()
        if len(taken_at) < most:
            taken_at.append(now)
            await self._receipts.write("webhook", "taken", mode, told)
            await _reply(writer, "204 No Content")
        else:
            await self._receipts.write("webhook", "refused", mode, told)
            wait = THROTTLE_SECONDS - (now - taken_at[0])
            await _reply(writer, "429 Too Many Requests", f"Retry-After: {wait:.0f}")


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = min(int(headers.get("content-length", "0")), MAX_BYTES)
    return Request(first.split(" ")[1], headers, await reader.readexactly(length))


async def _reply(writer: asyncio.StreamWriter, status: str, *headers: str) -> None:
    lines = [f"HTTP/1.1 {status}", *headers, "Content-Length: 0", "Connection: close", "", ""]
    writer.write("\r\n".join(lines).encode("latin-1"))
    await writer.drain()


async def _drip(writer: asyncio.StreamWriter) -> None:
    """Answer 200, and then a byte a second for as long as anybody listens."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b".")
        await writer.drain()
        await asyncio.sleep(1.0)


async def _pour(writer: asyncio.StreamWriter) -> None:
    writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {HUGE_PARTS * len(HUGE_PART)}\r\n\r\n".encode())
    for _ in range(HUGE_PARTS):
        writer.write(HUGE_PART)
        await writer.drain()
