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

from shared.bus.kafka.closing import closed_within
from shared.bus.kafka.lanes import Handover, Lane, Lanes, lane_for
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

    Bounded by its callers: what waits here is what they wait for, and whoever waits past his time is refused.
    """

    def __init__(self, bootstrap_servers: str, client_id: str, *, topic_prefix: str = "") -> None:
        self._bootstrap_servers = bootstrap_servers
        self._client_id = client_id
        self._topic_prefix = topic_prefix
        self._lanes: Lanes | None = None
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
        [outcome] = await self._put(topic, [(key, value)], within_seconds)
        if isinstance(outcome, TemporaryFailure):
            raise outcome
        return outcome

    async def publish_many(
        self, topic: Topic, records: Sequence[tuple[str, bytes]], *, within_seconds: float
    ) -> Sequence[Receipt | TemporaryFailure]:
        """Put records (key, value) on the log under one deadline; outcomes in the order of the records.

        Records of one key stand on the log in this order; after the first of a key that the log has refused or has not
        acknowledged in time, none of that key is sent, so that what is on the log has no hole before its end. What
        becomes of one partition does not touch another. See `ports.Publisher` for what a failure means.
        """
        return await self._put(topic, records, within_seconds)

    async def _put(
        self, topic: Topic, records: Sequence[tuple[str, bytes]], within_seconds: float
    ) -> list[Receipt | TemporaryFailure]:
        lanes = self._lanes
        if lanes is None:
            return [TemporaryFailure(NOT_CONNECTED)] * len(records)
        handover = Handover(len(records))
        taken: list[Lane] = []
        try:
            async with asyncio.timeout(within_seconds):
                of_topic = await lanes.of(self._topic_prefix + topic.name)
                for place, (key, value) in enumerate(records):
                    encoded = key.encode()
                    lane = lane_for(of_topic, encoded)
                    lane.put(handover, place, encoded, value)
                    taken.append(lane)
                if records:
                    await handover.known
        except TimeoutError:
            for lane, outcome in zip(taken, handover.outcomes, strict=False):
                if outcome is None:
                    lane.let_go()
            self._note_silence(topic, records, handover, lanes, within_seconds)
        except KafkaError as error:
            handover.outcomes = [error] * len(records)
        return self._concluded(topic, handover, lanes, within_seconds)

    def _concluded(
        self, topic: Topic, handover: Handover, lanes: Lanes, within_seconds: float
    ) -> list[Receipt | TemporaryFailure]:
        outcomes: list[Receipt | TemporaryFailure] = []
        for outcome in handover.outcomes:
            if isinstance(outcome, Receipt):
                if self._silent_since:
                    self._note_answer(topic, outcome.partition)
                outcomes.append(outcome)
            elif outcome is None:
                outcomes.append(TemporaryFailure(f"the log did not acknowledge within {within_seconds:g} s"))
            else:
                self._note(outcome, lanes)
                outcomes.append(TemporaryFailure(f"the log refused: {type(outcome).__name__}"))
        return outcomes

    async def check(self) -> None:
        """Ask a broker for metadata. Raises TemporaryFailure."""
        lanes = self._lanes
        if lanes is None:
            raise TemporaryFailure(NOT_CONNECTED)
        try:
            await lanes.producer.client.fetch_all_metadata()
        except KafkaError as error:
            raise TemporaryFailure(f"the log does not answer: {type(error).__name__}") from error

    def _note(self, error: KafkaError, lanes: Lanes) -> None:
        is_fatal = isinstance(error, _FATAL) or type(error) is KafkaError
        if is_fatal and lanes is self._lanes and not self._broken.is_set():
            log.error("the producer is replaced", reason=type(error).__name__)
            self._broken.set()

    def _note_answer(self, topic: Topic, partition: int) -> None:
        if self._silent_since.pop((topic.name, partition), None) is not None:
            self._patience = SILENT_SECONDS

    def _note_silence(
        self,
        topic: Topic,
        records: Sequence[tuple[str, bytes]],
        handover: Handover,
        lanes: Lanes,
        waited_seconds: float,
    ) -> None:
        """Count for how long partitions have said nothing; past our patience the producer is replaced."""
        if lanes is not self._lanes:
            return
        silent = [key for (key, _), outcome in zip(records, handover.outcomes, strict=True) if outcome is None]
        answered = {outcome.partition for outcome in handover.outcomes if isinstance(outcome, Receipt)}
        for partition in {partition_of(key.encode(), topic.partitions) for key in silent} - answered:
            self._note_silent_partition(topic, partition, waited_seconds)

    def _note_silent_partition(self, topic: Topic, partition: int, waited_seconds: float) -> None:
        now = time.monotonic()
        since = self._silent_since.setdefault((topic.name, partition), now - waited_seconds)
        if now - since < self._patience or self._broken.is_set():
            return
        log.error("the producer is replaced", reason="no answer", seconds=round(now - since), partition=partition)
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
                **PRODUCER_SETTINGS,
            )
            try:
                await producer.start()
            except (KafkaError, OSError) as error:
                await closed_within(CLOSE_SECONDS, producer.stop(), "producer")
                if not told:
                    log.warning("the log cannot be reached; trying on", reason=type(error).__name__)
                told = True
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), RECONNECT_SECONDS)
            else:
                self._lanes = Lanes(producer)
                log.info("connected to the log")
                return

    async def _disconnect(self) -> None:
        """Flush what can be flushed, within a bound: while the log is away a flush would never end."""
        lanes, self._lanes = self._lanes, None
        if lanes is None:
            return
        seconds, self._close_seconds = self._close_seconds, CLOSE_SECONDS
        try:
            if not await closed_within(seconds, lanes.producer.stop(), "producer"):
                await closed_within(seconds, lanes.producer.client.close(), "connections of the producer")
        finally:
            lanes.end()
