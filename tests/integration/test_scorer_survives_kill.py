"""kill -9 while events stream in: each event exactly once in the ledger, each household a fold of its ledger."""

import asyncio
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from services.scorer.core.household import advance, replay
from services.scorer.core.state_codec import decode, encode
from services.scorer.store import ScorerStore
from shared.bus.ports import TopicPartition
from shared.db.positions import Positions
from shared.events.envelope import EventMessage
from shared.events.household_event import SourceClass
from shared.policy import default_policies
from tests.conftest import Platform
from tests.messages import enrolment, make_message
from tests.services import ServiceProcess, free_port, log_publisher, put_on_log, rows, until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]
HOUSEHOLDS = 250
EVENTS = 5_000
JANUARY = datetime(2026, 1, 5, 2, 0, tzinfo=UTC)


@pytest.fixture
def scorer_process(platform: Platform, tmp_path: Path) -> Iterator[ServiceProcess]:
    environment = {**platform.environment, "SHOUWANG_SCORER_PORT": str(free_port()), "SHOUWANG_SCORER_INSTANCE": "one"}
    process = ServiceProcess("scorer", environment, tmp_path / "scorer.log")
    yield process
    process.end()


def history(seed: int) -> list[EventMessage]:
    """Make EVENTS events for HOUSEHOLDS households, with corrections, refutations and repeats among them."""
    chance = random.Random(seed)
    made = [enrolment(f"H{number}", at=JANUARY) for number in range(HOUSEHOLDS)]
    costs: list[EventMessage] = []
    while len(made) < EVENTS:
        household = f"H{chance.randrange(HOUSEHOLDS)}"
        at = JANUARY + timedelta(minutes=10 * len(made))
        draw = chance.random()
        if draw < 0.03 and costs:
            target = chance.choice(costs)
            kind = chance.choice(["event.refuted", "event.verified"])
            made.append(make_message(kind, target.subject, {"ref": target.id}, sourceclass=SourceClass.CADRE, at=at))
        elif draw < 0.6:
            costs.append(
                make_message("health.hospitalisation", household, {"self_pay_yuan": chance.randrange(9000)}, at=at)
            )
            made.append(costs[-1])
        else:
            made.append(make_message("relief.medical_assistance", household, {"amount_yuan": 500}, at=at))
    return made


async def test_a_scorer_killed_in_full_flow_loses_nothing_and_doubles_nothing(
    platform: Platform, engine: AsyncEngine, scorer_process: ServiceProcess
) -> None:
    events = history(seed=7)
    repeats = events[::40]
    async with log_publisher(platform) as log:
        scorer_process.start()
        feeding = asyncio.create_task(put_on_log(log, events))
        for kill_at in (600, 1_800, 3_200):
            await until(lambda least=kill_at: _ledger_has(engine, least), 60)
            scorer_process.kill()
            scorer_process.start()
        await feeding
        await put_on_log(log, repeats)
        await until(lambda: _ledger_has(engine, len(events)), 90)
        await until(lambda: _all_read(engine, len(events) + len(repeats)), 60)
    assert scorer_process.stop() == 0, scorer_process.said()[-2000:]

    ledger = await rows(engine, "SELECT event_id, source FROM event_ledger")
    assert sorted(row.event_id for row in ledger) == sorted(event.id for event in events)
    gaps = await rows(
        engine,
        "SELECT household_id FROM event_ledger GROUP BY household_id"
        " HAVING min(household_seq) <> 1 OR max(household_seq) <> count(*)",
    )
    assert gaps == []
    assert await rows(engine, "SELECT 1 FROM quarantine") == []
    await assert_states_are_folds(engine)


async def assert_states_are_folds(engine: AsyncEngine) -> None:
    """Rebuild every household from its ledger rows and compare it with what is stored, byte for byte."""
    policies = default_policies()
    store = ScorerStore(engine, Positions(engine, "tests", "tests"))
    async with store.transaction(TopicPartition("tests", 0)) as tx:
        stored = await tx.states([row[0] for row in await rows(engine, "SELECT household_id FROM household_state")])
        histories = await tx.histories(stored)
    assert len(histories) == HOUSEHOLDS
    for household_id, events in histories.items():
        clock = decode(stored[household_id].body).clock_on
        assert clock is not None
        folded = replay(events, events[-1].recorded_on, policies)
        state = advance(folded.state, clock, policies).state
        assert encode(state) == stored[household_id].body, household_id
        assert state.grade == stored[household_id].grade


async def _ledger_has(engine: AsyncEngine, least: int) -> bool:
    return (await rows(engine, "SELECT count(*) AS n FROM event_ledger"))[0].n >= least


async def _all_read(engine: AsyncEngine, records: int) -> bool:
    return (await rows(engine, "SELECT sum(next_offset) AS n FROM partition_position"))[0].n == records
