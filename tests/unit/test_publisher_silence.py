"""A producer that no longer answers is replaced; the library itself would wait for ever."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from shared.bus.kafka import publisher as module
from shared.bus.kafka.publisher import KafkaPublisher
from shared.errors import TemporaryFailure
from shared.topics import GRADE_CHANGES


@dataclass(frozen=True)
class Placed:
    partition: int = 0
    offset: int = 7


class Producers:
    """Stands for aiokafka's producer class; instances made before `deaf` runs out never answer."""

    def __init__(self, deaf: int, kind: "type[Producer] | None" = None) -> None:
        self.deaf = deaf
        self.made = 0
        self._kind = kind or Producer

    def __call__(self, **_settings: Any) -> "Producer":
        self.made += 1
        return self._kind(answers=self.made > self.deaf)


class Batch:
    def append(self, **_: object) -> object:
        return object()

    def close(self) -> None: ...


class Producer:
    def __init__(self, *, answers: bool) -> None:
        self._answers = answers

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def partitions_for(self, _topic: str) -> set[int]:
        return {0}

    def create_batch(self) -> "Batch":
        return Batch()

    async def send_batch(self, *_: object, **__: object) -> "asyncio.Future[Placed]":
        answer: asyncio.Future[Placed] = asyncio.get_running_loop().create_future()
        if self._answers:
            answer.set_result(Placed())
        return answer


@asynccontextmanager
async def connected(producers: Producers, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[KafkaPublisher]:
    monkeypatch.setattr(module, "AIOKafkaProducer", producers)
    monkeypatch.setattr(module, "SILENT_SECONDS", 0.2)
    publisher, stop = KafkaPublisher("nowhere:1", "test"), asyncio.Event()
    running = asyncio.create_task(publisher.run(stop))
    while not producers.made:
        await asyncio.sleep(0)
    yield publisher
    stop.set()
    await running


async def publishes(publisher: KafkaPublisher) -> bool:
    try:
        await publisher.publish(GRADE_CHANGES, "h", b"x", within_seconds=0.05)
    except TemporaryFailure:
        await asyncio.sleep(0.01)
        return False
    return True


async def test_a_producer_that_answers_nothing_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    producers = Producers(deaf=1)
    async with connected(producers, monkeypatch) as publisher, asyncio.timeout(5):
        while not await publishes(publisher):
            pass
    assert producers.made == 2


async def test_a_producer_that_cannot_be_closed_either_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    class Connections:
        """As the library's: who waits for them after a wait that was cut short is told that he is cancelled."""

        def __init__(self) -> None:
            self._closed = asyncio.get_running_loop().create_future()

        async def close(self) -> None:
            await asyncio.gather(self._closed)

    class Unclosable(Producer):
        def __init__(self, *, answers: bool) -> None:
            super().__init__(answers=answers)
            self.client = Connections()

        async def stop(self) -> None:
            await self.client.close()

    monkeypatch.setattr(module, "CLOSE_SECONDS", 0.05)
    monkeypatch.setattr(module, "CLOSE_SILENT_SECONDS", 0.05)
    producers = Producers(deaf=2, kind=Unclosable)
    async with connected(producers, monkeypatch) as publisher, asyncio.timeout(5):
        while not await publishes(publisher):
            pass
    assert producers.made == 3


async def test_the_same_goes_for_records_that_are_published_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    producers = Producers(deaf=1)
    async with connected(producers, monkeypatch) as publisher, asyncio.timeout(5):
        while True:
            outcomes = await publisher.publish_many(GRADE_CHANGES, [("h", b"x"), ("h", b"y")], within_seconds=0.05)
            if not any(isinstance(outcome, TemporaryFailure) for outcome in outcomes):
                break
            await asyncio.sleep(0.01)
    assert producers.made == 2


async def test_a_log_that_stays_silent_is_not_met_with_ever_new_producers(monkeypatch: pytest.MonkeyPatch) -> None:
    producers = Producers(deaf=99)
    async with connected(producers, monkeypatch) as publisher:
        for _ in range(40):
            await publishes(publisher)
    assert 2 <= producers.made <= 5


async def test_a_producer_that_answers_now_and_then_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    producers = Producers(deaf=0)
    async with connected(producers, monkeypatch) as publisher:
        for _ in range(20):
            assert await publishes(publisher)
    assert producers.made == 1
