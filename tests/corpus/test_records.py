"""Records that somebody else put on the topic: quarantined with their reason, while the line moves on."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaProducer
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.clock import SettableClock
from shared.topics import HOUSEHOLD_EVENTS
from tests.conftest import Platform
from tests.corpus.record_cases import CASES, KEY, sound
from tests.fakes.ingest_edge import NOW
from tests.services import rows, running_scorer, until

pytestmark = pytest.mark.integration
APPLIED = [case for case in CASES if case.reason is None]


@asynccontextmanager
async def raw_producer(platform: Platform) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=platform.kafka, max_request_size=2**21, acks="all")
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def put_all(producer: AIOKafkaProducer, topic: str) -> dict[tuple[int, int], str]:
    """Put each case on the log with a good event behind it; return the reasons expected, by partition and offset."""
    home = (await producer.send_and_wait(topic, sound("good-first"), KEY)).partition
    expected = {}
    for number, case in enumerate(CASES):
        partition = (home + case.elsewhere) % HOUSEHOLD_EVENTS.partitions
        put = await producer.send_and_wait(topic, case.value, case.key, partition, headers=list(case.headers))
        if case.reason is not None:
            expected[put.partition, put.offset] = case.reason
        await producer.send_and_wait(topic, sound(f"good-{number}"), KEY, home)
    return expected


async def test_a_record_that_cannot_be_applied_is_set_aside_and_the_next_one_counts(
    platform: Platform, engine: AsyncEngine
) -> None:
    async with raw_producer(platform) as producer:
        expected = await put_all(producer, platform.topic_prefix + HOUSEHOLD_EVENTS.name)
    good = 1 + len(CASES) + len(APPLIED)
    async with running_scorer(platform, SettableClock(NOW)):

        async def all_passed() -> bool:
            (found,) = await rows(
                engine,
                "SELECT (SELECT count(*) FROM event_ledger) AS good, (SELECT count(*) FROM quarantine) AS refused",
            )
            return bool(found.good >= good and found.refused >= len(expected))

        await until(all_passed, 60)
        refused = await rows(engine, "SELECT topic_partition, topic_offset, reason, record_value FROM quarantine")
        applied = {row.event_id for row in await rows(engine, "SELECT event_id FROM event_ledger")}
    assert {(row.topic_partition, row.topic_offset): row.reason for row in refused} == expected
    assert {f"good-{number}" for number in range(len(CASES))} < applied
    assert {"b96", "b98-more", "b100"} < applied
    assert len(applied) == good
    kept = sorted(row.record_value for row in refused if row.record_value is not None)
    assert kept == sorted(case.value for case in CASES if case.reason is not None and case.value is not None)
