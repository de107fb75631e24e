"""`shouwang-scorer explain`: the decision of any past day, from the ledger, as it was stored then."""

import asyncio
import json
import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from services.scorer.explain_command import NothingToExplain, explain_household, in_words
from services.scorer.store import ScorerStore
from shared.clock import SettableClock
from shared.db.positions import Positions
from shared.events.household_event import SourceClass
from shared.policy import load_policies
from tests.conftest import Platform
from tests.messages import enrolment, make_message
from tests.services import log_publisher, put_on_log, rows, running_scorer, until

pytestmark = pytest.mark.integration
MARCH_2 = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)
STORED = (
    "reasons", "causes", "measures", "figures", "dimensions", "event_ids", "imputed", "data_gaps",
    "suggested_category", "policy",
)  # fmt: skip


async def explained(engine: AsyncEngine, day: str, household_id: str = "H1") -> dict[str, Any]:
    store = ScorerStore(engine, Positions(engine, "tests", "tests"))
    return dict(await explain_household(store, household_id, date.fromisoformat(day), load_policies()))


async def stored_changes(engine: AsyncEngine) -> list[dict[str, Any]]:
    return [row.change for row in await rows(engine, "SELECT change FROM grade_transition ORDER BY version")]


def assert_as_stored(told: dict[str, Any], change: dict[str, Any]) -> None:
    assert {name: told[name] for name in STORED} == {name: change[name] for name in STORED}
    assert (told["grade"], told["since"]) == (change["new"], change["on_day"])


async def test_each_past_day_comes_out_as_it_was_stored_whatever_was_refuted_and_corrected_later(
    platform: Platform, engine: AsyncEngine
) -> None:
    clock = SettableClock(MARCH_2)
    days = [MARCH_2 + timedelta(days=number) for number in range(4)]
    cadre = SourceClass.CADRE
    async with log_publisher(platform) as log, running_scorer(platform, clock):
        for count, message in enumerate(
            [
                enrolment(alias="H-1024"),
                make_message("health.major_illness", data={"self_pay_yuan": 60000}, id="i1"),
                make_message("event.refuted", data={"ref": "i1"}, sourceclass=cadre, at=days[1]),
                make_message("edu.cost", data={"self_pay_yuan": 30000}, id="c1", at=days[2]),
                make_message(
                    "event.corrected",
                    data={"ref": "c1", "payload": {"self_pay_yuan": 300}},
                    sourceclass=cadre,
                    at=days[3],
                ),
            ],
            start=1,
        ):
            if message.time > clock.now():
                clock.move(message.time - clock.now())
            await put_on_log(log, [message])
            await until(lambda count=count: _ledger_has(engine, count))
    changes = await stored_changes(engine)
    assert [(change["new"], change["on_day"]) for change in changes] == [
        ("green", "2026-01-01"), ("red", "2026-03-02"), ("green", "2026-03-03"), ("red", "2026-03-04"),
        ("green", "2026-03-05"),
    ]  # fmt: skip
    for change in (changes[0], changes[1], changes[3]):
        assert_as_stored(await explained(engine, change["on_day"]), change)
    for change in (changes[2], changes[4]):  # a replay takes the grade back to the day on which it was first taken
        told = await explained(engine, change["on_day"])
        assert {name: told[name] for name in STORED} == {name: change[name] for name in STORED}
        assert told["since"] == "2026-01-01"


async def test_a_grade_that_time_alone_changed_is_explained_as_stored_and_on_the_day_before(
    platform: Platform, engine: AsyncEngine
) -> None:
    clock = SettableClock(MARCH_2)
    async with log_publisher(platform) as log, running_scorer(platform, clock):
        await put_on_log(log, [enrolment(), make_message("edu.dropout")])
        await until(lambda: _ledger_has(engine, 2))
        clock.move(timedelta(days=16))
        await until(lambda: _changed_times(engine, 3))
    overdue = (await stored_changes(engine))[-1]
    assert_as_stored(await explained(engine, "2026-03-17"), overdue)
    before = await explained(engine, "2026-03-16")
    assert (before["grade"], before["next_due_on"]) == ("orange", "2026-03-17")
    assert "EDUCATION_OVERDUE" not in before["floors"]


async def test_what_cannot_be_explained_is_said_in_one_line(platform: Platform, engine: AsyncEngine) -> None:
    clock = SettableClock(MARCH_2)
    forecast = make_message("hazard.forecast", "990100101201", {"stage": "action", "hazard": "flood"})
    async with log_publisher(platform) as log, running_scorer(platform, clock):
        await put_on_log(log, [enrolment("H1", at=MARCH_2), make_message("edu.cost", "H2"), forecast])
        await until(lambda: _ledger_has(engine, 3))
    for household_id, day, said in (
        ("nobody", "2026-03-02", "no such household"),
        ("H1", "2026-03-01", "enrolled only on 2026-03-02"),
        ("H2", "2026-03-02", "not enrolled"),
        ("990100101201", "2026-03-02", "a division"),
    ):
        with pytest.raises(NothingToExplain, match=said):
            await explained(engine, day, household_id)


async def test_the_command_prints_text_or_json_and_ends_with_2_where_there_is_nothing(
    platform: Platform, engine: AsyncEngine
) -> None:
    illness = make_message("health.major_illness", data={"self_pay_yuan": 60000}, id="i1")
    async with log_publisher(platform) as log, running_scorer(platform, SettableClock(MARCH_2)):
        await put_on_log(log, [enrolment(), illness])
        await until(lambda: _ledger_has(engine, 2))
    expected = await explained(engine, "2026-03-02")
    as_json = await command(platform, "H1", "--at", "2026-03-02", "--json")
    assert as_json.returncode == 0 and json.loads(as_json.stdout) == expected
    text = await command(platform, "H1", "--at", "2026-03-02")
    assert text.stdout.splitlines() == list(in_words(expected))
    assert "人均参考收入−2,000元" in text.stdout and "i1" in text.stdout and expected["policy"]["hash"] in text.stdout
    unknown = await command(platform, "H9")
    assert (unknown.returncode, unknown.stdout) == (2, "") and len(unknown.stderr.splitlines()) == 1


async def command(platform: Platform, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("shouwang-scorer")
    return await asyncio.to_thread(
        subprocess.run,
        [str(program), "explain", *arguments],
        env={**os.environ, "DATABASE_URL": platform.database_url},
        capture_output=True,
        text=True,
        timeout=60,
    )


async def _ledger_has(engine: AsyncEngine, events: int) -> bool:
    return len(await rows(engine, "SELECT 1 FROM event_ledger")) == events


async def _changed_times(engine: AsyncEngine, changes: int) -> bool:
    return len(await rows(engine, "SELECT 1 FROM grade_transition")) == changes
