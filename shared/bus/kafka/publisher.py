"""Puts records on Kafka: an idempotent acks=all producer that connects by itself."""

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    KafkaError,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
    UnknownProducerId,
)

from shared.bus.kafka.lanes import Lane
from shared.bus.kafka.partitions import partition_of
from shared.bus.ports import Receipt
from shared.errors import TemporaryFailure
from shared.logs import get_logger
from shared.topics import Topic

log = get_logger(__name__)

PRODUCER_SETTINGS: Mapping[str, Any] = {
    # The library's default acknowledges a record that one broker alone has.
    "acks": "all",
    "enable_idempotence": True,
    "compression_type": "lz4",
    "max_batch_size": 262_144,
    "max_request_size": 1_048_576 + 32_768,
    "request_timeout_ms": 10_000,
    "retry_backoff_ms": 100,
    "metadata_max_age_ms": 30_000,
}
NOT_CONNECTED = "the log is not connected"
RECONNECT_SECONDS = 0.5
CLOSE_SECONDS = 5.0
# With idempotence aiokafka never gives a batch up, and it has been seen to wait for ever for an answer that got lost.
# A partition that acknowledges nothing for so long gets a fresh producer; each one that does not help, later the next.
SILENT_SECONDS = 6.0
MOST_SILENT_SECONDS = 15.0
CLOSE_SILENT_SECONDS = 0.5
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
        self._close_seconds = CLOSE_SECONDS
        self._silent_since: dict[tuple[str, int], float] = {}
        self._patience = SILENT_SECONDS

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
            raise TemporaryFailure(NOT_CONNECTED)
        try:
            async with asyncio.timeout(within_seconds):
                # Giving up waiting for this record takes nothing from the batch that it stands in.
                metadata = await (await producer.send(self._topic_prefix + topic.name, value=value, key=key.encode()))
        except TimeoutError as error:
            self._note_silence(topic, key, producer, within_seconds)
            raise TemporaryFailure(_late(within_seconds)) from error
        except KafkaError as error:
            self._note(error, producer)
            raise TemporaryFailure(f"the log refused: {type(error).__name__}") from error
        self._note_answer(topic, metadata.partition)
        return Receipt(metadata.partition, metadata.offset)

    async def publish_in_order(
        self, topic: Topic, key: str, values: Sequence[bytes], *, within_seconds: float
    ) -> Sequence[Receipt | TemporaryFailure]:
        """Put records of one key on the log, in this order; see `publish_many`."""
        return await self.publish_many(topic, [(key, value) for value in values], within_seconds=within_seconds)

    async def publish_many(
        self, topic: Topic, records: Sequence[tuple[str, bytes]], *, within_seconds: float
    ) -> Sequence[Receipt | TemporaryFailure]:
        """Put records (key, value) on the log under one deadline; outcomes in the order of the records.

        The records of a partition are handed over one after the other, each as soon as the one before stands in a
        batch; partitions do not wait for each other, and all records are awaited together. After the first record of a
        key that could not be handed over none of that key is tried, so that what is on the log has no hole before its
        end. See `ports.Publisher` for what a failure means.
        """
        producer = self._producer
        if producer is None:
            return [TemporaryFailure(NOT_CONNECTED) for _ in records]
        lanes: dict[int, Lane] = {}
        for place, (key, value) in enumerate(records):
            partition = partition_of(key.encode(), topic.partitions)
            lane = lanes.get(partition)
            if lane is None:
                lane = lanes[partition] = Lane(producer, self._topic_prefix + topic.name, key)
            lane.add(place, key, value)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_seconds):
                await asyncio.gather(*(lane.send() for lane in lanes.values()))
        outcomes: list[Receipt | TemporaryFailure] = [TemporaryFailure(_late(within_seconds))] * len(records)
        for lane in lanes.values():
            self._conclude(lane, topic, producer, within_seconds, outcomes)
        return outcomes

    def _conclude(
        self,
        lane: Lane,
        topic: Topic,
        producer: AIOKafkaProducer,
        waited_seconds: float,
        outcomes: list[Receipt | TemporaryFailure],
    ) -> None:
        """Write what became of a lane's records to their places, and note whether its partition answers."""
        for place, outcome in lane.outcomes():
            if isinstance(outcome, KafkaError):
                self._note(outcome, producer)
                outcomes[place] = TemporaryFailure(f"the log refused: {type(outcome).__name__}")
            else:
                outcomes[place] = outcome
        if (partition := lane.partition) is not None:
            self._note_answer(topic, partition)
        elif lane.is_silent:
            self._note_silence(topic, lane.first_key, producer, waited_seconds)

    async def check(self) -> None:
        """Ask a broker for metadata. Raises TemporaryFailure."""
        producer = self._producer
        if producer is None:
            raise TemporaryFailure(NOT_CONNECTED)
        try:
            await producer.client.fetch_all_metadata()
        except KafkaError as error:
            raise TemporaryFailure(f"the log does not answer: {type(error).__name__}") from error

    def _note(self, error: KafkaError, producer: AIOKafkaProducer) -> None:
        if (isinstance(error, _FATAL) or type(error) is KafkaError) and producer is self._producer:
            log.error("the producer is replaced", reason=type(error).__name__)
            self._broken.set()

    def _note_answer(self, topic: Topic, partition: int) -> None:
        if self._silent_since and self._silent_since.pop((topic.name, partition), None) is not None:
            self._patience = SILENT_SECONDS

    def _note_silence(self, topic: Topic, key: str, producer: AIOKafkaProducer, waited_seconds: float) -> None:
        """Count for how long a partition has said nothing; past our patience the producer is replaced."""
        if producer is not self._producer:
            return
        now = time.monotonic()
        place = (topic.name, partition_of(key.encode(), topic.partitions))
        since = self._silent_since.setdefault(place, now - waited_seconds)
        if now - since < self._patience:
            return
        log.error("the producer is replaced", reason="no answer", seconds=round(now - since), partition=place[1])
        self._silent_since.clear()
        self._patience = min(2 * self._patience, MOST_SILENT_SECONDS)
        self._close_seconds = CLOSE_SILENT_SECONDS
        self._broken.set()

    async def _connect(self, stop: asyncio.Event) -> None:
        self._broken.clear()
        told = False
        while not stop.is_set():
            producer = AIOKafkaProducer(
                bootstrap_servers=self._bootstrap_servers,
                client_id=self._client_id,
                linger_ms=self._linger_ms,
                **PRODUCER_SETTINGS,
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
        seconds, self._close_seconds = self._close_seconds, CLOSE_SECONDS
        try:
            await asyncio.wait_for(producer.stop(), seconds)
        except (TimeoutError, KafkaError) as error:
            log.warning("the producer did not close in time", reason=type(error).__name__)
            await producer.client.close()


def _late(within_seconds: float) -> str:
    return f"the log did not acknowledge within {within_seconds:g} s"
