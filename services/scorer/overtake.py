"""Lets fresh serious events go ahead of a backlog.

A partition is read in order, so after an outage an illness of this minute would wait until hours of ordinary events are
done. As long as the record that is next in turn has waited too long, this task looks at the newest records. Where they
would bring a household a worse and serious grade, all of this household's records in the backlog are looked for, and
the partition's lane is asked to apply them, in their order, before it goes on. So the order within a household stays,
and each event counts once. The backlog is read a second time for it, once, to know where each household begins in it.

A household that the register does not know yet is looked for as well: its enrolment may lie in the backlog, and what
the newest records mean for it shows only together with that. Costs add up, too: of a household of which earlier records
wait, the newest alone do not tell. Such households are looked at with all their records, less often, because the
backlog is read once more for them.
"""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager

from services.scorer.score_event import ScoreEvents
from shared.bus.consumer_loop import ConsumerLoop
from shared.bus.ports import Claim, Errand, LogConsumer, LogReader, Record, TopicPartition, Waiting
from shared.errors import TemporaryFailure
from shared.lifecycle import every
from shared.logs import get_logger

log = get_logger(__name__)

LOOK_EVERY_SECONDS = 5.0
# Of a partition at a time: at the nation's usual rate the last minutes.
NEWEST_RECORDS = 2_000
# With all their records of the backlog, so many households of a partition are looked at, so often.
LOOK_DEEPER_EVERY_SECONDS = 20.0
MOST_LOOKED_AT_DEEPER = 200
# Of a partition's households, so many are remembered with their places: some megabytes in all.
MOST_PLACES = 25_000
# One with more records than this waits for its turn: applying them would hold up the lane.
MOST_OF_A_HOUSEHOLD = 1_000

OpenReader = Callable[[], AbstractAsyncContextManager[LogReader]]


class Backlog:
    """What is known of a partition's backlog during one tenure: where the records of its households begin.

    until: up to where it was read. newest: its last records, as far as nobody has looked at them yet.
    """

    def __init__(self, tenure: object, begins: int) -> None:
        self.tenure = tenure
        self.until = begins
        self.newest: deque[Record] = deque(maxlen=NEWEST_RECORDS)
        self._deeper_at = time.monotonic()
        self._pending: dict[bytes, None] = {}
        self._first: dict[bytes, int] = {}
        # From here on, a household that has no place may have records all the same.
        self._unplaced_from: int | None = None

    def add(self, records: Sequence[Record]) -> None:
        """Note the next records of the partition."""
        for record in records:
            if record.key is None or record.key in self._first:
                continue
            if len(self._first) < MOST_PLACES:
                self._first[record.key] = record.offset
            elif self._unplaced_from is None:
                self._unplaced_from = record.offset
        self.newest.extend(records)
        self.until = records[-1].offset + 1

    def begin_of(self, keys: Collection[bytes]) -> int:
        """Return an offset before which none of these households has a record that waits."""
        unplaced = self.until if self._unplaced_from is None else self._unplaced_from
        return min((self._first.get(key, unplaced) for key in keys), default=self.until)

    def note_looked_at(self) -> None:
        """Note that what the newest records alone tell is known; of whom more waits, more may be to be told."""
        begin = self.newest[0].offset if self.newest else self.until
        for record in self.newest:
            if record.key is not None and self._first.get(record.key, -1) < begin:
                self._pending.pop(record.key, None)
                self._pending[record.key] = None
        self.newest.clear()

    def take_pending(self) -> list[bytes]:
        """Return households to be looked at with all their records, those with the newest ones; [] before the time."""
        if time.monotonic() < self._deeper_at + LOOK_DEEPER_EVERY_SECONDS:
            return []
        taken = list(self._pending)[-MOST_LOOKED_AT_DEEPER:]
        self._pending.clear()
        self._deeper_at = time.monotonic()
        return taken

    def note_applied(self, keys: Collection[bytes], until: int) -> None:
        """Note that nothing of these households waits any more before an offset."""
        for key in keys:
            self._pending.pop(key, None)
            if key in self._first:
                self._first[key] = until


class Overtake:
    """A supervised task beside the consumer loop.

    after_seconds: how long a record may wait for its turn before others may overtake it.
    """

    def __init__(
        self,
        loop: ConsumerLoop,
        consumer: LogConsumer,
        open_reader: OpenReader,
        handler: ScoreEvents,
        *,
        after_seconds: float,
    ) -> None:
        self._loop = loop
        self._consumer = consumer
        self._open_reader = open_reader
        self._handler = handler
        self._after_seconds = after_seconds
        self._backlogs: dict[TopicPartition, Backlog] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Look until stopped."""
        await every(LOOK_EVERY_SECONDS, self._look, stop)

    async def _look(self) -> bool:
        try:
            await self.look()
        except TemporaryFailure as failure:
            _warn(failure)
        return False

    async def look(self) -> None:
        """Look once at the newest records of each partition that is too far behind. Raises TemporaryFailure."""
        too_old = (time.time() - self._after_seconds) * 1000
        behind = {partition: one for partition, one in self._loop.waiting().items() if one.since_ms < too_old}
        self._backlogs = {partition: self._backlog(partition, one) for partition, one in behind.items()}
        if not behind:
            return
        ends = await self._consumer.ask_end_offsets(behind)
        async with self._open_reader() as reader:
            for partition, waiting in behind.items():
                try:
                    await self._look_at(partition, waiting, ends[partition], reader)
                except TemporaryFailure as failure:
                    _warn(failure)

    def _backlog(self, partition: TopicPartition, waiting: Waiting) -> Backlog:
        known = self._backlogs.get(partition)
        if known is not None and known.tenure is waiting.tenure:
            return known
        return Backlog(waiting.tenure, waiting.next_offset)

    async def _look_at(self, partition: TopicPartition, waiting: Waiting, end: int, reader: LogReader) -> None:
        backlog = self._backlogs[partition]
        async for some in reader.read(partition, max(waiting.next_offset, backlog.until), end):
            backlog.add(some)
        candidates = await self._handler.may_grow_serious(partition, list(backlog.newest))
        backlog.note_looked_at()
        keys = {*backlog.take_pending(), *(household_id.encode() for household_id in candidates)}
        if keys:
            begins = max(waiting.next_offset, backlog.begin_of(keys))
            records = await _all_of(keys, reader.read(partition, begins, end))
            self._loop.ask(partition, self._errand(partition, backlog, records, end), waiting.tenure)

    def _errand(self, partition: TopicPartition, backlog: Backlog, records: Sequence[Record], end: int) -> Errand:
        async def overtake(claim: Claim) -> None:
            waiting = [one for one in records if one.offset >= (claim.next_offset or 0)]
            applied = await self._handler.overtake(partition, claim, waiting)
            backlog.note_applied({household_id.encode() for household_id in applied}, end)

        return overtake


def _warn(failure: TemporaryFailure) -> None:
    log.warning("nothing goes ahead of its turn for now", reason=str(failure))


async def _all_of(keys: Collection[bytes], stretch: AsyncIterator[Sequence[Record]]) -> list[Record]:
    """The records of these households, in their order."""
    found: dict[bytes, list[Record]] = defaultdict(list)
    async for some in stretch:
        for record in some:
            if record.key is not None and record.key in keys:
                found[record.key].append(record)
    of_all = [one for of_one in found.values() if len(of_one) <= MOST_OF_A_HOUSEHOLD for one in of_one]
    return sorted(of_all, key=lambda record: record.offset)
