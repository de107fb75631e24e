"""Partitions side by side on a real database: one waits for a lock, the others go on, and the order stays."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.scorer.verify import refold
from shared.bus.consumer_loop import ConsumerLoop, LoopMetrics
from shared.bus.ports import Record, TopicPartition
from shared.db.session import transaction
from shared.events.envelope import EventMessage
from shared.metrics import ServiceMetrics
from tests.fakes.partitions import MemoryPartitions
from tests.fakes.scorer import PARTITION, ScorerUnderTest
from tests.messages import enrolment, make_message
from tests.services import rows, until

pytestmark = pytest.mark.integration

PARTITIONS = [TopicPartition(PARTITION.topic, number) for number in range(4)]
HOUSEHOLDS, ROUNDS = 5, 30


def home_of(household_id: str) -> int:
    """H<partition>-<number>."""
    return int(household_id[1])


def history(partition: TopicPartition) -> list[EventMessage]:
    """Enrolments and then, in rounds, one cost of each household; now and then one that refutes the last."""
    ids = [f"H{partition.partition}-{number}" for number in range(HOUSEHOLDS)]
    events = [enrolment(one) for one in ids]
    for turn in range(ROUNDS):
        for one in ids:
            if turn % 10 == 9:
                events.append(make_message("event.refuted", one, {"ref": f"c{one}-{turn - 1}"}))
            else:
                cost = {"self_pay_yuan": 100 * turn}
                events.append(make_message("health.hospitalisation", one, cost, id=f"c{one}-{turn}"))
    return events


def as_records(events: Sequence[EventMessage]) -> list[Record]:
    return [Record(at, one.subject.encode(), one.to_bytes(), 0) for at, one in enumerate(events)]


@asynccontextmanager
async def consuming(log: MemoryPartitions, scorer: ScorerUnderTest, max_records: int) -> AsyncIterator[None]:
    stop, metrics = asyncio.Event(), LoopMetrics(ServiceMetrics("test", CollectorRegistry()))
    loop = ConsumerLoop(log, scorer.handler, metrics, max_records=max_records, read_ahead=scorer.handler.read)
    running = asyncio.create_task(loop.run(stop))
    try:
        yield
    finally:
        stop.set()
        await running


async def position(engine: AsyncEngine, partition: TopicPartition) -> int:
    found = await rows(
        engine,
        "SELECT next_offset FROM partition_position WHERE topic = :topic AND partition = :number",
        topic=partition.topic,
        number=partition.partition,
    )
    return found[0].next_offset or 0 if found else 0


async def test_a_transaction_that_waits_for_a_lock_holds_up_no_other_partition(engine: AsyncEngine) -> None:
    log = MemoryPartitions({one: as_records(history(one)) for one in PARTITIONS})
    scorer = ScorerUnderTest(engine, partition_of=home_of)
    blocked, *others = PARTITIONS

    async def others_are_done() -> bool:
        return all([await position(engine, one) == len(log.records[one]) for one in others])

    async def waits_for_the_lock() -> bool:
        return bool(await rows(engine, "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))

    async with transaction(engine) as connection:
        # The household's first row, which the partition's first batch wants to insert as well.
        await connection.execute(
            text("INSERT INTO clue (household_id, division, opened_at) VALUES ('H0-9', '990100101201', now())")
        )
        log.records[blocked].insert(0, as_records([make_message("edu.cost", "H0-9", {"self_pay_yuan": 1})])[0])
        log.records[blocked] = [one._replace(offset=at) for at, one in enumerate(log.records[blocked])]
        async with consuming(log, scorer, 50):
            await until(waits_for_the_lock, 20)
            await until(others_are_done, 20)
            assert await position(engine, blocked) == 0
            await connection.rollback()
            await until(lambda: _reached(engine, blocked, len(log.records[blocked])), 20)
    assert await refold(scorer.store, [f"H0-{n}" for n in range(HOUSEHOLDS)], scorer.policies) == []


async def _reached(engine: AsyncEngine, partition: TopicPartition, end: int) -> bool:
    return await position(engine, partition) == end


@pytest.mark.parametrize("max_records", [7, 40])
async def test_the_events_of_a_household_keep_their_order_while_batches_overlap(
    engine: AsyncEngine, max_records: int
) -> None:
    histories = {one: history(one) for one in PARTITIONS}
    log = MemoryPartitions({one: as_records(events) for one, events in histories.items()})
    scorer = ScorerUnderTest(engine, partition_of=home_of)

    async def all_done() -> bool:
        return all([await position(engine, one) == len(log.records[one]) for one in PARTITIONS])

    async with consuming(log, scorer, max_records):
        await until(all_done, 60)
    stored = await rows(engine, "SELECT household_id, event_id FROM event_ledger ORDER BY household_id, household_seq")
    sent = sorted((event.subject, at, event.id) for events in histories.values() for at, event in enumerate(events))
    assert [tuple(row) for row in stored] == [(household_id, event_id) for household_id, _, event_id in sent]
    assert await refold(scorer.store, sorted({one for one, *_ in sent}), scorer.policies) == []
