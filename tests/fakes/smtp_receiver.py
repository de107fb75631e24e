"""A real SMTP server that keeps what it gets and refuses what it is told to refuse."""

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

from aiosmtpd.smtp import SMTP, Envelope, Session


@dataclass
class SmtpReceiver:
    """refuse_recipient: replies per address, such as "550 no such user". data_replies: replies to the next mails.

    to_hang: so many of the next mails are never answered; hung: so many were not.
    """

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    refuse_recipient: dict[str, str] = field(default_factory=dict)
    data_replies: list[str] = field(default_factory=list)
    cut_after_data: int = 0
    connections: int = 0
    delay_seconds: float = 0.0
    to_hang: int = 0
    hung: int = 0

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, rcpt_options: list[str]
    ) -> str:
        if address in self.refuse_recipient:
            return self.refuse_recipient[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        await asyncio.sleep(self.delay_seconds)
        if self.hung < self.to_hang:
            self.hung += 1
            await asyncio.sleep(60)
        if self.data_replies:
            return self.data_replies.pop(0)
        mail = message_from_bytes(bytes(envelope.content or b""), policy=default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        if self.cut_after_data:
            self.cut_after_data -= 1
            assert server.transport is not None
            server.transport.abort()
        return f"250 2.0.0 queued as {len(self.mails)}"

    def to(self, address: str) -> list[EmailMessage]:
        """The mails that went to one address."""
        return [mail for mail in self.mails if re.search(re.escape(address), str(mail["To"]))]


@asynccontextmanager
async def smtp_receiver(tls: ssl.SSLContext | None = None) -> AsyncIterator[SmtpReceiver]:
    """Run a receiver on a free port of the loopback. tls: it offers STARTTLS, and takes nothing without."""
    receiver = SmtpReceiver()

    def connected() -> SMTP:
        receiver.connections += 1
        return SMTP(
            receiver,
            hostname="relay.test",
            enable_SMTPUTF8=False,
            timeout=30,
            tls_context=tls,
            require_starttls=tls is not None,
        )

    server = await asyncio.get_running_loop().create_server(connected, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()


@dataclass
class SmtpInTrouble:
    """A server on a relay's port that is none. word: silent, drip (a byte a second), garbage or reset.

    journal: the words that connections met.
    """

    word: str
    port: int = 0
    journal: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.journal.append(self.word)
        match self.word:
            case "silent":
                await asyncio.sleep(60)
            case "drip":
                for byte in b"220-" + b"." * 100:
                    writer.write(bytes([byte]))
                    await writer.drain()
                    await asyncio.sleep(1)
            case "garbage":
                writer.write(b"\x00\xff this is not SMTP\r\n")
                await writer.drain()
            case "reset":
                writer.transport.abort()
        writer.close()


@asynccontextmanager
async def smtp_in_trouble(word: str) -> AsyncIterator[SmtpInTrouble]:
    """Run such a server on a free port of the loopback."""
    server_in_trouble = SmtpInTrouble(word)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await server_in_trouble.serve(reader, writer)
        writer.transport.abort()
        tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    server_in_trouble.port = server.sockets[0].getsockname()[1]
    try:
        yield server_in_trouble
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
