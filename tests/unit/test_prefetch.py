"""The parts of a lane: the records that wait, the turns at the database, the computing of one batch after the other."""

import asyncio
from collections.abc import Sequence

import pytest

from services.scorer.computing import Computing
from shared.bus.ports import GapInLog, Record, TopicPartition
from shared.bus.prefetch import READ_AT_ONCE, Prefetch
from shared.bus.turns import Turns

PARTITION = TopicPartition("events", 0)


def some(first: int, last: int, size: int = 10) -> list[Record]:
    return [Record(offset, None, b"v" * size, 0) for offset in range(first, last)]


def prefetch(most_records: int = 100, most_bytes: int = 10_000) -> Prefetch:
    made = Prefetch(PARTITION, most_records=most_records, most_bytes=most_bytes)
    made.begin(5)
    return made


def test_records_leave_in_order_and_older_ones_are_passed_over() -> None:
    ahead = prefetch()
    ahead.add(some(3, 8))
    ahead.add(some(6, 12))
    assert ahead.next_offset == 12
    assert [[one.offset for one in ahead.take(4, 1_000)[0]] for _ in range(2)] == [[5, 6, 7, 8], [9, 10, 11]]
    assert len(ahead) == 0


@pytest.mark.parametrize("arrived", [some(6, 9), [*some(5, 7), *some(8, 9)]])
def test_nothing_after_a_hole_is_taken(arrived: Sequence[Record]) -> None:
    ahead = prefetch()
    ahead.add(arrived)
    ahead.add(some(5, 20))
    assert len(ahead) == 0
    assert isinstance(ahead.gap, GapInLog)
    assert ahead.is_full
    assert not ahead.has_room


def test_what_came_before_a_hole_is_still_handed_over() -> None:
    ahead = prefetch()
    ahead.add(some(5, 8))
    ahead.add(some(9, 12))
    assert [one.offset for one in ahead.take(10, 1_000)[0]] == [5, 6, 7]
    assert ahead.gap is not None


def test_it_is_full_by_number_or_by_bytes_and_has_room_again_at_the_half() -> None:
    for ahead, records in ((prefetch(most_records=4), some(5, 9)), (prefetch(most_bytes=40), some(5, 9))):
        assert not ahead.is_full
        ahead.add(records)
        assert ahead.is_full
        ahead.take(1, 1_000)
        assert not ahead.has_room
        ahead.take(1, 1_000)
        assert ahead.has_room


def test_a_record_larger_than_all_limits_is_taken_alone() -> None:
    ahead = prefetch(most_bytes=50)
    ahead.add(some(5, 7, size=1_000))
    assert len(ahead.take(10, 100)[0]) == 1


async def test_what_was_read_ahead_goes_with_its_records_and_reading_can_be_cut_short() -> None:
    ahead = prefetch(most_records=1_000)
    ahead.add(some(5, 505))
    calls = 0

    async def read(records: Sequence[Record]) -> Sequence[int]:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0 if calls < 3 else 60)
        return [one.offset for one in records]

    reading = asyncio.create_task(ahead.read_on(read, 400))
    while calls < 3:
        await asyncio.sleep(0)
    reading.cancel()
    await asyncio.wait([reading])
    for count in (150, 150):
        records, made = ahead.take(count, 100_000)
        expected = [one.offset for one in records][: max(0, 5 + 2 * READ_AT_ONCE - records[0].offset)]
        assert made == expected
    assert len(ahead) == 200


async def test_turns_are_given_in_the_order_in_which_they_were_asked_for() -> None:
    turns, order, free = Turns(2, patience_seconds=60), [], asyncio.Event()

    async def work(number: int) -> None:
        async with turns.one():
            order.append(number)
            await free.wait()

    tasks = [asyncio.create_task(work(number)) for number in range(5)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert order == [0, 1]
    assert turns.wanted
    free.set()
    await asyncio.gather(*tasks)
    assert order == [0, 1, 2, 3, 4]
    assert not turns.wanted


async def test_a_turn_that_lasts_too_long_is_given_to_the_next_but_not_twice() -> None:
    turns, at_once, most, free = Turns(1, patience_seconds=0.02), 0, 0, asyncio.Event()

    async def work(wait: bool) -> None:
        nonlocal at_once, most
        async with turns.one():
            at_once += 1
            most = max(most, at_once)
            await (free.wait() if wait else asyncio.sleep(0))
            at_once -= 1

    slow = asyncio.create_task(work(True))
    async with asyncio.timeout(5):
        await asyncio.gather(*(work(False) for _ in range(10)))
    assert most == 2
    free.set()
    await slow
    most = 0
    await asyncio.gather(*(work(False) for _ in range(10)))
    assert most == 1


async def test_a_turn_that_was_given_up_while_waiting_is_not_lost() -> None:
    turns = Turns(1, patience_seconds=60)
    async with turns.one():
        waiting = asyncio.create_task(turns.one().__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert not turns.wanted
    async with asyncio.timeout(1), turns.one():
        pass


async def test_stretches_of_computing_follow_each_other_and_leave_room_for_others() -> None:
    computing, done, beats = Computing(), [], 0

    def make(thing: str) -> str:
        begun = asyncio.get_running_loop().time()
        while asyncio.get_running_loop().time() - begun < 0.006:
            pass
        done.append(thing[0])
        return thing.upper()

    async def beat() -> None:
        nonlocal beats
        while True:
            beats += 1
            await asyncio.sleep(0)

    beating = asyncio.create_task(beat())
    one, two = await asyncio.gather(computing.each(make, ["a1", "a2", "a3"]), computing.each(make, ["b1", "b2"]))
    beating.cancel()
    assert (one, two) == (["A1", "A2", "A3"], ["B1", "B2"])
    assert done == ["a", "a", "a", "b", "b"]
    assert beats >= 5
