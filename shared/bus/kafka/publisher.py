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
from aiokafka.structs import RecordMetadata

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
            raise TemporaryFailure("the log is not connected")
        try:
            async with asyncio.timeout(within_seconds):
                # Shielded: once the record is in a batch, giving up waiting must not cancel the batch for others.
                future = await producer.send(self._topic_prefix + topic.name, value=value, key=key.encode())
                metadata = await asyncio.shield(future)
        except TimeoutError as error:
            self._note_silence(topic, key, producer, within_seconds)
            raise TemporaryFailure(f"the log did not acknowledge within {within_seconds:g} s") from error
        except KafkaError as error:
            self._note(error, producer)
            raise TemporaryFailure(f"the log refused: {type(error).__name__}") from error
        self._note_answer(topic, metadata.partition)
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
        if handed and handed[0].done() and handed[0].exception() is None:
            self._note_answer(topic, handed[0].result().partition)
        elif not all(record.done() for record in handed) or not handed:
            self._note_silence(topic, key, producer, within_seconds)
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
