"""Reads Kafka as a member of a consumer group; where each partition is read from, the caller says."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from shared.bus.kafka.fetching import FETCH_SETTINGS, connected, records_of
from shared.bus.ports import GapInLog, Record, TopicPartition
from shared.errors import TemporaryFailure
from shared.logs import get_logger
from shared.topics import Topic

log = get_logger(__name__)

CONSUMER_SETTINGS: Mapping[str, Any] = {
    # Positions come from the database and are set by seek; Kafka's own committed offset is never followed blindly.
    **FETCH_SETTINGS,
    # A member that is silent for so long loses its partitions. Short, because a move too many costs a second and
    # harms nothing (writes are fenced); not shorter, because brokers refuse less than 6 s.
    "session_timeout_ms": 6_000,
    "heartbeat_interval_ms": 2_000,
    # Must exceed session timeout plus the time of a rebalance: a join is answered only once all members have joined,
    # and a consumer that gives up waiting for it leaves its partitions without an owner.
    "request_timeout_ms": 40_000,
    "max_poll_interval_ms": 300_000,
    "metadata_max_age_ms": 30_000,
}
COMMIT_SECONDS = 3.0
ASK_SECONDS = 5.0
# Asked for while there is nothing to ask for: a member that does not ask for a while is put out of the group.
_NOBODYS = KafkaPartition("nobody's", 0)


class KafkaConsumer:
    """A member of a consumer group. Start and stop it with `kafka_consumer`."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._generation = -1
        self._begun: set[TopicPartition] = set()
        # Where the library itself would go on reading, as far as we know it.
        self._next: dict[TopicPartition, int] = {}
        self._committing: asyncio.Task[None] | None = None
        # Of the listener: aiokafka would only log it. Raised by the next fetch, it ends the process.
        self.failure: Exception | None = None

    def assignment(self) -> frozenset[TopicPartition]:
        """Return the partitions that are ours now."""
        return frozenset(TopicPartition(*partition) for partition in self._consumer.assignment())

    def generation(self) -> int:
        """Return a number that grows with each new assignment."""
        return self._generation

    def reassigned(self) -> None:
        """Note a new assignment; everything is held back until `begin`."""
        self._generation += 1
        self._begun.clear()
        self._next.clear()
        for partition in self._consumer.assignment():
            self._consumer.pause(partition)

    async def fetch(self, max_records: int, wait_seconds: float) -> Mapping[TopicPartition, Sequence[Record]]:
        """Return what has arrived. Raises GapInLog when a position lies outside what the log still has."""
        if self.failure is not None:
            raise self.failure
        # Only what was begun is asked for: the library throws away what it holds of a paused partition it is asked for.
        wanted = [KafkaPartition(*partition) for partition in self._begun] or [_NOBODYS]
        try:
            fetched = await self._consumer.getmany(
                *wanted, timeout_ms=int(wait_seconds * 1000), max_records=max_records
            )
        except NoOffsetForPartitionError:
            # aiokafka looks for a committed offset by itself; `begin` has not yet said where this partition is read.
            return {}
        except OffsetOutOfRangeError as error:
            await self._check_gap(error)
            return {}
        return self._of_begun(fetched)

    def _of_begun(
        self, fetched: Mapping[KafkaPartition, Sequence[ConsumerRecord]]
    ) -> dict[TopicPartition, Sequence[Record]]:
        found: dict[TopicPartition, Sequence[Record]] = {}
        for kafka_partition, records in fetched.items():
            partition = TopicPartition(*kafka_partition)
            if partition in self._begun:
                found[partition] = records_of(records)
                self._next[partition] = records[-1].offset + 1
            else:
                # Held while we waited. The library is past these now, and must be told to go back.
                self._next.pop(partition, None)
        return found

    async def _check_gap(self, error: OffsetOutOfRangeError) -> None:
        # The error may be of a fetch from before the last seek; only the present position counts.
        for kafka_partition, offset in error.args[0].items():
            partition = TopicPartition(*kafka_partition)
            if partition not in self._begun or await self._consumer.position(kafka_partition) != offset:
                continue
            try:
                end = (await self.ask_end_offsets([partition]))[partition]
            except TemporaryFailure:
                # The position stays, so the next fetch meets the same.
                return
            if end < offset:
                detail = f"the log ends at {end}, but {offset} was reached before: was the topic made anew?"
                raise GapInLog(partition, detail, reason="log_ends_early") from error
            raise GapInLog(partition, f"the log no longer has offset {offset}") from error

    async def begin(self, partition: TopicPartition, offset: int | None) -> None:
        """Read the partition from this offset on. Raises TemporaryFailure."""
        kafka_partition = KafkaPartition(*partition)
        if kafka_partition not in self._consumer.assignment():
            raise TemporaryFailure(f"{partition} was just taken away")
        try:
            if offset is None:
                self._next.pop(partition, None)
                await self._consumer.seek_to_beginning(kafka_partition)
            elif self._next.get(partition) != offset:
                # Not where it stands already: the library forgets what it has fetched when it is told to seek.
                self._next.pop(partition, None)
                self._consumer.seek(kafka_partition, offset)
        except KafkaError as error:
            raise TemporaryFailure(f"cannot seek: {type(error).__name__}") from error
        self._begun.add(partition)
        self._consumer.resume(kafka_partition)

    def hold(self, partition: TopicPartition) -> None:
        """Fetch nothing of this partition until `begin`."""
        self._begun.discard(partition)
        kafka_partition = KafkaPartition(*partition)
        if kafka_partition in self._consumer.assignment():
            self._consumer.pause(kafka_partition)

    def end_offset(self, partition: TopicPartition) -> int | None:
        """Return the offset after the last record, as of the last fetch."""
        kafka_partition = KafkaPartition(*partition)
        if kafka_partition not in self._consumer.assignment():
            return None
        end: int | None = self._consumer.highwater(kafka_partition)
        return end

    async def ask_end_offsets(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Ask the log where the partitions end. Raises TemporaryFailure."""
        try:
            async with asyncio.timeout(ASK_SECONDS):
                ends = await self._consumer.end_offsets([KafkaPartition(*partition) for partition in partitions])
        except (KafkaError, TimeoutError) as error:
            raise TemporaryFailure(f"the log does not say where it ends: {type(error).__name__}") from error
        return {TopicPartition(*partition): end for partition, end in ends.items()}

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Begin to commit, as advice; while an earlier commit is under way this one is left out."""
        if self._committing is not None and not self._committing.done():
            return
        ours = {KafkaPartition(*partition): offset for partition, offset in offsets.items()}
        ours = {partition: offset for partition, offset in ours.items() if partition in self._consumer.assignment()}
        if ours:
            self._committing = asyncio.create_task(self._commit(ours), name="commit to the log")

    async def _commit(self, offsets: Mapping[KafkaPartition, int]) -> None:
        try:
            await self._consumer.commit(offsets)
        except KafkaError as error:
            log.info("offsets were not committed to the log; the database has them", reason=type(error).__name__)

    async def finish_commit(self) -> None:
        """Give the last commit a moment to end."""
        if self._committing is not None:
            await asyncio.wait([self._committing], timeout=COMMIT_SECONDS)
            self._committing.cancel()


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Only takes note. Claiming happens in the loop, where a failure is seen and a database's absence is waited out."""

    def __init__(self) -> None:
        self.consumer: KafkaConsumer | None = None

    def on_partitions_revoked(self, revoked: Iterable[KafkaPartition]) -> None: ...

    def on_partitions_assigned(self, assigned: Iterable[KafkaPartition]) -> None:
        if self.consumer is None:
            return
        try:
            self.consumer.reassigned()
        except Exception as error:
            self.consumer.failure = error
            raise


@asynccontextmanager
async def kafka_consumer(
    bootstrap_servers: str,
    group: str,
    topic: Topic,
    client_id: str,
    *,
    topic_prefix: str = "",
    instance_id: str | None = None,
) -> AsyncIterator[KafkaConsumer]:
    """Join the group, and leave it at the end.

    instance_id: static membership; a restart within the session timeout then moves no partitions.
    Raises TemporaryFailure when the log cannot be reached.
    """
    inner = AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers,
        client_id=client_id,
        group_id=topic_prefix + group,
        group_instance_id=instance_id,
        **CONSUMER_SETTINGS,
    )
    listener = _Listener()
    consumer = KafkaConsumer(inner)
    listener.consumer = consumer
    inner.subscribe([topic_prefix + topic.name], listener=listener)
    async with connected(inner):
        try:
            yield consumer
        finally:
            await consumer.finish_commit()
