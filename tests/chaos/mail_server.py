"""The people's mail server; modes see `devices`."""

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable, Mapping
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as readable

from aiosmtpd.smtp import SMTP, Envelope, Session, TLSSetupException

from tests.chaos.certificates import Certificate
from tests.chaos.device_state import Modes, Receipts, Tasks, Told, reset
from tests.told import read_mail

HOST_NAME = "mail.chaos.example"
IDLE_SECONDS = 60
TAKEN = "250 2.0.0 taken"
_MESSAGE_ID = re.compile(r"<([^@>]+)@")


class MailServer:
    """One mail server; every connection is made by `connection`, and behaves as the mode of the moment says."""

    def __init__(
        self, modes: Modes, receipts: Receipts, tasks: Tasks, contexts: Mapping[Certificate, ssl.SSLContext]
    ) -> None:
        self._modes = modes
        self._receipts = receipts
        self._tasks = tasks
        self._contexts = contexts
        self._deferred: set[tuple[str | None, str | None]] = set()

    def connection(self) -> asyncio.Protocol:
        """What serves the next connection."""
        mode = self._modes.smtp
        if mode in ("refuse", "silent", "drip"):
            return _Rude(lambda transport: self._tasks.start(self._be_rude(mode, transport)))
        certificate = self._modes.smtp_certificate
        context = None if mode == "no_starttls" else self._contexts.get(certificate)

        async def distrusted(why: str) -> None:
            await self._receipts.write("smtp", "dropped", certificate, Told(), why)

        return _Smtp(self, context, distrusted)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Refuse a recipient for good in the mode permfail."""
        if self._modes.smtp == "permfail":
            await self._receipts.write("smtp", "refused", "permfail", Told(_staff(address)))
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Take, refuse or drop one mail."""
        mode, told = self._modes.smtp, _told(envelope)
        write = self._receipts.write
        match mode:
            case "tempfail":
                await write("smtp", "refused", mode, told)
                return "451 4.3.0 try again later"
            case "permfail_data":
                await write("smtp", "refused", mode, told)
                return "554 5.7.1 refused"
            case "greylist" if (told.staff, told.message_id) not in self._deferred:
                self._deferred.add((told.staff, told.message_id))
                await write("smtp", "refused", mode, told)
                return "451 4.7.1 greylisted"
            case "drop":
                await write("smtp", "dropped", mode, told)
                reset(server.transport)
                return TAKEN
            case "cut_after_data":
                await write("smtp", "taken", mode, told)
                reset(server.transport)
                return TAKEN
            case _:
                await write("smtp", "taken", mode, told)
                return TAKEN

    async def _be_rude(self, mode: str, transport: asyncio.WriteTransport) -> None:
        """Reset a connection, say nothing on it, or greet a letter a second."""
        await self._receipts.write("smtp", "dropped", mode, Told())
        if mode == "refuse":
            reset(transport)
        while mode == "drip" and not transport.is_closing():
            for letter in f"220-{HOST_NAME}\r\n".encode():
                transport.write(bytes([letter]))
                await asyncio.sleep(1.0)


class _Smtp(SMTP):
    """A mail server's connection that tells when the other side does not trust it."""

    def __init__(
        self, server: MailServer, context: ssl.SSLContext | None, distrusted: Callable[[str], Awaitable[None]]
    ) -> None:
        super().__init__(server, hostname=HOST_NAME, enable_SMTPUTF8=False, timeout=IDLE_SECONDS, tls_context=context)
        self._distrusted = distrusted

    async def smtp_STARTTLS(self, arg: str) -> None:
        try:
            await super().smtp_STARTTLS(arg)
        except TLSSetupException as error:
            await self._distrusted(str(error.__cause__ or error))
            reset(self.transport)
            # Nobody tells it that the connection is gone: the transport that it had was replaced under it.
            assert self._handler_coroutine is not None
            self._handler_coroutine.cancel()


class _Rude(asyncio.Protocol):
    """A connection on which no mail will ever be read."""

    def __init__(self, connected: Callable[[asyncio.WriteTransport], None]) -> None:
        self._connected = connected

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._connected(transport)


def _told(envelope: Envelope) -> Told:
    mail = message_from_bytes(bytes(envelope.original_content or b""), policy=readable)
    assert isinstance(mail, EmailMessage)
    found = _MESSAGE_ID.search(str(mail["message-id"]))
    said = read_mail(str(mail.get_content()))
    return Told.by(_staff(envelope.rcpt_tos[0]), found[1] if found else None, said)


def _staff(address: str) -> str:
    return address.partition("@")[0]
