"""Ingest with everything outside it replaced: a log and a database in memory, a clock that stands still."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any

import httpx2
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp

from services.ingest.accept_event import AcceptEvents
from services.ingest.app import create_app
from services.ingest.event_fate import EventFate
from services.ingest.event_types import EventTypePages
from services.ingest.limits import InFlight
from services.ingest.metrics import IngestMetrics
from services.ingest.recent_receipts import RecentReceipts
from services.ingest.routes import Edge
from services.ingest.store import LedgerEntry, QuarantinedRecord
from shared.access import AccessKey, Scopes, hash_secret
from shared.clock import SettableClock
from shared.errors import TemporaryFailure
from shared.events.household_event import SourceClass
from shared.http.bearer import KeyCache
from shared.metrics import ServiceMetrics
from tests.fakes.log import FakePublisher

NOW = datetime(2026, 3, 2, 2, 0, 0, 123_456, tzinfo=UTC)
STRUCTURED = "application/cloudevents+json"
JSON_BATCH = "application/cloudevents-batch+json"
LINES = "application/x-ndjson"

SCOPES: Mapping[str, Scopes] = {
    "all": Scopes(division="99", types=("*",), sourceclasses=tuple(SourceClass)),
    "own_reports": Scopes(division="99", types=("*",), sourceclasses=(SourceClass.SELF,)),
    "village": Scopes(division="990100101201", types=("health.*",), sourceclasses=(SourceClass.CADRE,)),
    "one_source": Scopes(
        division="99", types=("*",), sourceclasses=tuple(SourceClass), sources=("urn:app:village-notes", "urn:dept:a:*")
    ),
    "reader": Scopes(division="99", read_alerts=True),
}


def make_event(**changes: Any) -> dict[str, Any]:
    """Build an event that is accepted; an attribute given as ... is left out."""
    event = {
        "specversion": "1.0",
        "id": "e-1",
        "source": "urn:app:village-notes",
        "type": "cn.shouwang.health.major_illness.v1",
        "subject": "H-1",
        "time": "2026-03-02T09:30:00+08:00",
        "division": "990100101201",
        "sourceclass": "cadre",
        "data": {"person": "p1", "self_pay_yuan": 60000},
    }
    return {name: value for name, value in {**event, **changes}.items() if value is not ...}


def key(name: str = "all") -> str:
    """Return the bearer key with the scopes of this name."""
    return f"sw_{name}.secret-of-{name}"


@dataclass
class MemoryKeys:
    """Access keys, one for each of SCOPES."""

    away: bool = False
    revoked: set[str] = field(default_factory=set)

    async def access_keys(self) -> Mapping[str, AccessKey]:
        """Return the keys, or raise TemporaryFailure while away."""
        if self.away:
            raise TemporaryFailure("database: away")
        return {
            f"sw_{name}": AccessKey(
                key_id=f"sw_{name}",
                secret_sha256=hash_secret(f"secret-of-{name}"),
                name=name,
                scopes=scopes,
                created_at=NOW,
                revoked_at=NOW if name in self.revoked else None,
            )
            for name, scopes in SCOPES.items()
        }


@dataclass
class MemoryFates:
    """The scorer's verdicts, by (key id, event id)."""

    away: bool = False
    ledger: dict[tuple[str, str], list[LedgerEntry]] = field(default_factory=dict)
    quarantined: dict[tuple[str, str], list[QuarantinedRecord]] = field(default_factory=dict)

    async def find(
        self, key_id: str, event_id: str, source: str | None
    ) -> tuple[Sequence[LedgerEntry], Sequence[QuarantinedRecord]]:
        """Return what was put in, or raise TemporaryFailure while away."""
        if self.away:
            raise TemporaryFailure("database: away")
        return (
            [one for one in self.ledger.get((key_id, event_id), []) if source in (None, one.source)],
            [one for one in self.quarantined.get((key_id, event_id), []) if source in (None, one.source)],
        )


@cache
def _pages() -> EventTypePages:
    return EventTypePages()


class IngestUnderTest:
    """The whole app of ingest over fakes, and a client for it."""

    def __init__(self, *, max_in_flight_bytes: int = 1 << 25, max_requests_per_key: int = 200) -> None:
        self.log = FakePublisher()
        self.clock = SettableClock(NOW)
        self.keys = MemoryKeys()
        self.fates = MemoryFates()
        self.registry = CollectorRegistry()
        self.in_flight = InFlight(max_bytes=max_in_flight_bytes, max_requests_per_key=max_requests_per_key)
        self.key_cache = KeyCache(self.keys, self.clock)
        metrics = IngestMetrics(ServiceMetrics("ingest", self.registry))
        receipts = RecentReceipts(1_000)
        self.accept = AcceptEvents(self.log, self.clock, receipts, metrics, publish_timeout_seconds=0.2)
        edge = Edge(
            accept=self.accept,
            fate=EventFate(self.fates, receipts),
            keys=self.key_cache,
            in_flight=self.in_flight,
            metrics=metrics,
            event_types=_pages(),
        )
        checks = {"log": self.log.check, "keys": self.key_cache.check_ready}
        self.app: ASGIApp = create_app(edge, self.registry, checks)

    def client(self) -> httpx2.AsyncClient:
        """Return a client that talks to the app in memory; a fault of ours shows as a 500."""
        transport = httpx2.ASGITransport(app=self.app, raise_app_exceptions=False)
        return httpx2.AsyncClient(transport=transport, base_url="http://ingest.test")

    async def post(
        self,
        body: object = None,
        *,
        path: str = "/v1/events",
        content_type: str | None = STRUCTURED,
        as_key: str = "all",
        headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
    ) -> httpx2.Response:
        """Send a body (bytes as they are, anything else as JSON) with a key."""
        content = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        fixed = [("authorization", f"Bearer {key(as_key)}")]
        fixed += [("content-type", content_type)] if content_type is not None else []
        given = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
        names = {name.lower() for name, _ in given}
        fixed = [(name, value) for name, value in fixed if name not in names]
        encoded = [(name.encode(), value.encode("latin-1")) for name, value in [*fixed, *given]]
        async with self.client() as client:
            return await client.post(path, content=content, headers=encoded)

    async def get(self, path: str, *, as_key: str | None = "all") -> httpx2.Response:
        """Ask with a key, or with none."""
        headers = {"authorization": f"Bearer {key(as_key)}"} if as_key else {}
        async with self.client() as client:
            return await client.get(path, headers=headers)

    def count(self, name: str, **labels: str) -> float:
        """Return a metric's present value; -1 if it does not exist."""
        value = self.registry.get_sample_value(f"shouwang_ingest_{name}", labels)
        return -1 if value is None else value


async def started_ingest(**limits: int) -> IngestUnderTest:
    """Build ingest with its keys read."""
    ingest = IngestUnderTest(**limits)
    await ingest.key_cache.refresh()
    return ingest
