"""The loop's lanes: what goes on beside what, and what must never happen because of it."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry

from shared.bus import consumer_loop, lane
from shared.bus.consumer_loop import ConsumerLoop, LoopMetrics
from shared.bus.ports import Claim, PartitionBatch, Record, TopicPartition
from shared.bus.progress import ConsumerStuck, ProgressWatch
from shared.errors import TemporaryFailure
from shared.metrics import ServiceMetrics
from tests.fakes.partitions import MemoryPartitions

MANY = [TopicPartition("events", number) for number in range(6)]
ONE, TWO = MANY[:2]


def records(count: int, size: int = 1) -> list[Record]:
    return [Record(offset, b"k", b"v" * size, 0) for offset in range(count)]


class Books:
    """Keeps a position for each partition, as the database does, and refuses a batch that is not the next one.

    blocked: partitions whose batches wait, as for a lock, until the event is set. failures: how many of the next
    batches of a partition fail.
    """

    def __init__(self) -> None:
        self.positions: dict[TopicPartition, int] = defaultdict(int)
        self.epochs: Counter[TopicPartition] = Counter()
        self.blocked: dict[TopicPartition, asyncio.Event] = {}
        self.failures: Counter[TopicPartition] = Counter()
        self.sizes: dict[TopicPartition, list[int]] = defaultdict(list)
        self.under_way: Counter[TopicPartition] = Counter()
        self.most_at_once = 0
        self.read_for: dict[TopicPartition, list[int]] = defaultdict(list)

    async def claim(self, partition: TopicPartition) -> Claim:
        assert not self.under_way[partition], "claimed while a batch of ours is under way"
        self.epochs[partition] += 1
        return Claim(self.epochs[partition], self.positions[partition])

    async def handle(self, batch: PartitionBatch) -> None:
        self.under_way[batch.partition] += 1
        self.most_at_once = max(self.most_at_once, self.under_way.total())
        try:
            await asyncio.sleep(0.002)
            if batch.partition in self.blocked:
                await self.blocked[batch.partition].wait()
            if self.failures[batch.partition]:
                self.failures[batch.partition] -= 1
                raise TemporaryFailure("away")
            assert batch.claim == (self.epochs[batch.partition], self.positions[batch.partition])
            assert [record.offset for record in batch.records] == list(range(batch.first_offset, batch.next_offset))
            assert batch.first_offset == self.positions[batch.partition]
            assert [one[1] for one in batch.read] == [record.offset for record in batch.records][: len(batch.read)]
            self.read_for[batch.partition].append(len(batch.read))
            self.sizes[batch.partition].append(len(batch.records))
            self.positions[batch.partition] = batch.next_offset
        finally:
            self.under_way[batch.partition] -= 1

    async def caught_up(self, partition: TopicPartition, claim: Claim) -> bool:
        assert not self.under_way[partition]
        assert claim == (self.epochs[partition], self.positions[partition])
        return False


async def read_offsets(some: Sequence[Record]) -> Sequence[tuple[str, int]]:
    await asyncio.sleep(0)
    return [("read", record.offset) for record in some]


@asynccontextmanager
async def consuming(log: MemoryPartitions, books: Books, **options: object) -> AsyncIterator[ConsumerLoop]:
    metrics = LoopMetrics(ServiceMetrics("test", CollectorRegistry()))
    loop = ConsumerLoop(log, books, metrics, **options)  # type: ignore[arg-type]
    stop = asyncio.Event()
    task = asyncio.create_task(loop.run(stop))
    async with asyncio.timeout(10):
        yield loop
        stop.set()
        await task


async def read_to(books: Books, position: int, *partitions: TopicPartition) -> None:
    while any(books.positions[partition] < position for partition in partitions):
        await asyncio.sleep(0.005)


async def test_a_partition_whose_transaction_is_blocked_holds_up_no_other() -> None:
    log, books = MemoryPartitions({ONE: records(3_000), TWO: records(3_000)}), Books()
    books.blocked[ONE] = asyncio.Event()
    async with consuming(log, books):
        await read_to(books, 3_000, TWO)
        assert books.positions[ONE] == 0
        books.blocked[ONE].set()
        await read_to(books, 3_000, ONE)


async def test_more_blocked_transactions_than_turns_hold_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer_loop, "LONG_BATCH_SECONDS", 0.05)
    log, books, free = MemoryPartitions({one: records(500) for one in MANY}), Books(), asyncio.Event()
    *blocked, last = MANY
    assert len(blocked) > consumer_loop.TRANSACTIONS_AT_ONCE
    books.blocked = dict.fromkeys(blocked, free)
    async with consuming(log, books):
        await read_to(books, 500, last)
        free.set()
        await read_to(books, 500, *MANY)


async def test_a_hot_partition_leaves_the_others_their_turns() -> None:
    log, books = MemoryPartitions({ONE: records(100_000), **{one: records(200) for one in MANY[1:]}}), Books()
    async with consuming(log, books, max_records=100):
        await read_to(books, 200, *MANY[1:])
        assert books.positions[ONE] < 100_000
    assert books.most_at_once <= consumer_loop.TRANSACTIONS_AT_ONCE


async def test_what_was_read_ahead_is_forgotten_when_the_batch_before_it_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(consumer_loop, "FIRST_PAUSE_SECONDS", 0.01)
    log, books = MemoryPartitions({ONE: records(2_000)}), Books()
    read: list[int] = []

    async def noting(some: Sequence[Record]) -> Sequence[tuple[str, int]]:
        read.extend(record.offset for record in some)
        return await read_offsets(some)

    books.blocked[ONE], books.failures[ONE] = asyncio.Event(), 1
    async with consuming(log, books, max_records=200, read_ahead=noting):
        while 399 not in read:
            await asyncio.sleep(0.005)
        assert books.positions[ONE] == 0
        books.blocked.pop(ONE).set()
        await read_to(books, 2_000, ONE)
    assert books.epochs[ONE] == 2
    assert Counter(read)[399] == 2
    assert sum(books.read_for[ONE]) > 0, "and what was read ahead is used where nothing failed"


async def test_prefetched_records_are_dropped_when_the_partition_is_taken_away() -> None:
    log, books = MemoryPartitions({ONE: records(5_000), TWO: records(500)}), Books()
    books.blocked[ONE] = asyncio.Event()
    async with consuming(log, books, max_records=500) as loop:
        while not books.under_way[ONE] or log.given[ONE] < 1_000:
            await asyncio.sleep(0.005)
        log.assign(TWO)
        while list(loop.reading()) != [TWO]:
            await asyncio.sleep(0.005)
        books.blocked.pop(ONE).set()
        await read_to(books, 500, TWO)
        await asyncio.sleep(0.05)
        assert books.positions[ONE] == books.sizes[ONE][0], "only the batch under way was finished"
        assert books.epochs[ONE] == 1


async def test_no_batch_begins_after_the_group_has_changed_even_before_the_loop_knows() -> None:
    log, books = MemoryPartitions({ONE: records(5_000)}), Books()
    books.blocked[ONE] = asyncio.Event()
    async with consuming(log, books, max_records=500) as loop:
        while not books.under_way[ONE] or log.given[ONE] < 1_000:
            await asyncio.sleep(0.005)
        log.answers.clear()
        await asyncio.sleep(0.05)
        log.assign(TWO)
        books.blocked.pop(ONE).set()
        await asyncio.sleep(0.05)
        assert loop._generation != log.generation()
        assert len(books.sizes[ONE]) == 1
        log.records[TWO] = log.records[ONE]
        log.given[TWO] = 0
        log.answers.set()


async def test_a_halted_partition_that_is_given_anew_is_tried_at_once() -> None:
    log, books = MemoryPartitions({ONE: [*records(3), Record(5, None, None, 0)]}), Books()
    async with consuming(log, books) as loop:
        while not loop._partitions or loop._partitions[ONE].halted is None:
            await asyncio.sleep(0.005)
        log.records[ONE] = records(6)
        log.assign(ONE)
        await read_to(books, 6, ONE)


async def test_a_partition_given_back_is_claimed_only_after_its_last_batch_has_ended() -> None:
    log, books = MemoryPartitions({ONE: records(2_000)}), Books()
    books.blocked[ONE] = asyncio.Event()
    async with consuming(log, books, max_records=500) as loop:
        while not books.under_way[ONE]:
            await asyncio.sleep(0.005)
        for assigned in ([], [ONE], [ONE]):
            log.assign(*assigned)
            while loop._generation != log.generation():
                await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)
        assert books.epochs[ONE] == 1
        books.blocked.pop(ONE).set()
        await read_to(books, 2_000, ONE)
    assert books.epochs[ONE] == 2
    assert log.committed == {ONE: 2_000}


async def test_a_stop_finishes_the_batches_under_way_and_begins_no_other() -> None:
    log, books, free = MemoryPartitions({one: records(5_000) for one in MANY}), Books(), asyncio.Event()
    books.blocked = dict.fromkeys(MANY, free)
    stop = asyncio.Event()
    loop = ConsumerLoop(
        log, books, LoopMetrics(ServiceMetrics("test", CollectorRegistry())), max_records=500, read_ahead=read_offsets
    )
    task = asyncio.create_task(loop.run(stop))
    async with asyncio.timeout(10):
        while books.under_way.total() < consumer_loop.TRANSACTIONS_AT_ONCE:
            await asyncio.sleep(0.005)
        busy = [one for one in MANY if books.under_way[one]]
        stop.set()
        await asyncio.sleep(0.1)
        assert not task.done()
        free.set()
        await task
    assert {one for one in MANY if books.positions[one]} == set(busy)
    assert all(len(books.sizes[one]) == 1 for one in busy)
    assert {one: log.committed[one] for one in busy} == {one: books.positions[one] for one in busy}


async def test_a_handler_s_bug_ends_the_loop_once_the_other_batches_are_done() -> None:
    log, books = MemoryPartitions({ONE: records(500), TWO: records(500)}), Books()
    books.blocked[TWO] = asyncio.Event()

    class Buggy(Books):
        async def handle(self, batch: PartitionBatch) -> None:
            if batch.partition == ONE:
                while not books.under_way[TWO]:
                    await asyncio.sleep(0.005)
                asyncio.get_running_loop().call_later(0.1, books.blocked[TWO].set)
                raise ZeroDivisionError
            await books.handle(batch)

        async def claim(self, partition: TopicPartition) -> Claim:
            return await books.claim(partition)

    with pytest.raises(ZeroDivisionError):
        async with consuming(log, Buggy()):
            await asyncio.sleep(5)
    assert books.positions[TWO] == 500


async def test_what_waits_in_memory_is_bounded_in_records_and_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer_loop, "PREFETCH_BYTES", 2 * 400_000)
    few, large = records(20_000), records(2_000, size=1_000)
    log, books, free = MemoryPartitions({ONE: few, TWO: large}), Books(), asyncio.Event()
    books.blocked = {ONE: free, TWO: free}
    async with consuming(log, books, max_records=1_000):
        before: dict[TopicPartition, int] = {}
        while before != log.given or not all(log.given.values()):
            before = dict(log.given)
            await asyncio.sleep(0.3)
        # The batch under way, what may wait, and the fetch that filled it up.
        assert log.given[ONE] <= 500 + 2_000 + 500
        assert log.given[TWO] <= 500 + 400 + 500
        free.set()
        await read_to(books, 20_000, ONE)
        await read_to(books, 2_000, TWO)
    assert log.given == {ONE: 20_000, TWO: 2_000}, "and nothing had to be fetched twice"


async def test_a_batch_of_large_records_is_cut_by_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane, "BATCH_BYTES", 10_000)
    log, books = MemoryPartitions({ONE: [*records(95, size=999), Record(95, b"k", b"v" * 50_000, 0)]}), Books()
    async with consuming(log, books):
        await read_to(books, 96, ONE)
    assert max(books.sizes[ONE]) == 10
    assert books.sizes[ONE][-1] == 1


async def test_a_backlog_is_applied_in_large_batches_and_a_lone_record_at_once() -> None:
    log, books = MemoryPartitions({one: records(8_000) for one in MANY}), Books()
    async with consuming(log, books):
        await read_to(books, 8_000, *MANY)
        assert max(max(sizes) for sizes in books.sizes.values()) >= 1_000
        log.records[ONE] = records(8_001)
        await read_to(books, 8_001, ONE)
    assert books.sizes[ONE][-1] == 1


async def test_a_step_that_never_ends_is_not_taken_for_progress() -> None:
    log, books = MemoryPartitions({ONE: records(10), TWO: records(10)}), Books()

    class Hanging(Books):
        async def claim(self, partition: TopicPartition) -> Claim:
            if partition == ONE:
                await books.blocked[ONE].wait()
            return await super().claim(partition)

    books.blocked[ONE] = asyncio.Event()
    handler = Hanging()
    async with consuming(log, handler) as loop:
        watch = ProgressWatch(loop, log, look_every_seconds=0.02, turn_seconds=0.2)
        with pytest.raises(ConsumerStuck, match="has not turned"):
            await watch.run(asyncio.Event())
        assert handler.positions[TWO] == 10
        books.blocked[ONE].set()


async def tenure(loop: ConsumerLoop) -> object:
    while ONE not in loop.waiting():
        await asyncio.sleep(0.001)
    return loop.waiting()[ONE].tenure


async def test_an_errand_is_run_between_two_batches_by_the_owner_at_its_position() -> None:
    log, books = MemoryPartitions({ONE: records(2_000)}), Books()
    seen: list[Claim] = []

    async def errand(claim: Claim) -> None:
        assert not books.under_way[ONE]
        assert claim == (books.epochs[ONE], books.positions[ONE])
        seen.append(claim)

    async with consuming(log, books, max_records=50) as loop:
        await read_to(books, 50, ONE)
        for _ in range(5):
            loop.ask(ONE, errand, await tenure(loop))
            await asyncio.sleep(0.01)
        await read_to(books, 2_000, ONE)
    assert len(seen) == 5
    assert seen[0].next_offset < 2_000


async def test_an_errand_that_fails_for_a_passing_reason_holds_the_partition_like_a_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(consumer_loop, "FIRST_PAUSE_SECONDS", 0.01)
    log, books = MemoryPartitions({ONE: records(500)}), Books()

    async def errand(_claim: Claim) -> None:
        raise TemporaryFailure("away")

    async with consuming(log, books, max_records=50) as loop:
        await read_to(books, 50, ONE)
        loop.ask(ONE, errand, await tenure(loop))
        await read_to(books, 500, ONE)
    assert books.epochs[ONE] == 2


async def test_an_errand_for_a_partition_that_is_taken_away_is_forgotten() -> None:
    log, books = MemoryPartitions({ONE: records(500), TWO: records(500)}), Books()
    done: list[Claim] = []

    async def errand(claim: Claim) -> None:
        done.append(claim)

    async with consuming(log, books, max_records=50) as loop:
        books.blocked[ONE] = asyncio.Event()
        while not books.under_way[ONE]:
            await asyncio.sleep(0.005)
        loop.ask(ONE, errand, await tenure(loop))
        log.assign(TWO)
        books.blocked[ONE].set()
        await read_to(books, 500, TWO)
    assert done == []


async def test_an_errand_of_an_earlier_tenure_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer_loop, "FIRST_PAUSE_SECONDS", 0.01)
    log, books = MemoryPartitions({ONE: records(2_000)}), Books()
    done: list[Claim] = []

    async def errand(claim: Claim) -> None:
        done.append(claim)

    async with consuming(log, books, max_records=50) as loop:
        before = await tenure(loop)
        books.failures[ONE] = 1
        while books.epochs[ONE] < 2:
            await asyncio.sleep(0.001)
        after = await tenure(loop)
        loop.ask(ONE, errand, before)
        await read_to(books, 2_000, ONE)
    assert done == []
    assert after is not before
