"""The log on Apache Kafka, through aiokafka. The only file that knows aiokafka.

Settings that are not the library's defaults, because those lose records: acks=all with idempotence; no automatic
commits; start at the earliest record; no silent jump when a position has left the log.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
    TopicAlreadyExistsError,
    UnknownProducerId,
    for_code,
)
from aiokafka.structs import RecordMetadata

from shared.bus.consumer_loop import GapInLog
from shared.bus.ports import Receipt, Record, TopicPartition
from shared.errors import TemporaryFailure
from shared.logs import get_logger
from shared.topics import Topic

log = get_logger(__name__)

SESSION_TIMEOUT_MS = 10_000
HEARTBEAT_MS = 3_000
# Must exceed session timeout plus the time of a rebalance: a join is answered only once all members have joined, and a
# consumer that gives up waiting for it leaves its partitions without an owner.
CONSUMER_REQUEST_TIMEOUT_MS = 40_000
RECONNECT_SECONDS = 0.5
CLOSE_SECONDS = 5.0
# After these the idempotent producer refuses for ever; a bare KafkaError is how aiokafka's sender reports its own end.
_FATAL = (
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
    UnknownProducerId,
)


class KafkaPublisher:
    """An idempotent acks=all producer that connects by itself, and connects anew when it has died.

    Bounded: aiokafka keeps one open batch per partition and makes further senders wait; whoever waits past his time is
    refused, so what can pile up is one batch per partition and the requests that are just waiting.
    """

    def __init__(self, bootstrap_servers: str, client_id: str, *, topic_prefix: str = "", linger_ms: int = 2) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._client_id = client_id
        self._topic_prefix = topic_prefix
        self._linger_ms = linger_ms
        self._producer: AIOKafkaProducer | None = None
        self._broken = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Keep a producer connected until stopped; a supervised task."""
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                await self._connect(stop)
                broken = asyncio.create_task(self._broken.wait())
                await asyncio.wait([stopping, broken], return_when=asyncio.FIRST_COMPLETED)
                broken.cancel()
                await self._disconnect()
        finally:
            stopping.cancel()

    async def publish(self, topic: Topic, key: str, value: bytes, *, within_seconds: float) -> Receipt:
        """Put one record on the log; see `ports.Publisher`."""
        producer = self._producer
        if producer is None:
            raise TemporaryFailure("the log is not connected")
        try:
            async with asyncio.timeout(within_seconds):
                # Shielded: once the record is in a batch, giving up waiting must not cancel the batch for others.
                future = await producer.send(self._topic_prefix + topic.name, value=value, key=key.encode())
                metadata = await asyncio.shield(future)
        except TimeoutError as error:
            raise TemporaryFailure(f"the log did not acknowledge within {within_seconds:g} s") from error
        except KafkaError as error:
            self._note(error, producer)
            raise TemporaryFailure(f"the log refused: {type(error).__name__}") from error
        return Receipt(metadata.partition, metadata.offset)

    async def publish_in_order(
        self, topic: Topic, key: str, values: Sequence[bytes], *, within_seconds: float
    ) -> Sequence[Receipt | TemporaryFailure]:
        """Put records of one key on the log, in this order; see `ports.Publisher` for what a failure means.

        The next record is handed over as soon as the one before stands in a batch, and all are awaited together. After
        the first that could not be handed over none is tried, so that what is on the log has no hole before its end.
        """
        producer = self._producer
        if producer is None:
            return [TemporaryFailure("the log is not connected") for _ in values]
        handed: list[asyncio.Future[RecordMetadata]] = []
        failure = TemporaryFailure(f"the log did not acknowledge within {within_seconds:g} s")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_seconds):
                try:
                    for value in values:
                        record = await producer.send(self._topic_prefix + topic.name, value=value, key=key.encode())
                        handed.append(record)
                except KafkaError as error:
                    self._note(error, producer)
                    failure = TemporaryFailure(f"the log refused: {type(error).__name__}")
                if handed:
                    await asyncio.wait(handed)
        return [
            self._outcome(handed[index], producer, failure) if index < len(handed) else failure
            for index in range(len(values))
        ]

    def _outcome(
        self, record: "asyncio.Future[RecordMetadata]", producer: AIOKafkaProducer, late: TemporaryFailure
    ) -> Receipt | TemporaryFailure:
        if not record.done():
            # Nobody waits for it any more; looked at, so that its failure is not reported as one nobody asked about.
            record.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
            return late
        error = record.exception()
        if isinstance(error, KafkaError):
            self._note(error, producer)
            return TemporaryFailure(f"the log refused: {type(error).__name__}")
        if error is not None:
            raise error
        return Receipt(record.result().partition, record.result().offset)

    async def check(self) -> None:
        """Ask a broker for metadata. Raises TemporaryFailure."""
        producer = self._producer
        if producer is None:
            raise TemporaryFailure("the log is not connected")
        try:
            await producer.client.fetch_all_metadata()
        except KafkaError as error:
            raise TemporaryFailure(f"the log does not answer: {type(error).__name__}") from error

    def _note(self, error: KafkaError, producer: AIOKafkaProducer) -> None:
        if (isinstance(error, _FATAL) or type(error) is KafkaError) and producer is self._producer:
            log.error("the producer is replaced", reason=type(error).__name__)
            self._broken.set()

    async def _connect(self, stop: asyncio.Event) -> None:
        self._broken.clear()
        told = False
        while not stop.is_set():
            producer = AIOKafkaProducer(
                bootstrap_servers=self._bootstrap_servers,
                client_id=self._client_id,
                acks="all",
                enable_idempotence=True,
                compression_type="lz4",
                linger_ms=self._linger_ms,
                max_batch_size=262_144,
                max_request_size=1_048_576 + 32_768,
                request_timeout_ms=10_000,
                retry_backoff_ms=100,
                metadata_max_age_ms=30_000,
            )
            try:
                await producer.start()
            except (KafkaError, OSError) as error:
                await producer.stop()
                if not told:
                    log.warning("the log cannot be reached; trying on", reason=type(error).__name__)
                told = True
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), RECONNECT_SECONDS)
            else:
                self._producer = producer
                log.info("connected to the log")
                return

    async def _disconnect(self) -> None:
        """Flush what can be flushed, within a bound: while the log is away a flush would never end."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        try:
            await asyncio.wait_for(producer.stop(), CLOSE_SECONDS)
        except (TimeoutError, KafkaError) as error:
            log.warning("the producer did not close in time", reason=type(error).__name__)
            await producer.client.close()


class KafkaConsumer:
    """A member of a consumer group. Start and stop it with `kafka_consumer`."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self._generation = -1
        self._begun: set[TopicPartition] = set()

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
        for partition in self._consumer.assignment():
            self._consumer.pause(partition)

    async def fetch(self, max_records: int, wait_seconds: float) -> Mapping[TopicPartition, Sequence[Record]]:
        """Return what has arrived. Raises GapInLog when a position lies outside what the log still has."""
        if not self._begun:
            await asyncio.sleep(wait_seconds)
            return {}
        try:
            fetched = await self._consumer.getmany(timeout_ms=int(wait_seconds * 1000), max_records=max_records)
        except NoOffsetForPartitionError:
            # aiokafka looks for a committed offset by itself; `begin` has not yet said where this partition is read.
            return {}
        except OffsetOutOfRangeError as error:
            await self._check_gap(error)
            return {}
        return {
            TopicPartition(*partition): [
                Record(record.offset, record.key, record.value, record.timestamp) for record in records
            ]
            for partition, records in fetched.items()
            if TopicPartition(*partition) in self._begun
        }

    async def _check_gap(self, error: OffsetOutOfRangeError) -> None:
        # The error may be of a fetch from before the last seek; only the present position counts.
        for kafka_partition, offset in error.args[0].items():
            begun = TopicPartition(*kafka_partition) in self._begun
            if begun and await self._consumer.position(kafka_partition) == offset:
                raise GapInLog(
                    f"the log no longer has offset {offset} of {TopicPartition(*kafka_partition)}"
                ) from error

    async def begin(self, partition: TopicPartition, offset: int | None) -> None:
        """Read the partition from this offset on. Raises TemporaryFailure."""
        kafka_partition = KafkaPartition(*partition)
        if kafka_partition not in self._consumer.assignment():
            raise TemporaryFailure(f"{partition} was just taken away")
        try:
            if offset is None:
                await self._consumer.seek_to_beginning(kafka_partition)
            else:
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

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit as advice: a failure (such as a rebalance under way) is logged and forgotten."""
        ours = {KafkaPartition(*partition): offset for partition, offset in offsets.items()}
        ours = {partition: offset for partition, offset in ours.items() if partition in self._consumer.assignment()}
        if not ours:
            return
        try:
            await asyncio.wait_for(self._consumer.commit(ours), 3.0)
        except (KafkaError, TimeoutError) as error:
            log.info("offsets were not committed to the log; the database has them", reason=type(error).__name__)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Only takes note. Claiming happens in the loop, where a failure is seen and a database's absence is waited out."""

    def __init__(self) -> None:
        self.consumer: KafkaConsumer | None = None

    def on_partitions_revoked(self, revoked: Iterable[KafkaPartition]) -> None: ...

    def on_partitions_assigned(self, assigned: Iterable[KafkaPartition]) -> None:
        if self.consumer is not None:
            self.consumer.reassigned()


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
        enable_auto_commit=False,
        # Positions come from the database and are set by seek; Kafka's own committed offset is never followed blindly.
        auto_offset_reset="none",
        session_timeout_ms=SESSION_TIMEOUT_MS,
        heartbeat_interval_ms=HEARTBEAT_MS,
        request_timeout_ms=CONSUMER_REQUEST_TIMEOUT_MS,
        max_poll_interval_ms=300_000,
        fetch_max_wait_ms=100,
        max_partition_fetch_bytes=2 * 1_048_576,
        metadata_max_age_ms=30_000,
    )
    listener = _Listener()
    consumer = KafkaConsumer(inner)
    listener.consumer = consumer
    inner.subscribe([topic_prefix + topic.name], listener=listener)
    try:
        await inner.start()
    except (KafkaError, OSError) as error:
        await inner.stop()
        raise TemporaryFailure(f"the log cannot be reached: {type(error).__name__}") from error
    try:
        yield consumer
    finally:
        await inner.stop()


async def ensure_topics(bootstrap_servers: str, topics: Sequence[Topic], *, topic_prefix: str = "") -> list[str]:
    """Create the topics that are missing, with three replicas where there are three brokers; return their names.

    Raises TemporaryFailure when the log cannot be reached, ValueError when a topic has other partitions than ours.
    """
    topics = [topic.prefixed(topic_prefix) for topic in topics]
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, client_id="shouwang-topics")
    try:
        await admin.start()
        brokers = len((await admin.describe_cluster())["brokers"])
        existing = {found["topic"]: len(found["partitions"]) for found in await admin.describe_topics()}
        _refuse_other_partitions(existing, topics)
        missing = [topic for topic in topics if topic.name not in existing]
        replication = 3 if brokers >= 3 else 1
        answer = await admin.create_topics(
            [NewTopic(t.name, t.partitions, replication, topic_configs=t.config(replication)) for t in missing]
        )
        for name, code, *_ in answer.topic_errors:
            error = for_code(code)
            if code and error is not TopicAlreadyExistsError:
                raise TemporaryFailure(f"topic {name} was not created: {error.__name__}")
    except (KafkaError, OSError) as error:
        raise TemporaryFailure(f"the log cannot be reached: {type(error).__name__}") from error
    finally:
        await admin.close()
    return [topic.name for topic in missing]


def _refuse_other_partitions(existing: Mapping[str, int], topics: Sequence[Topic]) -> None:
    for topic in topics:
        present = existing.get(topic.name, topic.partitions)
        if present != topic.partitions:
            raise ValueError(f"{topic.name} has {present} partitions, expected {topic.partitions}; make a new topic")
