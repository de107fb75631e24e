"""Ends the process when consuming has silently stopped: records wait, nothing is in the way, and nothing moves.

Consumers of Kafka have been seen alive, members of their group, and deaf for ever. Nobody inside can mend that; a fresh
process can. A partition that is held because the database is away, or halted for a person, does not count as stuck.
Nor, for some minutes, does one that waits while others work off a backlog: the client hands records over partition by
partition, so the last one stands still until thousands of each other one are done.
"""

import asyncio
import time
from collections.abc import Mapping

from shared.bus.consumer_loop import ConsumerLoop
from shared.bus.ports import LogConsumer, TopicPartition
from shared.errors import TemporaryFailure
from shared.lifecycle import every
from shared.logs import get_logger

log = get_logger(__name__)

LOOK_EVERY_SECONDS = 5.0
STUCK_SECONDS = 30.0
STUCK_BEHIND_OTHERS_SECONDS = 300.0
BACKLOG_RECORDS = 1_000
# One turn of the loop may wait for a statement and its connection, each with a deadline of its own.
TURN_SECONDS = 120.0


class ConsumerStuck(RuntimeError):
    """Records wait, and consuming does not move although nothing is in its way."""


class ProgressWatch:
    """A supervised task beside the consumer loop."""

    def __init__(
        self,
        loop: ConsumerLoop,
        consumer: LogConsumer,
        *,
        look_every_seconds: float = LOOK_EVERY_SECONDS,
        stuck_seconds: float = STUCK_SECONDS,
        stuck_behind_others_seconds: float = STUCK_BEHIND_OTHERS_SECONDS,
        turn_seconds: float = TURN_SECONDS,
    ) -> None:
        self._loop = loop
        self._consumer = consumer
        self._look_every = look_every_seconds
        self._stuck = stuck_seconds
        self._stuck_behind_others = stuck_behind_others_seconds
        self._turn = turn_seconds
        self._turns = -1
        self._turned_at = 0.0
        self._waiting: dict[TopicPartition, tuple[int, float]] = {}
        self._offsets: Mapping[TopicPartition, int] = {}
        self._backlog_moved_at = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Look until stopped. Raises ConsumerStuck, which ends the process."""
        self._turned_at = time.monotonic()
        await every(self._look_every, self._look, stop)

    async def _look(self) -> bool:
        now = time.monotonic()
        if self._loop.turns != self._turns:
            self._turns, self._turned_at = self._loop.turns, now
        elif now - self._turned_at > self._turn:
            raise ConsumerStuck(f"the consumer loop has not turned for {now - self._turned_at:.0f} s")
        reading = self._loop.reading()
        try:
            ends = await self._consumer.ask_end_offsets(reading)
        except TemporaryFailure:
            # Nothing can be said while the log is away; what waits then waits for the log.
            self._waiting.clear()
            return False
        self._check(reading, ends, now)
        return False

    def _check(self, reading: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int], now: float) -> None:
        moved = [partition for partition, offset in reading.items() if self._offsets.get(partition, offset) != offset]
        if any(ends.get(partition, 0) - reading[partition] > BACKLOG_RECORDS for partition in moved):
            self._backlog_moved_at = now
        self._offsets = reading
        behind = {partition: offset for partition, offset in reading.items() if ends.get(partition, 0) > offset}
        waiting: dict[TopicPartition, tuple[int, float]] = {}
        for partition, offset in behind.items():
            before = self._waiting.get(partition)
            waiting[partition] = before if before is not None and before[0] == offset else (offset, now)
        self._waiting = waiting
        for partition, (offset, since) in waiting.items():
            if now - max(since, self._backlog_moved_at) > self._stuck or now - since > self._stuck_behind_others:
                seconds = round(now - since)
                raise ConsumerStuck(f"{partition}: {offset} has waited for {seconds} s, the end is {ends[partition]}")
