"""From the instant at which an event was to be sent to the instant at which its grade is durable.

Each 202 tells partition and offset; the scorer's positions in the database, moved by the transactions that store the
grades, tell how far each partition is graded. They are looked at every few milliseconds.
"""

import asyncio
import json
from array import array
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import asyncpg

from services.ingest.load.connection import Reply
from services.ingest.load.parcels import Parcel
from services.ingest.load.tally import ACCEPTED, MULTI_STATUS, Tally
from services.scorer.wiring import CONSUMER_GROUP

LOOK_EVERY_SECONDS = 0.01
_POSITIONS = "SELECT partition, next_offset FROM partition_position WHERE consumer_group = $1 AND topic = $2"


class GradedTally(Tally):
    """A tally that keeps the receipts of events until they are graded. graded: the waits, in seconds."""

    def __init__(self) -> None:
        super().__init__()
        self.graded: array[float] = array("d")
        self._waiting: defaultdict[int, deque[tuple[int, float]]] = defaultdict(deque)

    def answered(self, parcel: Parcel, reply: Reply, at: float) -> list[bytes]:
        """Count, and note where the log has the events."""
        for partition, offset in _places(parcel, reply):
            self._waiting[partition].append((offset, parcel.intended))
        return super().answered(parcel, reply, at)

    def passed(self, partition: int, next_offset: int, at: float) -> None:
        """Note that a partition is graded up to an offset."""
        waiting = self._waiting[partition]
        # Answers may come in another order than the records stand.
        later = deque[tuple[int, float]]()
        for offset, intended in waiting:
            if offset < next_offset:
                self.graded.append(at - intended)
            else:
                later.append((offset, intended))
        self._waiting[partition] = later

    @property
    def ungraded(self) -> int:
        """How many accepted events have no durable grade yet."""
        return sum(len(waiting) for waiting in self._waiting.values())


def _places(parcel: Parcel, reply: Reply) -> Iterator[tuple[int, int]]:
    """Partition and offset of each event that an answer says was taken."""
    if reply.status in (ACCEPTED, MULTI_STATUS):
        answer = json.loads(reply.body)
        for one in answer["results"] if parcel.is_batch else [answer]:
            if one["status"] == "accepted":
                yield one["partition"], one["offset"]


class GradeWatch:
    """Looks at the positions of one topic while a load runs."""

    def __init__(
        self, connection: "asyncpg.Connection[Any]", topic: str, tally: GradedTally, now: Callable[[], float]
    ) -> None:
        self._connection = connection
        self._topic = topic
        self._tally = tally
        self._now = now
        self._seen: dict[int, int] = {}

    async def run(self, ended: asyncio.Event) -> None:
        """Look until the load has ended."""
        while not ended.is_set():
            await self.look()
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), LOOK_EVERY_SECONDS)

    async def look(self) -> None:
        """Look once."""
        for row in await self._connection.fetch(_POSITIONS, CONSUMER_GROUP, self._topic):
            partition, offset = row["partition"], row["next_offset"]
            if offset is not None and offset != self._seen.get(partition):
                self._seen[partition] = offset
                self._tally.passed(partition, offset, self._now())

    async def until_graded(self, seconds: float) -> bool:
        """Wait until every accepted event is graded; False if that takes longer."""
        deadline = self._now() + seconds
        while self._tally.ungraded and self._now() < deadline:
            self._seen.clear()
            await self.look()
            await asyncio.sleep(LOOK_EVERY_SECONDS)
        return not self._tally.ungraded
