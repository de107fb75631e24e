"""The scorer with a real Kafka and a real PostgreSQL: from events on the log to grades, changes and messages."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from services.scorer.core.household import replay
from services.scorer.core.state_codec import encode
from services.scorer.store import ScorerStore
from shared.bus.ports import TopicPartition
from shared.clock import SettableClock
from shared.db.positions import Positions
from shared.events.envelope import EventMessage
from shared.events.household_event import SourceClass
from shared.grade_message import read_grade_change
from shared.policy import default_policies
from shared.topics import HOUSEHOLD_EVENTS
from tests.conftest import Platform
from tests.messages import enrolment, make_message
from tests.services import log_publisher, put_on_log, rows, running_scorer, until

pytestmark = pytest.mark.integration
MARCH_2 = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> SettableClock:
    return SettableClock(MARCH_2)


async def held_grade(engine: AsyncEngine, household_id: str = "H1") -> int | None:
    found = await rows(engine, "SELECT grade FROM household_state WHERE household_id = :id", id=household_id)
    return found[0].grade if found else None


async def settled(engine: AsyncEngine, ledger: int, quarantined: int = 0) -> bool:
    counts = await rows(engine, "SELECT (SELECT count(*) FROM event_ledger), (SELECT count(*) FROM quarantine)")
    return tuple(counts[0]) >= (ledger, quarantined)


async def test_a_major_illness_turns_a_stable_household_red_and_says_why(
    platform: Platform, engine: AsyncEngine, clock: SettableClock
) -> None:
    illness = make_message("health.major_illness", data={"self_pay_yuan": 60000}, id="i1")
    async with log_publisher(platform) as log, running_scorer(platform, clock):
        await put_on_log(log, [enrolment(alias="H-1024"), illness])
        await until(lambda: settled(engine, 2))
    assert await held_grade(engine) == 4
    changes = await rows(engine, "SELECT old_grade, new_grade, change FROM grade_transition ORDER BY version")
    assert [(row.old_grade, row.new_grade) for row in changes] == [(None, 0), (0, 4)]
    told = changes[1].change
    assert told["alias"] == "H-1024"
    assert told["trigger"] == {
        "kind": "event",
        "event_id": "i1",
        "source": "urn:app:tests",
        "type": "health.major_illness",
    }
    assert {"BELOW_POVERTY_STD", "CATASTROPHIC_EXPENSE"} <= {reason["code"] for reason in told["reasons"]}
    assert told["figures"]["adjusted_per_capita"] == "-2000.00"
    assert told["policy"]["hash"]


async def test_each_change_reaches_the_log_in_order_and_the_latest_is_kept(
    platform: Platform, engine: AsyncEngine, clock: SettableClock
) -> None:
    async with log_publisher(platform) as log, running_scorer(platform, clock):
        await put_on_log(log, [enrolment(), make_message("health.major_illness", data={"self_pay_yuan": 60000})])
        await until(lambda: settled(engine, 2))
        await until(lambda: _empty(engine, "outbox"))
    bodies = await _read_topic(platform, "household.grade-changes.v1")
    assert [(change.version, change.old, change.new) for change in map(read_grade_change, bodies)] == [
        (1, None, "green"),
        (2, "green", "red"),
    ]
    assert json.loads(bodies[1])["type"] == "cn.shouwang.household.grade_changed.v1"
    assert read_grade_change((await _read_topic(platform, "household.grades.v1"))[-1]).new == "red"


async def test_the_same_event_delivered_three_times_counts_once(
    platform: Platform, engine: AsyncEngine, clock: SettableClock
) -> None:
    cost = make_message("edu.cost", data={"self_pay_yuan": 6000}, id="c1")
    async with log_publisher(platform) as log, running_scorer(platform, clock) as registry:
        await put_on_log(log, [enrolment(), cost, cost])
        await until(lambda: settled(engine, 2))
        await put_on_log(log, [cost, make_message("survey.visit", sourceclass=SourceClass.CADRE)])
        await until(lambda: settled(engine, 3))
        assert registry.get_sample_value("shouwang_scorer_events_total", {"outcome": "duplicate"}) == 2
    assert len(await rows(engine, "SELECT 1 FROM event_ledger WHERE event_id = 'c1'")) == 1


async def test_another_event_under_a_used_identity_is_quarantined_and_the_first_wins(
    platform: Platform, engine: AsyncEngine, clock: SettableClock
) -> None:
    first = make_message("edu.cost", data={"self_pay_yuan": 6000}, id="c1")
    other = make_message("edu.cost", data={"self_pay_yuan": 9000}, id="c1")
    async with log_publisher(platform) as log, running_scorer(platform, clock):
        await put_on_log(log, [enrolment(), first, other])
        await until(lambda: settled(engine, 2, 1))
    kept = await rows(engine, "SELECT reason, event_id, record_value FROM quarantine")
    assert (kept[0].reason, kept[0].event_id) == ("CONFLICTING_DUPLICATE", "c1")
    assert bytes(kept[0].record_value) == other.to_bytes()


async def test_unreadable_records_go_to_quarantine_and_the_partition_moves_on(
    platform: Platform, engine: AsyncEngine, clock: SettableClock
) -> None:
    good = make_message("edu.cost", "H1", {"self_pay_yuan": 6000})
    future_type = good.model_copy(update={"type": "cn.shouwang.health.telepathy.v1", "id": "f1"})
    bad_amount = make_message("edu.cost", "H1", id="b1").model_copy(update={"data": {"self_pay_yuan": -1}})
    poison = [
        b"\x00\xff\xfe not json",
        b'{"a":1,"a":2}',
        b"[]",
        future_type.to_bytes(),
        bad_amount.to_bytes(),
        good.model_copy(update={"recordedat": None, "id": "n1"}).to_bytes(),
        make_message("edu.cost", "H2", {"self_pay_yuan": 1}, id="w1").to_bytes(),
    ]
    async with log_publisher(platform) as log, running_scorer(platform, clock):
        await put_on_log(log, [enrolment()])
        for body in poison:
            await log.publish(HOUSEHOLD_EVENTS, "H1", body, within_seconds=10)
        await put_on_log(log, [good])
        await until(lambda: settled(engine, 2, len(poison)))
    reasons = await rows(engine, "SELECT reason FROM quarantine ORDER BY topic_offset")
    assert [row.reason for row in reasons] == [
        "NOT_AN_EVENT",
        "NOT_AN_EVENT",
        "NOT_AN_EVENT",
        "UNKNOWN_TYPE",
        "INVALID_PAYLOAD",
        "NOT_RECEIVED",
        "WRONG_KEY",
    ]


async def test_events_of_an_unknown_household_wait_with_one_clue_and_count_once_it_is_enrolled(
    platform: Platform, engine: AsyncEngine, clock: SettableClock
) -> None:
    early = [
        make_message("health.major_illness", data={"self_pay_yuan": 60000}),
        make_message("survey.visit", sourceclass=SourceClass.GRID),
    ]
    async with log_publisher(platform) as log, running_scorer(platform, clock):
        await put_on_log(log, early)
        await until(lambda: settled(engine, 2))
        assert await held_grade(engine) is None
        assert len(await rows(engine, "SELECT 1 FROM clue WHERE closed_at IS NULL")) == 1
        await put_on_log(log, [enrolment(at=MARCH_2)])
        await until(lambda: settled(engine, 3))
    assert await held_grade(engine) == 4
    assert await rows(engine, "SELECT 1 FROM clue WHERE closed_at IS NULL") == []


async def test_a_refuted_illness_withdraws_the_grade_by_replay(
    platform: Platform, engine: AsyncEngine, clock: SettableClock
) -> None:
    illness = make_message("health.major_illness", data={"self_pay_yuan": 60000}, id="i1")
    refuted = make_message(
        "event.refuted", data={"ref": "i1"}, sourceclass=SourceClass.CADRE, at=MARCH_2 + timedelta(days=2)
    )
    async with log_publisher(platform) as log, running_scorer(platform, clock):
        await put_on_log(log, [enrolment(), illness])
        await until(lambda: settled(engine, 2))
        clock.move(timedelta(days=2))
        await put_on_log(log, [refuted])
        await until(lambda: settled(engine, 3))
    assert await held_grade(engine) == 0
    last = (await rows(engine, "SELECT change FROM grade_transition ORDER BY version DESC LIMIT 1"))[0].change
    assert (last["old"], last["new"], last["trigger"]["kind"]) == ("red", "green", "replay")


async def test_a_school_drop_out_turns_red_on_day_15_with_no_further_event(
    platform: Platform, engine: AsyncEngine, clock: SettableClock
) -> None:
    async with log_publisher(platform) as log, running_scorer(platform, clock):
        await put_on_log(log, [enrolment(), make_message("edu.dropout")])
        await until(lambda: settled(engine, 2))
        assert await held_grade(engine) == 3
        clock.move(timedelta(days=14))
        await until(lambda: _due_after(engine, "2026-03-16"))
        assert await held_grade(engine) == 3
        clock.move(timedelta(days=1))
        await until(lambda: _holds(engine, 4))
    last = (await rows(engine, "SELECT change FROM grade_transition ORDER BY version DESC LIMIT 1"))[0].change
    assert (last["new"], last["trigger"]["kind"], last["on_day"]) == ("red", "timer", "2026-03-17")


async def test_the_stored_state_is_byte_for_byte_a_fold_of_the_ledger(
    platform: Platform, engine: AsyncEngine, clock: SettableClock
) -> None:
    events: list[EventMessage] = []
    for number in range(12):
        household = f"H{number}"
        events += [
            enrolment(household),
            make_message("work.job_loss", household, {"monthly_loss_yuan": 500 * number}, id=f"j{number}"),
            make_message("relief.temporary_assistance", household, {"amount_yuan": "120.50"}),
        ]
        if number % 3 == 0:
            patch = {"ref": f"j{number}", "payload": {"monthly_loss_yuan": 10}}
            events.append(make_message("event.corrected", household, patch, sourceclass=SourceClass.CADRE))
    async with log_publisher(platform) as log, running_scorer(platform, clock):
        await put_on_log(log, events)
        await until(lambda: settled(engine, len(events)))
        await until(lambda: _nothing_due(engine, "2026-03-02"))
    store = ScorerStore(engine, Positions(engine, "tests", "tests"))
    async with store.transaction(TopicPartition("tests", 0)) as tx:
        histories = await tx.histories([f"H{number}" for number in range(12)])
        states = await tx.states(histories)
    for household, history in histories.items():
        folded = replay(history, history[-1].recorded_on, default_policies())
        assert encode(folded.state) == states[household].body, household


async def test_a_state_of_an_unknown_format_is_rebuilt_from_the_ledger(
    platform: Platform, engine: AsyncEngine, clock: SettableClock
) -> None:
    loss = make_message("work.job_loss", data={"monthly_loss_yuan": 3000})
    async with log_publisher(platform) as log, running_scorer(platform, clock):
        await put_on_log(log, [enrolment(), loss])
        await until(lambda: settled(engine, 2))
        await rows(engine, "UPDATE household_state SET body = convert_to('[999]', 'UTF8') RETURNING 1")
        await put_on_log(log, [make_message("edu.cost", data={"self_pay_yuan": 30000})])
        await until(lambda: settled(engine, 3))
    assert await held_grade(engine) == 4


async def test_one_identity_used_on_two_partitions_at_once_ends_no_process(
    platform: Platform, engine: AsyncEngine, clock: SettableClock
) -> None:
    pairs = [
        make_message("edu.cost", f"P{number}-{twin}", {"self_pay_yuan": 6000}, id=f"same-{number}")
        for number in range(60)
        for twin in range(2)
    ]
    async with log_publisher(platform) as log, running_scorer(platform, clock):
        await put_on_log(log, pairs)
        await until(lambda: settled(engine, 60, 60))
    reasons = await rows(engine, "SELECT DISTINCT reason FROM quarantine")
    assert [row.reason for row in reasons] == ["CONFLICTING_DUPLICATE"]


async def test_the_timers_of_a_new_day_wait_for_the_last_events_of_the_old_one(
    platform: Platform, engine: AsyncEngine
) -> None:
    clock = SettableClock(datetime(2026, 3, 2, 15, 0, tzinfo=UTC))
    async with log_publisher(platform) as log, running_scorer(platform, clock, midnight_grace_seconds=60):
        await put_on_log(log, [enrolment(), make_message("edu.dropout")])
        await until(lambda: settled(engine, 2))
        clock.move(timedelta(days=14, hours=1, seconds=30))  # half a minute into the day that brings red
        await asyncio.sleep(2)
        assert await held_grade(engine) == 3
        clock.move(timedelta(seconds=40))
        await until(lambda: _holds(engine, 4))


async def test_a_receipt_from_the_future_does_not_move_a_household_s_clock(
    platform: Platform, engine: AsyncEngine, clock: SettableClock
) -> None:
    ahead = make_message("edu.cost", data={"self_pay_yuan": 1}, recorded_at=datetime(2126, 1, 1, tzinfo=UTC))
    async with log_publisher(platform) as log, running_scorer(platform, clock):
        await put_on_log(log, [enrolment(), ahead])
        await put_on_log(log, [make_message("health.major_illness", data={"self_pay_yuan": 60000})])
        await until(lambda: settled(engine, 2, 1))
    assert await held_grade(engine) == 4


async def _empty(engine: AsyncEngine, table: str) -> bool:
    return not await rows(engine, f"SELECT 1 FROM {table} LIMIT 1")


async def _holds(engine: AsyncEngine, grade: int) -> bool:
    return await held_grade(engine) == grade


async def _due_after(engine: AsyncEngine, day: str) -> bool:
    return not await rows(
        engine, "SELECT 1 FROM household_state WHERE next_due_on <= CAST(:day AS text)::date", day=day
    )


async def _nothing_due(engine: AsyncEngine, day: str) -> bool:
    return await _due_after(engine, day)


async def _read_topic(platform: Platform, topic: str) -> list[bytes]:
    """Read a whole topic as a consumer of no group would."""
    from aiokafka import AIOKafkaConsumer

    consumer = AIOKafkaConsumer(
        platform.topic_prefix + topic, bootstrap_servers=platform.kafka, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        found = await consumer.getmany(timeout_ms=5_000)
        return [record.value for records in found.values() for record in records]
    finally:
        await consumer.stop()
