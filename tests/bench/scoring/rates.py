"""How fast real scorer processes empty the log, told by the positions in the database."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import asyncpg

from tests.bench.bench import Bench
from tests.bench.processes import Program
from tests.bench.scoring.world import World

Then = Callable[[str], Awaitable[None]]
LOOK_EVERY_SECONDS = 0.05
STANDSTILL_SECONDS = 120.0
_POSITIONS = """
    SELECT count(*) FILTER (WHERE epoch > 1) AS claimed, count(DISTINCT owner) AS owners, count(*) AS partitions,
      coalesce(sum(next_offset), 0)::bigint AS passed, coalesce(sum(quarantined), 0)::bigint AS quarantined,
      coalesce(sum(applied + repeated + quarantined), 0)::bigint
        - coalesce(sum(next_offset - first_offset), 0)::bigint AS unexplained
    FROM partition_position WHERE topic = $1
"""


class RunFailed(RuntimeError):
    """The scorers did not empty the log, or not in the way that this line measures."""


@dataclass(frozen=True, slots=True)
class ScorerRun:
    """One emptying of the log. cpu_us: processor time of all scorer processes, for each event."""

    events_per_second: float
    cpu_us: float
    peak_memory_mb: float


# All events of the preloaded log are of the same minute; to let some go first would measure another thing.
IN_TURN = {"SHOUWANG_SCORER_OVERTAKE_AFTER_SECONDS": "86400"}


async def run_scorers(
    bench: Bench, world: World, processes: int = 1, *, argv: Sequence[str] | None = None, then: Then | None = None
) -> ScorerRun:
    """Start scorers on a fresh copy of the world, and measure from first fetch to last commit.

    argv: another program in place of `shouwang-scorer serve`. then: told the database's name when the log is empty,
    before anything is removed. Raises RunFailed, ProgramFailed.
    """
    platform = await bench.platform()
    async with AsyncExitStack() as stack:
        place = await stack.enter_async_context(world.place(platform))
        connection = await stack.enter_async_context(platform.databases.connection(place.database))
        scorers = [
            await stack.enter_async_context(
                platform.service("scorer", place, name=f"scorer-{number}", argv=argv, settings=IN_TURN)
            )
            for number in range(1, processes + 1)
        ]
        watch = Watch(connection, world, scorers)
        begun = await watch.until_claimed()
        began, cpu_began = time.perf_counter(), _cpu_seconds(scorers)
        await watch.until_empty()
        seconds, cpu = time.perf_counter() - began, _cpu_seconds(scorers) - cpu_began
        peak = max(scorer.peak_memory_mb() for scorer in scorers)
        if then is not None:
            await then(place.database)
    events = world.events - begun
    return ScorerRun(events / seconds, cpu / events * 1e6, peak)


class Watch:
    """Looks at the positions, seldom enough not to matter: one row for each partition."""

    def __init__(self, connection: "asyncpg.Connection[Any]", world: World, scorers: Sequence[Program]) -> None:
        self._connection = connection
        self._world = world
        self._scorers = scorers

    async def until_claimed(self) -> int:
        """Wait until every partition has been claimed, and each scorer has some; return the events passed by then.

        That is the moment before the first fetch; only where scorers did not join together some have passed already.
        """
        deadline = time.monotonic() + STANDSTILL_SECONDS
        while True:
            found = await self._look()
            if found["claimed"] == found["partitions"] and found["owners"] == len(self._scorers):
                return int(found["passed"])
            if time.monotonic() > deadline:
                raise RunFailed(f"the partitions were not claimed by {len(self._scorers)} scorers: {dict(found)}")
            await asyncio.sleep(LOOK_EVERY_SECONDS / 2)

    async def until_empty(self) -> None:
        """Wait until the position of every partition is the log's end."""
        passed, moved_at = -1, time.monotonic()
        while True:
            found = await self._look()
            if found["passed"] == self._world.events:
                break
            if found["passed"] != passed:
                passed, moved_at = found["passed"], time.monotonic()
            elif time.monotonic() - moved_at > STANDSTILL_SECONDS:
                raise RunFailed(f"the scorers stand still after {passed:,} of {self._world.events:,} events")
            await asyncio.sleep(LOOK_EVERY_SECONDS)
        if found["quarantined"] or found["unexplained"]:
            raise RunFailed(f"not every event was applied: {dict(found)}")

    async def _look(self) -> Any:
        for scorer in self._scorers:
            scorer.check()
        return await self._connection.fetchrow(_POSITIONS, self._world.topic)


def _cpu_seconds(scorers: Sequence[Program]) -> float:
    return sum(scorer.cpu_seconds() for scorer in scorers)
