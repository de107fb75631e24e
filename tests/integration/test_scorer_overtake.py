"""Fresh serious events go ahead of a backlog, and nothing about the backlog or the household's order changes by it."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from random import Random

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from services.scorer import overtake
from services.scorer.overtake import Backlog, Overtake
from services.scorer.verify import refold
from shared.bus.consumer_loop import ConsumerLoop, LoopMetrics
from shared.bus.ports import Claim, LogReader, PartitionBatch, Record
from shared.errors import LostOwnership
from shared.events.envelope import EventMessage
from shared.metrics import ServiceMetrics
from tests.fakes.partitions import MemoryPartitions, MemoryReader
from tests.fakes.scorer import PARTITION, ScorerUnderTest
from tests.messages import enrolment, make_message
from tests.services import rows, until

pytestmark = pytest.mark.integration

HOUSEHOLDS = [f"H{number}" for number in range(6)]


def small_cost(household_id: str, id: str | None = None) -> EventMessage:
    return make_message("health.hospitalisation", household_id, {"self_pay_yuan": 10}, id=id)


def grave_illness(household_id: str) -> EventMessage:
    return make_message("health.hospitalisation", household_id, {"self_pay_yuan": 300_000})


def as_records(events: Sequence[EventMessage], first: int = 0, written_ms: int = 0) -> list[Record]:
    return [Record(first + at, one.subject.encode(), one.to_bytes(), written_ms) for at, one in enumerate(events)]


async def hand_over(scorer: ScorerUnderTest, claim: Claim, records: Sequence[Record]) -> Claim:
    batch = PartitionBatch(PARTITION, claim, records)
    await scorer.handler.handle(batch)
    return Claim(claim.epoch, batch.next_offset)


async def position(engine: AsyncEngine) -> tuple[int, int, int, int]:
    """(next offset, applied, repeated, quarantined)"""
    [found] = await rows(engine, "SELECT next_offset, applied, repeated, quarantined FROM partition_position")
    return tuple(found)


async def ledger(engine: AsyncEngine, household_id: str) -> list[int]:
    """The offsets of a household's events, in its order."""
    found = await rows(
        engine, "SELECT topic_offset FROM event_ledger WHERE household_id = :id ORDER BY household_seq", id=household_id
    )
    return [row.topic_offset for row in found]


async def grade(engine: AsyncEngine, household_id: str) -> int:
    [found] = await rows(engine, "SELECT grade FROM household_state WHERE household_id = :id", id=household_id)
    return found.grade


async def test_what_goes_ahead_is_graded_at_once_and_counts_when_its_turn_comes(engine: AsyncEngine) -> None:
    scorer = ScorerUnderTest(engine)
    claim = await scorer.take(enrolment("H1"), enrolment("H2"))
    backlog = [small_cost("H1"), small_cost("H2"), small_cost("H2"), grave_illness("H1"), small_cost("H2")]
    records = as_records(backlog, first=2)
    await scorer.handler.overtake(PARTITION, claim, [one for one in records if one.key == b"H1"])
    assert await grade(engine, "H1") == 4
    assert await ledger(engine, "H1") == [0, 2, 5]
    assert await position(engine) == (2, 2, 0, 0)
    await hand_over(scorer, claim, records)
    assert await position(engine) == (7, 7, 0, 0)
    assert await ledger(engine, "H1") == [0, 2, 5]
    assert await ledger(engine, "H2") == [1, 3, 4, 6]
    assert scorer.count("overtaken_events_total") == 2
    changes = await rows(engine, "SELECT new_grade FROM grade_transition WHERE household_id = 'H1' ORDER BY version")
    assert [row.new_grade for row in changes] == [0, 4]


async def test_what_changes_no_grade_for_the_worse_waits_for_its_turn(engine: AsyncEngine) -> None:
    scorer = ScorerUnderTest(engine)
    claim = await scorer.take(enrolment("H1"))
    records = as_records([small_cost("H1"), small_cost("H1")], first=1)
    assert await scorer.handler.may_grow_serious(PARTITION, records) == set()
    await scorer.handler.overtake(PARTITION, claim, records)
    assert await ledger(engine, "H1") == [0]


async def test_a_household_that_the_register_does_not_know_yet_is_looked_for(engine: AsyncEngine) -> None:
    scorer = ScorerUnderTest(engine)
    claim = await scorer.take(enrolment("H1"))
    records = as_records([small_cost("H3"), enrolment("H2"), small_cost("H3"), grave_illness("H2")], first=1)
    assert await scorer.handler.may_grow_serious(PARTITION, records[2:]) == {"H2", "H3"}
    assert await scorer.handler.overtake(PARTITION, claim, records) == {"H2"}
    assert await grade(engine, "H2") == 4
    assert await ledger(engine, "H3") == []


async def test_a_former_owner_lets_nothing_go_ahead(engine: AsyncEngine) -> None:
    scorer = ScorerUnderTest(engine)
    claim = await scorer.take(enrolment("H1"))
    await scorer.handler.claim(PARTITION)
    with pytest.raises(LostOwnership):
        await scorer.handler.overtake(PARTITION, claim, as_records([grave_illness("H1")], first=1))
    assert await ledger(engine, "H1") == [0]


async def test_a_repeat_and_a_conflict_in_the_backlog_have_their_fates_all_the_same(engine: AsyncEngine) -> None:
    scorer = ScorerUnderTest(engine)
    claim = await scorer.take(enrolment("H1"))
    cost, grave = small_cost("H1", id="same"), grave_illness("H1")
    other = make_message("health.hospitalisation", "H1", {"self_pay_yuan": 11}, id="same")
    records = as_records([cost, cost, other, grave, grave], first=1)
    await scorer.handler.overtake(PARTITION, claim, records)
    assert await ledger(engine, "H1") == [0, 1, 4]
    await hand_over(scorer, claim, records)
    assert await position(engine) == (6, 3, 2, 1)


def random_history(random: Random, count: int = 120) -> list[EventMessage]:
    """Enrolments, then costs small and grave, refutations and repeats."""
    events = [enrolment(one) for one in HOUSEHOLDS]
    for number in range(count):
        household_id = random.choice(HOUSEHOLDS)
        kind = random.random()
        if kind < 0.08:
            events.append(grave_illness(household_id))
        elif kind < 0.18:
            events.append(random.choice(events))
        elif kind < 0.3:
            earlier = random.choice([one for one in events if one.subject == household_id])
            events.append(make_message("event.refuted", household_id, {"ref": earlier.id}))
        else:
            events.append(small_cost(household_id, id=f"c{number}"))
    return events


@pytest.mark.parametrize("seed", range(8))
async def test_whoever_goes_ahead_and_when_the_end_is_the_same(engine: AsyncEngine, seed: int) -> None:
    random = Random(seed)
    events = random_history(random)
    records = as_records(events)
    scorer = ScorerUnderTest(engine)
    claim = await scorer.handler.claim(PARTITION)
    while (at := claim.next_offset or 0) < len(records):
        claim = await hand_over(scorer, claim, records[at : at + random.randint(1, 20)])
        start, end = claim.next_offset or 0, random.randint(claim.next_offset or 0, len(records))
        chosen = {one.encode() for one in random.sample(HOUSEHOLDS, 3)}
        await scorer.handler.overtake(PARTITION, claim, [one for one in records[start:end] if one.key in chosen])
    went_ahead = scorer.count("overtaken_events_total")
    different = await check_order(engine, events)
    assert await position(engine) == (len(events), different, len(events) - different, 0)
    assert await refold(scorer.store, HOUSEHOLDS, scorer.policies) == []
    assert went_ahead > 0


def test_a_backlog_knows_where_its_households_begin_and_forgets_what_was_applied(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(overtake, "MOST_PLACES", 2)
    backlog = Backlog(object(), 10)
    backlog.add([Record(10 + at, key, b"", 0) for at, key in enumerate([b"a", b"b", b"a", b"c", b"d", b"a"])])
    assert [backlog.begin_of({key}) for key in (b"a", b"b", b"c", b"d")] == [10, 11, 13, 13]
    assert backlog.begin_of({b"b", b"d"}) == 11
    backlog.note_applied({b"a"}, 16)
    backlog.add([Record(16, b"a", b"", 0), Record(17, b"b", b"", 0)])
    assert [backlog.begin_of({key}) for key in (b"a", b"b", b"c")] == [16, 11, 13]
    assert backlog.until == 18


def test_households_of_which_more_waits_are_looked_at_deeper_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overtake, "NEWEST_RECORDS", 3)
    backlog = Backlog(object(), 10)
    backlog.add([Record(10 + at, key, b"", 0) for at, key in enumerate([b"a", b"b", b"a", b"c", b"c"])])
    backlog.note_looked_at()
    assert backlog.take_pending() == []
    monkeypatch.setattr(overtake, "LOOK_DEEPER_EVERY_SECONDS", 0.0)
    assert backlog.take_pending() == [b"a"]
    assert backlog.take_pending() == []
    backlog.add([Record(15, b"b", b"", 0), Record(16, b"d", b"", 0), Record(17, b"a", b"", 0)])
    monkeypatch.setattr(overtake, "MOST_LOOKED_AT_DEEPER", 1)
    backlog.note_looked_at()
    assert backlog.take_pending() == [b"a"]
    backlog.add([Record(18, b"a", b"", 0), Record(19, b"b", b"", 0)])
    backlog.note_looked_at()
    backlog.note_applied({b"b"}, 20)
    assert backlog.take_pending() == [b"a"]


async def check_order(engine: AsyncEngine, events: Sequence[EventMessage]) -> int:
    """Each household's ledger holds its events in the order of the log, each once; how many those are in all."""
    first_places: dict[str, dict[str, int]] = {one: {} for one in HOUSEHOLDS}
    for offset, event in enumerate(events):
        first_places[event.subject].setdefault(event.id, offset)
    for household_id, places in first_places.items():
        assert await ledger(engine, household_id) == sorted(places.values())
    return sum(map(len, first_places.values()))


class Slow:
    """The scorer's handler, which takes its time for each batch."""

    def __init__(self, scorer: ScorerUnderTest) -> None:
        self._handler = scorer.handler
        self.claim, self.caught_up = scorer.handler.claim, scorer.handler.caught_up

    async def handle(self, batch: PartitionBatch) -> None:
        await asyncio.sleep(0.02)
        await self._handler.handle(batch)


@asynccontextmanager
async def consuming(
    log: MemoryPartitions, scorer: ScorerUnderTest, reader: LogReader, *, after_seconds: float
) -> AsyncIterator[None]:
    stop, metrics = asyncio.Event(), LoopMetrics(ServiceMetrics("test", CollectorRegistry()))
    loop = ConsumerLoop(log, Slow(scorer), metrics, max_records=10)

    def open_reader() -> AbstractAsyncContextManager[LogReader]:
        return nullcontext(reader)

    overtaking = Overtake(loop, log, open_reader, scorer.handler, after_seconds=after_seconds)
    running = [asyncio.create_task(loop.run(stop)), asyncio.create_task(overtaking.run(stop))]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*running)


@pytest.mark.parametrize(("age_seconds", "goes_ahead"), [(60, True), (0, False)])
async def test_only_a_backlog_that_is_old_is_overtaken(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch, age_seconds: int, goes_ahead: bool
) -> None:
    monkeypatch.setattr(overtake, "LOOK_EVERY_SECONDS", 0.05)
    scorer = ScorerUnderTest(engine)
    await scorer.take(*[enrolment(one) for one in HOUSEHOLDS])
    ordinary = [small_cost(HOUSEHOLDS[number % 5]) for number in range(1_500)]
    written_ms = int((time.time() - age_seconds) * 1000)
    events = [*[enrolment(one) for one in HOUSEHOLDS], *ordinary, small_cost("H5"), grave_illness("H5")]
    log = MemoryPartitions({PARTITION: as_records(events, written_ms=written_ms)})

    async def is_red() -> bool:
        return await grade(engine, "H5") == 4

    async def is_done() -> bool:
        return (await position(engine))[0] == len(events)

    async with consuming(log, scorer, MemoryReader(log), after_seconds=30):
        await until(is_red, 60)
        [decided] = await rows(engine, "SELECT (SELECT next_offset FROM partition_position) AS position")
        assert (decided.position < 1_500) is goes_ahead
        await until(is_done, 60)
    assert await position(engine) == (len(events), len(events), 0, 0)
    assert await refold(scorer.store, HOUSEHOLDS, scorer.policies) == []


async def test_costs_that_add_up_over_the_backlog_go_ahead_as_well(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overtake, "LOOK_EVERY_SECONDS", 0.05)
    monkeypatch.setattr(overtake, "LOOK_DEEPER_EVERY_SECONDS", 0.1)
    monkeypatch.setattr(overtake, "NEWEST_RECORDS", 100)
    scorer = ScorerUnderTest(engine)
    await scorer.take(*[enrolment(one) for one in HOUSEHOLDS])

    def costs() -> list[EventMessage]:
        return [make_message("health.hospitalisation", "H5", {"self_pay_yuan": 1_700}) for _ in range(4)]

    def ordinary() -> list[EventMessage]:
        return [small_cost(HOUSEHOLDS[number % 5]) for number in range(700)]

    events = [*[enrolment(one) for one in HOUSEHOLDS], *costs(), *ordinary(), *costs(), *ordinary(), *costs()]
    log = MemoryPartitions({PARTITION: as_records(events, written_ms=int((time.time() - 60) * 1000))})
    assert "H5" not in await scorer.handler.may_grow_serious(PARTITION, log.records[PARTITION][-100:])

    async def is_serious() -> bool:
        return await grade(engine, "H5") >= 3

    async with consuming(log, scorer, MemoryReader(log), after_seconds=30):
        await until(is_serious, 60)
        assert (await position(engine))[0] < 1_400
    assert await refold(scorer.store, HOUSEHOLDS, scorer.policies) == []


@pytest.mark.parametrize("seed", range(3))
async def test_a_backlog_that_grows_while_events_go_ahead_of_it_ends_in_the_order_of_the_log(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(overtake, "LOOK_EVERY_SECONDS", 0.02)
    monkeypatch.setattr(overtake, "NEWEST_RECORDS", 40)
    random = Random(seed)
    events = random_history(random, 360)
    records = as_records(events, written_ms=int((time.time() - 60) * 1000))
    log, scorer = MemoryPartitions({PARTITION: records[:150]}), ScorerUnderTest(engine)

    async def is_done() -> bool:
        return bool(await rows(engine, "SELECT 1 FROM partition_position WHERE next_offset = :end", end=len(events)))

    reader = MemoryReader(log)
    async with consuming(log, scorer, reader, after_seconds=30):
        for record in records[150:]:
            log.records[PARTITION] = [*log.records[PARTITION], record]
            await asyncio.sleep(0.005)
        await until(is_done, 60)
    different = await check_order(engine, events)
    assert await refold(scorer.store, HOUSEHOLDS, scorer.policies) == []
    _, applied, repeated, quarantined = await position(engine)
    assert (applied + repeated + quarantined, applied) == (len(events), different)
    assert scorer.count("overtaken_events_total") > 0
