"""A log in memory that fails when a test tells it to."""

import asyncio
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shared.bus.ports import Receipt
from shared.errors import TemporaryFailure
from shared.topics import Topic


@dataclass(frozen=True, slots=True)
class Written:
    """One record that the fake log has taken."""

    topic: str
    key: str
    value: bytes
    receipt: Receipt


class FakePublisher:
    """Implements the ports Publisher and EventLog.

    away: every publish fails. refuses: fails the records for which it answers True.
    hold(): publishes wait until let_go(), to be caught in flight.
    """

    def __init__(self) -> None:
        self.records: list[Written] = []
        self.away = False
        self.refuses: Callable[[str, bytes], bool] = lambda _key, _value: False
        self._free = asyncio.Event()
        self._free.set()
        self.waiting = 0

    def hold(self) -> None:
        """Make publishes wait."""
        self._free.clear()

    def let_go(self) -> None:
        """Let them go on."""
        self._free.set()

    async def publish(self, topic: Topic, key: str, value: bytes, *, within_seconds: float) -> Receipt:
        """Take a record, or raise TemporaryFailure as scripted."""
        self.waiting += 1
        try:
            await asyncio.wait_for(self._free.wait(), within_seconds)
        except TimeoutError:
            raise TemporaryFailure(f"the log did not acknowledge within {within_seconds:g} s") from None
        finally:
            self.waiting -= 1
        if self.away or self.refuses(key, value):
            raise TemporaryFailure("the log is not connected")
        partition = zlib.crc32(key.encode()) % topic.partitions
        offset = sum(written.receipt.partition == partition for written in self.records)
        self.records.append(Written(topic.name, key, value, Receipt(partition, offset)))
        return self.records[-1].receipt

    async def _take_in_order(
        self, topic: Topic, key: str, values: Sequence[bytes], within_seconds: float
    ) -> Sequence[Receipt | TemporaryFailure]:
        outcomes: list[Receipt | TemporaryFailure] = []
        for value in values:
            if outcomes and isinstance(outcomes[-1], TemporaryFailure):
                outcomes.append(outcomes[-1])
                continue
            try:
                outcomes.append(await self.publish(topic, key, value, within_seconds=within_seconds))
            except TemporaryFailure as failure:
                outcomes.append(failure)
        return outcomes

    async def publish_many(
        self, topic: Topic, records: Sequence[tuple[str, bytes]], *, within_seconds: float
    ) -> Sequence[Receipt | TemporaryFailure]:
        """Take records of many keys; of one key, none after the first failure."""
        places: dict[str, list[int]] = {}
        for place, (key, _) in enumerate(records):
            places.setdefault(key, []).append(place)

        async def of_key(key: str) -> Sequence[Receipt | TemporaryFailure]:
            values = [records[place][1] for place in places[key]]
            return await self._take_in_order(topic, key, values, within_seconds)

        by_key = await asyncio.gather(*map(of_key, places))
        taken = zip(places.values(), by_key, strict=True)
        found = {place: one for of, ones in taken for place, one in zip(of, ones, strict=True)}
        return [found[place] for place in range(len(records))]

    async def check(self) -> None:
        """Raise TemporaryFailure while away."""
        if self.away:
            raise TemporaryFailure("the log is not connected")
