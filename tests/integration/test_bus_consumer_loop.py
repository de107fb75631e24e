"""The consumer loop against a real Kafka and positions in a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.bus.consumer_loop import ConsumerLoop, LoopMetrics
from shared.bus.kafka import KafkaPublisher, kafka_consumer
from shared.bus.ports import Claim, PartitionBatch, Record, TopicPartition
from shared.db.positions import Fates, Positions
from shared.db.session import transaction
from shared.errors import LostOwnership, TemporaryFailure
from shared.metrics import ServiceMetrics
from shared.topics import GRADE_CHANGES
from tests.conftest import Platform

pytestmark = pytest.mark.integration


class Collect:
    """Keeps each record's value in a table, with the position, in one transaction; fails when told to."""

    def __init__(self, engine: AsyncEngine, owner: str) -> None:
        self._engine = engine
        self._positions = Positions(engine, "collect", owner)
        self.claim_failures: list[Exception] = []
        self.failures: list[Exception] = []
        self.after_commit: list[Exception] = []
        self.caught_up_calls = 0

    async def claim(self, partition: TopicPartition) -> Claim:
        if self.claim_failures:
            raise self.claim_failures.pop()
        return await self._positions.claim(partition)

    async def handle(self, batch: PartitionBatch) -> None:
        if self.failures:
            raise self.failures.pop()
        async with transaction(self._engine) as connection:
            for record in batch.records:
                await connection.execute(text("INSERT INTO seen VALUES (:value)"), {"value": record.value})
            await self._positions.advance(connection, batch, Fates(applied=len(batch.records)))
        if self.after_commit:
            raise self.after_commit.pop()

    async def caught_up(self, partition: TopicPartition, claim: Claim) -> bool:
        self.caught_up_calls += 1
        return False


@pytest.fixture
async def seen(engine: AsyncEngine) -> AsyncEngine:
    async with transaction(engine) as connection:
        await connection.execute(text("CREATE TABLE seen (value bytea)"))
    return engine


async def values(engine: AsyncEngine) -> list[bytes]:
    async with transaction(engine) as connection:
        return [bytes(row.value) for row in await connection.execute(text("SELECT value FROM seen ORDER BY value"))]


@asynccontextmanager
async def publisher(platform: Platform) -> AsyncIterator[KafkaPublisher]:
    made, stop = KafkaPublisher(platform.kafka, "tests", topic_prefix=platform.topic_prefix), asyncio.Event()
    running = asyncio.create_task(made.run(stop))
    for _ in range(200):
        try:
            await made.check()
            break
        except TemporaryFailure:
            await asyncio.sleep(0.05)
    yield made
    stop.set()
    await running


@asynccontextmanager
async def consuming(
    platform: Platform, handler: Collect, name: str = "one", registry: CollectorRegistry | None = None
) -> AsyncIterator[asyncio.Task[None]]:
    stop = asyncio.Event()
    async with kafka_consumer(
        platform.kafka, "collect", GRADE_CHANGES, name, topic_prefix=platform.topic_prefix
    ) as consumer:
        loop = ConsumerLoop(consumer, handler, LoopMetrics(ServiceMetrics(name, registry or CollectorRegistry())))
        task = asyncio.create_task(loop.run(stop))
        yield task
        stop.set()
        if not task.done():
            await task


async def publish(log: KafkaPublisher, first: int, last: int) -> list[bytes]:
    made = [f"{number:05d}".encode() for number in range(first, last)]
    await asyncio.gather(*(log.publish(GRADE_CHANGES, f"h{int(v) % 17}", v, within_seconds=10) for v in made))
    return made


async def until(condition, seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.05)


async def test_each_record_is_handled_once_across_a_restart(platform: Platform, seen: AsyncEngine) -> None:
    async with publisher(platform) as log:
        sent = await publish(log, 0, 300)
        async with consuming(platform, Collect(seen, "first")):
            await until(lambda: _has(seen, sent))
        sent += await publish(log, 300, 500)
        async with consuming(platform, Collect(seen, "second")):
            await until(lambda: _has(seen, sent))
    assert await values(seen) == sent


async def test_a_passing_failure_holds_the_partition_and_loses_nothing(platform: Platform, seen: AsyncEngine) -> None:
    handler = Collect(seen, "one")
    handler.failures = [TemporaryFailure("away") for _ in range(5)]
    async with publisher(platform) as log, consuming(platform, handler):
        sent = await publish(log, 0, 100)
        await until(lambda: _has(seen, sent))
    assert not handler.failures
    assert await values(seen) == sent


async def test_a_database_that_is_away_at_the_start_is_waited_for(platform: Platform, seen: AsyncEngine) -> None:
    handler = Collect(seen, "one")
    handler.claim_failures = [TemporaryFailure("away") for _ in range(30)]
    async with publisher(platform) as log, consuming(platform, handler) as task:
        sent = await publish(log, 0, 100)
        await until(lambda: _has(seen, sent), 30)
        assert not task.done()
    assert await values(seen) == sent


async def test_a_commit_whose_answer_was_lost_is_not_applied_twice(platform: Platform, seen: AsyncEngine) -> None:
    handler = Collect(seen, "one")
    handler.after_commit = [TemporaryFailure("the answer to COMMIT was lost") for _ in range(4)]
    async with publisher(platform) as log, consuming(platform, handler):
        sent = await publish(log, 0, 200)
        await until(lambda: _has(seen, sent))
        await asyncio.sleep(1)
    assert not handler.after_commit
    assert await values(seen) == sent


async def test_a_former_owner_cannot_commit(platform: Platform, seen: AsyncEngine) -> None:
    partition = TopicPartition("t", 0)
    old, new = Positions(seen, "g", "old"), Positions(seen, "g", "new")
    claim = await old.claim(partition)
    await new.claim(partition)
    with pytest.raises(LostOwnership):
        async with transaction(seen) as connection:
            await connection.execute(text("INSERT INTO seen VALUES ('late')"))
            await old.advance(
                connection, PartitionBatch(partition, claim, [Record(4, None, b"late", 0)]), Fates(applied=1)
            )
    assert await values(seen) == []


async def test_two_members_share_the_partitions_and_each_record_counts_once(
    platform: Platform, seen: AsyncEngine
) -> None:
    async with publisher(platform) as log, consuming(platform, Collect(seen, "one"), "one"):
        sent = await publish(log, 0, 200)
        async with consuming(platform, Collect(seen, "two"), "two"):
            sent += await publish(log, 200, 800)
            await until(lambda: _has(seen, sent), 40)
        sent += await publish(log, 800, 1000)
        await until(lambda: _has(seen, sent), 40)
    assert await values(seen) == sent


async def test_a_position_beyond_the_logs_end_halts_that_partition_and_no_other(
    platform: Platform, seen: AsyncEngine
) -> None:
    async with transaction(seen) as connection:
        await connection.execute(
            text(
                "INSERT INTO partition_position (consumer_group, topic, partition, epoch, owner, next_offset)"
                " VALUES ('collect', :topic, 0, 1, 'x', 777)"
            ),
            {"topic": platform.topic_prefix + GRADE_CHANGES.name},
        )
    registry = CollectorRegistry()
    halted = "shouwang_one_halted_partitions"
    async with publisher(platform) as log, consuming(platform, Collect(seen, "one"), registry=registry):
        await publish(log, 0, 200)
        await until(lambda: _true(registry.get_sample_value(halted, {"reason": "log_ends_early"}) == 1))
        await until(lambda: _true(registry.get_sample_value("shouwang_one_owned_partitions") == 5))
        await until(lambda: _all_read_but_the_first(seen))
    assert 0 < len(await values(seen)) < 200


async def _all_read_but_the_first(engine: AsyncEngine) -> bool:
    async with transaction(engine) as connection:
        found = await connection.execute(text("SELECT partition, next_offset FROM partition_position"))
        positions = {row.partition: row.next_offset or 0 for row in found}
    return positions.pop(0) == 777 and sum(positions.values()) == len(await values(engine)) > 0


async def test_idle_work_runs_once_a_partition_is_read_to_its_end(platform: Platform, seen: AsyncEngine) -> None:
    handler = Collect(seen, "one")
    async with publisher(platform) as log, consuming(platform, handler):
        sent = await publish(log, 0, 10)
        await until(lambda: _has(seen, sent))
        await until(lambda: _true(handler.caught_up_calls > 0))


async def _has(engine: AsyncEngine, sent: list[bytes]) -> bool:
    return len(await values(engine)) >= len(sent)


async def _true(value: bool) -> bool:
    return value


async def test_a_producer_that_refuses_for_ever_is_replaced(platform: Platform) -> None:
    async with publisher(platform) as log:
        await publish(log, 0, 10)
        assert log._lanes is not None
        dead = log._lanes.producer
        await dead.stop()
        with pytest.raises(TemporaryFailure):
            await log.publish(GRADE_CHANGES, "h", b"after its end", within_seconds=2)
        await until(lambda: _answers(log))
        assert log._lanes is not None
        assert log._lanes.producer is not dead
        await publish(log, 10, 20)


async def _answers(log: KafkaPublisher) -> bool:
    try:
        await log.publish(GRADE_CHANGES, "h", b"again", within_seconds=2)
    except TemporaryFailure:
        return False
    return True
