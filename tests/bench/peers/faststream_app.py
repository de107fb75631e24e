"""The toy job on FastStream: a batch subscriber, counters in PostgreSQL through asyncpg, alerts through its broker.

At least once: offsets are committed after the handler has returned. It validates and logs as it does by default, but
logs no line for each batch.
"""

import asyncio
import logging
from typing import Any

import asyncpg
import uvloop
from faststream import AckPolicy, FastStream
from faststream.kafka import KafkaBroker

from tests.bench.peers.place import EntrantPlace, FirstEvent
from tests.bench.peers.postgres import fold_batch
from tests.bench.peers.toy import read

MOST_RECORDS = 2_000


async def main() -> None:
    """Run until killed."""
    place = EntrantPlace.from_environment()
    first_event = FirstEvent(place)
    database = await asyncpg.connect(place.database_url)
    broker = KafkaBroker(place.kafka, acks="all", enable_idempotence=True, log_level=logging.DEBUG)

    @broker.subscriber(
        place.events_topic,
        group_id=place.group,
        auto_offset_reset="earliest",
        ack_policy=AckPolicy.ACK,
        batch=True,
        max_records=MOST_RECORDS,
        batch_timeout_ms=200,
    )
    async def fold_events(events: list[dict[str, Any]]) -> None:
        if not first_event.told:
            first_event.tell()
        alerts = await fold_batch(database, [read(event) for event in events])
        sent = [
            await broker.publish(alert, place.alerts_topic, key=alert["household_id"].encode(), no_confirm=True)
            for alert in alerts
        ]
        await asyncio.gather(*sent)

    await FastStream(broker).run()


if __name__ == "__main__":
    uvloop.run(main())
