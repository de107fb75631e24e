"""The toy job as most people write it: aiokafka and asyncpg, one transaction a fetch, then the offsets.

At least once: between the transaction and the commit of the offsets a kill counts a fetch twice.
"""

import asyncio
from collections.abc import Sequence

import asyncpg
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from tests.bench.peers.place import EntrantPlace, FirstEvent
from tests.bench.peers.postgres import fold_batch
from tests.bench.peers.toy import decode, encode

MOST_RECORDS = 2_000


async def main() -> None:
    """Run until killed."""
    place = EntrantPlace.from_environment()
    first_event = FirstEvent(place)
    database = await asyncpg.connect(place.database_url)
    consumer = AIOKafkaConsumer(
        place.events_topic,
        bootstrap_servers=place.kafka,
        group_id=place.group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    producer = AIOKafkaProducer(bootstrap_servers=place.kafka, acks="all", enable_idempotence=True)
    async with consumer, producer:
        while True:
            fetched = await consumer.getmany(timeout_ms=200, max_records=MOST_RECORDS)
            values: Sequence[bytes] = [record.value for records in fetched.values() for record in records]
            if not values:
                continue
            if not first_event.told:
                first_event.tell()
            alerts = await fold_batch(database, [decode(value) for value in values])
            sent = [
                await producer.send(place.alerts_topic, encode(alert), key=alert["household_id"].encode())
                for alert in alerts
            ]
            await asyncio.gather(*sent)
            await consumer.commit()


if __name__ == "__main__":
    uvloop.run(main())
