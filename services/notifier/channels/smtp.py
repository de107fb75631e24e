"""Mail through one relay, over a few reused connections.

Only a refusal of the recipient is final. Any other refusal (sender, content, login, STARTTLS missing) may be mended by
the operator, and the message must not be lost until then.
"""

import asyncio
import ssl
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime

import aiosmtplib
from aiosmtplib import SMTP

from services.notifier.channels.ports import Address
from services.notifier.core.message import Message
from services.notifier.core.retries import SENT, Attempt
from services.notifier.settings import NotifierSettings
from shared.alerts import ChannelName
from shared.clock import Clock
from shared.logs import get_logger

log = get_logger(__name__)

# No such mailbox, not local, mailbox name not allowed, malformed address, domain takes no mail.
NEVER = frozenset({550, 551, 553, 501, 521, 556})


class SmtpChannel:
    """Sends mail; as many at once as deliveries run in parallel, so that nobody waits for a turn while a lease runs."""

    name = ChannelName.SMTP

    def __init__(self, settings: NotifierSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._idle: list[SMTP] = []
        self._turns = asyncio.Semaphore(settings.delivery_parallel)
        self._tls = ssl.create_default_context(cafile=settings.smtp_ca_file)

    async def send(self, address: Address, message: Message, message_id: str) -> Attempt:
        """Make one attempt; see `ports.Channel`."""
        if not address.address:
            return Attempt("no_address", permanent=True)
        mail = self._mail(address.address, message, message_id)
        async with self._turns:
            try:
                async with asyncio.timeout(self._settings.send_timeout_seconds):
                    return await self._deliver(address.address, mail)
            except TimeoutError:
                return Attempt("timeout")

    async def close(self) -> None:
        """End the idle connections politely."""
        while self._idle:
            client = self._idle.pop()
            try:
                await client.quit(timeout=1.0)
            except (aiosmtplib.SMTPException, OSError) as error:
                log.debug("the relay was gone already", reason=type(error).__name__)

    async def _deliver(self, recipient: str, mail: bytes) -> Attempt:
        client: SMTP | None = None
        try:
            client, reused = await self._connection()
            if reused and not await self._greets(client):
                client = await self._connect()
            attempt = await self._transfer(client, recipient, mail)
            if client.is_connected:
                self._idle.append(client)
                client = None
            return attempt
        except aiosmtplib.SMTPResponseException as error:
            # The library gives what is no SMTP a code below zero.
            return Attempt(f"smtp_{error.code}" if error.code > 0 else "bad_reply")
        except aiosmtplib.SMTPTimeoutError:
            return Attempt("timeout")
        except (aiosmtplib.SMTPServerDisconnected, aiosmtplib.SMTPConnectError, OSError) as error:
            return Attempt("tls" if isinstance(error.__cause__ or error, ssl.SSLError) else "disconnected")
        except aiosmtplib.SMTPException:
            # What is left: STARTTLS or AUTH not offered by the relay. Nothing is ever sent without them instead.
            return Attempt("not_offered")
        finally:
            # Only a connection whose last answer we have read is fit for the next mail.
            if client is not None:
                client.close()

    async def _transfer(self, client: SMTP, recipient: str, mail: bytes) -> Attempt:
        try:
            await client.mail(self._settings.mail_from)
            await client.rcpt(recipient)
        except aiosmtplib.SMTPRecipientRefused as error:
            if error.code < 0:
                raise
            await client.rset()
            return Attempt(f"smtp_{error.code}", permanent=error.code in NEVER)
        reply = await client.data(mail)
        receipt = " ".join(f"{reply.code} {reply.message}".split())[:300]
        if reply.code != 250:
            client.close()
            return Attempt(f"smtp_{reply.code}")
        return Attempt(SENT, receipt=receipt)

    async def _connection(self) -> tuple[SMTP, bool]:
        while self._idle:
            client = self._idle.pop()
            if client.is_connected:
                return client, True
        return await self._connect(), False

    async def _greets(self, client: SMTP) -> bool:
        # A relay ends idle connections as it likes; better learnt from a no-op than in the middle of a mail.
        try:
            await client.noop()
        except (aiosmtplib.SMTPException, OSError):
            client.close()
            return False
        return True

    async def _connect(self) -> SMTP:
        settings = self._settings
        password = settings.smtp_password.get_secret_value() if settings.smtp_password else None
        client = SMTP(
            hostname=settings.smtp_host,
            port=settings.smtp_port,
            username=settings.smtp_user,
            password=password,
            use_tls=settings.smtp_implicit_tls,
            start_tls=settings.smtp_starttls and not settings.smtp_implicit_tls,
            tls_context=self._tls,
            local_hostname="shouwang-notifier",
            timeout=settings.send_timeout_seconds,
        )
        await client.connect()
        return client

    def _mail(self, recipient: str, message: Message, message_id: str) -> bytes:
        mail = EmailMessage(policy=SMTP_POLICY)
        mail["From"] = self._settings.mail_from
        mail["To"] = recipient
        mail["Subject"] = message.subject
        mail["Date"] = format_datetime(self._clock.now())
        # The same over all attempts: mail programs show one mail where a relay got it twice.
        mail["Message-ID"] = f"<{message_id}@{self._settings.mail_from.partition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(message.text, cte="base64")
        return mail.as_bytes()
