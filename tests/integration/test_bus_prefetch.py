"""Fetching ahead of a slow handler from a real Kafka: bounded, in order, nothing lost and nothing fetched in vain."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence

import pytest
from aiokafka import AIOKafkaConsumer
from prometheus_client import CollectorRegistry

from shared.bus.consumer_loop import ConsumerLoop, LoopMetrics
from shared.bus.kafka import kafka_consumer, partition_of
from shared.bus.kafka.consumer import KafkaConsumer
from shared.bus.ports import Claim, PartitionBatch, Record, TopicPartition
from shared.errors import TemporaryFailure
from shared.metrics import ServiceMetrics
from shared.topics import GRADE_CHANGES
from tests.conftest import Platform
from tests.services import log_publisher, until

pytestmark = pytest.mark.integration
RECORDS = 6_000


class Slow:
    """Keeps values and positions in memory; takes its time for each batch, and fails each nth one."""

    def __init__(self, fail_each: int | None = None) -> None:
        self.values: dict[TopicPartition, list[bytes | None]] = defaultdict(list)
        self.next_offset: dict[TopicPartition, int] = {}
        self.batches = 0
        self._fail_each = fail_each

    async def claim(self, partition: TopicPartition) -> Claim:
        return Claim(1, self.next_offset.get(partition))

    async def handle(self, batch: PartitionBatch) -> None:
        assert batch.claim.next_offset in (None, batch.first_offset)
        await asyncio.sleep(0.01)
        self.batches += 1
        if self._fail_each and self.batches % self._fail_each == 0:
            raise TemporaryFailure("away")
        self.values[batch.partition].extend(record.value for record in batch.records)
        self.next_offset[batch.partition] = batch.next_offset

    async def caught_up(self, partition: TopicPartition, claim: Claim) -> bool:
        return False


class Counting:
    """The consumer, and how many records it has given of each partition."""

    def __init__(self, consumer: KafkaConsumer) -> None:
        self._consumer = consumer
        self.given: dict[TopicPartition, int] = defaultdict(int)
        self.rested = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._consumer, name)

    def hold(self, partition: TopicPartition) -> None:
        self.rested += 1
        self._consumer.hold(partition)

    async def fetch(self, max_records: int, wait_seconds: float) -> Mapping[TopicPartition, Sequence[Record]]:
        fetched = await self._consumer.fetch(max_records, wait_seconds)
        for partition, records in fetched.items():
            self.given[partition] += len(records)
        return fetched


@pytest.mark.parametrize("fail_each", [None, 5])
async def test_a_handler_slower_than_the_log_gets_each_record_once_and_in_order(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, fail_each: int | None
) -> None:
    seek, seeks = AIOKafkaConsumer.seek, []
    monkeypatch.setattr(AIOKafkaConsumer, "seek", lambda *place: (seeks.append(place), seek(*place)))
    sent = [f"{number:05d}".encode() for number in range(RECORDS)]
    async with log_publisher(platform) as log:
        await asyncio.gather(*(log.publish(GRADE_CHANGES, f"h{int(v) % 17}", v, within_seconds=20) for v in sent))
    handler, stop = Slow(fail_each), asyncio.Event()
    async with kafka_consumer(
        platform.kafka, "prefetch", GRADE_CHANGES, "one", topic_prefix=platform.topic_prefix
    ) as inner:
        consumer = Counting(inner)
        metrics = LoopMetrics(ServiceMetrics("test", CollectorRegistry()))
        loop = ConsumerLoop(consumer, handler, metrics, max_records=50)  # type: ignore[arg-type]
        running = asyncio.create_task(loop.run(stop))
        await until(lambda: _all(handler), 60)
        stop.set()
        await running
    got = [value for values in handler.values.values() for value in values]
    assert sorted(got) == sent, "each one once"
    for values in handler.values.values():
        lanes: dict[int, list[bytes]] = defaultdict(list)
        for value in values:
            assert value is not None
            lanes[int(value) % 17].append(value)
        assert all(lane == sorted(lane) for lane in lanes.values())
    assert consumer.rested > 0
    if fail_each is None:
        assert sum(consumer.given.values()) == RECORDS
        assert seeks == [], "what the library had fetched was not thrown away"


async def _all(handler: Slow) -> bool:
    return sum(map(len, handler.values.values())) >= RECORDS


async def test_records_that_arrive_while_their_partition_is_put_on_hold_come_again(platform: Platform) -> None:
    partition = TopicPartition(platform.topic_prefix + GRADE_CHANGES.name, 0)
    async with (
        log_publisher(platform) as log,
        kafka_consumer(platform.kafka, "hold", GRADE_CHANGES, "one", topic_prefix=platform.topic_prefix) as consumer,
    ):
        key = next(f"h{n}" for n in range(100) if partition_of(f"h{n}".encode(), GRADE_CHANGES.partitions) == 0)
        for word in (b"one", b"two"):
            await log.publish(GRADE_CHANGES, key, word, within_seconds=20)
        await until(lambda: _assigned(consumer, partition))
        await consumer.begin(partition, 0)
        while not (got := await consumer.fetch(1, 5)):
            pass
        assert [record.value for record in got[partition]] == [b"one"]
        fetching = asyncio.create_task(consumer.fetch(10, 5))
        consumer.hold(partition)
        assert await fetching == {}
        await consumer.begin(partition, 1)
        while not (got := await consumer.fetch(10, 5)):
            pass
        assert [record.value for record in got[partition]] == [b"two"]


async def _assigned(consumer: KafkaConsumer, partition: TopicPartition) -> bool:
    return partition in consumer.assignment()
