"""Lets fresh serious events go ahead of a backlog.

A partition is read in order, so after an outage an illness of this minute would wait until hours of ordinary events are
done. As long as the record that is next in turn has waited too long, this task looks at the newest records. Where they
would bring a household a worse and serious grade, all of this household's records in the backlog are looked for, and
the partition's lane is asked to apply them, in their order, before it goes on. So the order within a household stays,
each event counts once, and the backlog loses no more than a second look costs.

A household that the register will only know once its enrolment's turn has come is not found this way.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager

from services.scorer.score_event import ScoreEvents
from shared.bus.consumer_loop import ConsumerLoop
from shared.bus.ports import Claim, LogConsumer, LogReader, Record, TopicPartition
from shared.errors import TemporaryFailure
from shared.lifecycle import every
from shared.logs import get_logger

log = get_logger(__name__)

LOOK_EVERY_SECONDS = 5.0
# Of a partition at a time: at the nation's usual rate the last minutes.
NEWEST_RECORDS = 2_000
# One with more records than this waits for its turn: applying them would hold up the lane.
MOST_OF_A_HOUSEHOLD = 1_000

OpenReader = Callable[[], AbstractAsyncContextManager[LogReader]]


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
        # The newest records were looked at up to here.
        self._looked_at: dict[TopicPartition, int] = {}

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
        behind = [partition for partition, since in self._loop.waiting_since_ms().items() if since < too_old]
        self._looked_at = {partition: offset for partition, offset in self._looked_at.items() if partition in behind}
        if not behind:
            return
        ends = await self._consumer.ask_end_offsets(behind)
        async with self._open_reader() as reader:
            for partition in behind:
                try:
                    await self._look_at(partition, ends[partition], reader)
                except TemporaryFailure as failure:
                    _warn(failure)

    async def _look_at(self, partition: TopicPartition, end: int, reader: LogReader) -> None:
        position = self._loop.reading().get(partition)
        if position is None:
            return
        newest_from = max(position, end - NEWEST_RECORDS, self._looked_at.get(partition, 0))
        newest = [record async for some in reader.read(partition, newest_from, end) for record in some]
        serious = await self._handler.would_grow_serious(partition, newest)
        if serious:
            records = await _all_of(serious, reader.read(partition, position, end))
            self._loop.ask(partition, lambda claim: self._overtake(partition, claim, position, records))
        self._looked_at[partition] = end

    async def _overtake(
        self, partition: TopicPartition, claim: Claim, complete_from: int, records: Sequence[Record]
    ) -> None:
        next_offset = claim.next_offset or 0
        # A position that went back is a restored database: there are records before ours that nobody has applied.
        if next_offset >= complete_from:
            await self._handler.overtake(partition, claim, [one for one in records if one.offset >= next_offset])


def _warn(failure: TemporaryFailure) -> None:
    log.warning("nothing goes ahead of its turn for now", reason=str(failure))


async def _all_of(household_ids: Collection[str], stretch: AsyncIterator[Sequence[Record]]) -> list[Record]:
    """The records of these households, in their order."""
    keys = {household_id.encode() for household_id in household_ids}
    found: dict[bytes, list[Record]] = defaultdict(list)
    async for some in stretch:
        for record in some:
            if record.key in keys:
                found[record.key].append(record)
    of_all = [one for of_one in found.values() if len(of_one) <= MOST_OF_A_HOUSEHOLD for one in of_one]
    return sorted(of_all, key=lambda record: record.offset)
