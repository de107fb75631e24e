"""The loop with a log and a handler in memory: what it does when, and what it never does."""

import asyncio
from collections.abc import Mapping, Sequence

from prometheus_client import CollectorRegistry

from shared.bus.consumer_loop import ConsumerLoop, LoopMetrics
from shared.bus.ports import Claim, PartitionBatch, Record, TopicPartition
from shared.metrics import ServiceMetrics

PARTITION = TopicPartition("events", 0)


class MemoryLog:
    """One partition; gives one record at a time, and knows how many are to come."""

    def __init__(self, records: int) -> None:
        self._records = records
        self._at = 0
        self._begun = False

    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset({PARTITION})

    def generation(self) -> int:
        return 0

    async def fetch(self, max_records: int, wait_seconds: float) -> Mapping[TopicPartition, Sequence[Record]]:
        await asyncio.sleep(0)
        # Every other fetch is empty, as on a slow network: that is not yet the end of the log.
        self._begun = not self._begun
        if self._begun or self._at >= self._records:
            return {}
        self._at += 1
        return {PARTITION: [Record(self._at - 1, b"k", b"v", 0)]}

    async def begin(self, partition: TopicPartition, offset: int | None) -> None:
        self._at = offset or 0

    def hold(self, partition: TopicPartition) -> None: ...

    def end_offset(self, partition: TopicPartition) -> int | None:
        return self._records

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None: ...


class Notes:
    """Notes what the loop asks for."""

    def __init__(self) -> None:
        self.handled = 0
        self.idle_at: list[int] = []

    async def claim(self, partition: TopicPartition) -> Claim:
        return Claim(1, 0)

    async def handle(self, batch: PartitionBatch) -> None:
        self.handled += len(batch.records)

    async def caught_up(self, partition: TopicPartition, claim: Claim) -> bool:
        self.idle_at.append(self.handled)
        return False


async def test_idle_work_never_runs_ahead_of_records_that_wait_on_the_log() -> None:
    handler, stop, registry = Notes(), asyncio.Event(), CollectorRegistry()
    loop = ConsumerLoop(MemoryLog(50), handler, LoopMetrics(ServiceMetrics("test", registry)))
    running = asyncio.create_task(loop.run(stop))
    async with asyncio.timeout(5):
        while not handler.idle_at:
            await asyncio.sleep(0.01)
    stop.set()
    await running
    assert handler.idle_at[0] == 50
    assert registry.get_sample_value("shouwang_test_lag_records") == 0
    assert registry.get_sample_value("shouwang_test_records_total") == 50
