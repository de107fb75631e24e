"""The toy job on Shouwang's own parts, put together as the scorer puts them (services/scorer/wiring.py).

One transaction a partition batch: counters, alerts in the outbox, and the partition's position with its epoch; the
relay puts the outbox on the log. Exactly once for the counters; alerts at least once, known by household and count.
Events are decoded by the project's strict decoder, as in the scorer.
"""

import asyncio
import uuid
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import uvloop
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.scorer.metrics import ScorerMetrics
from services.scorer.outbox_relay import OutboxRelay
from shared.bus.consumer_loop import ConsumerLoop, LoopMetrics
from shared.bus.kafka import KafkaPublisher, kafka_consumer
from shared.bus.ports import Claim, PartitionBatch, TopicPartition
from shared.codec import FROM_LOG, decode_json
from shared.db.outbox import Outbox, add_to_outbox
from shared.db.positions import Fates, Positions
from shared.db.session import open_engine, transaction
from shared.metrics import ServiceMetrics
from shared.settings import ServiceSettings, asyncpg_url
from shared.topics import GRADE_CHANGES, HOUSEHOLD_EVENTS
from tests.bench.peers.place import EntrantPlace, FirstEvent
from tests.bench.peers.toy import columns, encode, fold_all, read

LOAD = text(
    "SELECT household_id, events, total_fen, grade FROM peer_counter"
    " WHERE household_id = ANY(CAST(:household_ids AS text[]))"
)
STORE = text(
    """
    INSERT INTO peer_counter SELECT * FROM unnest(
        CAST(:household_ids AS text[]),
        CAST(:events AS bigint[]), CAST(:totals AS bigint[]), CAST(:grades AS smallint[])
    ) ON CONFLICT (household_id) DO UPDATE SET
        events = excluded.events, total_fen = excluded.total_fen, grade = excluded.grade
    """
)


class ToyHandler:
    """The batch handler: see shared.bus.ports.BatchHandler."""

    def __init__(self, engine: AsyncEngine, positions: Positions, relay: OutboxRelay, first_event: FirstEvent) -> None:
        self._engine = engine
        self._positions = positions
        self._relay = relay
        self._first_event = first_event

    async def claim(self, partition: TopicPartition) -> Claim:
        """Become the partition's owner."""
        return await self._positions.claim(partition)

    async def handle(self, batch: PartitionBatch) -> None:
        """Count the events of a batch."""
        if not self._first_event.told:
            self._first_event.tell()
        amounts = [read(decode_json(record.value or b"", FROM_LOG)) for record in batch.records]
        async with transaction(self._engine) as connection:
            alerts = await _count(connection, amounts)
            await add_to_outbox(
                connection, [(GRADE_CHANGES.name, alert["household_id"], encode(alert)) for alert in alerts]
            )
            await self._positions.advance(connection, batch, Fates(applied=len(batch.records)))
        if alerts:
            self._relay.wake()

    async def caught_up(self, partition: TopicPartition, claim: Claim) -> bool:
        """Nothing waits for idle time."""
        return False


async def _count(connection: AsyncConnection, amounts: Sequence[tuple[str, int]]) -> list[dict[str, Any]]:
    rows = await connection.execute(LOAD, {"household_ids": list({household_id for household_id, _ in amounts})})
    changed, alerts = fold_all({row[0]: [row[1], row[2], row[3]] for row in rows}, amounts)
    names = ("household_ids", "events", "totals", "grades")
    await connection.execute(STORE, dict(zip(names, columns(changed), strict=True)))
    return alerts


async def main() -> None:
    """Run until killed."""
    place = EntrantPlace.from_environment()
    settings = ServiceSettings(
        database_url=SecretStr(asyncpg_url(place.database_url)), kafka_bootstrap_servers=place.kafka
    )
    metrics = ServiceMetrics("peers", CollectorRegistry())
    events_prefix = place.events_topic.removesuffix(HOUSEHOLD_EVENTS.name)
    alerts_prefix = place.alerts_topic.removesuffix(GRADE_CHANGES.name)
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(open_engine(settings, "peers"))
        consumer = await stack.enter_async_context(
            kafka_consumer(place.kafka, place.group, HOUSEHOLD_EVENTS, "peers", topic_prefix=events_prefix)
        )
        publisher = KafkaPublisher(place.kafka, "peers-relay", topic_prefix=alerts_prefix)
        relay = OutboxRelay(Outbox(engine, publisher), ScorerMetrics(metrics))
        positions = Positions(engine, place.group, uuid.uuid4().hex)
        handler = ToyHandler(engine, positions, relay, FirstEvent(place))
        loop = ConsumerLoop(consumer, handler, LoopMetrics(metrics))
        async with asyncio.TaskGroup() as tasks:
            for work in (publisher.run, relay.run, loop.run):
                tasks.create_task(work(stop))


if __name__ == "__main__":
    uvloop.run(main())
