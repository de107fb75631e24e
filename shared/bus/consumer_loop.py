"""The one consumer loop: fetch, hand each partition's records to the handler, hold what cannot go on, never skip.

The database is the authority on positions. A partition that Kafka assigns to us is first claimed there (a new epoch)
and then read from the position found; records that arrive before that are thrown away and fetched again. When a batch
fails for a passing reason the partition is held, and claimed anew before the next try: that also settles a commit whose
answer was lost, because the position then tells whether it happened. Where going on would skip or spoil records the
partition is halted: a metric, readiness and the log call for a person, and it is tried again twice a minute. Other
partitions go on meanwhile, and so does the heartbeat to Kafka, which aiokafka sends from a task of its own.

Each partition has a lane, a task that does all this. The loop itself only follows the assignment and fetches ahead for
the lanes, so no partition waits for another one's transaction, and the database works while we decode and fold.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence

from shared.bus.lane import Lane, Pace, Surroundings
from shared.bus.loop_metrics import LoopMetrics
from shared.bus.ports import BatchHandler, Errand, GapInLog, LogConsumer, Record, TopicPartition, Waiting
from shared.bus.prefetch import ReadAhead
from shared.bus.turns import Turns
from shared.errors import HALT_REASONS, TemporaryFailure
from shared.logs import get_logger

__all__ = ["ConsumerLoop", "LoopMetrics"]

log = get_logger(__name__)

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
HALT_PAUSE_SECONDS = 30.0
COMMIT_EVERY_SECONDS = 5.0
IDLE_WORK_EVERY_SECONDS = 0.5
# A transaction should not take longer: others wait for its locks, and a stop waits for its end.
LONG_BATCH_SECONDS = 0.5
# Two keep the database and this process busy; a third fills the gaps.
TRANSACTIONS_AT_ONCE = 3
FETCH_RECORDS = 500
# Of all partitions together; records of the usual size are limited by their number.
PREFETCH_BYTES = 48 * 1_048_576
# While some partition is not asked for: soon it may be.
SHORT_WAIT_SECONDS = 0.05


class ConsumerLoop:
    """Joins a consumer of the log and a handler.

    max_records: of one transaction. read_ahead: what can be made of records before their batch is handed over.
    """

    def __init__(
        self,
        consumer: LogConsumer,
        handler: BatchHandler,
        metrics: LoopMetrics,
        *,
        max_records: int = 2_000,
        wait_seconds: float = 0.25,
        read_ahead: ReadAhead | None = None,
    ) -> None:
        pace = Pace(
            first_pause=FIRST_PAUSE_SECONDS,
            longest_pause=LONGEST_PAUSE_SECONDS,
            halt_pause=HALT_PAUSE_SECONDS,
            idle_work_every=IDLE_WORK_EVERY_SECONDS,
            long_batch=LONG_BATCH_SECONDS,
            max_records=max_records,
        )
        turns = Turns(TRANSACTIONS_AT_ONCE, LONG_BATCH_SECONDS)
        self._surroundings = Surroundings(consumer, handler, metrics, turns, pace, read_ahead)
        self._consumer = consumer
        self._metrics = metrics
        self._fetch_records = min(FETCH_RECORDS, max_records)
        self._wait_seconds = wait_seconds
        self._partitions: dict[TopicPartition, Lane] = {}
        # Also of lanes that are ended and still finish what is under way.
        self._tasks: dict[Lane, asyncio.Task[None]] = {}
        self._steps_of_turn: dict[Lane, int | None] = {}
        self._generation = -1
        self._commit_at = 0.0
        self.turns = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until stop is set; batches under way are finished first. Raises a handler's bug."""
        try:
            while not stop.is_set():
                self._count_turn()
                self._follow_assignment(stop)
                await self._fetch(stop)
                self._look_after_lanes()
                self._show()
                await self._commit_sometimes()
        except asyncio.CancelledError:
            self._cancel_lanes()
            raise
        finally:
            await self._end_lanes()
        self._look_after_lanes()
        await self._consumer.commit(self._offsets())

    async def check_ready(self) -> None:
        """Raise TemporaryFailure until every partition given to us has been claimed, and while one is halted."""
        lanes = self._partitions.items()
        halted = [f"{partition} is halted ({lane.halted.reason})" for partition, lane in lanes if lane.halted]
        if halted:
            raise TemporaryFailure("; ".join(halted))
        waiting = sum(lane.epoch is None for _, lane in lanes)
        if self._generation < 0 or waiting:
            raise TemporaryFailure(f"{waiting} partitions wait for the database" if waiting else "not joined yet")

    def reading(self) -> dict[TopicPartition, int]:
        """Return the partitions that are being read now, and the offset that each is to read next."""
        return {
            partition: lane.next_offset or 0 for partition, lane in self._partitions.items() if lane.epoch is not None
        }

    def waiting(self) -> dict[TopicPartition, Waiting]:
        """Return the partitions that are behind, as far as their records have arrived."""
        waiting = {partition: lane.waiting for partition, lane in self._partitions.items()}
        return {partition: one for partition, one in waiting.items() if one is not None}

    def ask(self, partition: TopicPartition, errand: Errand, tenure: object) -> None:
        """Have something done by the partition's owner between two batches, unless the tenure is over by then."""
        if partition in self._partitions:
            self._partitions[partition].ask(errand, tenure)

    def _count_turn(self) -> None:
        """Count a turn once each lane has ended the step that it was in when the turn began."""
        if all(lane.step != step for lane, step in self._steps_of_turn.items()):
            self.turns += 1
            self._steps_of_turn = {lane: lane.step for lane in self._tasks if lane.step is not None}

    def _follow_assignment(self, stop: asyncio.Event) -> None:
        generation = self._consumer.generation()
        if generation == self._generation:
            return
        self._generation = generation
        assigned = self._consumer.assignment()
        for lane in self._partitions.values():
            lane.end()
        # Someone else may have owned a partition between two assignments of it to us, so each is claimed anew.
        bytes_ahead = PREFETCH_BYTES // max(1, len(assigned))
        self._partitions = {
            partition: Lane(partition, generation, self._surroundings, bytes_ahead=bytes_ahead)
            for partition in assigned
        }
        former = dict(self._tasks)
        for partition, lane in self._partitions.items():
            before = [task for old, task in former.items() if old.partition == partition]
            self._tasks[lane] = asyncio.create_task(lane.run(stop, before), name=f"consume {partition}")
        log.info("partitions assigned", partitions=len(self._partitions), generation=generation)

    async def _fetch(self, stop: asyncio.Event) -> None:
        """Fetch some and give them to the lanes; what came for yesterday's assignment is thrown away."""
        all_asked_for = all(lane.is_asked_for for lane in self._partitions.values())
        wait_seconds = self._wait_seconds if all_asked_for else min(self._wait_seconds, SHORT_WAIT_SECONDS)
        fetched: Mapping[TopicPartition, Sequence[Record]] = {}
        gap: GapInLog | None = None
        try:
            fetched = await self._consumer.fetch(self._fetch_records, wait_seconds)
        except GapInLog as found:
            gap = found
        self._follow_assignment(stop)
        for partition, records in fetched.items():
            if partition in self._partitions:
                self._partitions[partition].take_in(records)
        if gap is not None and gap.partition in self._partitions:
            self._partitions[gap.partition].meet_gap(gap)
        # A fetch does not wait for what is there already; the lanes must get their turn all the same.
        await asyncio.sleep(0)

    def _look_after_lanes(self) -> None:
        """Forget the lanes that have come to their end. Raises what one of them has failed with."""
        for lane, task in list(self._tasks.items()):
            if task.done():
                del self._tasks[lane]
                task.result()

    def _cancel_lanes(self) -> None:
        for task in self._tasks.values():
            task.cancel()

    async def _end_lanes(self) -> None:
        for lane in self._tasks:
            lane.end()
        while waiting := [task for task in self._tasks.values() if not task.done()]:
            try:
                await asyncio.wait(waiting)
            except asyncio.CancelledError:
                self._cancel_lanes()
                await asyncio.wait(waiting)
                raise

    def _show(self) -> None:
        lanes = self._partitions
        self._metrics.partitions.set(sum(lane.epoch is not None for lane in lanes.values()))
        halted = [lane.halted.reason for lane in lanes.values() if lane.halted]
        for reason in HALT_REASONS:
            self._metrics.halted.labels(reason).set(halted.count(reason))
        ends = {partition: self._consumer.end_offset(partition) for partition in lanes}
        lag = sum(
            max(0, end - (lanes[partition].next_offset or 0)) for partition, end in ends.items() if end is not None
        )
        self._metrics.lag.set(lag)

    async def _commit_sometimes(self) -> None:
        now = time.monotonic()
        if now >= self._commit_at:
            self._commit_at = now + COMMIT_EVERY_SECONDS
            await self._consumer.commit(self._offsets())

    def _offsets(self) -> dict[TopicPartition, int]:
        return {
            partition: lane.next_offset
            for partition, lane in self._partitions.items()
            if lane.epoch is not None and lane.next_offset is not None
        }
