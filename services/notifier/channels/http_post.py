"""One HTTPS call to a vendor, within a deadline and a size: a JSON reply, or how the attempt failed.

The address is the operator's setting, never a person's; proxies of the environment are not used.
"""

import asyncio
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

from services.notifier.channels.webhook import REPLY_LIMIT_BYTES, is_tls, judge_status
from services.notifier.core.retries import Attempt
from services.notifier.settings import NotifierSettings
from shared.clock import Clock

CONNECT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply that is a JSON object."""

    status: int
    body: Mapping[str, Any]


class VendorClient:
    """Calls one vendor; connections are kept."""

    def __init__(self, settings: NotifierSettings, clock: Clock) -> None:
        self.clock = clock
        self._timeout_seconds = settings.send_timeout_seconds
        self._client = httpx2.AsyncClient(
            follow_redirects=False,
            trust_env=False,
            verify=ssl.create_default_context(cafile=settings.vendor_ca_file),
            timeout=httpx2.Timeout(settings.send_timeout_seconds, connect=CONNECT_SECONDS),
            limits=httpx2.Limits(max_connections=settings.channel_parallel),
            headers={"user-agent": "shouwang-notifier", "accept": "application/json", "accept-encoding": "identity"},
        )

    async def call(
        self,
        method: str,
        url: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply | Attempt:
        """Return the reply, whatever its HTTP status, or the failed attempt where there is none that can be read."""
        request = self._client.build_request(method, url, params=query, json=body, headers=headers)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await self._read(request)
        except (TimeoutError, httpx2.TimeoutException):
            return Attempt("timeout")
        except httpx2.ConnectError as error:
            return Attempt("tls" if is_tls(error) else "connection_refused")
        except httpx2.HTTPError:
            return Attempt("bad_reply")

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.aclose()

    async def _read(self, request: httpx2.Request) -> Reply | Attempt:
        reply = await self._client.send(request, stream=True)
        text = bytearray()
        try:
            async for part in reply.aiter_raw():
                text += part
                if len(text) > REPLY_LIMIT_BYTES:
                    return Attempt("bad_reply")
        finally:
            await reply.aclose()
        try:
            body = json.loads(text)
        except ValueError:
            body = None
        if isinstance(body, dict):
            return Reply(reply.status_code, body)
        judged = judge_status(reply.status_code, reply.headers.get("retry-after"), self.clock.now())
        # What an answer without the vendor's code means nobody can say; 410 is for webhooks.
        taken_or_gone = judged.receipt is not None or judged.permanent
        return Attempt("bad_reply") if taken_or_gone else judged
