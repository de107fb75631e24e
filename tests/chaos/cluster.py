"""Questions and orders to the brokers, past every proxy, asked again while brokers come and go."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from shared.topics import ALL_TOPICS
from tests.chaos.quorum import active_controller

ASK_SECONDS = 30.0
ONE_TRY_SECONDS = 6.0
PAUSE_SECONDS = 0.2
LET_OTHERS_EVERY = 200
Answer = TypeVar("Answer")
Headers = Iterable[tuple[str, bytes]]


class Cluster:
    """The brokers as a tool sees them. Topics are named whole here. Open one with `open_cluster`."""

    def __init__(self, bootstrap: str, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer) -> None:
        self._bootstrap = bootstrap
        self._consumer = consumer
        self._producer = producer

    async def leader_of(self, topic: str, partition: int) -> int:
        """Node id of a partition's leader."""

        async def ask(admin: AIOKafkaAdminClient) -> int:
            (found,) = await admin.describe_topics([topic])
            leader = next((one["leader"] for one in found["partitions"] if one["partition"] == partition), -1)
            if leader < 0:
                raise KafkaError(f"{topic}[{partition}] has no leader now")
            return int(leader)

        return await self._ask(ask)

    async def controller(self) -> int:
        """Node id of the active controller."""
        return await self._ask(active_controller)

    async def coordinator_of(self, group: str) -> int:
        """Node id of a consumer group's coordinator."""

        async def ask(admin: AIOKafkaAdminClient) -> int:
            return int(await admin.find_coordinator(group))

        return await self._ask(ask)

    async def end_offsets(self, topic: str) -> dict[int, int]:
        """Log end by partition."""

        async def ask() -> dict[int, int]:
            partitions = self._consumer.partitions_for_topic(topic)
            if not partitions:
                self._consumer._client.add_topic(topic)
                await self._consumer._client.force_metadata_update()
                raise KafkaError(f"{topic} is not known yet")
            ends = await self._consumer.end_offsets([TopicPartition(topic, one) for one in partitions])
            return {one.partition: end for one, end in ends.items()}

        return await _persist(ask)

    async def out_of_sync(self) -> list[str]:
        """Partitions of any topic that lack a replica or a leader now."""

        async def ask(admin: AIOKafkaAdminClient) -> list[str]:
            return [
                f"{topic['topic']}[{one['partition']}] {sorted(one['isr'])} of {sorted(one['replicas'])}"
                for topic in await admin.describe_topics()
                for one in topic["partitions"]
                if len(one["isr"]) < len(one["replicas"]) or one["leader"] < 0
            ]

        return await self._ask(ask)

    async def forget_topics(self, prefix: str) -> None:
        """Delete the topics of a world that is over."""
        names = [topic.prefixed(prefix).name for topic in ALL_TOPICS]

        async def order(admin: AIOKafkaAdminClient) -> None:
            await admin.delete_topics(names)

        await self._ask(order)

    async def produce(
        self, topic: str, key: bytes | None, value: bytes | None, partition: int | None, headers: Headers
    ) -> tuple[int, int]:
        """Put one record on a topic; its partition and offset."""
        written = await self._producer.send_and_wait(topic, value, key, partition, headers=list(headers))
        return written.partition, written.offset

    async def produce_all(self, topic: str, records: Iterable[tuple[bytes | None, bytes | None]]) -> int:
        """Put many records (key, value) on a topic, as fast as the brokers take them; how many those were."""
        count = 0
        for key, value in records:
            await self._producer.send(topic, value, key)
            count += 1
            if count % LET_OTHERS_EVERY == 0:
                await asyncio.sleep(0)
        await self._producer.flush()
        return count

    async def _ask(self, question: Callable[[AIOKafkaAdminClient], Awaitable[Answer]]) -> Answer:
        async def ask() -> Answer:
            # A client of its own for each question: one that is kept remembers brokers that are gone.
            admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap, request_timeout_ms=4000)
            try:
                await admin.start()
                return await question(admin)
            finally:
                await admin.close()

        return await _persist(ask)


@asynccontextmanager
async def open_cluster(bootstrap: str) -> AsyncIterator[Cluster]:
    """Connect to the brokers, which must be there now; later they may come and go."""
    settings: dict[str, Any] = {"bootstrap_servers": bootstrap, "client_id": "chaos", "request_timeout_ms": 8000}
    # Larger requests than ours: a fault may put on the log what ingest never would.
    producer = AIOKafkaProducer(
        **settings, acks="all", linger_ms=2, max_batch_size=262_144, max_request_size=4_194_304, compression_type="lz4"
    )
    consumer = AIOKafkaConsumer(**settings, enable_auto_commit=False)
    async with producer, consumer:
        yield Cluster(bootstrap, consumer, producer)


async def _persist(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """Ask until there is an answer; raises TimeoutError with the last error."""
    deadline = time.monotonic() + ASK_SECONDS
    while True:
        try:
            async with asyncio.timeout(ONE_TRY_SECONDS):
                return await ask()
        except (KafkaError, OSError, TimeoutError) as error:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the brokers gave no answer in {ASK_SECONDS:.0f} s: {error!r}") from error
        await asyncio.sleep(PAUSE_SECONDS)
