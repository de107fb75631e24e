"""Faults of the network between services, brokers and database, brought about by the proxies in between."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from random import Random

import httpx2

from tests.chaos.base import Effect, Fault
from tests.chaos.faults.watch import ClientView, durability_impossible, resets, unready
from tests.chaos.platform import Link
from tests.chaos.world import World

CLIENTS = ("ingest", "scorer", "notifier")
SLOW_SECONDS = 0.3
"""A readiness check that takes longer than this has felt the delay: without one it takes a tenth of it."""


async def isolated_clients(world: World, rng: Random) -> Effect:
    """F32: ingest from one broker, the scorers from all of them, and the notifiers in one direction."""
    view = ClientView(world)
    kafka = world.links.kafka
    before = sum(link.count.dropped for link in kafka["notifier"].values())
    rng.choice(list(kafka["ingest"].values())).blackhole()
    for link in kafka["scorer"].values():
        link.cut()
    for link in kafka["notifier"].values():
        link.drop_replies()
    await asyncio.sleep(12)
    lost = await unready(world, ["ingest", "scorer-1", "scorer-2"])
    dropped = sum(link.count.dropped for link in kafka["notifier"].values()) - before
    _heal(link for client in CLIENTS for link in kafka[client].values())
    seen = f"not ready: {', '.join(lost) or 'nobody'}; {view.unanswered} sends put off; {dropped} bytes of answers lost"
    return Effect(seen, len(lost) + view.unanswered)


async def isolated_brokers(world: World, rng: Random) -> Effect:
    """F33: one broker from the others, then all of them from one another."""
    view = ClientView(world)
    links = list(world.links.brokers.values())
    rng.choice(links).blackhole()
    await asyncio.sleep(8)
    one = view.unanswered
    for link in links:
        link.blackhole()
    async with durability_impossible(world):
        await asyncio.sleep(6)
    everyone = view.unanswered - one
    _heal(links)
    return Effect(f"{one} sends put off with one broker alone, {everyone} with all alone", everyone)


async def connections_break(world: World, rng: Random) -> Effect:
    """F45: connections are reset at random, and some go silent without an end."""
    links = [link for client in CLIENTS for link in world.links.of(client)]
    before = resets(links)
    for link in links:
        link.reset_some(0.2, rng)
    await asyncio.sleep(6)
    _heal(links)
    half_open = rng.sample(links, 3)
    for link in half_open:
        link.blackhole()
    await asyncio.sleep(4)
    for link in half_open:
        link.cut()
    _heal(links)
    broken = resets(links) - before
    return Effect(f"{broken} connections reset, {len(half_open)} ways silent for 4 s", broken)


async def slow_network(world: World, rng: Random) -> Effect:
    """F46: half a second each way back, give or take, and a megabit a second."""
    links = [link for client in CLIENTS for link in world.links.of(client)]
    for link in links:
        link.delay(0.5, jitter=0.4)
        link.limit(125_000)
    slow = 0
    async with httpx2.AsyncClient(timeout=5.0, trust_env=False) as client:
        for _ in range(10):
            started = time.perf_counter()
            await client.get(f"{world.services['scorer-1'].base_url}/readyz")
            slow += time.perf_counter() - started > SLOW_SECONDS
            await asyncio.sleep(0.5)
    _heal(links)
    return Effect(f"{slow} of 10 readiness checks took more than {SLOW_SECONDS:g} s", slow)


async def swizzle(world: World, rng: Random) -> Effect:
    """F48: a random half of all internal ways is clogged one by one and let go in another order."""
    view = ClientView(world)
    links = [link for client in CLIENTS for link in world.links.of(client)] + list(world.links.brokers.values())
    clogged = rng.sample(links, len(links) // 2)
    for link in clogged:
        link.blackhole()
        await asyncio.sleep(0.5)
    lost = await unready(world, world.services)
    for link in rng.sample(clogged, len(clogged)):
        link.heal()
        await asyncio.sleep(0.5)
    seen = f"{len(clogged)} ways clogged; not ready: {', '.join(lost) or 'nobody'}; {view.unanswered} sends put off"
    return Effect(seen, len(lost) + view.unanswered)


def _heal(links: Iterable[Link]) -> None:
    for link in links:
        link.heal()


FAULTS: Sequence[Fault] = (
    Fault("F32", "services are cut off from one broker, from all, and in one direction, for 12 s", isolated_clients),
    Fault("F33", "brokers are cut off from one another", isolated_brokers, recovers_within=90),
    Fault("F45", "connections are reset at random and go silent half-open", connections_break),
    Fault("F46", "each answer takes 0.5 s +-0.4 s, at 1 Mbit/s", slow_network),
    Fault("F48", "a random half of all internal ways clogged one by one, freed in another order", swizzle),
)
NOT_INJECTED: dict[str, str] = {}
