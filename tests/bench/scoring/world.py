"""A world for the scorer: households in a database, events on a topic. Made once a run for each size, then copied."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from shared.topics import HOUSEHOLD_EVENTS
from tests.bench.bench import Bench
from tests.bench.load.events import messages
from tests.bench.load.households import Load, enrolment
from tests.bench.platform import BenchPlatform, Place
from tests.bench.scoring.models import History
from tests.bench.scoring.seeding import seed
from tests.bench.scoring.topic import fill_topic


@dataclass(frozen=True, slots=True)
class World:
    """What each round begins with.

    template: database to copy. now: an instant by which all of it has happened. ends: how many records the log has, by
    partition.
    """

    template: str
    topic_prefix: str
    now: datetime
    ends: Mapping[int, int] = field(default_factory=dict)

    @property
    def topic(self) -> str:
        """The topic of the events, as the installation calls it."""
        return self.topic_prefix + HOUSEHOLD_EVENTS.name

    @property
    def events(self) -> int:
        """How many records the log holds."""
        return sum(self.ends.values())

    @asynccontextmanager
    async def place(self, platform: BenchPlatform) -> AsyncIterator[Place]:
        """A fresh copy for a block, in which nothing of the log has been read."""
        async with platform.place(template=self.template, topic_prefix=self.topic_prefix) as place:
            async with platform.databases.connection(place.database) as connection:
                # The households may have been stored for another log of the same run.
                await connection.execute("UPDATE partition_position SET topic = $1", self.topic)
            yield place


async def busy_world(bench: Bench, load: Load) -> World:
    """Households that the register has just sent, and a log full of events about them."""

    async def make() -> World:
        platform = await bench.platform()
        template = await bench.kept(
            ("enrolled", load.households),
            lambda: stored(bench, load.households, lambda number: [enrolment(number, load)]),
        )
        prefix = await platform.topics()
        ends = await fill_topic(platform.kafka, prefix, messages(load), bench.progress.step)
        return World(template, prefix, load.now, ends)

    return await bench.kept(("world", load.households, load.events, load.among), make)


async def quiet_world(bench: Bench, households: int, history: History) -> World:
    """Households with a history, and an empty log."""
    platform = await bench.platform()
    return World(await stored(bench, households, history), await platform.topics(), datetime.now(UTC))


async def stored(bench: Bench, households: int, history: History) -> str:
    """A database of its own with these households, for the rest of the run; its name."""
    platform = await bench.platform()
    name = await bench.stack.enter_async_context(platform.databases.copy_of(platform.schema))
    await seed(
        platform.databases,
        name,
        platform.schema,
        history=history,
        households=households,
        topic=HOUSEHOLD_EVENTS.name,
        tell=bench.progress.step,
    )
    return name
