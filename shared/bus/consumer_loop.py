"""The one consumer loop: fetch, hand each partition's records to the handler, hold what cannot go on, never skip.

The database is the authority on positions. A partition that Kafka assigns to us is first claimed there (a new epoch)
and then read from the position found; records that arrive before that are thrown away and fetched again. When a batch
fails for a passing reason the partition is held, and claimed anew before the next try: that also settles a commit whose
answer was lost, because the position then tells whether it happened. Where going on would skip or spoil records the
partition is halted: a metric, readiness and the log call for a person, and it is tried again twice a minute. Other
partitions go on meanwhile, and so does the heartbeat to Kafka, which aiokafka sends from a task of its own.
"""

import asyncio
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import Counter, Gauge

from shared.bus.ports import BatchHandler, Claim, GapInLog, LogConsumer, PartitionBatch, Record, TopicPartition
from shared.errors import HALT_REASONS, LostOwnership, PartitionHalted, TemporaryFailure
from shared.logs import get_logger
from shared.metrics import ServiceMetrics

log = get_logger(__name__)

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
HALT_PAUSE_SECONDS = 30.0
COMMIT_EVERY_SECONDS = 5.0
IDLE_WORK_EVERY_SECONDS = 0.5
# A transaction should not take longer: others wait for its locks, and a stop waits for its end.
LONG_BATCH_SECONDS = 0.5
SMALLEST_BATCH = 50


@dataclass(slots=True)
class _Partition:
    """What we know of one assigned partition.

    epoch: None until the database has granted it, and while the partition is held. next_offset: what is to be read
    next; while it is held, the last that was known.
    """

    epoch: int | None = None
    next_offset: int | None = None
    halted: PartitionHalted | None = None
    failures: int = 0
    try_at: float = 0.0
    idle_work_at: float = 0.0

    @property
    def claim(self) -> Claim | None:
        return None if self.epoch is None else Claim(self.epoch, self.next_offset)


class LoopMetrics:
    """The loop's own metrics."""

    def __init__(self, metrics: ServiceMetrics) -> None:
        self.records: Counter = metrics.counter("records_total", "Records read from the log")
        self.held: Counter = metrics.counter("partition_holds_total", "Times a partition was held back after a failure")
        self.lag: Gauge = metrics.gauge(
            "lag_records", "Records on the log that are not applied yet, all own partitions"
        )
        self.partitions: Gauge = metrics.gauge("owned_partitions", "Partitions that this process owns")
        self.halted: Gauge = metrics.gauge(
            "halted_partitions", "Partitions that wait for a person, by reason", reason=HALT_REASONS
        )


class ConsumerLoop:
    """Joins a consumer of the log and a handler."""

    def __init__(
        self,
        consumer: LogConsumer,
        handler: BatchHandler,
        metrics: LoopMetrics,
        *,
        max_records: int = 2_000,
        wait_seconds: float = 0.25,
    ) -> None:
        self._consumer = consumer
        self._handler = handler
        self._metrics = metrics
        self._max_records = max_records
        self._batch_records = max_records
        self._wait_seconds = wait_seconds
        self._partitions: dict[TopicPartition, _Partition] = {}
        self._generation = -1
        self._commit_at = 0.0
        self.turns = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until stop is set; the batch under way is finished first. Raises a handler's bug."""
        while not stop.is_set():
            self.turns += 1
            self._follow_assignment()
            await self._claim_what_is_due()
            fetched = await self._fetch()
            self._follow_assignment()
            self._show()
            await self._hand_over(fetched, stop)
            await self._use_idle_time(fetched)
            self._show()
            await self._commit_sometimes()
        await self._consumer.commit(self._offsets())

    async def check_ready(self) -> None:
        """Raise TemporaryFailure until every partition given to us has been claimed, and while one is halted."""
        halted = [f"{partition} is halted ({s.halted.reason})" for partition, s in self._partitions.items() if s.halted]
        if halted:
            raise TemporaryFailure("; ".join(halted))
        waiting = sum(state.epoch is None for state in self._partitions.values())
        if self._generation < 0 or waiting:
            raise TemporaryFailure(f"{waiting} partitions wait for the database" if waiting else "not joined yet")

    def reading(self) -> dict[TopicPartition, int]:
        """Return the partitions that are being read now, and the offset that each is to read next."""
        return {
            partition: state.next_offset or 0
            for partition, state in self._partitions.items()
            if state.epoch is not None
        }

    def _follow_assignment(self) -> None:
        generation = self._consumer.generation()
        if generation == self._generation:
            return
        self._generation = generation
        # Someone else may have owned a partition between two assignments of it to us, so each is claimed anew.
        self._partitions = {partition: _Partition() for partition in self._consumer.assignment()}
        log.info("partitions assigned", partitions=len(self._partitions), generation=generation)

    async def _claim_what_is_due(self) -> None:
        now = time.monotonic()
        due = [p for p, state in self._partitions.items() if state.epoch is None and state.try_at <= now]
        await asyncio.gather(*(self._claim(partition) for partition in due))

    async def _claim(self, partition: TopicPartition) -> None:
        state = self._partitions[partition]
        try:
            claim = await self._handler.claim(partition)
            await self._consumer.begin(partition, claim.next_offset)
        except TemporaryFailure as failure:
            self._hold(partition, state, failure)
        else:
            state.epoch, state.next_offset = claim

    async def _fetch(self) -> Mapping[TopicPartition, Sequence[Record]]:
        try:
            return await self._consumer.fetch(self._max_records, self._wait_seconds)
        except GapInLog as gap:
            state = self._partitions.get(gap.partition)
            if state is not None:
                self._halt(gap.partition, state, gap)
            return {}

    async def _hand_over(self, fetched: Mapping[TopicPartition, Sequence[Record]], stop: asyncio.Event) -> None:
        await asyncio.gather(*(self._apply(partition, records, stop) for partition, records in fetched.items()))

    async def _apply(self, partition: TopicPartition, records: Sequence[Record], stop: asyncio.Event) -> None:
        state = self._partitions.get(partition)
        if state is None or state.epoch is None:
            return
        fresh = [record for record in records if state.next_offset is None or record.offset >= state.next_offset]
        try:
            for batch in self._batches(partition, state, fresh):
                if stop.is_set() or self._consumer.generation() != self._generation:
                    return
                await self._handle(batch)
                state.next_offset = batch.next_offset
                state.failures = 0
                state.halted = None
                self._metrics.records.inc(len(batch.records))
        except TemporaryFailure as failure:
            self._hold(partition, state, failure)
        except PartitionHalted as halted:
            self._halt(partition, state, halted)

    def _batches(
        self, partition: TopicPartition, state: _Partition, records: Sequence[Record]
    ) -> Iterator[PartitionBatch]:
        """Cut records into batches, each with the claim as the one before has left it. Raises GapInLog."""
        start = 0
        while start < len(records):
            some = records[start : start + self._batch_records]
            expected = some[0].offset if state.next_offset is None else state.next_offset
            if some[0].offset != expected or some[-1].offset - some[0].offset != len(some) - 1:
                raise GapInLog(partition, f"records are missing between {expected} and {some[-1].offset}")
            assert state.claim is not None
            yield PartitionBatch(partition, state.claim, some)
            start += len(some)

    async def _handle(self, batch: PartitionBatch) -> None:
        started = time.monotonic()
        await self._handler.handle(batch)
        took = time.monotonic() - started
        if took > LONG_BATCH_SECONDS and len(batch.records) > SMALLEST_BATCH:
            self._batch_records = max(SMALLEST_BATCH, min(self._batch_records, len(batch.records)) // 2)
        elif took < LONG_BATCH_SECONDS / 4 and len(batch.records) == self._batch_records:
            self._batch_records = min(self._max_records, self._batch_records * 2)

    def _hold(self, partition: TopicPartition, state: _Partition, failure: TemporaryFailure) -> None:
        self._consumer.hold(partition)
        pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**state.failures) * random.uniform(0.5, 1.0)  # noqa: S311
        state.epoch = None
        state.failures = min(state.failures + 1, 16)
        state.try_at = time.monotonic() + pause
        self._metrics.held.inc()
        level = log.info if isinstance(failure, LostOwnership) else log.warning
        level("partition held back", partition=str(partition), reason=str(failure), pause_seconds=round(pause, 2))

    def _halt(self, partition: TopicPartition, state: _Partition, halted: PartitionHalted) -> None:
        self._consumer.hold(partition)
        state.epoch = None
        state.halted = halted
        state.try_at = time.monotonic() + HALT_PAUSE_SECONDS
        log.error("partition halted; it waits for a person", partition=str(partition), reason=str(halted))

    async def _use_idle_time(self, fetched: Mapping[TopicPartition, Sequence[Record]]) -> None:
        now = time.monotonic()
        for partition, state in self._partitions.items():
            claim = state.claim
            if partition in fetched or claim is None or state.idle_work_at > now:
                continue
            if not self._is_caught_up(partition, claim):
                continue
            try:
                more = await self._handler.caught_up(partition, claim)
            except TemporaryFailure as failure:
                self._hold(partition, state, failure)
            except PartitionHalted as halted:
                self._halt(partition, state, halted)
            else:
                state.idle_work_at = 0.0 if more else time.monotonic() + IDLE_WORK_EVERY_SECONDS
                # The database answers: on a quiet partition too, the next failure is a first one again.
                state.failures = 0
                if state.halted is not None and state.halted.reason == "too_many_refused":
                    # Nothing is left to read and nothing was refused: what it waited for has been mended.
                    state.halted = None

    def _is_caught_up(self, partition: TopicPartition, claim: Claim) -> bool:
        end = self._consumer.end_offset(partition)
        return end is not None and (claim.next_offset or 0) >= end

    def _show(self) -> None:
        self._metrics.partitions.set(sum(state.epoch is not None for state in self._partitions.values()))
        halted = [state.halted.reason for state in self._partitions.values() if state.halted]
        for reason in HALT_REASONS:
            self._metrics.halted.labels(reason).set(halted.count(reason))
        lag = 0
        for partition, state in self._partitions.items():
            end = self._consumer.end_offset(partition)
            if end is not None:
                lag += max(0, end - (state.next_offset or 0))
        self._metrics.lag.set(lag)

    async def _commit_sometimes(self) -> None:
        now = time.monotonic()
        if now >= self._commit_at:
            self._commit_at = now + COMMIT_EVERY_SECONDS
            await self._consumer.commit(self._offsets())

    def _offsets(self) -> dict[TopicPartition, int]:
        return {
            partition: state.next_offset
            for partition, state in self._partitions.items()
            if state.epoch is not None and state.next_offset is not None
        }
