"""Reads stretches of Kafka's partitions, outside any group."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.errors import KafkaError

from shared.bus.kafka.fetching import FETCH_SETTINGS, connected, records_of
from shared.bus.ports import Record, TopicPartition
from shared.errors import TemporaryFailure

AT_ONCE = 2_000
# What lies before the log's end is there at once, or something is wrong.
SILENT_SECONDS = 5.0


class KafkaReader:
    """Implements LogReader. Open one with `kafka_reader`."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer

    async def read(self, partition: TopicPartition, start: int, end: int) -> AsyncIterator[Sequence[Record]]:
        """Give the records from offset start to before end, some at a time. Raises TemporaryFailure."""
        kafka_partition, at = KafkaPartition(*partition), start
        self._consumer.assign([kafka_partition])
        self._consumer.seek(kafka_partition, start)
        while at < end:
            try:
                fetched = await self._consumer.getmany(timeout_ms=int(SILENT_SECONDS * 1000), max_records=AT_ONCE)
            except KafkaError as error:
                raise TemporaryFailure(f"{partition} cannot be read at {at}: {type(error).__name__}") from error
            found = fetched.get(kafka_partition)
            if not found:
                raise TemporaryFailure(f"{partition} hands over nothing at {at}, although it ends at {end}")
            at = found[-1].offset + 1
            yield records_of(one for one in found if one.offset < end)


@asynccontextmanager
async def kafka_reader(bootstrap_servers: str, client_id: str) -> AsyncIterator[KafkaReader]:
    """Connect, and disconnect at the end. Raises TemporaryFailure when the log cannot be reached."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers, client_id=client_id, **FETCH_SETTINGS)
    async with connected(consumer):
        yield KafkaReader(consumer)
