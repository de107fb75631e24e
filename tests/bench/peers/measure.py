"""One run of one entrant: started, watched until its last effect is safe, killed, and held against what is expected."""

import asyncio
import json
import os
import shutil
import signal
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from aiokafka.structs import ConsumerRecord

from tests.bench.databases import Databases
from tests.bench.peers.durable import Counters, Durable
from tests.bench.peers.entrants import Entrant
from tests.bench.peers.figures import Run
from tests.bench.peers.load import Alert, Expected
from tests.bench.peers.log import PeersLog
from tests.bench.peers.place import EntrantPlace
from tests.bench.peers.postgres import CREATE
from tests.bench.peers.servers import Servers
from tests.bench.processes import Program, ProgramFailed, program

LOOK_SECONDS = 0.05
START_SECONDS = 120.0
LONGEST_SECONDS = 1_200.0


class WrongResult(RuntimeError):
    """An entrant's counters or alerts are not what the events come to; its figures count for nothing."""


@dataclass(frozen=True, slots=True)
class Course:
    """What is the same for all runs. ends: how many events stand on each partition. schema: the database to copy."""

    log: PeersLog
    databases: Databases
    schema: str
    servers: Servers
    directory: Path
    events_topic: str
    ends: Mapping[int, int]
    expected: Expected

    @property
    def events(self) -> int:
        """How many events there are."""
        return sum(self.ends.values())


async def run_once(course: Course, entrant: Entrant, python: Path | None = None) -> Run:
    """Let an entrant do the whole job once. Raises WrongResult, ProgramFailed, TimeoutError."""
    async with course.databases.copy_of(course.schema) as name, course.databases.connection(name) as database:
        await database.execute(CREATE)
        async with _place(course, entrant, course.databases.dsn_of(name)) as place:
            durable = entrant.look(course.log, place, database)
            started = time.monotonic()
            async with program(
                f"peer-{entrant.name}", entrant.command(python), place.environment, course.directory
            ) as running:
                run = await _watch(course, running, place, durable, started)
                # Like a power cut, so that what is looked at below is what a kill leaves.
                os.kill(running.pid, signal.SIGKILL)
                with suppress(ProgramFailed):
                    await running.wait_end(10)
            check(course.expected, await durable.counters(), await course.log.read_all([place.alerts_topic]))
    return run


@asynccontextmanager
async def _place(course: Course, entrant: Entrant, database_url: str) -> AsyncIterator[EntrantPlace]:
    """A group, topics and a folder that nobody has used, removed after."""
    name = f"peers-{entrant.name.replace('_', '-')}-{uuid.uuid4().hex[:8]}"
    state = course.directory / "state" / name
    state.mkdir(parents=True)
    alerts_topic = await course.log.make_alerts_topic(f"{name}.")
    try:
        yield EntrantPlace(
            course.log.bootstrap_servers, course.events_topic, alerts_topic, name, database_url, state, state / "first"
        )
    finally:
        await course.log.remove_topics(await course.log.topics_with(name))
        shutil.rmtree(state, ignore_errors=True)


async def _watch(course: Course, running: Program, place: EntrantPlace, durable: Durable, started: float) -> Run:
    async with asyncio.timeout(START_SECONDS):
        while not place.first_event.exists():
            running.check()
            await asyncio.sleep(LOOK_SECONDS / 2)
    first = time.monotonic()
    cpu, servers_cpu = running.cpu_seconds(), course.servers.cpu_seconds()
    half: tuple[float, int] | None = None
    async with asyncio.timeout(LONGEST_SECONDS):
        while (safe := (await durable.safe()).events(course.ends)) < course.events:
            if half is None and course.events / 2 <= safe <= course.events * 3 / 4:
                half = (time.monotonic(), safe)
            running.check()
            await asyncio.sleep(LOOK_SECONDS)
    done = time.monotonic()
    servers_after = course.servers.cpu_seconds()
    return Run(
        events=course.events,
        start_seconds=first - started,
        seconds=done - first,
        second_half=(course.events - half[1], done - half[0]) if half else None,
        cpu_seconds=running.cpu_seconds() - cpu,
        servers_cpu_seconds=servers_after - servers_cpu if servers_after and servers_cpu else None,
        peak_memory_mb=running.peak_memory_mb(),
    )


def check(expected: Expected, counters: Counters, alerts: Sequence[ConsumerRecord]) -> None:
    """Hold what an entrant has left against what the events come to. Raises WrongResult."""
    wrong = _first_difference(expected.counters, counters)
    if wrong is not None:
        raise WrongResult(f"counters: {wrong}")
    told: dict[str, list[Alert]] = {}
    for record in alerts:
        alert = json.loads(record.value)
        told.setdefault(alert["household_id"], []).append((alert["events"], alert["old"], alert["new"]))
    wrong = _first_difference(expected.alerts, told)
    if wrong is not None:
        raise WrongResult(f"alerts: {wrong}")


def _first_difference(expected: Mapping[str, object], found: Mapping[str, object]) -> str | None:
    names = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if not names:
        return None
    return (
        f"{len(names)} households differ, such as {names[0]}: {expected.get(names[0])} expected, {found.get(names[0])}"
    )
