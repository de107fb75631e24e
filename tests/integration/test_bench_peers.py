"""The comparison with other frameworks at a tiny scale: the entrants that run in the project's own environment."""

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from deploy.local.testing import SessionPostgres
from tests.bench.databases import Databases
from tests.bench.peers.entrants import ENTRANTS, OURS
from tests.bench.peers.load import Expected, expected, preload
from tests.bench.peers.log import PeersLog
from tests.bench.peers.measure import Course, WrongResult, run_once
from tests.bench.peers.servers import Servers

pytestmark = pytest.mark.integration
EVENTS, HOUSEHOLDS = 600, 40
PYTHON = Path(sys.executable)


@pytest.fixture
async def course(
    kafka: str, postgres: SessionPostgres, template_database: str, tmp_path: Path
) -> AsyncIterator[Course]:
    async with PeersLog.connect(kafka) as log:
        topic = await log.make_events_topic(f"peers-{uuid.uuid4().hex[:8]}.")
        ends = await preload(kafka, topic, EVENTS, HOUSEHOLDS)
        right = expected(EVENTS, HOUSEHOLDS)
        databases = Databases(postgres.dsn)
        yield Course(log, databases, template_database, Servers(tmp_path), tmp_path, topic, ends, right)
        await log.remove_topics([topic])


@pytest.mark.parametrize("name", ["bare", OURS])
async def test_every_household_is_counted_rightly_after_a_kill(course: Course, name: str) -> None:
    entrant = next(one for one in ENTRANTS if one.name == name)
    run = await run_once(course, entrant, PYTHON)
    assert run.events == EVENTS
    assert run.cpu_seconds >= 0 and run.peak_memory_mb > 10
    assert list((course.directory / "state").iterdir()) == []


async def test_a_household_that_is_counted_wrongly_leaves_no_figures(course: Course) -> None:
    household_id, state = next(iter(course.expected.counters.items()))
    other = {**course.expected.counters, household_id: [state[0] + 1, *state[1:]]}
    with pytest.raises(WrongResult, match=household_id):
        await run_once(
            replace(course, expected=Expected(other, course.expected.alerts)),
            next(one for one in ENTRANTS if one.name == OURS),
            PYTHON,
        )


async def test_what_a_transaction_holds_back_is_waited_for(kafka: str) -> None:
    name = uuid.uuid4().hex
    async with (
        PeersLog.connect(kafka) as log,
        AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=name) as producer,
    ):
        topic = await log.make_alerts_topic(f"peers-{name}.")
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b"told")
        reading = asyncio.create_task(log.read_all([topic]))
        await asyncio.wait([reading], timeout=1.0)
        await producer.commit_transaction()
        assert [record.value for record in await reading] == [b"told"]
