"""The loop with a log and a handler in memory: what it does when, and what it never does."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry

from shared.bus import consumer_loop
from shared.bus.consumer_loop import ConsumerLoop, LoopMetrics
from shared.bus.ports import Claim, PartitionBatch, Record, TopicPartition
from shared.bus.progress import ConsumerStuck, ProgressWatch
from shared.errors import TemporaryFailure
from shared.metrics import ServiceMetrics

PARTITION = TopicPartition("events", 0)


class MemoryLog:
    """One partition; gives one record at a time (or `at_once`), and knows how many are to come.

    deaf: gives nothing, although there is something. missing: an offset that is left out.
    """

    def __init__(self, records: int, *, at_once: int = 1, deaf: bool = False, missing: int | None = None) -> None:
        self._records = records
        self._at_once = at_once
        self._deaf = deaf
        self._missing = missing
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
        if self._begun or self._at >= self._records or self._deaf:
            return {}
        first, self._at = self._at, min(self._records, self._at + self._at_once)
        return {PARTITION: [Record(n, b"k", b"v", 0) for n in range(first, self._at) if n != self._missing]}

    async def begin(self, partition: TopicPartition, offset: int | None) -> None:
        self._at = offset or 0

    def hold(self, partition: TopicPartition) -> None: ...

    def end_offset(self, partition: TopicPartition) -> int | None:
        return self._records

    async def ask_end_offsets(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        return dict.fromkeys(partitions, self._records)

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None: ...


class Notes:
    """Notes what the loop asks for. slow: seconds that a batch of more than 100 records takes."""

    def __init__(self, slow: float = 0.0) -> None:
        self.handled = 0
        self.idle_at: list[int] = []
        self.sizes: list[int] = []
        self.slow = slow

    async def claim(self, partition: TopicPartition) -> Claim:
        return Claim(1, self.handled)

    async def handle(self, batch: PartitionBatch) -> None:
        assert batch.claim.next_offset == batch.first_offset == self.handled
        await asyncio.sleep(self.slow if len(batch.records) > 100 else 0)
        self.sizes.append(len(batch.records))
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


def made_loop(log: MemoryLog, handler: Notes) -> tuple[ConsumerLoop, CollectorRegistry]:
    registry = CollectorRegistry()
    return ConsumerLoop(log, handler, LoopMetrics(ServiceMetrics("test", registry))), registry


@asynccontextmanager
async def running(loop: ConsumerLoop) -> AsyncIterator[asyncio.Task[None]]:
    stop = asyncio.Event()
    task = asyncio.create_task(loop.run(stop))
    async with asyncio.timeout(10):
        yield task
        stop.set()
        await task


async def test_batches_that_take_long_become_smaller_and_nothing_is_skipped() -> None:
    handler = Notes(slow=consumer_loop.LONG_BATCH_SECONDS + 0.02)
    loop, _ = made_loop(MemoryLog(2_000, at_once=1_000), handler)
    async with running(loop):
        while handler.handled < 2_000:
            await asyncio.sleep(0.01)
    assert handler.sizes[0] == 1_000
    assert handler.sizes[-1] <= 125


async def test_a_hole_in_what_was_fetched_halts_the_partition_before_it() -> None:
    handler = Notes()
    loop, registry = made_loop(MemoryLog(20, at_once=10, missing=13), handler)
    async with running(loop):
        while not registry.get_sample_value("shouwang_test_halted_partitions", {"reason": "gap_in_log"}):
            await asyncio.sleep(0.01)
        with pytest.raises(TemporaryFailure, match="halted"):
            await loop.check_ready()
    assert handler.handled == 10


async def test_a_consumer_that_hears_nothing_of_what_waits_on_the_log_ends_the_process() -> None:
    log = MemoryLog(5, deaf=True)
    loop, _ = made_loop(log, Notes())
    watch = ProgressWatch(loop, log, look_every_seconds=0.02, stuck_seconds=0.1)
    async with running(loop):
        with pytest.raises(ConsumerStuck, match="has waited"):
            await watch.run(asyncio.Event())


class OneAtATime(MemoryLog):
    """A second partition beside the first, whose records the client hands over only when the first has none left."""

    LAST = TopicPartition("events", 1)

    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset({PARTITION, self.LAST})

    async def fetch(self, max_records: int, wait_seconds: float) -> Mapping[TopicPartition, Sequence[Record]]:
        await asyncio.sleep(0.02)
        return await super().fetch(max_records, wait_seconds)

    async def begin(self, partition: TopicPartition, offset: int | None) -> None: ...


async def test_a_partition_that_waits_behind_the_backlog_of_others_does_not_end_the_process_for_some_time() -> None:
    log, handler = OneAtATime(100_000), Notes()
    loop, _ = made_loop(log, handler)
    watch = ProgressWatch(loop, log, look_every_seconds=0.02, stuck_seconds=0.2, stuck_behind_others_seconds=1.0)
    async with running(loop):
        watching = asyncio.create_task(watch.run(asyncio.Event()))
        done, _ = await asyncio.wait([watching], timeout=0.6)
        assert not done and handler.handled > 0
        with pytest.raises(ConsumerStuck, match=r"events\[1\].* has waited"):
            await asyncio.wait_for(watching, 5)


async def test_a_loop_that_no_longer_turns_ends_the_process() -> None:
    log = MemoryLog(5)
    loop, _ = made_loop(log, Notes())
    watch = ProgressWatch(loop, log, look_every_seconds=0.02, turn_seconds=0.1)
    with pytest.raises(ConsumerStuck, match="has not turned"):
        async with asyncio.timeout(5):
            await watch.run(asyncio.Event())


async def test_a_consumer_that_is_up_to_date_is_left_alone() -> None:
    log = MemoryLog(5)
    loop, _ = made_loop(log, Notes())
    watch, stop = ProgressWatch(loop, log, look_every_seconds=0.02, stuck_seconds=0.1), asyncio.Event()
    async with running(loop):
        watching = asyncio.create_task(watch.run(stop))
        await asyncio.sleep(0.4)
        stop.set()
        await watching


class Hiccups(Notes):
    """Fails to use idle time while told to."""

    def __init__(self) -> None:
        super().__init__()
        self.failures = 0

    async def caught_up(self, partition: TopicPartition, claim: Claim) -> bool:
        if self.failures:
            self.failures -= 1
            raise TemporaryFailure("the database is away")
        return await super().caught_up(partition, claim)


async def test_after_a_recovery_a_quiet_partition_does_not_keep_the_long_pauses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(consumer_loop, "FIRST_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(consumer_loop, "IDLE_WORK_EVERY_SECONDS", 0.01)
    handler = Hiccups()
    loop, _ = made_loop(MemoryLog(1), handler)
    async with running(loop):
        for _ in range(12):
            done, handler.failures = len(handler.idle_at), 1
            while handler.failures or len(handler.idle_at) == done:
                await asyncio.sleep(0.005)
        assert loop._partitions[PARTITION].failures == 0
