"""Records of one partition on their way to the log: handed over one after the other, awaited together."""

import asyncio
from collections.abc import Iterator
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from shared.bus.ports import Receipt


class Lane:
    """The records of one call that share a partition. first_key: of the first of them."""

    def __init__(self, producer: AIOKafkaProducer, topic: str, first_key: str) -> None:
        self._producer = producer
        self._topic = topic
        self.first_key = first_key
        self._records: list[tuple[int, str, bytes]] = []
        # What the producer gave for each record that it took: a future of the record's place.
        self._handed: list[tuple[int, asyncio.Future[Any]]] = []
        self._refused: list[tuple[int, KafkaError]] = []

    def add(self, place: int, key: str, value: bytes) -> None:
        """Put one more record at the end; place: its number in the call."""
        self._records.append((place, key, value))

    async def send(self) -> None:
        """Hand the records over and wait until the log has told of each. May be cancelled at any time."""
        refused: dict[str, KafkaError] = {}
        for place, key, value in self._records:
            if key not in refused:
                try:
                    record = await self._producer.send(self._topic, value=value, key=key.encode())
                except KafkaError as error:
                    refused[key] = error
                else:
                    self._handed.append((place, record))
                    continue
            self._refused.append((place, refused[key]))
        for _, record in self._handed:
            # Most are there together: they came with the answer to one batch.
            if not record.done():
                await asyncio.wait((record,))

    @property
    def partition(self) -> int | None:
        """Where the log has put a record; None if it has taken none."""
        taken = (record for _, record in self._handed if record.done() and record.exception() is None)
        first = next(taken, None)
        return None if first is None else int(first.result().partition)

    @property
    def is_silent(self) -> bool:
        """Whether the log has said nothing of some record."""
        return not self._handed or not all(record.done() for _, record in self._handed)

    def outcomes(self) -> Iterator[tuple[int, Receipt | KafkaError]]:
        """What became of the records that the log has told of, by their places."""
        yield from self._refused
        for place, record in self._handed:
            if not record.done():
                # Nobody waits for it any more; looked at, so that nobody reports a failure that nobody asked about.
                record.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
            elif (error := record.exception()) is None:
                metadata = record.result()
                yield place, Receipt(metadata.partition, metadata.offset)
            elif isinstance(error, KafkaError):
                yield place, error
            else:
                raise error
