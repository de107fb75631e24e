"""All entrants, round by round in turn, on one broker, one database and one topic of events."""

import traceback
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.local.places import REPOSITORY
from tests.bench.machine import circumstances
from tests.bench.peers.entrants import Entrant
from tests.bench.peers.figures import Outcome
from tests.bench.peers.install import CannotInstall, install, python_of
from tests.bench.peers.load import EVENTS, HOUSEHOLDS, expected, preload
from tests.bench.peers.log import PeersLog
from tests.bench.peers.measure import Course, run_once
from tests.bench.peers.servers import Servers
from tests.bench.platform import BenchPlatform, open_platform
from tests.bench.progress import Progress

ROUNDS = 3
DIRECTORY = REPOSITORY / ".local" / "bench" / "peers"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of a run. faulty: whether an entrant that could run did not do its job."""

    outcomes: Sequence[Outcome]
    circumstances: dict[str, str]
    faulty: bool


async def compare(entrants: Sequence[Entrant], *, scale: float, rounds: int, directory: Path = DIRECTORY) -> Comparison:
    """Install, load, and let each entrant do the job in each round. Raises AlreadyRunning."""
    progress = Progress()
    outcomes = [_installed(entrant, progress) for entrant in entrants]
    able = [one for one in outcomes if one.failed is None]
    events, households = max(1, round(EVENTS * scale)), max(1, round(HOUSEHOLDS * scale))
    progress.begin("starting Kafka and PostgreSQL")
    async with open_platform(directory) as platform, PeersLog.connect(platform.kafka) as log:
        progress.begin(f"putting {events:,} events on the topic")
        course = await _course(platform, log, directory, events, households)
        for number in range(1, rounds + 1):
            for outcome in able:
                if outcome.failed is None:
                    progress.begin(f"round {number} of {rounds}: {outcome.entrant.shown}")
                    await _one(course, outcome)
        told = await circumstances(platform)
    progress.end()
    load = {"events": f"{events:,} of {households:,} households", "rounds": str(rounds)}
    return Comparison(outcomes, told | load, any(one.failed for one in able))


async def _course(platform: BenchPlatform, log: PeersLog, directory: Path, events: int, households: int) -> Course:
    topic = await log.make_events_topic(f"peers-{uuid.uuid4().hex[:8]}.")
    ends = await preload(platform.kafka, topic, events, households)
    right = expected(events, households)
    return Course(log, platform.databases, platform.schema, Servers(directory), directory, topic, ends, right)


async def _one(course: Course, outcome: Outcome) -> None:
    try:
        outcome.runs.append(await run_once(course, outcome.entrant, python_of(outcome.entrant)))
    except Exception as error:
        # Whatever it is, it is this entrant's; the others go on.
        traceback.print_exc()
        outcome.failed = f"{type(error).__name__}: {error}"


def _installed(entrant: Entrant, progress: Progress) -> Outcome:
    progress.begin(f"environment of {entrant.shown}")
    try:
        install(entrant)
    except CannotInstall as reason:
        return Outcome(entrant, failed=str(reason))
    return Outcome(entrant)
