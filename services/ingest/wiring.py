"""Joins the parts of ingest: one straight line, left in reverse order, also after a failed start."""

import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import uvicorn
from prometheus_client import CollectorRegistry

from services.ingest.accept_event import AcceptEvents
from services.ingest.app import create_app
from services.ingest.drain import until_drained
from services.ingest.event_fate import EventFate
from services.ingest.event_types import EventTypePages
from services.ingest.limits import InFlight
from services.ingest.metrics import IngestMetrics
from services.ingest.recent_receipts import RecentReceipts
from services.ingest.reconcile_receipts import ReceiptMetrics, ReconcileReceipts
from services.ingest.routes import Edge
from services.ingest.settings import IngestSettings
from services.ingest.store import FateStore, TraceStore
from shared.bus.kafka import KafkaPublisher
from shared.clock import Clock
from shared.db.access_keys import AccessKeys
from shared.db.session import open_engine
from shared.http.bearer import KeyCache
from shared.lifecycle import Work, http_server
from shared.metrics import ServiceMetrics
from shared.topics import HOUSEHOLD_EVENTS


@dataclass(frozen=True, slots=True)
class Ingest:
    """Ingest ready to run: the HTTP server and the tasks that must stay alive beside it."""

    server: uvicorn.Server
    tasks: Mapping[str, Work]


@asynccontextmanager
async def ingest(settings: IngestSettings, clock: Clock, registry: CollectorRegistry) -> AsyncIterator[Ingest]:
    """Open everything ingest needs. Kafka and the database may be away: it then says so on each request."""
    name = f"{socket.gethostname()}-{os.getpid()}"
    service_metrics = ServiceMetrics("ingest", registry)
    metrics = IngestMetrics(service_metrics)
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(open_engine(settings, f"shouwang-ingest {name}"))
        publisher = KafkaPublisher(
            settings.kafka_bootstrap_servers, f"shouwang-ingest-{name}", topic_prefix=settings.kafka_topic_prefix
        )
        keys = KeyCache(AccessKeys(engine), clock)
        receipts = RecentReceipts(settings.recent_receipts)
        in_flight = InFlight(
            max_bytes=settings.max_in_flight_bytes, max_requests_per_key=settings.max_in_flight_requests_per_key
        )
        accept = AcceptEvents(
            publisher,
            clock,
            receipts,
            metrics,
            publish_timeout_seconds=settings.publish_timeout_seconds,
        )
        edge = Edge(
            accept=accept,
            fate=EventFate(FateStore(engine), receipts),
            keys=keys,
            in_flight=in_flight,
            metrics=metrics,
            event_types=EventTypePages(),
        )
        app = create_app(edge, registry, {"log": publisher.check, "keys": keys.check_ready})
        limits = settings.http_limits(opaque_below=b"/v1/events/")
        server = http_server(app, settings.host, settings.port, limits, service_metrics)
        reconcile = ReconcileReceipts(
            receipts,
            TraceStore(engine, settings.kafka_topic_prefix + HOUSEHOLD_EVENTS.name),
            ReceiptMetrics(service_metrics),
            every_seconds=settings.reconcile_seconds,
        )
        tasks = {"keys": keys.run, "publish": until_drained(publisher.run, server), "reconcile": reconcile.run}
        yield Ingest(server, tasks)
