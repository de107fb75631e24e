"""Joins the parts of the scorer: one straight line, left in reverse order, also after a failed start."""

import os
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from services.scorer.app import create_app
from services.scorer.metrics import ScorerMetrics
from services.scorer.outbox_relay import OutboxRelay
from services.scorer.overtake import Overtake
from services.scorer.reconcile import Reconcile, ReconcileMetrics
from services.scorer.score_event import ScoreEvents
from services.scorer.settings import ScorerSettings
from services.scorer.store import ScorerStore
from services.scorer.verify import refold
from shared.bus.consumer_loop import ConsumerLoop, LoopMetrics
from shared.bus.kafka import KafkaPublisher, kafka_consumer, kafka_reader, partition_of
from shared.bus.progress import ProgressWatch
from shared.clock import Clock
from shared.db.books import snapshot
from shared.db.clock import DatabaseClock
from shared.db.migrate import check_schema, newest_revision
from shared.db.outbox import Outbox
from shared.db.positions import Positions
from shared.db.session import open_engine
from shared.lifecycle import Work
from shared.metrics import ServiceMetrics
from shared.policy import load_policies
from shared.topics import HOUSEHOLD_EVENTS

CONSUMER_GROUP = "shouwang-scorer"


@dataclass(frozen=True, slots=True)
class Scorer:
    """A scorer ready to run: the HTTP app and the tasks that must stay alive beside it."""

    app: FastAPI
    tasks: Mapping[str, Work]


@asynccontextmanager
async def scorer(
    settings: ScorerSettings, registry: CollectorRegistry, clock: Clock | None = None
) -> AsyncIterator[Scorer]:
    """Open everything the scorer needs. Raises TemporaryFailure when Kafka or the database's schema is not there.

    clock: by default the database's.
    """
    name = settings.instance or f"{socket.gethostname()}-{os.getpid()}"
    metrics = ServiceMetrics("scorer", registry)
    scorer_metrics = ScorerMetrics(metrics)
    policies = load_policies(settings.policies)
    newest = newest_revision()
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(open_engine(settings, f"shouwang-scorer {name}"))
        await check_schema(engine, newest)
        database_clock = DatabaseClock(engine)
        await database_clock.ask()
        consumer = await stack.enter_async_context(
            kafka_consumer(
                settings.kafka_bootstrap_servers,
                CONSUMER_GROUP,
                HOUSEHOLD_EVENTS,
                f"shouwang-scorer-{name}",
                topic_prefix=settings.kafka_topic_prefix,
                instance_id=settings.instance,
            )
        )
        publisher = KafkaPublisher(
            settings.kafka_bootstrap_servers,
            f"shouwang-scorer-relay-{name}",
            topic_prefix=settings.kafka_topic_prefix,
        )
        relay = OutboxRelay(Outbox(engine, publisher), scorer_metrics)
        store = ScorerStore(engine, Positions(engine, CONSUMER_GROUP, name))
        handler = ScoreEvents(
            store,
            policies,
            clock or database_clock,
            scorer_metrics,
            partition_of=lambda household_id: partition_of(household_id.encode(), HOUSEHOLD_EVENTS.partitions),
            midnight_grace_seconds=settings.midnight_grace_seconds,
            on_messages=relay.wake,
        )
        loop = ConsumerLoop(
            consumer,
            handler,
            LoopMetrics(metrics),
            max_records=settings.batch_records,
            read_ahead=handler.read,
        )

        overtake = Overtake(
            loop,
            consumer,
            lambda: kafka_reader(settings.kafka_bootstrap_servers, f"shouwang-scorer-overtake-{name}"),
            handler,
            after_seconds=settings.overtake_after_seconds,
        )

        async def schema_is_ours() -> None:
            await check_schema(engine, newest)

        async def differing(household_ids: Sequence[str]) -> list[str]:
            found = await refold(store, household_ids, policies)
            return [one.household_id for one in found if one.kind != "format"]

        reconcile = Reconcile(
            lambda: snapshot(engine),
            consumer.ask_end_offsets,
            differing,
            ReconcileMetrics(metrics),
            consumer_group=CONSUMER_GROUP,
            topic=settings.kafka_topic_prefix + HOUSEHOLD_EVENTS.name,
            every_seconds=settings.reconcile_seconds,
        )
        yield Scorer(
            create_app(
                registry,
                {"database": schema_is_ours, "log": publisher.check, "partitions": loop.check_ready},
            ),
            {
                "clock": database_clock.run,
                "consume": loop.run,
                "overtake": overtake.run,
                "progress": ProgressWatch(loop, consumer).run,
                "reconcile": reconcile.run,
                "relay": relay.run,
                "publish": publisher.run,
            },
        )
