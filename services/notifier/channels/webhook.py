"""Signed webhooks after the Standard Webhooks specification: id, timestamp and signatures in headers.

Each request goes to an address that was looked at first, over a connection of its own: one kept open for another host
at the same address would have been checked against that host's certificate.
"""

import asyncio
import base64
import ssl
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from email.utils import parsedate_to_datetime
from urllib.parse import SplitResult, urlsplit

import httpx2
from standardwebhooks.webhooks import Webhook

from services.notifier.channels.addresses import AddressRefused, resolve
from services.notifier.channels.ports import Address
from services.notifier.core.message import Message
from services.notifier.core.retries import SENT, Attempt
from services.notifier.settings import NotifierSettings
from shared.alerts import ChannelName
from shared.clock import Clock
from shared.errors import TemporaryFailure

REPLY_LIMIT_BYTES = 64 * 1024
CONNECT_SECONDS = 5.0
LOOK_UPS_AT_ONCE = 4
GONE = 410
ASKS_FOR_TIME = (429, 503)


class WebhookChannel:
    """Posts signed JSON to the addresses of staff."""

    name = ChannelName.WEBHOOK

    def __init__(self, settings: NotifierSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        # Own threads: a name server that hangs must not keep the rest of the process waiting for one.
        self._look_ups = ThreadPoolExecutor(LOOK_UPS_AT_ONCE, thread_name_prefix="dns")
        self._client = httpx2.AsyncClient(
            follow_redirects=False,
            trust_env=False,
            verify=ssl.create_default_context(),
            timeout=httpx2.Timeout(settings.send_timeout_seconds, connect=CONNECT_SECONDS),
            limits=httpx2.Limits(max_connections=settings.channel_parallel, max_keepalive_connections=0),
            headers={"user-agent": "shouwang-notifier", "accept": "*/*", "accept-encoding": "identity"},
        )

    async def send(self, address: Address, message: Message, message_id: str) -> Attempt:
        """Make one attempt; see `ports.Channel`."""
        if not address.address or not address.secret:
            return Attempt("no_address", permanent=True)
        try:
            url = check_url(address.address, allow_plain=self._settings.webhook_allow_private)
            headers = signed_headers(address.secret, message.body, message_id, self._clock.now())
        except ValueError:
            return Attempt("unusable_address", permanent=True)
        try:
            async with asyncio.timeout(self._settings.send_timeout_seconds):
                return await self._post(url, headers, message.body)
        except (TimeoutError, httpx2.TimeoutException):
            return Attempt("timeout")
        except AddressRefused:
            return Attempt("private_address", permanent=True)
        except TemporaryFailure:
            return Attempt("no_such_host")
        except httpx2.ConnectError as error:
            return Attempt("tls" if is_tls(error) else "connection_refused")
        except httpx2.InvalidURL:
            return Attempt("unusable_address", permanent=True)
        except httpx2.HTTPError:
            return Attempt("bad_reply")

    async def close(self) -> None:
        """Let go of connections and threads."""
        await self._client.aclose()
        self._look_ups.shutdown(wait=False, cancel_futures=True)

    async def _post(self, url: SplitResult, headers: dict[str, str], body: str) -> Attempt:
        host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
        allow_private = self._settings.webhook_allow_private
        address = await resolve(host, port, self._look_ups, allow_private=allow_private)
        shown = f"[{address}]" if ":" in address else address
        target = url._replace(netloc=f"{shown}:{port}", fragment="").geturl()
        request = self._client.build_request(
            "POST",
            target,
            content=body.encode(),
            headers={**headers, "host": url.netloc.rpartition("@")[2]},
            extensions={"sni_hostname": host},
        )
        reply = await self._client.send(request, stream=True)
        try:
            # Read to the end, so that a reply that breaks off counts as none and is asked for again.
            size = 0
            async for part in reply.aiter_raw():
                size += len(part)
                if size > REPLY_LIMIT_BYTES:
                    break
        finally:
            await reply.aclose()
        return judge_status(reply.status_code, reply.headers.get("retry-after"), self._clock.now())


def judge_status(status: int, retry_after: str | None, now: datetime) -> Attempt:
    """Say what a receiver's HTTP status means."""
    if 200 <= status < 300:
        return Attempt(SENT, receipt=f"HTTP {status}")
    if status == GONE:
        return Attempt("http_410", permanent=True, disables=True)
    asked = retry_after_seconds(retry_after, now) if status in ASKS_FOR_TIME else None
    return Attempt(f"http_{status}", retry_after_seconds=asked)


def retry_after_seconds(value: str | None, now: datetime) -> float | None:
    """Read a Retry-After header, in seconds or as a date; None if it makes no sense."""
    if value is None:
        return None
    text = value.strip()
    if text.isdecimal() and text.isascii():
        return float(text[:9])
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return (until - now).total_seconds() if until.tzinfo else None


def check_url(text: str, *, allow_plain: bool) -> SplitResult:
    """Take a webhook's URL apart. Raises ValueError with what to fix."""
    url = urlsplit(text)
    if url.scheme not in (("https", "http") if allow_plain else ("https",)):
        raise ValueError("give an https:// address")
    if not url.hostname or url.username or url.password or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("give an address such as https://host/path, without a user name")
    _ = url.port  # raises ValueError for a port that is none
    return url


def check_secret(text: str) -> None:
    """Check signing secrets: base64, with or without whsec_ before it. Raises ValueError."""
    parts = text.split()
    if not parts:
        raise ValueError("the secret is empty")
    for part in parts:
        if len(_secret(part)) < 16:
            raise ValueError("the secret is too short")


def signed_headers(secrets: str, body: str, message_id: str, now: datetime) -> dict[str, str]:
    """Sign a body. Several secrets give several signatures, so that a receiver can change its secret at leisure."""
    signatures = [Webhook(_secret(secret)).sign(message_id, now, body) for secret in secrets.split()]
    return {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def _secret(text: str) -> bytes:
    try:
        return base64.b64decode(text.removeprefix("whsec_") + "==", validate=False)
    except ValueError as error:
        raise ValueError("the secret is not base64") from error


def is_tls(error: BaseException) -> bool:
    """Tell whether a failed connection failed at TLS."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLError):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
