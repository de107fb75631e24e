"""What every reader of Kafka here has in common, as a member of a group or by itself."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.errors import KafkaError

from shared.bus.kafka.closing import closed_within
from shared.bus.ports import Record
from shared.errors import TemporaryFailure

FETCH_SETTINGS: Mapping[str, Any] = {
    "enable_auto_commit": False,
    # Where reading begins is said by seek, always; no silent jump when a position has left the log.
    "auto_offset_reset": "none",
    "fetch_max_wait_ms": 100,
    "max_partition_fetch_bytes": 2 * 1_048_576,
}
CLOSE_SECONDS = 10.0


def records_of(fetched: Iterable[ConsumerRecord]) -> list[Record]:
    """Return the library's records as ours."""
    return [Record(one.offset, one.key, one.value, one.timestamp) for one in fetched]


@asynccontextmanager
async def connected(consumer: AIOKafkaConsumer) -> AsyncIterator[None]:
    """Connect, and disconnect at the end. Raises TemporaryFailure when the log cannot be reached."""
    try:
        await consumer.start()
    except (KafkaError, OSError) as error:
        await closed_within(CLOSE_SECONDS, consumer.stop(), "consumer")
        raise TemporaryFailure(f"the log cannot be reached: {type(error).__name__}") from error
    try:
        yield
    finally:
        await closed_within(CLOSE_SECONDS, consumer.stop(), "consumer")
