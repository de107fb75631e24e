"""What people hold in their hands: a mail server and webhook receivers, real ones, that can be made to misbehave.

They run in a thread with an event loop of their own, so that no fault of theirs disturbs the load.
Journal lines ("devices.jsonl"):
    {"at", "channel": "smtp|webhook", "staff", "alert_id", "message_id", "household", "alerts", "outcome", "mode",
     "detail"}
outcome: taken (the person has the message, whatever the sender was told), refused (the sender was told no), dropped
(neither). The line is on disk before the sender is answered. staff, alert_id, message_id and household are null where
nothing of the message came through. message_id: as in the header webhook-id; a mail's Message-ID before its "@".
A digest has neither alert_id nor household; alerts: [alert_id, household] of each that it names, else empty.
Webhooks with a wrong or old signature are refused in every mode.

Modes of the webhook receivers: ok, refuse (reset before anything is read), drop (read, then reset), silent (never
answers), drip (200, then a byte a second), huge (200, then 100 MB), garbage (no HTTP), reset_after_200 (taken, but the
answer breaks off), redirect:<url>, throttle:<so many a minute for each person, else 429>, and a status from 300 to 599,
with a Retry-After or without: "500", "404", "410", "429:30", "503:Wed, 21 Oct 2026 07:28:00 GMT".
Modes of the mail server: ok, refuse (reset before the greeting), silent (no greeting), drip (a letter a second), drop
(reset after DATA), tempfail (451), permfail (550 for the recipient), permfail_data (554 for the mail), greylist (451
for each mail's first try), cut_after_data (taken, but the answer never comes), no_starttls (does not offer it).
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from deploy.local.ports import LOOPBACK
from tests.chaos.certificates import CERTIFICATES, Certificate, make_certificates
from tests.chaos.device_state import Modes, Receipts, Tasks, check_smtp_mode, check_webhook_mode
from tests.chaos.journal import Journal
from tests.chaos.mail_server import MailServer
from tests.chaos.people import WEBHOOK_SECRET
from tests.chaos.webhook_server import REDIRECT_TARGET, WebhookServer

__all__ = ["Certificate", "Devices"]

START_SECONDS = 30.0
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


class Devices:
    """Mail server and webhook receivers on loopback; modes may be set at any time, from any thread.

    smtp_port, webhook_port: plain; the mail server offers STARTTLS. webhook_tls_port: the same receivers over TLS, 0
    where there is no openssl program. ca_file: PEM of the authority behind the certificates, or None.
    """

    def __init__(self, directory: Path, journal: Journal, secret: str = WEBHOOK_SECRET) -> None:
        """directory: where certificates are made."""
        self.journal = journal
        self.smtp_port = self.webhook_port = self.webhook_tls_port = 0
        certificates = make_certificates(directory / "certificates")
        self.ca_file = certificates.ca_file if certificates else None
        self._modes = Modes()
        self._receipts = Receipts(journal)
        contexts = certificates.contexts if certificates else {}
        self._tasks = Tasks()
        self._mail = MailServer(self._modes, self._receipts, self._tasks, contexts)
        self._webhooks = WebhookServer(self._modes, self._receipts, secret, contexts)
        self._thread = threading.Thread(target=self._run, name="devices", daemon=True)
        self._open: Future[None] = Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._told_to_stop = asyncio.Event()
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Open the ports and return once they are open."""
        self._thread.start()
        self._open.result(START_SECONDS)

    def stop(self) -> None:
        """Close everything, also what is silent or dripping. The journal stays open: it is the caller's.

        Raises what went wrong inside the devices meanwhile, if anything did.
        """
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._told_to_stop.set)
        self._thread.join()
        self._loop = None
        failure = self._failure or self._tasks.failure
        if failure is not None:
            raise failure

    def heal(self) -> None:
        """All modes back to ok, all certificates to good."""
        self.smtp_mode = self.webhook_mode = "ok"
        self.smtp_certificate = self.webhook_certificate = "good"
        self._modes.webhook_of.clear()

    @property
    def smtp_mode(self) -> str:
        """How the mail server behaves."""
        return self._modes.smtp

    @smtp_mode.setter
    def smtp_mode(self, mode: str) -> None:
        self._modes.smtp = check_smtp_mode(mode)

    @property
    def webhook_mode(self) -> str:
        """How the webhook receivers behave."""
        return self._modes.webhook

    @webhook_mode.setter
    def webhook_mode(self, mode: str) -> None:
        self._modes.webhook = check_webhook_mode(mode)

    @property
    def webhook_mode_of(self) -> dict[str, str]:
        """How single people's receivers behave, by staff_id; these go before webhook_mode. To be changed in place."""
        return self._modes.webhook_of

    @property
    def smtp_certificate(self) -> Certificate:
        """What the mail server shows after STARTTLS."""
        return self._modes.smtp_certificate

    @smtp_certificate.setter
    def smtp_certificate(self, certificate: Certificate) -> None:
        self._modes.smtp_certificate = _known(certificate)

    @property
    def webhook_certificate(self) -> Certificate:
        """What the webhook receivers show on webhook_tls_port."""
        return self._modes.webhook_certificate

    @webhook_certificate.setter
    def webhook_certificate(self, certificate: Certificate) -> None:
        self._modes.webhook_certificate = _known(certificate)

    @property
    def outcomes(self) -> Mapping[tuple[str, str], int]:
        """How many messages ended how since the start, by (channel, outcome)."""
        return dict(self._receipts.counts)

    @property
    def redirect_target(self) -> str:
        """An address of ours on loopback, for the mode redirect:<url>."""
        return f"http://{LOOPBACK}:{self.webhook_port}{REDIRECT_TARGET}"

    @property
    def followed_redirects(self) -> int:
        """How many requests came to `redirect_target`; nobody may follow a redirect."""
        return self._webhooks.followed_redirects

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                runner.run(self._serve())
        except BaseException as error:
            self._failure = error
            if not self._open.done():
                self._open.set_exception(error)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        servers = [
            await self._loop.create_server(self._mail.connection, LOOPBACK, 0),
            await asyncio.start_server(self._taking(self._webhooks.serve), LOOPBACK, 0),
        ]
        if self.ca_file is not None:
            servers.append(await asyncio.start_server(self._taking(self._webhooks.serve_tls), LOOPBACK, 0))
        self.smtp_port, self.webhook_port, *over_tls = (server.sockets[0].getsockname()[1] for server in servers)
        self.webhook_tls_port = over_tls[0] if over_tls else 0
        self._open.set_result(None)
        await self._told_to_stop.wait()
        for server in servers:
            server.close()
        await self._tasks.cancel()

    def _taking(self, serve: Serve) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
        return lambda reader, writer: self._tasks.start(serve(reader, writer))


def _known(certificate: Certificate) -> Certificate:
    if certificate not in CERTIFICATES:
        raise ValueError(f"there is no certificate {certificate!r}")
    return certificate
