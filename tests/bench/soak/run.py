"""The run itself: the three services, people in villages, a steady stream, and a look at everything now and then."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from services.ingest.load.mix import Mix
from services.ingest.load.open_loop import OpenLoop
from services.ingest.load.tally import percentiles_ms
from services.notifier.wiring import CONSUMER_GROUP
from shared.topics import GRADE_CHANGES
from tests.bench.bench import Bench
from tests.bench.house.graded import GradedTally, GradeWatch
from tests.bench.house.machine import Machine, enrolled_place, receiving, tell_everything, whole_machine
from tests.bench.house.people import cadres
from tests.bench.house.streams import enrolled, villages
from tests.bench.machine import circumstances
from tests.bench.progress import Progress
from tests.bench.settings import BenchSettings
from tests.bench.soak.trend import Series

CONNECTIONS = 64
LOOK_EVERY_SECONDS = 5.0
SETTLE_SECONDS = 120.0
_BEHIND = """
    SELECT (SELECT count(*) FROM outbox) AS unsent,
      (SELECT coalesce(sum(next_offset), 0)::bigint FROM partition_position
        WHERE consumer_group = $1 AND topic = $2) AS taken,
      (SELECT count(*) FROM delivery WHERE status = 'pending') AS waiting
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked for. rate: events a second. households: enrolled ones that the events are about."""

    minutes: float
    rate: float
    households: int


@dataclass(slots=True)
class Soaked:
    """What a run has shown. settled_seconds: from the last event sent to the last grade; None: that did not come."""

    plan: Plan
    tally: GradedTally
    series: list[Series]
    sender_share: float
    settled_seconds: float | None
    circumstances: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        """Whether everything was taken and graded."""
        return self.tally.share_taken == 1 and self.settled_seconds is not None

    def grade_waits_ms(self) -> Mapping[str, float]:
        """From the instant at which an event was to be sent to its durable grade."""
        return percentiles_ms(self.tally.graded)


async def soak(plan: Plan, settings: BenchSettings) -> Soaked:
    """Run it on a platform of its own."""
    progress = Progress()
    async with AsyncExitStack() as stack:
        stack.callback(progress.end)
        bench = Bench(settings, frozenset(), progress, stack)
        progress.begin("soak")
        places = villages(plan.households)
        settings_there = await tell_everything(await bench.platform())
        async with (
            receiving(bench, "soak") as receiver,
            enrolled_place(bench, plan.households) as place,
            whole_machine(bench, place, receiver, places, cadres(places, receiver.base_url), settings_there) as running,
        ):
            found = await _soak(bench, running, plan)
        found.circumstances = await circumstances(bench.opened)
    return found


async def _soak(bench: Bench, running: Machine, plan: Plan) -> Soaked:
    platform = await bench.platform()
    tally = GradedTally()
    load = OpenLoop(running.target, CONNECTIONS, tally)
    await load.open()
    events = Mix(enrolled(plan.households), f"soak-{running.target.port}", lambda: datetime.now(UTC))
    ended, seconds = asyncio.Event(), plan.minutes * 60
    async with (
        platform.databases.connection(running.place.database) as for_grades,
        platform.databases.connection(running.place.database) as for_looks,
        AIOKafkaConsumer(bootstrap_servers=platform.kafka) as log,
    ):
        watch = GradeWatch(for_grades, running.events_topic, tally, load.now)
        looks = Looks(running, for_looks, log, tally)
        own = time.process_time()
        async with asyncio.TaskGroup() as beside:
            beside.create_task(watch.run(ended))
            beside.create_task(looks.run(bench, load, seconds, ended))
            await load.run(events.one_by_one(), every_seconds=1 / plan.rate, seconds=seconds, on_tick=lambda _: None)
            share = (time.process_time() - own) / load.now()
            ended.set()
        load.close()
        last_sent = min(seconds, load.now())
        is_graded = await watch.until_graded(SETTLE_SECONDS)
        return Soaked(plan, tally, looks.series, share, max(0.0, load.now() - last_sent) if is_graded else None)


class Looks:
    """Looks at memory and at what is behind, every few seconds while events are sent."""

    def __init__(
        self, running: Machine, connection: "asyncpg.Connection[Any]", log: AIOKafkaConsumer, tally: GradedTally
    ) -> None:
        self._running = running
        self._connection = connection
        self._log = log
        self._tally = tally
        self._memory = {name: Series(f"memory of {name}", "MB") for name in running.services}
        self._behind = {
            name: Series(name, "")
            for name in ("events without a grade", "changes not with the notifier", "deliveries that wait")
        }

    @property
    def series(self) -> list[Series]:
        """All that was seen."""
        return [*self._memory.values(), *self._behind.values()]

    async def run(self, bench: Bench, load: OpenLoop, seconds: float, ended: asyncio.Event) -> None:
        """Look until the last event was sent."""
        while not ended.is_set() and load.now() < seconds:
            await self.look(load.now())
            bench.progress.step(f"{load.now() / 60:.1f} of {seconds / 60:.1f} minutes")
            await asyncio.sleep(min(LOOK_EVERY_SECONDS, max(0.0, seconds - load.now())))
        if not ended.is_set():
            await self.look(seconds)

    async def look(self, at: float) -> None:
        """Look once."""
        topic = self._running.place.topic_prefix + GRADE_CHANGES.name
        behind = await self._connection.fetchrow(_BEHIND, CONSUMER_GROUP, topic)
        for name, service in self._running.services.items():
            self._memory[name].add(at, service.memory_mb())
        on_log = await self._log.end_offsets([TopicPartition(topic, at) for at in range(GRADE_CHANGES.partitions)])
        changes = behind["unsent"] + sum(on_log.values()) - behind["taken"]
        values = (self._tally.ungraded, max(0, changes), behind["waiting"])
        for series, value in zip(self._behind.values(), values, strict=True):
            series.add(at, value)
