"""Grades move by themselves when a day comes: after a long stop, with two scorers, and beside late events."""

import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy.ext.asyncio import AsyncEngine

from services.scorer.explain_command import explain_household
from services.scorer.store import ScorerStore
from shared.clock import SettableClock
from shared.db.positions import Positions
from shared.events.envelope import EventMessage
from shared.events.household_event import SourceClass
from shared.policy import load_policies
from tests.conftest import Platform
from tests.messages import enrolment, make_message
from tests.rules.reference import grade_case
from tests.services import log_publisher, put_on_log, rows, running_scorer, until

pytestmark = pytest.mark.integration


def at(day: str, hour: int = 2) -> datetime:
    return datetime.fromisoformat(day).replace(hour=hour, tzinfo=UTC)


def emergency(household_id: str, day: str) -> EventMessage:
    return make_message(
        "survey.visit", household_id, {"result": "emergency"}, at=at(day), sourceclass=SourceClass.CADRE
    )


async def changes(engine: AsyncEngine, household_id: str = "H1") -> list[tuple[str, str, str]]:
    """(day, new grade, what brought it) of each change, in the order in which they were taken."""
    found = await rows(
        engine, "SELECT change FROM grade_transition WHERE household_id = :id ORDER BY version", id=household_id
    )
    return [(row.change["on_day"], row.change["new"], row.change["trigger"]["kind"]) for row in found]


async def ledger_has(engine: AsyncEngine, events: int) -> bool:
    return len(await rows(engine, "SELECT 1 FROM event_ledger")) == events


async def nothing_due(engine: AsyncEngine, day: str) -> bool:
    return not await rows(
        engine, "SELECT 1 FROM household_state WHERE next_due_on <= CAST(:day AS text)::date", day=day
    )


async def test_after_forty_days_down_each_change_comes_in_the_order_of_days_with_its_own_day(
    platform: Platform, engine: AsyncEngine
) -> None:
    clock = SettableClock(at("2026-03-02"))
    events = [
        enrolment("H1"), emergency("H1", "2026-01-05"),
        enrolment("H2"), make_message("edu.dropout", "H2", at=at("2026-03-02", 1)),
    ]  # fmt: skip
    async with log_publisher(platform) as log, running_scorer(platform, clock):
        await put_on_log(log, events)
        await until(lambda: ledger_has(engine, 4))
        await until(lambda: nothing_due(engine, "2026-03-02"))
    clock.move(timedelta(days=40))
    async with running_scorer(platform, clock):
        await until(lambda: nothing_due(engine, "2026-04-11"))
    assert await changes(engine, "H1") == [
        ("2026-01-01", "green", "event"),
        ("2026-01-05", "red", "event"),
        ("2026-03-06", "orange", "timer"),
        ("2026-04-05", "yellow", "timer"),
    ]
    assert [change[:2] for change in await changes(engine, "H2")] == [
        ("2026-01-01", "green"),
        ("2026-03-02", "orange"),
        ("2026-03-17", "red"),
    ]


async def test_two_scorers_judge_each_due_household_exactly_once(platform: Platform, engine: AsyncEngine) -> None:
    clock = SettableClock(at("2026-03-02"))
    households = [f"H{number}" for number in range(60)]
    events = [message for h in households for message in (enrolment(h), make_message("edu.dropout", h))]
    async with (
        log_publisher(platform) as log,
        running_scorer(platform, clock) as one,
        running_scorer(platform, clock) as other,
    ):
        await until(lambda: _consuming(one, other))
        await put_on_log(log, events)
        await until(lambda: ledger_has(engine, len(events)))
        await until(lambda: nothing_due(engine, "2026-03-02"))
        before = [due_judged(registry) for registry in (one, other)]
        clock.move(timedelta(days=15))
        await until(lambda: nothing_due(engine, "2026-03-17"))
        after = [due_judged(registry) for registry in (one, other)]
    judged = [now - earlier for now, earlier in zip(after, before, strict=True)]
    assert sum(judged) == len(households) and min(judged) > 0, judged
    turned_red = await rows(engine, "SELECT household_id FROM grade_transition WHERE new_grade = 4")
    assert Counter(row.household_id for row in turned_red) == Counter(households)


async def test_an_event_that_comes_after_the_next_days_tick_gives_what_the_rule_book_gives(
    platform: Platform, engine: AsyncEngine
) -> None:
    clock = SettableClock(at("2026-03-02"))
    dropouts = [make_message("edu.dropout", h, id=f"d-{h}", at=at("2026-02-19")) for h in ("H1", "H2")]
    # Recorded by ingest on 5 March, read from the log on 6 March: H1 has been brought to 6 March by then, H2 has not.
    late = [
        make_message("edu.return", "H1", id="b-H1", at=at("2026-03-05", 15)),
        make_message("health.major_illness", "H1", {"self_pay_yuan": 30000}, id="i-H1", at=at("2026-03-05", 15)),
        make_message("health.major_illness", "H2", {"self_pay_yuan": 30000}, id="i-H2", at=at("2026-03-05", 15)),
    ]
    mended = make_message("edu.return", "H2", id="b-H2", at=at("2026-03-01"))
    async with log_publisher(platform) as log, running_scorer(platform, clock):
        await put_on_log(log, [enrolment("H1"), enrolment("H2"), *dropouts, mended])
        await until(lambda: ledger_has(engine, 5))
        clock.move(timedelta(days=4))
        await until(lambda: nothing_due(engine, "2026-03-06"))
        assert (await changes(engine, "H1"))[-1] == ("2026-03-06", "red", "timer")
        await put_on_log(log, late)
        await until(lambda: ledger_has(engine, 8))
    recorded = {row.event_id: row.recorded_on for row in await rows(engine, "SELECT * FROM event_ledger")}
    assert (recorded["i-H1"], recorded["i-H2"]) == (date(2026, 3, 6), date(2026, 3, 5))
    for household_id in ("H1", "H2"):
        for day in ("2026-03-05", "2026-03-06", "2026-04-20"):
            expected = await by_the_reference(engine, household_id, day)
            told = await explain_household(_store(engine), household_id, date.fromisoformat(day), load_policies())
            assert {name: told[name] for name in expected} == expected, (household_id, day)
    held = await rows(engine, "SELECT household_id, grade FROM household_state ORDER BY household_id")
    codes = ["green", "blue", "yellow", "orange", "red"]
    assert [codes[row.grade] for row in held] == [
        (await by_the_reference(engine, row.household_id, "2026-03-06"))["grade"] for row in held
    ]


async def test_a_restart_loses_no_timer_and_repeats_none(platform: Platform, engine: AsyncEngine) -> None:
    clock = SettableClock(at("2026-03-02"))
    async with log_publisher(platform) as log, running_scorer(platform, clock):
        await put_on_log(log, [enrolment(), make_message("edu.dropout")])
        await until(lambda: ledger_has(engine, 2))
        await until(lambda: nothing_due(engine, "2026-03-02"))
    for step in (14, 1, 1):
        clock.move(timedelta(days=step))
        async with running_scorer(platform, clock) as registry:
            await until(lambda: _consuming(registry))
            await until(lambda: nothing_due(engine, str(clock.now().date())))
        assert ("2026-03-17", "red", "timer") in await changes(engine) or step == 14
    assert [change[1] for change in await changes(engine)] == ["green", "orange", "red"]


async def by_the_reference(engine: AsyncEngine, household_id: str, day: str) -> dict[str, Any]:
    """What the naive reading of the rules gives for a stored ledger at a day's end."""
    ledger = await rows(
        engine, "SELECT * FROM event_ledger WHERE household_id = :id ORDER BY household_seq", id=household_id
    )
    events = [
        {
            "event_id": row.event_id,
            "type": row.type,
            "occurred_on": row.occurred_on.isoformat(),
            "recorded_on": row.recorded_on.isoformat(),
            "source": row.source_class,
            "episode": row.episode,
            "payload": _payload(row.payload),
        }
        for row in ledger
    ]
    result, _ = grade_case({"household": events[0]["payload"], "events": events[1:], "as_of": day})
    return dict(result)


def _payload(stored: bytes) -> dict[str, Any]:
    payload: dict[str, Any] = json.loads(stored)
    return payload


def _store(engine: AsyncEngine) -> ScorerStore:
    return ScorerStore(engine, Positions(engine, "tests", "tests"))


def due_judged(registry: CollectorRegistry) -> float:
    return registry.get_sample_value("shouwang_scorer_due_households_total") or 0


async def _consuming(*registries: CollectorRegistry) -> bool:
    return all(registry.get_sample_value("shouwang_scorer_owned_partitions") for registry in registries)
