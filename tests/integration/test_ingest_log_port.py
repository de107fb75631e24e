"""The log as ingest asks for it: the fake of the unit tests and the real one keep the same promises."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.ingest.accept_event import EventLog
from shared.bus.kafka import KafkaPublisher
from shared.bus.ports import Receipt
from shared.errors import TemporaryFailure
from shared.topics import HOUSEHOLD_EVENTS
from tests.conftest import Platform
from tests.fakes.log import FakePublisher
from tests.services import free_port, log_publisher

pytestmark = pytest.mark.integration


@pytest.fixture(params=["fake", "kafka"])
async def log(request: pytest.FixtureRequest, platform: Platform) -> AsyncIterator[EventLog]:
    if request.param == "fake":
        yield FakePublisher()
    else:
        async with log_publisher(platform) as publisher:
            yield publisher


@pytest.fixture(params=["fake", "kafka"])
async def log_away(request: pytest.FixtureRequest) -> AsyncIterator[EventLog]:
    if request.param == "fake":
        fake = FakePublisher()
        fake.away = True
        yield fake
    else:
        publisher, stop = KafkaPublisher(f"127.0.0.1:{free_port()}", "tests"), asyncio.Event()
        running = asyncio.create_task(publisher.run(stop))
        yield publisher
        stop.set()
        await running


def of_h1(*values: bytes) -> list[tuple[str, bytes]]:
    """Records of one key."""
    return [("H-1", value) for value in values]


async def test_records_of_one_key_share_a_partition_and_follow_each_other(log: EventLog) -> None:
    first = await log.publish(HOUSEHOLD_EVENTS, "H-1", b"1", within_seconds=10)
    more = await log.publish_many(HOUSEHOLD_EVENTS, of_h1(b"2", b"3", b"4"), within_seconds=10)
    assert more == [Receipt(first.partition, first.offset + step) for step in (1, 2, 3)]
    assert await log.publish_many(HOUSEHOLD_EVENTS, [], within_seconds=10) == []


async def test_large_records_of_one_key_are_not_overtaken_by_small_ones(log: EventLog) -> None:
    values = [b"x" * (60_000 if number % 2 else 10) for number in range(40)]
    receipts = await log.publish_many(HOUSEHOLD_EVENTS, of_h1(*values), within_seconds=10)
    offsets = [receipt.offset for receipt in receipts if isinstance(receipt, Receipt)]
    assert offsets == list(range(offsets[0], offsets[0] + 40))


async def test_without_the_log_every_record_fails_for_now(log_away: EventLog) -> None:
    with pytest.raises(TemporaryFailure):
        await log_away.publish(HOUSEHOLD_EVENTS, "H-1", b"1", within_seconds=0.2)
    outcomes = await log_away.publish_many(HOUSEHOLD_EVENTS, of_h1(b"1", b"2"), within_seconds=0.2)
    assert [type(outcome) for outcome in outcomes] == [TemporaryFailure, TemporaryFailure]
    with pytest.raises(TemporaryFailure):
        await log_away.check()
