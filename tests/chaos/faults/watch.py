"""What a bystander can see of a fault: the client's counts, deaths and marks of processes, epochs, readiness."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx2

from tests.chaos.hooks import Hook
from tests.chaos.proxy import Link
from tests.chaos.world import World

LOOK_EVERY_SECONDS = 0.05
CRASH_WITHIN_SECONDS = 15.0
"""A start, and the load passing the hook's point; it is never so thin that this is not enough."""
ANSWERS_UNDER_WAY_SECONDS = 1.0
"""An answer that was earned before a fault may still be on its way for so long."""

SCORERS, NOTIFIERS = ("scorer-1", "scorer-2"), ("notifier-1", "notifier-2")
Epochs = dict[tuple[str, int], int]


async def happens(condition: Callable[[], bool], within_seconds: float) -> bool:
    """Wait until a condition holds, or the time is up; tell which."""

    async def asked() -> bool:
        return condition()

    return await comes_true(asked, within_seconds)


async def comes_true(condition: Callable[[], Awaitable[bool]], within_seconds: float) -> bool:
    """Like `happens`, for a condition that must be asked for."""
    deadline = time.monotonic() + within_seconds
    while not await condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(LOOK_EVERY_SECONDS)
    return True


class ClientView:
    """What the client has met since this was made."""

    def __init__(self, world: World) -> None:
        self._load = world.load
        self._before = world.load.counts

    @property
    def unanswered(self) -> int:
        """Sends that got no yes and no no: refused for now (503), reset, or without an answer in time."""
        return self._load.counts.info - self._before.info

    @property
    def taken(self) -> int:
        """Events answered with 202."""
        return self._load.counts.ok - self._before.ok


async def crash(world: World, name: str, hook: Hook, within_seconds: float = CRASH_WITHIN_SECONDS) -> bool:
    """Restart a service with a hook that ends it, wait for its death there and for its return; tell whether it died."""
    service = world.services[name]
    await service.restart(hooks=[hook])
    deaths = len(service.deaths)
    if not await happens(lambda: bool(service.marks()) and len(service.deaths) > deaths, within_seconds):
        return False
    await service.wait_ready()
    return True


async def wait_ready(world: World, names: Iterable[str]) -> None:
    """Wait until these services are ready."""
    await asyncio.gather(*(world.services[name].wait_ready() for name in names))


async def epochs(world: World, group: str = "shouwang-scorer") -> Epochs:
    """Return the epoch of each partition of a consumer group."""
    rows = await world.sql(
        "SELECT topic, partition, epoch FROM partition_position WHERE consumer_group = :consumer_group",
        consumer_group=group,
    )
    return {(row.topic, row.partition): row.epoch for row in rows}


async def claims_since(world: World, before: Epochs, group: str = "shouwang-scorer") -> int:
    """Count how often partitions of a group were claimed anew."""
    now = await epochs(world, group)
    return sum(epoch - before.get(partition, 0) for partition, epoch in now.items())


async def unready(world: World, names: Iterable[str]) -> list[str]:
    """Return those services that say of themselves that they cannot do their work, or say nothing at all."""
    names = list(names)
    async with httpx2.AsyncClient(timeout=3.0, trust_env=False) as client:
        statuses = await asyncio.gather(*(_readiness(client, world.services[name].base_url) for name in names))
    return [name for name, status in zip(names, statuses, strict=True) if status != 200]


async def _readiness(client: httpx2.AsyncClient, base_url: str) -> int | None:
    try:
        return (await client.get(f"{base_url}/readyz")).status_code
    except httpx2.HTTPError:
        return None


def resets(links: Iterable[Link]) -> int:
    """Count the connections that the proxies have broken so far."""
    return sum(link.count.resets for link in links)


@asynccontextmanager
async def durability_impossible(world: World) -> AsyncIterator[None]:
    """Tell the judge that nothing may be answered 202 while the block lasts."""
    await asyncio.sleep(ANSWERS_UNDER_WAY_SECONDS)
    world.note("durability impossible from")
    try:
        yield
    finally:
        world.note("durability impossible to")


@asynccontextmanager
async def own_connection(dsn: str) -> AsyncIterator[Any]:
    """A connection of the runner's own, past all proxies; each statement commits by itself."""
    connection = await asyncpg.connect(dsn, ssl=False)
    try:
        yield connection
    finally:
        await connection.close()
