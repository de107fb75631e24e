"""The real way in and through: ingest on a socket, Kafka, the scorer, PostgreSQL; only the clock is the test's."""

import asyncio
import json
import unicodedata
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx2
import uvicorn
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from services.ingest.settings import IngestSettings
from services.ingest.wiring import ingest
from shared.access import Scopes
from shared.clock import Clock, day_of
from shared.db.access_keys import AccessKeys
from shared.events.household_event import SourceClass
from tests.conftest import Platform
from tests.fakes.ingest_edge import JSON_BATCH, LINES, STRUCTURED
from tests.services import rows, running_scorer, until

_ANYTHING = Scopes(division="99", types=("*",), sourceclasses=tuple(SourceClass))


@dataclass(frozen=True, slots=True)
class Real:
    """A client with a key for everything, and the database behind it all."""

    client: httpx2.AsyncClient
    engine: AsyncEngine

    async def send(self, body: bytes) -> None:
        """Send one event, which must be accepted."""
        answer = await self.client.post("/v1/events", content=body, headers={"content-type": STRUCTURED})
        assert answer.status_code == 202, (answer.text, body[-200:])

    async def send_array(self, bodies: Sequence[bytes]) -> None:
        """Send events as a JSON array; every one must be accepted."""
        await self._send_batch(b"[" + b",".join(bodies) + b"]", JSON_BATCH)

    async def send_lines(self, bodies: Sequence[bytes]) -> None:
        """Send events as lines; every one must be accepted."""
        await self._send_batch(b"\n".join(bodies), LINES)

    async def _send_batch(self, body: bytes, content_type: str) -> None:
        answer = await self.client.post("/v1/events/batch", content=body, headers={"content-type": content_type})
        refused = [row for row in answer.json().get("results", []) if row["status"] != "accepted"]
        assert answer.status_code == 202, refused[:3] or answer.text

    async def ledger(self, count: int) -> Mapping[str, Any]:
        """Wait until the ledger holds so many events; return its rows by event id. Fails on a quarantined record."""

        async def all_there() -> bool:
            (found,) = await rows(self.engine, "SELECT count(*) AS events FROM event_ledger")
            assert await rows(self.engine, "SELECT reason, detail FROM quarantine") == []
            return bool(found.events >= count)

        await until(all_there, 60)
        return {row.event_id: row for row in await rows(self.engine, "SELECT * FROM event_ledger")}


@asynccontextmanager
async def real_services(platform: Platform, engine: AsyncEngine, clock: Clock) -> AsyncIterator[Real]:
    """Start them with topics and a database of this test's own."""
    key = await AccessKeys(engine).create("corpus", _ANYTHING, actor="test")
    settings = IngestSettings(
        database_url=SecretStr(platform.database_url),
        kafka_bootstrap_servers=platform.kafka,
        kafka_topic_prefix=platform.topic_prefix,
        port=0,
    )
    async with ingest(settings, clock, CollectorRegistry()) as parts, running_scorer(platform, clock):
        stop = asyncio.Event()
        tasks = [asyncio.create_task(work(stop)) for work in parts.tasks.values()]
        try:
            async with serving(parts.server) as url, _client(url, key) as client:
                yield Real(client, engine)
        finally:
            stop.set()
            await asyncio.gather(*tasks)


@asynccontextmanager
async def serving(server: uvicorn.Server) -> AsyncIterator[str]:
    """Serve on the event loop of the test; the address."""
    running = asyncio.create_task(server.serve())

    async def started() -> bool:
        return server.started

    try:
        await until(started, 10)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await running


@asynccontextmanager
async def _client(url: str, key: str) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=20) as client:

        async def ready() -> bool:
            return (await client.get("/readyz")).status_code == 200

        await until(ready, 30)
        yield client


def differences(body: bytes, stored: Mapping[str, Any]) -> Iterator[tuple[str, str, object, object]]:
    """Yield (id, field, sent, stored) for each field of the ledger that is not what was sent."""
    # Read by a decoder that is not ours.
    sent = _composed(json.loads(body))
    row = stored[sent["id"]]
    expected = {
        "source": sent["source"],
        "type": sent["type"].removeprefix("cn.shouwang.").removesuffix(".v1"),
        "household_id": sent["subject"],
        "division": sent["division"],
        "source_class": sent["sourceclass"],
        "episode": sent.get("episode") or None,
        "occurred_on": day_of(datetime.fromisoformat(sent["time"].upper())),
        "payload": json.dumps(sent["data"], ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode(),
    }
    for field, value in expected.items():
        if getattr(row, field) != value:
            yield sent["id"], field, value, getattr(row, field)


def _composed(value: Any) -> Any:
    """Bring every text of a document into normal form C, as it is kept."""
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, dict):
        return {_composed(key): _composed(inner) for key, inner in value.items()}
    return [_composed(inner) for inner in value] if isinstance(value, list) else value
