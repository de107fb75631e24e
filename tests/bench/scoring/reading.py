"""Reads a world's log to its end, by the product's consumer or by the library alone, and tells what that took."""

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaPartition

from services.scorer.settings import ScorerSettings
from shared.bus.kafka import kafka_consumer
from shared.bus.kafka.consumer import CONSUMER_SETTINGS
from shared.bus.ports import Record, TopicPartition
from shared.topics import HOUSEHOLD_EVENTS

Take = Callable[[TopicPartition, Sequence[Record]], None]
AT_ONCE: int = ScorerSettings.model_fields["batch_records"].default
WAIT_SECONDS = 0.25
PARTITIONS = HOUSEHOLD_EVENTS.partitions


@dataclass(frozen=True, slots=True)
class Spent:
    """What a piece of work took: seconds of the clock, and of the processor by this thread."""

    seconds: float
    cpu_seconds: float


class Stopwatch:
    """Begins when it is made."""

    def __init__(self) -> None:
        self._began, self._cpu_began = time.perf_counter(), time.thread_time()

    def spent(self) -> Spent:
        """What was spent since."""
        return Spent(time.perf_counter() - self._began, time.thread_time() - self._cpu_began)


async def read_as_scorer(kafka: str, topic_prefix: str, events: int, take: Take) -> Spent:
    """Read so many events as the scorer's loop does, as the only member of a group; from the first fetch on."""
    group = f"bench-{uuid.uuid4().hex[:8]}"
    async with kafka_consumer(kafka, group, HOUSEHOLD_EVENTS, "bench", topic_prefix=topic_prefix) as consumer:
        while len(consumer.assignment()) < PARTITIONS:
            await consumer.fetch(AT_ONCE, WAIT_SECONDS)
        watch = Stopwatch()
        for partition in consumer.assignment():
            await consumer.begin(partition, 0)
        left = events
        while left > 0:
            for partition, records in (await consumer.fetch(AT_ONCE, WAIT_SECONDS)).items():
                take(partition, records)
                left -= len(records)
        return watch.spent()


async def read_bare(kafka: str, topic_prefix: str, events: int) -> Spent:
    """Read so many events by the library alone, with the same settings: no group, nothing kept."""
    topic = topic_prefix + HOUSEHOLD_EVENTS.name
    partitions = [KafkaPartition(topic, number) for number in range(PARTITIONS)]
    settings: Mapping[str, Any] = CONSUMER_SETTINGS
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, client_id="bench", **settings)
    consumer.assign(partitions)
    async with consumer:
        watch = Stopwatch()
        for partition in partitions:
            consumer.seek(partition, 0)
        left = events
        while left > 0:
            found = await consumer.getmany(timeout_ms=int(WAIT_SECONDS * 1000), max_records=AT_ONCE)
            left -= sum(map(len, found.values()))
        return watch.spent()
