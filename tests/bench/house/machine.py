"""All three services on one place, with people to be told and a receiver that keeps a journal."""

import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from deploy.demo.people import StaffMember
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.programs import service_command
from deploy.local.unpaced import write_unpaced_policies
from services.ingest.load.target import Target
from shared.topics import HOUSEHOLD_EVENTS
from tests.bench.bench import Bench
from tests.bench.edge.keys import make_key
from tests.bench.house.people import write_people
from tests.bench.load.households import Load, enrolment
from tests.bench.platform import BenchPlatform, Place
from tests.bench.processes import Program
from tests.bench.scoring.world import World, stored

COMMAND_SECONDS = 120.0
TELLING = {"SHOUWANG_NOTIFIER_WEBHOOK_ALLOW_PRIVATE": "1"}
"""Receivers stand on the loopback."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where messages come to. journal: see `receiver`."""

    base_url: str
    journal: Path


@dataclass(frozen=True, slots=True)
class Machine:
    """What runs. services: by name."""

    place: Place
    target: Target
    services: dict[str, Program]
    receiver: Receiver

    @property
    def events_topic(self) -> str:
        """The topic of the events, as the installation calls it."""
        return self.place.topic_prefix + HOUSEHOLD_EVENTS.name


@asynccontextmanager
async def enrolled_place(bench: Bench, count: int) -> AsyncIterator[Place]:
    """A place for a block where so many households are enrolled and nothing is on the log."""
    platform = await bench.platform()
    load = Load(count, 0)
    template = await bench.kept(
        ("enrolled", count), lambda: stored(bench, count, lambda number: [enrolment(number, load)])
    )
    async with World(template, await platform.topics(), datetime.now(UTC)).place(platform) as place:
        yield place


@asynccontextmanager
async def receiving(bench: Bench, name: str) -> AsyncIterator[Receiver]:
    """Run a receiver with an empty journal of this name."""
    platform = await bench.platform()
    url, journal = f"http://{LOOPBACK}:{free_port(0)}", platform.scratch / f"{name}.journal"
    journal.unlink(missing_ok=True)
    argv = [sys.executable, "-m", "tests.bench.house.receiver", url.rpartition(":")[2], str(journal)]
    async with platform.command(f"receiver-{name}", argv, base_url=url) as running:
        await running.wait_ready()
        yield Receiver(url, journal)


async def tell_everything(platform: BenchPlatform) -> Mapping[str, str]:
    """Settings of a notifier that tells everybody everything at once, at any hour, as a local run's does."""
    return {"SHOUWANG_NOTIFIER_POLICIES": str(write_unpaced_policies(platform.scratch / "policies"))}


async def import_people(
    platform: BenchPlatform, place: Place, villages: Sequence[str], staff: Sequence[StaffMember]
) -> None:
    """Make the people known at a place, by the notifier's own commands."""
    divisions, people = write_people(platform.scratch, villages, staff)
    for kind, file in (("divisions", divisions), ("staff", people)):
        argv = service_command("notifier", kind, "import", str(file))
        async with platform.command(f"import-{kind}", argv, place, TELLING) as importing:
            await importing.wait_end(COMMAND_SECONDS)


@asynccontextmanager
async def whole_machine(
    bench: Bench,
    place: Place,
    receiver: Receiver,
    villages: Sequence[str],
    staff: Sequence[StaffMember],
    settings: Mapping[str, str] | None = None,
) -> AsyncIterator[Machine]:
    """Run the three services, ready, with these people to tell. settings: further environment of the notifier."""
    platform = await bench.platform()
    await import_people(platform, place, villages, staff)
    key = await make_key(place)
    async with AsyncExitStack() as stack:
        services = {
            kind: await stack.enter_async_context(
                platform.service(kind, place, settings={**TELLING, **(settings or {})})
            )
            for kind in ("ingest", "scorer", "notifier")
        }
        for service in services.values():
            await service.wait_ready()
        yield Machine(place, Target.of(services["ingest"].base_url, key), services, receiver)
