"""The outbox gives up a message only once the log has it, and one relay works at a time."""

import asyncio

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.bus.ports import Receipt, TopicPartition
from shared.db.outbox import Outbox, add_to_outbox
from shared.db.positions import Positions
from shared.db.session import transaction
from shared.errors import LostOwnership, TemporaryFailure
from shared.topics import GRADE_CHANGES, Topic
from tests.services import rows

pytestmark = pytest.mark.integration


class Log:
    """A log that refuses some values, and can be made to answer late."""

    def __init__(self, *, refuse: frozenset[bytes] = frozenset()) -> None:
        self.refuse = refuse
        self.taken: list[bytes] = []
        self.open = asyncio.Event()
        self.open.set()

    async def publish(self, topic: Topic, key: str, value: bytes, *, within_seconds: float) -> Receipt:
        await self.open.wait()
        if value in self.refuse:
            raise TemporaryFailure("not now")
        self.taken.append(value)
        return Receipt(0, len(self.taken))

    async def check(self) -> None: ...


async def fill(engine: AsyncEngine, *messages: tuple[str, bytes]) -> None:
    async with transaction(engine) as connection:
        await add_to_outbox(connection, [(GRADE_CHANGES.name, key, value) for key, value in messages])


async def left(engine: AsyncEngine) -> list[bytes]:
    return [bytes(row.value) for row in await rows(engine, "SELECT value FROM outbox ORDER BY outbox_id")]


async def test_what_the_log_did_not_take_stays_and_goes_out_later(engine: AsyncEngine) -> None:
    await fill(engine, ("a", b"1"), ("b", b"2"), ("a", b"3"))
    log = Log(refuse=frozenset({b"2"}))
    with pytest.raises(TemporaryFailure):
        await Outbox(engine, log).relay()
    assert await left(engine) == [b"1", b"2", b"3"]
    log.refuse = frozenset()
    assert await Outbox(engine, log).relay() == 3
    assert await left(engine) == []
    assert {b"1", b"2", b"3"} <= set(log.taken)


async def test_the_messages_of_one_household_keep_their_order(engine: AsyncEngine) -> None:
    await fill(engine, *[(f"h{number % 3}", f"{number:03d}".encode()) for number in range(90)])
    log = Log()
    await Outbox(engine, log).relay()
    for household in range(3):
        ours = [value for value in log.taken if int(value) % 3 == household]
        assert ours == sorted(ours)


async def test_a_second_relay_waits_for_its_turn(engine: AsyncEngine) -> None:
    await fill(engine, ("a", b"1"))
    slow = Log()
    slow.open.clear()
    first = asyncio.create_task(Outbox(engine, slow).relay())
    await asyncio.sleep(0.3)
    other = Log()
    assert await Outbox(engine, other).relay() == 0
    assert other.taken == []
    slow.open.set()
    assert await first == 1


async def test_a_former_owner_cannot_hold_a_partition(engine: AsyncEngine) -> None:
    partition = TopicPartition("t", 0)
    old, new = Positions(engine, "g", "old"), Positions(engine, "g", "new")
    claim = await old.claim(partition)
    await new.claim(partition)
    async with transaction(engine) as connection:
        with pytest.raises(LostOwnership):
            await old.hold(connection, partition, claim)
