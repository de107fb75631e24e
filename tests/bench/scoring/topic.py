"""Fills the topic of the events once; each round reads it from its beginning."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from aiokafka import AIOKafkaProducer

from shared.bus.kafka import partition_of
from shared.events.envelope import EventMessage
from shared.topics import HOUSEHOLD_EVENTS

# About 50 records: what ingest's producer gathers under a surge, and not the most that it may.
BATCH_BYTES = 32_768
TOLD_EVERY = 10_000


async def fill_topic(
    bootstrap_servers: str,
    topic_prefix: str,
    messages: Iterable[EventMessage],
    tell: Callable[[str], None],
    *,
    batch_bytes: int = BATCH_BYTES,
) -> Mapping[int, int]:
    """Put events on the log, each partition in order; return how many each partition has.

    batch_bytes: most of a batch before compression; it holds one record at least.
    """
    topic, written = topic_prefix + HOUSEHOLD_EVENTS.name, Counter[int]()
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap_servers, acks="all", compression_type="lz4", max_batch_size=batch_bytes
    )
    async with producer:
        batches = {number: producer.create_batch() for number in range(HOUSEHOLD_EVENTS.partitions)}

        async def send(number: int) -> None:
            if batches[number].record_count():
                await producer.send_batch(batches[number], topic, partition=number)
                batches[number] = producer.create_batch()

        for count, message in enumerate(messages):
            if count % TOLD_EVERY == 0:
                tell(f"filling the topic: {count:,} events")
            key, value = message.subject.encode(), message.to_bytes()
            number = partition_of(key, HOUSEHOLD_EVENTS.partitions)
            received_ms = int(message.recordedat.timestamp() * 1000) if message.recordedat else None
            while batches[number].append(key=key, value=value, timestamp=received_ms) is None:
                await send(number)
            written[number] += 1
        for number in batches:
            await send(number)
        await producer.flush()
    return written
