"""Stretches of a real Kafka's partitions, read outside any group."""

import asyncio

import pytest

from shared.bus.kafka import kafka_reader, partition_of
from shared.bus.ports import TopicPartition
from shared.errors import TemporaryFailure
from shared.topics import GRADE_CHANGES
from tests.conftest import Platform
from tests.services import log_publisher

pytestmark = pytest.mark.integration

RECORDS = 3_000


async def filled(platform: Platform) -> TopicPartition:
    """Put records on one partition."""
    async with log_publisher(platform) as log:
        made = [("h", f"{number:05d}".encode()) for number in range(RECORDS)]
        receipts = await log.publish_many(GRADE_CHANGES, made, within_seconds=20)
        assert not [one for one in receipts if isinstance(one, TemporaryFailure)]
    topic = platform.topic_prefix + GRADE_CHANGES.name
    return TopicPartition(topic, partition_of(b"h", GRADE_CHANGES.partitions))


async def test_a_stretch_is_read_whole_and_no_record_beside_it(platform: Platform) -> None:
    partition = await filled(platform)
    async with kafka_reader(platform.kafka, "tests") as reader:
        for start, end in [(0, RECORDS), (17, 2_900), (2_999, 3_000), (5, 6), (8, 8)]:
            read = [one async for some in reader.read(partition, start, end) for one in some]
            assert [one.offset for one in read] == list(range(start, end))
            assert [one.value for one in read] == [f"{number:05d}".encode() for number in range(start, end)]


async def test_a_stretch_that_the_log_does_not_have_is_a_passing_failure(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.bus.kafka.reader.SILENT_SECONDS", 0.5)
    partition = await filled(platform)
    async with kafka_reader(platform.kafka, "tests") as reader:
        with pytest.raises(TemporaryFailure):
            async for _ in reader.read(partition, RECORDS - 1, RECORDS + 5):
                await asyncio.sleep(0)
        with pytest.raises(TemporaryFailure):
            async for _ in reader.read(partition, RECORDS + 100, RECORDS + 105):
                await asyncio.sleep(0)
        read = [one async for some in reader.read(partition, 0, 10) for one in some]
        assert len(read) == 10
