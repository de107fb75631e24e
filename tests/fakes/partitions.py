"""Partitions of a log in memory that keep to the port: each is given from where `begin` says, and not while held."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence

from shared.bus.ports import Record, TopicPartition


class MemoryPartitions:
    """Implements LogConsumer.

    given: how many records each partition has handed out, those given again included. answers: while it is not set,
    a fetch waits, as on a slow network.
    """

    def __init__(self, records: Mapping[TopicPartition, Sequence[Record]]) -> None:
        self.records = dict(records)
        self.given = dict.fromkeys(records, 0)
        self.answers = asyncio.Event()
        self.answers.set()
        self.committed: dict[TopicPartition, int] = {}
        self._at: dict[TopicPartition, int] = {}
        self._resting: set[TopicPartition] = set()
        self._assigned = frozenset(records)
        self._generation = 0

    def assign(self, *partitions: TopicPartition) -> None:
        """Give the group's member other partitions, or the same ones anew."""
        self._assigned = frozenset(partitions)
        self._at.clear()
        self._generation += 1

    def assignment(self) -> frozenset[TopicPartition]:
        return self._assigned

    def generation(self) -> int:
        return self._generation

    async def fetch(self, max_records: int, wait_seconds: float) -> Mapping[TopicPartition, Sequence[Record]]:
        await asyncio.sleep(0.001)
        await self.answers.wait()
        found: dict[TopicPartition, Sequence[Record]] = {}
        for partition, at in self._at.items():
            some = self.records[partition][at : at + max_records]
            if some and partition not in self._resting:
                found[partition] = some
                self._at[partition] += len(some)
                self.given[partition] += len(some)
        return found

    async def begin(self, partition: TopicPartition, offset: int | None) -> None:
        self._at[partition] = offset or 0
        self._resting.discard(partition)

    def hold(self, partition: TopicPartition) -> None:
        self._resting.add(partition)

    def end_offset(self, partition: TopicPartition) -> int | None:
        return len(self.records[partition])

    async def ask_end_offsets(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        return {partition: len(self.records[partition]) for partition in partitions}

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        self.committed = dict(offsets)


class MemoryReader:
    """Implements LogReader on the same records. asked: the stretches that were read."""

    def __init__(self, log: MemoryPartitions) -> None:
        self._log = log
        self.asked: list[tuple[TopicPartition, int, int]] = []

    async def read(self, partition: TopicPartition, start: int, end: int) -> AsyncIterator[Sequence[Record]]:
        self.asked.append((partition, start, end))
        for at in range(start, end, 100):
            await asyncio.sleep(0)
            yield self._log.records[partition][at : min(at + 100, end)]
