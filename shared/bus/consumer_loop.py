"""The one consumer loop: fetch, hand each partition's records to the handler, hold what cannot go on, never skip.

The database is the authority on positions. A partition that Kafka assigns to us is first claimed there (a new epoch)
and then read from the position found; records that arrive before that are thrown away and fetched again. When a batch
fails for a passing reason the partition is held, and claimed anew before the next try: that also settles a commit whose
answer was lost, because the position then tells whether it happened. Other partitions go on meanwhile, and so does the
heartbeat to Kafka, which aiokafka sends from a task of its own.
"""

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import Counter, Gauge

from shared.bus.ports import BatchHandler, Claim, LogConsumer, PartitionBatch, Record, TopicPartition
from shared.errors import LostOwnership, TemporaryFailure
from shared.logs import get_logger
from shared.metrics import ServiceMetrics

log = get_logger(__name__)

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
COMMIT_EVERY_SECONDS = 5.0
IDLE_WORK_EVERY_SECONDS = 0.5


class GapInLog(RuntimeError):
    """Records between our position and the first that the log still has are gone; going on would skip events."""


@dataclass(slots=True)
class _Partition:
    """What we know of one assigned partition.

    claim: None until the database has granted it, and while the partition is held.
    next_offset: the last that was known, for the lag.
    """

    claim: Claim | None = None
    next_offset: int | None = None
    failures: int = 0
    try_at: float = 0.0
    idle_work_at: float = 0.0


class LoopMetrics:
    """The loop's own metrics."""

    def __init__(self, metrics: ServiceMetrics) -> None:
        self.records: Counter = metrics.counter("records_total", "Records read from the log")
        self.held: Counter = metrics.counter("partition_holds_total", "Times a partition was held back after a failure")
        self.lag: Gauge = metrics.gauge(
            "lag_records", "Records on the log that are not applied yet, all own partitions"
        )
        self.partitions: Gauge = metrics.gauge("owned_partitions", "Partitions that this process owns")


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
        self._wait_seconds = wait_seconds
        self._partitions: dict[TopicPartition, _Partition] = {}
        self._generation = -1
        self._commit_at = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until stop is set; the batch under way is finished first. Raises GapInLog, or a handler's bug."""
        while not stop.is_set():
            self._follow_assignment()
            await self._claim_what_is_due()
            fetched = await self._consumer.fetch(self._max_records, self._wait_seconds)
            self._follow_assignment()
            self._show()
            await self._hand_over(fetched)
            await self._use_idle_time(fetched)
            self._show()
            await self._commit_sometimes()
        await self._consumer.commit(self._offsets())

    async def check_ready(self) -> None:
        """Raise TemporaryFailure until every partition given to us has been claimed."""
        waiting = [partition for partition, state in self._partitions.items() if state.claim is None]
        if self._generation < 0 or waiting:
            raise TemporaryFailure(f"{len(waiting)} partitions wait for the database" if waiting else "not joined yet")

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
        due = [p for p, state in self._partitions.items() if state.claim is None and state.try_at <= now]
        await asyncio.gather(*(self._claim(partition) for partition in due))

    async def _claim(self, partition: TopicPartition) -> None:
        state = self._partitions[partition]
        try:
            claim = await self._handler.claim(partition)
            await self._consumer.begin(partition, claim.next_offset)
        except TemporaryFailure as failure:
            self._hold(partition, state, failure)
        else:
            state.claim = claim
            state.next_offset = claim.next_offset

    async def _hand_over(self, fetched: Mapping[TopicPartition, Sequence[Record]]) -> None:
        await asyncio.gather(*(self._apply(partition, records) for partition, records in fetched.items()))

    async def _apply(self, partition: TopicPartition, records: Sequence[Record]) -> None:
        state = self._partitions.get(partition)
        if state is None or state.claim is None:
            return
        claim = state.claim
        fresh = [record for record in records if claim.next_offset is None or record.offset >= claim.next_offset]
        if not fresh:
            return
        if claim.next_offset is not None and fresh[0].offset > claim.next_offset:
            raise GapInLog(f"{partition}: position {claim.next_offset}, but the log begins at {fresh[0].offset}")
        batch = PartitionBatch(partition, claim, fresh)
        try:
            await self._handler.handle(batch)
        except TemporaryFailure as failure:
            self._hold(partition, state, failure)
        else:
            state.claim = Claim(claim.epoch, batch.next_offset)
            state.next_offset = batch.next_offset
            state.failures = 0
            self._metrics.records.inc(len(fresh))

    def _hold(self, partition: TopicPartition, state: _Partition, failure: TemporaryFailure) -> None:
        self._consumer.hold(partition)
        pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2**state.failures) * random.uniform(0.5, 1.0)  # noqa: S311
        state.claim = None
        state.failures = min(state.failures + 1, 16)
        state.try_at = time.monotonic() + pause
        self._metrics.held.inc()
        level = log.info if isinstance(failure, LostOwnership) else log.warning
        level("partition held back", partition=str(partition), reason=str(failure), pause_seconds=round(pause, 2))

    async def _use_idle_time(self, fetched: Mapping[TopicPartition, Sequence[Record]]) -> None:
        now = time.monotonic()
        for partition, state in self._partitions.items():
            if partition in fetched or state.claim is None or state.idle_work_at > now:
                continue
            if not self._is_caught_up(partition, state.claim):
                continue
            try:
                more = await self._handler.caught_up(partition, state.claim)
            except TemporaryFailure as failure:
                self._hold(partition, state, failure)
            else:
                state.idle_work_at = 0.0 if more else time.monotonic() + IDLE_WORK_EVERY_SECONDS

    def _is_caught_up(self, partition: TopicPartition, claim: Claim) -> bool:
        end = self._consumer.end_offset(partition)
        return end is not None and (claim.next_offset or 0) >= end

    def _show(self) -> None:
        self._metrics.partitions.set(sum(state.claim is not None for state in self._partitions.values()))
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
            partition: state.claim.next_offset
            for partition, state in self._partitions.items()
            if state.claim is not None and state.claim.next_offset is not None
        }
