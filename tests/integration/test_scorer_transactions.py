"""The scorer under its loop: what the database undoes, answers that are lost, a halt in the idle time."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from services.scorer import fold_household
from services.scorer.poison_limits import IN_A_ROW
from services.scorer.verify import refold
from shared.bus import consumer_loop
from shared.bus.consumer_loop import ConsumerLoop, LoopMetrics
from shared.bus.ports import PartitionBatch, Record, TopicPartition
from shared.db.session import open_engine
from shared.events.envelope import EventMessage
from shared.metrics import ServiceMetrics
from shared.settings import ServiceSettings
from tests.fakes.scorer import PARTITION, ScorerUnderTest
from tests.messages import enrolment, make_message
from tests.services import rows, until

pytestmark = pytest.mark.integration
HOUSEHOLDS = [f"H{number}" for number in range(5)]


class MemoryLog:
    """One partition in memory, some records at a time."""

    def __init__(self, events: Sequence[EventMessage], at_once: int) -> None:
        self._records = [Record(at, one.subject.encode(), one.to_bytes(), 0) for at, one in enumerate(events)]
        self._at_once = at_once
        self._at: int | None = None

    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset({PARTITION})

    def generation(self) -> int:
        return 0

    async def fetch(self, max_records: int, wait_seconds: float) -> Mapping[TopicPartition, Sequence[Record]]:
        await asyncio.sleep(0.001)
        if self._at is None or self._at == len(self._records):
            return {}
        found = self._records[self._at : self._at + self._at_once]
        self._at += len(found)
        return {PARTITION: found}

    async def begin(self, partition: TopicPartition, offset: int | None) -> None:
        self._at = offset or 0

    def hold(self, partition: TopicPartition) -> None:
        self._at = None

    def end_offset(self, partition: TopicPartition) -> int | None:
        return len(self._records)

    async def ask_end_offsets(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        return dict.fromkeys(partitions, len(self._records))

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None: ...


@asynccontextmanager
async def consuming(scorer: ScorerUnderTest, events: Sequence[EventMessage]) -> AsyncIterator[CollectorRegistry]:
    registry, stop = CollectorRegistry(), asyncio.Event()
    loop = ConsumerLoop(MemoryLog(events, 6), scorer.handler, LoopMetrics(ServiceMetrics("test", registry)))
    running = asyncio.create_task(loop.run(stop))
    try:
        yield registry
    finally:
        stop.set()
        await running


def history() -> list[EventMessage]:
    events = [enrolment(one) for one in HOUSEHOLDS]
    events += [make_message("health.major_illness", one, {"self_pay_yuan": 60000}) for one in HOUSEHOLDS]
    return [*events, *events[::3], *[make_message("edu.cost", one, {"self_pay_yuan": 300}) for one in HOUSEHOLDS]]


async def fail_once(engine: AsyncEngine, table: str, sqlstate: str) -> None:
    """Have the database end the first transaction that writes to this table. A sequence stays when that is undone."""
    for statement in (
        "CREATE SEQUENCE tries",
        "CREATE FUNCTION fail_once() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF nextval('tries') = 1 THEN"
        f" RAISE EXCEPTION 'injected' USING ERRCODE = '{sqlstate}'; END IF; RETURN NULL; END $$",
        f"CREATE TRIGGER fail_once AFTER INSERT OR UPDATE ON {table} EXECUTE FUNCTION fail_once()",
    ):
        async with engine.begin() as connection:
            await connection.exec_driver_sql(statement)


async def assert_each_effect_once(engine: AsyncEngine, scorer: ScorerUnderTest, events: Sequence[EventMessage]) -> None:
    ledger = await rows(engine, "SELECT event_id FROM event_ledger ORDER BY event_id")
    assert [row.event_id for row in ledger] == sorted({event.id for event in events})
    changes = await rows(engine, "SELECT household_id, new_grade FROM grade_transition ORDER BY household_id, version")
    assert [tuple(row) for row in changes] == [(one, grade) for one in HOUSEHOLDS for grade in (0, 4)]
    topics = await rows(engine, "SELECT topic, count(*) AS messages FROM outbox GROUP BY topic ORDER BY topic")
    assert [row.messages for row in topics] == [2 * len(HOUSEHOLDS), len(HOUSEHOLDS) + _batches_of_first_grades(events)]
    (book,) = await rows(
        engine, "SELECT next_offset - first_offset, applied, repeated, quarantined FROM partition_position"
    )
    assert tuple(book) == (len(events), len(ledger), len(events) - len(ledger), 0)
    assert await refold(scorer.store, HOUSEHOLDS, scorer.policies) == []


def _batches_of_first_grades(events: Sequence[EventMessage]) -> int:
    """Households whose two changes came in two batches, each of which has a latest grade to tell."""
    batch = {event.id: at // 6 for at, event in reversed(list(enumerate(events)))}
    return sum(batch[events[at].id] != batch[events[at + len(HOUSEHOLDS)].id] for at in range(len(HOUSEHOLDS)))


async def passed(engine: AsyncEngine, records: int) -> bool:
    found = await rows(engine, "SELECT next_offset FROM partition_position")
    return bool(found) and found[0].next_offset == records


@pytest.mark.parametrize("sqlstate", ["40001", "40P01"])
async def test_a_batch_that_the_database_undoes_in_its_middle_is_done_anew_as_a_whole(
    engine: AsyncEngine, sqlstate: str
) -> None:
    await fail_once(engine, "grade_transition", sqlstate)
    scorer, events = ScorerUnderTest(engine), history()
    async with consuming(scorer, events) as registry:
        await until(lambda: passed(engine, len(events)), 10)
    assert registry.get_sample_value("shouwang_test_partition_holds_total") == 1
    await assert_each_effect_once(engine, scorer, events)


async def test_a_commit_whose_answer_is_lost_is_settled_by_the_position(
    engine: AsyncEngine, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ServiceSettings(database_url=SecretStr(database_url), kafka_bootstrap_servers="not needed")
    async with open_engine(settings, "scorer") as own:
        scorer, events = ScorerUnderTest(own), history()
        dialect: Any = own.sync_engine.dialect
        handle, commit = scorer.handler.handle, dialect.do_commit
        in_batch, lost = False, 0

        async def watched(batch: PartitionBatch) -> None:
            nonlocal in_batch
            in_batch = True
            try:
                await handle(batch)
            finally:
                in_batch = False

        def lose_the_answer(connection: Any) -> None:
            nonlocal lost
            commit(connection)
            if in_batch and lost < 2:
                lost += 1
                raise dialect.loaded_dbapi.InterfaceError("the connection was closed in the middle of an operation")

        monkeypatch.setattr(scorer.handler, "handle", watched)
        monkeypatch.setattr(dialect, "do_commit", lose_the_answer)
        async with consuming(scorer, events) as registry:
            await until(lambda: passed(engine, len(events)), 10)
        assert registry.get_sample_value("shouwang_test_partition_holds_total") == lost == 2
        await assert_each_effect_once(engine, scorer, events)


async def test_a_partition_that_its_timers_have_halted_goes_on_once_time_can_pass(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Any:
        raise OverflowError("this release cannot let time pass")

    monkeypatch.setattr(consumer_loop, "HALT_PAUSE_SECONDS", 0.05)
    scorer = ScorerUnderTest(engine)
    events = [
        event(f"H{n}") for n in range(IN_A_ROW) for event in (enrolment, lambda one: make_message("edu.dropout", one))
    ]
    halted = ("shouwang_test_halted_partitions", {"reason": "too_many_refused"})
    async with consuming(scorer, events) as registry:
        await until(lambda: passed(engine, len(events)), 10)
        with monkeypatch.context() as release:
            release.setattr(fold_household, "advance", broken)
            scorer.clock.move(timedelta(days=20))
            await until(lambda: shows(registry.get_sample_value(*halted) == 1), 20)
        await until(lambda: shows(registry.get_sample_value(*halted) == 0), 10)
    assert scorer.count("grade_changes_total", grade="red") == IN_A_ROW
    assert scorer.count("parked_households_total") == 0


async def shows(value: bool) -> bool:
    return value
