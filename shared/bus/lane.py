"""What happens to one partition: claimed, read batch by batch, held, halted, tried again. One step after the other.

A step never waits for another partition's, but for a turn at the database. While a batch waits for the database, the
records of the next one are fetched and read; they are handed over only once the one before is committed, and forgotten
when it was not, or when the partition is no longer ours.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass

from shared.bus.loop_metrics import LoopMetrics
from shared.bus.ports import (
    BatchHandler,
    Claim,
    Errand,
    GapInLog,
    LogConsumer,
    PartitionBatch,
    Record,
    TopicPartition,
    Waiting,
)
from shared.bus.prefetch import Prefetch, ReadAhead
from shared.bus.turns import Turns
from shared.errors import LostOwnership, PartitionHalted, TemporaryFailure
from shared.logs import get_logger

log = get_logger(__name__)

SMALLEST_BATCH = 50
BATCH_BYTES = 8 * 1_048_576


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things may take and how often they are done, in seconds. max_records: of one transaction."""

    first_pause: float
    longest_pause: float
    halt_pause: float
    idle_work_every: float
    long_batch: float
    max_records: int


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the lanes of one loop share."""

    consumer: LogConsumer
    handler: BatchHandler
    metrics: LoopMetrics
    turns: Turns
    pace: Pace
    read_ahead: ReadAhead | None


class Lane:
    """One partition, for as long as one assignment of it lasts.

    epoch: None until the database has granted it, and while the partition is held. next_offset: what is to be handed
    over next; while it is held, the last that was known. failures: in a row. step: a number for the step that is under
    way, None between two and while waiting.
    """

    def __init__(
        self, partition: TopicPartition, generation: int, surroundings: Surroundings, *, bytes_ahead: int
    ) -> None:
        self.partition = partition
        self._generation = generation
        self._consumer = surroundings.consumer
        self._handler = surroundings.handler
        self._metrics = surroundings.metrics
        self._turns = surroundings.turns
        self._pace = surroundings.pace
        self._read_ahead = surroundings.read_ahead
        self._batch_records = self._pace.max_records
        self._ahead = Prefetch(partition, most_records=2 * self._pace.max_records, most_bytes=bytes_ahead)
        self._errands: list[Errand] = []
        self._resting = False
        self._ended = False
        self._woken = asyncio.Event()
        self._steps = 0
        self._try_at = 0.0
        self._idle_work_at = 0.0
        self.epoch: int | None = None
        self.next_offset: int | None = None
        self.halted: PartitionHalted | None = None
        self.failures = 0
        self.step: int | None = None
        # Another one for each claim: what is known of the partition holds no longer than that.
        self._tenure: object = None

    @property
    def is_asked_for(self) -> bool:
        """Whether the log is asked for records of this partition."""
        return self.epoch is not None and not self._resting

    @property
    def is_caught_up(self) -> bool:
        """Whether nothing waits on the log, as far as it has told."""
        end = self._consumer.end_offset(self.partition)
        return end is not None and (self.next_offset or 0) >= end

    @property
    def waiting(self) -> Waiting | None:
        """What waits; None while nothing has arrived, or the partition is held."""
        since_ms = self._ahead.oldest_ms
        if self.epoch is None or since_ms is None:
            return None
        return Waiting(since_ms, self.next_offset or 0, self._tenure)

    def take_in(self, records: Sequence[Record]) -> None:
        """Keep what has arrived; what comes before the claim is thrown away, and will be fetched again."""
        if self.epoch is not None:
            self._ahead.add(records)
            self._rest_if_full()

    def meet_gap(self, gap: GapInLog) -> None:
        """Note that the log has nothing at the place that is to be fetched next."""
        if self.epoch is not None:
            self._ahead.gap = gap
            self._rest_if_full()

    def ask(self, errand: Errand, tenure: object) -> None:
        """Have this done before the next batch, unless another tenure has begun by then."""
        if self.epoch is not None and self._tenure is tenure:
            self._errands.append(errand)
            self._woken.set()

    def end(self) -> None:
        """Start nothing any more; what is under way is finished, what waits is forgotten."""
        self._ended = True
        self._woken.set()

    async def run(self, stop: asyncio.Event, former: Collection[asyncio.Task[None]]) -> None:
        """Take step after step until it is ended, or the assignment is another one. Raises a handler's bug.

        former: lanes that had the partition before, whose last step may still be under way.
        """
        if former:
            await asyncio.wait(former)
        while self._goes_on() and not stop.is_set():
            try:
                await self._go_on(stop)
            except TemporaryFailure as failure:
                self._hold(failure)
            except PartitionHalted as halted:
                self._halt(halted)

    def _goes_on(self) -> bool:
        return not self._ended and self._consumer.generation() == self._generation

    async def _go_on(self, stop: asyncio.Event) -> None:
        self._woken.clear()
        now = time.monotonic()
        if self.epoch is None:
            if self._try_at <= now:
                await self._claim()
            else:
                await self._sleep(self._try_at - now)
        elif self._errands or len(self._ahead):
            async with self._turns.one():
                # While it waited for its turn, all this may have come to an end.
                if self._goes_on() and not stop.is_set():
                    await (self._run_errand() if self._errands else self._apply())
        elif self._ahead.gap is not None:
            raise self._ahead.gap
        elif self._idle_work_at <= now and self.is_caught_up:
            async with self._turns.one():
                # And records may have come, which go first.
                if self._goes_on() and not stop.is_set() and not len(self._ahead) and self.is_caught_up:
                    await self._use_idle_time()
        else:
            await self._sleep(max(self._idle_work_at - now, self._pace.idle_work_every / 2))

    async def _sleep(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), seconds)

    async def _claim(self) -> None:
        with self._step_under_way():
            claim = await self._handler.claim(self.partition)
            self._ahead.begin(claim.next_offset)
            self._resting = False
            self._tenure = object()
            self.epoch, self.next_offset = claim
            await self._consumer.begin(self.partition, claim.next_offset)

    async def _run_errand(self) -> None:
        with self._step_under_way():
            assert self.epoch is not None
            await self._errands.pop(0)(Claim(self.epoch, self.next_offset))

    async def _apply(self) -> None:
        with self._step_under_way():
            assert self.epoch is not None
            records, read = self._ahead.take(self._batch_records, BATCH_BYTES)
            await self._fetch_on()
            batch = PartitionBatch(self.partition, Claim(self.epoch, self.next_offset), records, read)
            started = time.monotonic()
            async with self._reading_ahead():
                await self._handler.handle(batch)
        self._choose_size(len(records), time.monotonic() - started)
        self.next_offset = batch.next_offset
        self.failures = 0
        self.halted = None
        self._metrics.records.inc(len(records))

    def _choose_size(self, records: int, seconds: float) -> None:
        if seconds > self._pace.long_batch and records > SMALLEST_BATCH:
            self._batch_records = max(SMALLEST_BATCH, min(self._batch_records, records) // 2)
        elif seconds < self._pace.long_batch / 4 and records == self._batch_records:
            self._batch_records = min(self._pace.max_records, self._batch_records * 2)

    @asynccontextmanager
    async def _reading_ahead(self) -> AsyncIterator[None]:
        """Read for the next batch while the block waits for the database, unless others have a use for the time."""
        if self._read_ahead is None or self._turns.wanted:
            yield
            return
        reading = asyncio.create_task(self._read_on(self._read_ahead), name="read ahead")
        try:
            yield
        finally:
            reading.cancel()
            await asyncio.wait([reading])
            bug = None if reading.cancelled() else reading.exception()
        if bug is not None:
            raise bug

    async def _read_on(self, read_ahead: ReadAhead) -> None:
        while True:
            self._woken.clear()
            await self._ahead.read_on(read_ahead, self._batch_records)
            await self._woken.wait()

    async def _use_idle_time(self) -> None:
        with self._step_under_way():
            assert self.epoch is not None
            more = await self._handler.caught_up(self.partition, Claim(self.epoch, self.next_offset))
        self._idle_work_at = 0.0 if more else time.monotonic() + self._pace.idle_work_every
        # The database answers: on a quiet partition too, the next failure is a first one again.
        self.failures = 0
        if self.halted is not None and self.halted.reason == "too_many_refused":
            # Nothing is left to read and nothing was refused: what it waited for has been mended.
            self.halted = None

    def _rest_if_full(self) -> None:
        if not self._resting and self._ahead.is_full:
            self._resting = True
            self._consumer.hold(self.partition)
        self._woken.set()

    async def _fetch_on(self) -> None:
        if self._resting and self._ahead.has_room:
            self._resting = False
            await self._consumer.begin(self.partition, self._ahead.next_offset)

    def _hold(self, failure: TemporaryFailure) -> None:
        self._let_go()
        longest = self._pace.first_pause * 2**self.failures
        pause = min(self._pace.longest_pause, longest) * random.uniform(0.5, 1.0)  # noqa: S311
        self.failures = min(self.failures + 1, 16)
        self._try_at = time.monotonic() + pause
        self._metrics.held.inc()
        level = log.info if isinstance(failure, LostOwnership) else log.warning
        level("partition held back", partition=str(self.partition), reason=str(failure), pause_seconds=round(pause, 2))

    def _halt(self, halted: PartitionHalted) -> None:
        self._let_go()
        self.halted = halted
        self._try_at = time.monotonic() + self._pace.halt_pause
        log.error("partition halted; it waits for a person", partition=str(self.partition), reason=str(halted))

    def _let_go(self) -> None:
        self._consumer.hold(self.partition)
        self._ahead.begin(None)
        self._errands.clear()
        self.epoch = None

    @contextmanager
    def _step_under_way(self) -> Iterator[None]:
        self._steps += 1
        self.step = self._steps
        try:
            yield
        finally:
            self.step = None
