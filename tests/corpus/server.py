"""Ingest on a real socket: the real app under the real HTTP server, with a log that lies in memory."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx2

from shared.http.protocol_limits import HttpLimits
from tests.corpus.case import CANARY
from tests.fakes.http_server import running_server
from tests.fakes.ingest_edge import JSON_BATCH, LINES, STRUCTURED, IngestUnderTest, key, started_ingest


@dataclass(frozen=True, slots=True)
class Served:
    """Ingest behind a socket, and a client that keeps its connection."""

    ingest: IngestUnderTest
    client: httpx2.AsyncClient

    async def post(self, body: bytes, *, as_key: str = "all", content_type: str = STRUCTURED) -> httpx2.Response:
        """Send one event as it is."""
        return await self._send("/v1/events", body, as_key, content_type)

    async def post_array(self, bodies: Sequence[bytes], as_key: str = "all") -> httpx2.Response:
        """Send events as a JSON array."""
        return await self._send("/v1/events/batch", b"[" + b",".join(bodies) + b"]", as_key, JSON_BATCH)

    async def post_lines(self, bodies: Sequence[bytes], as_key: str = "all") -> httpx2.Response:
        """Send events as lines."""
        return await self._send("/v1/events/batch", b"\n".join(bodies), as_key, LINES)

    async def _send(self, path: str, body: bytes, as_key: str, content_type: str) -> httpx2.Response:
        headers = {"authorization": f"Bearer {key(as_key)}", "content-type": content_type}
        answer = await self.client.post(path, content=body, headers=headers)
        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["status"] == answer.status_code
            assert CANARY not in answer.text
        return answer


@asynccontextmanager
async def served_ingest() -> AsyncIterator[Served]:
    """Serve on a free port of the loopback address."""
    ingest = await started_ingest(max_in_flight_bytes=1 << 26)
    async with (
        running_server(ingest.app, HttpLimits()) as running,
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{running.port}", timeout=20) as client,
    ):
        yield Served(ingest, client)
