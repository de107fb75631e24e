"""The benchmark's own side of the log: topics made and removed, committed places, and whole topics read back."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord

from shared.bus.kafka import ensure_topics
from shared.topics import GRADE_CHANGES, HOUSEHOLD_EVENTS, Topic

READ_SECONDS = 180.0  # longer than a broker lets a transaction stand open


class PeersLog:
    """A connection to the broker as one who looks after it."""

    def __init__(self, bootstrap_servers: str, admin: AIOKafkaAdminClient) -> None:
        self.bootstrap_servers = bootstrap_servers
        self._admin = admin

    @classmethod
    @asynccontextmanager
    async def connect(cls, bootstrap_servers: str) -> AsyncIterator[Self]:
        """Connect for a block."""
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, client_id="peers")
        await admin.start()
        try:
            yield cls(bootstrap_servers, admin)
        finally:
            await admin.close()

    async def make_events_topic(self, prefix: str) -> str:
        """Make the topic of events, as the project makes it; its name."""
        return await self._make(HOUSEHOLD_EVENTS, prefix)

    async def make_alerts_topic(self, prefix: str) -> str:
        """Make a topic for alerts; its name."""
        return await self._make(GRADE_CHANGES, prefix)

    async def topics_with(self, part: str) -> list[str]:
        """The topics in whose names this part stands."""
        return sorted(name for name in await self._admin.list_topics() if part in name)

    async def remove_topics(self, names: Sequence[str]) -> None:
        """Remove topics."""
        if names:
            await self._admin.delete_topics(list(names))

    async def committed(self, group: str, topic: str) -> Mapping[int, int]:
        """The offset that a group would go on from, by partition; empty while it has committed nothing."""
        try:
            found = await self._admin.list_consumer_group_offsets(group)
        except KafkaError:
            # A coordinator that is not there yet has nothing committed.
            return {}
        return {at.partition: one.offset for at, one in found.items() if at.topic == topic and one.offset >= 0}

    async def read_all(self, topics: Sequence[str]) -> list[ConsumerRecord]:
        """Every committed record of these topics, in the order of its partition.

        Waits for a transaction that is being ended. Raises TimeoutError when that does not come.
        """
        found = await self._admin.describe_topics(list(topics)) if topics else []
        places = [TopicPartition(topic["topic"], one["partition"]) for topic in found for one in topic["partitions"]]
        if not places:
            return []
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap_servers, isolation_level="read_committed", enable_auto_commit=False
        )
        async with consumer, asyncio.timeout(READ_SECONDS):
            ends = await self._ends(places)
            consumer.assign(places)
            await consumer.seek_to_beginning(*places)
            return await _until(consumer, ends)

    async def _ends(self, places: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Where the partitions end, with what is not committed yet.

        A transaction counts as committed a moment before its marks stand on all partitions; a reader of committed
        records alone would take the place before such a mark for the end.
        """
        async with AIOKafkaConsumer(bootstrap_servers=self.bootstrap_servers) as consumer:
            ends: Mapping[TopicPartition, int] = await consumer.end_offsets(places)
            return ends

    async def _make(self, topic: Topic, prefix: str) -> str:
        await ensure_topics(self.bootstrap_servers, [topic], topic_prefix=prefix)
        return prefix + topic.name


async def _until(consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int]) -> list[ConsumerRecord]:
    waiting = {place for place, end in ends.items() if end > 0}
    records: list[ConsumerRecord] = []
    while waiting:
        fetched = await consumer.getmany(timeout_ms=200)
        records += [record for some in fetched.values() for record in some]
        waiting = {place for place in waiting if await consumer.position(place) < ends[place]}
    return records
