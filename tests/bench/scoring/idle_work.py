"""How fast a real scorer does what it does while nothing is left to read: days that come, households folded anew."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import asyncpg

from deploy.local.programs import service_command
from tests.bench.bench import Bench
from tests.bench.platform import Place
from tests.bench.processes import Program
from tests.bench.scoring.rates import RunFailed, Watch
from tests.bench.scoring.world import World

LOOK_EVERY_SECONDS = 0.05
MOST_SECONDS = 1800.0
TICKED = "INSERT INTO household_state"
"""Stands in each transaction that brings households to a new day."""
REFOLDED = "DELETE FROM refold_request"
"""Stands in each transaction that folds households anew."""
_DUE = "SELECT EXISTS (SELECT 1 FROM household_state WHERE next_due_on <= $1 AND status = 'enrolled')"
_ASKED = "SELECT EXISTS (SELECT 1 FROM refold_request)"
_OLD = "SELECT count(*) FROM household_state WHERE body = $1"
OLD_FORMAT = b"[0]"
"""A state as another release might have left it: this one reads its ledger instead."""


async def judge_due(bench: Bench, world: World, argv: Sequence[str] | None = None) -> float:
    """Seconds in which a scorer judges all households of the world that are due by today. argv: in its place."""
    async with _idle_scorer(bench, world, argv) as (_, connection, scorer):
        began = time.perf_counter()
        today = await connection.fetchval("SELECT (now() AT TIME ZONE 'Asia/Shanghai')::date")
        await _until(connection, scorer, False, _DUE, today)
        return time.perf_counter() - began


async def rebuild_all(bench: Bench, world: World, argv: Sequence[str] | None = None) -> float:
    """Seconds from the first request of `shouwang-scorer rebuild --all` until every household is folded anew."""
    platform = await bench.platform()
    async with _idle_scorer(bench, world, argv) as (place, connection, scorer):
        asking = service_command("scorer", "rebuild", "--all", "--by", "bench")
        async with platform.command("rebuild", asking, place) as command:
            await _until(connection, scorer, True, _ASKED)
            began = time.perf_counter()
            await command.wait_end(MOST_SECONDS)
            await _until(connection, scorer, False, _ASKED)
            seconds = time.perf_counter() - began
        left = await connection.fetchval(_OLD, OLD_FORMAT)
        if left:
            raise RunFailed(f"{left:,} households were not folded anew")
        return seconds


@asynccontextmanager
async def _idle_scorer(
    bench: Bench, world: World, argv: Sequence[str] | None
) -> AsyncIterator[tuple[Place, "asyncpg.Connection[Any]", Program]]:
    """A scorer on a fresh copy of the world that has just claimed every partition, and finds nothing to read."""
    platform = await bench.platform()
    async with AsyncExitStack() as stack:
        place = await stack.enter_async_context(world.place(platform))
        connection = await stack.enter_async_context(platform.databases.connection(place.database))
        scorer = await stack.enter_async_context(platform.service("scorer", place, argv=argv))
        await Watch(connection, world, [scorer]).until_claimed()
        yield place, connection, scorer


async def _until(
    connection: "asyncpg.Connection[Any]", scorer: Program, wanted: bool, query: str, *values: object
) -> None:
    async with asyncio.timeout(MOST_SECONDS):
        while bool(await connection.fetchval(query, *values)) is not wanted:
            scorer.check()
            await asyncio.sleep(LOOK_EVERY_SECONDS)
