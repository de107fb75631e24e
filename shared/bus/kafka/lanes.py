"""The way of records to one producer: a lane for each partition, and always one batch of a lane on its way.

What arrives while a batch is on its way waits and goes together in the next one, so batches are as large as the log is
slow. A record that comes alone goes at once; where there was another just now, it waits a moment for company. This
costs a third of the library's own way, which keeps a future for each record; and what nobody waits for any more is not
sent.
"""

import asyncio
from collections import deque
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, ProducerClosed

from shared.bus.kafka.partitions import partition_of
from shared.bus.ports import Receipt

# After a batch this recent, a lane counts as busy; the next one then waits so long for more records.
BUSY_SECONDS = 0.005
COMPANY_SECONDS = 0.001
# More than the broker takes for one record; refused here, it does not spoil its batch.
MAX_RECORD_BYTES = 1_048_576


class Handover:
    """The records of one call, and what became of each.

    outcomes: by their places in the call, None while nothing is known. known: done when all are known, or when the
    caller has stopped waiting.
    """

    __slots__ = ("_missing", "known", "outcomes", "refused")

    def __init__(self, count: int) -> None:
        self.outcomes: list[Receipt | KafkaError | None] = [None] * count
        self.known: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # By key: after the first record of a key that the log has refused, none of that key is tried.
        self.refused: dict[bytes, KafkaError] = {}
        self._missing = count

    def conclude(self, place: int, outcome: Receipt | KafkaError) -> None:
        """Note what became of one record."""
        self.outcomes[place] = outcome
        self._missing -= 1
        if not self._missing and not self.known.done():
            self.known.set_result(None)

    def fail(self, bug: BaseException) -> None:
        """Let the caller have an exception that nobody foresaw."""
        if not self.known.done():
            self.known.set_exception(bug)


_Waiting = tuple[Handover, int, bytes, bytes]
"""Of which call, its place there, key, value."""


class Lane:
    """The records that are to go to one partition, in the order in which they came."""

    def __init__(self, producer: AIOKafkaProducer, topic: str, partition: int) -> None:
        self._producer = producer
        self._topic = topic
        self._partition = partition
        self._waiting: deque[_Waiting] = deque()
        # Of calls that are over, at most.
        self._late = 0
        self._under_way: list[_Waiting] = []
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self._idle_since = 0.0

    def put(self, handover: Handover, place: int, key: bytes, value: bytes) -> None:
        """Put a record at the end of the lane."""
        self._waiting.append((handover, place, key, value))
        if self._task is None:
            self._task = self._loop.create_task(self._run())

    def let_go(self) -> None:
        """Note that nobody waits any more for one record; what it holds is freed once such records are the majority."""
        self._late += 1
        if 2 * self._late > len(self._waiting):
            self._waiting = deque(waiting for waiting in self._waiting if not waiting[0].known.done())
            self._late = 0

    def end(self) -> None:
        """Send nothing more; what has no outcome yet is refused."""
        if self._task is not None:
            self._task.cancel()
        for handover, place, _, _ in [*self._under_way, *self._waiting]:
            handover.conclude(place, ProducerClosed())
        self._under_way = []
        self._waiting.clear()

    async def _run(self) -> None:
        try:
            if self._loop.time() - self._idle_since < BUSY_SECONDS:
                await asyncio.sleep(COMPANY_SECONDS)
            while self._waiting:
                batch = self._next_batch()
                if self._under_way:
                    await self._send(batch)
        except Exception as bug:
            # Whoever waits is told, as if he had called the library himself.
            for handover, *_ in [*self._under_way, *self._waiting]:
                handover.fail(bug)
            self._waiting.clear()
        finally:
            self._under_way = []
            self._task = None
            self._idle_since = self._loop.time()

    def _next_batch(self) -> Any:
        """Move what is waiting into a batch, until it is full."""
        batch = self._producer.create_batch()
        while self._waiting:
            handover, place, key, value = self._waiting[0]
            if key in handover.refused:
                handover.conclude(place, handover.refused[key])
            elif len(value) > MAX_RECORD_BYTES:
                self._refuse(self._waiting[0], MessageSizeTooLargeError())
            elif not handover.known.done():
                if batch.append(key=key, value=value, timestamp=None) is None:
                    break
                self._under_way.append(self._waiting[0])
            self._waiting.popleft()
        # A batch that is still open would be held back for more.
        batch.close()
        return batch

    async def _send(self, batch: Any) -> None:
        try:
            sent = await self._producer.send_batch(batch, self._topic, partition=self._partition)
            first_offset: int = (await sent).offset
        except KafkaError as error:
            for waiting in self._under_way:
                self._refuse(waiting, error)
        else:
            for distance, (handover, place, _, _) in enumerate(self._under_way):
                handover.conclude(place, Receipt(self._partition, first_offset + distance))
        self._under_way = []

    @staticmethod
    def _refuse(waiting: _Waiting, error: KafkaError) -> None:
        handover, place, key, _ = waiting
        handover.refused[key] = error
        handover.conclude(place, error)


class Lanes:
    """All lanes of one producer."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self.producer = producer
        self._of_topic: dict[str, list[Lane]] = {}

    async def of(self, topic: str) -> "list[Lane]":
        """Return the lanes of a topic, by partition. Raises KafkaError when the log does not know the topic."""
        lanes = self._of_topic.get(topic)
        if lanes is None:
            partitions = await self.producer.partitions_for(topic)
            lanes = [Lane(self.producer, topic, number) for number in sorted(partitions)]
            lanes = self._of_topic.setdefault(topic, lanes)
        return lanes

    def end(self) -> None:
        """Refuse whatever has no outcome yet; the producer is gone."""
        for lanes in self._of_topic.values():
            for lane in lanes:
                lane.end()


def lane_for(lanes: list[Lane], key: bytes) -> Lane:
    """Return the lane on which records with this key go."""
    return lanes[partition_of(key, len(lanes))]
