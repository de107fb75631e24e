"""A world for the scorer: households in a database, events on a topic. Made once a run for each size, then copied."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.topics import HOUSEHOLD_EVENTS
from tests.bench.bench import Bench
from tests.bench.load.events import messages
from tests.bench.load.households import Load, enrolment
from tests.bench.scoring.seeding import seed
from tests.bench.scoring.topic import fill_topic


@dataclass(frozen=True, slots=True)
class World:
    """What each round begins with. template: database to copy; ends: the log's records, by partition."""

    load: Load
    template: str
    topic_prefix: str
    ends: Mapping[int, int]

    @property
    def topic(self) -> str:
        """The topic of the events, as the installation calls it."""
        return self.topic_prefix + HOUSEHOLD_EVENTS.name

    @property
    def events(self) -> int:
        """How many records the log holds."""
        return sum(self.ends.values())


async def world(bench: Bench, households: int, events: int, *, among: int = 0) -> World:
    """The world of these sizes; see Load."""
    return await bench.kept(("world", households, events, among), lambda: _make(bench, households, events, among))


async def _make(bench: Bench, households: int, events: int, among: int) -> World:
    platform = await bench.platform()
    load = Load(households, events, among)
    prefix = await platform.topics()
    name = await bench.stack.enter_async_context(platform.databases.copy_of(platform.schema))
    await seed(
        platform.databases,
        name,
        platform.schema,
        history=lambda number: [enrolment(number, load)],
        households=households,
        topic=prefix + HOUSEHOLD_EVENTS.name,
        tell=bench.progress.step,
    )
    ends = await fill_topic(platform.kafka, prefix, messages(load), bench.progress.step)
    return World(load, name, prefix, ends)
