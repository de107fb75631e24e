"""Faults of our own processes: killed at a named point or anywhere, stopped in good order, blocked, all at once."""

import asyncio
from collections.abc import Sequence
from random import Random

from tests.chaos.base import Effect, Fault
from tests.chaos.faults.watch import (
    NOTIFIERS,
    SCORERS,
    claims_since,
    crash,
    epochs,
    happens,
    wait_ready,
)
from tests.chaos.hooks import BlockLoop, Crash, Hook, Raise
from tests.chaos.platform import Server
from tests.chaos.services import Service
from tests.chaos.world import World

SESSION_SECONDS = 10.0
"""How long Kafka waits for a silent member of a group before it gives the member's partitions to others."""
SCORER_STATEMENTS = 9
"""Statements of a batch transaction that changes grades and puts a record in quarantine."""
BLOCKED_SECONDS = 15


async def crashes(world: World, planned: Sequence[tuple[str, Hook]]) -> Effect:
    """Crash one service after the other, each at its point; count those that died there."""
    died = 0
    for name, hook in planned:
        died += await crash(world, name, hook)
    return Effect(f"{died} of {len(planned)} died at their point", died)


async def before_send(world: World, rng: Random) -> Effect:
    """F1."""
    return await crashes(world, [("ingest", Crash("ingest.before_send", rng.randint(1, 20))) for _ in range(3)])


async def after_ack(world: World, rng: Random) -> Effect:
    """F2."""
    return await crashes(world, [("ingest", Crash("ingest.after_ack", rng.randint(1, 20))) for _ in range(3)])


async def inside_a_batch(world: World, rng: Random) -> Effect:
    """F3: the load's batches hold a few events each, so each k is an item of one of the first batches."""
    return await crashes(world, [("ingest", Crash("ingest.batch_item", k)) for k in range(1, 6)])


async def after_fetch(world: World, rng: Random) -> Effect:
    """F5."""
    return await crashes(world, [(name, Crash("scorer.after_fetch", rng.randint(1, 10))) for name in SCORERS])


async def inside_the_transaction(world: World, rng: Random) -> Effect:
    """F6: the scorers share the statements of the sweep and die side by side."""
    sweep: list[Hook] = [Crash("scorer.before_statement", nth) for nth in range(1, SCORER_STATEMENTS + 1)]
    sweep.append(Crash("scorer.before_commit", rng.randint(1, 5)))
    halves = ([(name, hook) for hook in sweep[half::2]] for half, name in enumerate(SCORERS))
    effects = await asyncio.gather(*(crashes(world, half) for half in halves))
    died = sum(effect.count for effect in effects)
    return Effect(f"{died} of {len(sweep)} died with the transaction open", died)


async def after_commit(world: World, rng: Random) -> Effect:
    """F7."""
    return await crashes(world, [(name, Crash("scorer.after_commit", rng.randint(1, 10))) for name in SCORERS])


async def in_assignment(world: World, rng: Random) -> Effect:
    """F8: once while it joins, and once while it takes over what a dead member had."""
    before = await epochs(world)
    died = int(await crash(world, "scorer-1", Crash("scorer.on_assigned")))
    heir = world.services["scorer-1"]
    await heir.restart(hooks=[Crash("scorer.on_assigned", 2)])
    await heir.wait_ready()
    world.hold_down("scorer-2")
    died += await happens(lambda: bool(heir.marks()), SESSION_SECONDS + 10)
    await world.services["scorer-2"].restart()
    await wait_ready(world, SCORERS)
    return Effect(f"{died} of 2 died in the assignment, {await claims_since(world, before)} claims", died)


async def claimed_a_delivery(world: World, rng: Random) -> Effect:
    """F9."""
    return await crashes(world, [(name, Crash("notifier.after_claim", rng.randint(1, 5))) for name in NOTIFIERS])


async def sent_but_not_stored(world: World, rng: Random) -> Effect:
    """F10."""
    return await crashes(world, [(name, Crash("notifier.after_send", rng.randint(1, 5))) for name in NOTIFIERS])


async def killed_at_random(world: World, rng: Random) -> Effect:
    """F12: services, brokers and PostgreSQL alike; what died is started again after a second."""
    victims: list[Service | Server] = [*world.services.values(), *world.brokers, world.postgres]
    killed = []
    for victim in rng.sample(victims, 4):
        victim.kill()
        killed.append(victim.name)
        await asyncio.sleep(1)
        if isinstance(victim, Server):
            victim.start()
        await asyncio.sleep(2)
    return Effect(f"killed: {', '.join(killed)}", len(killed))


async def rolling_restart(world: World, rng: Random) -> Effect:
    """F13."""
    clean = 0
    for name in [*world.services, "ingest", "ingest"]:
        service = world.services[name]
        deaths = len(service.deaths)
        service.terminate()
        if await happens(lambda: len(service.deaths) > deaths, 15):  # noqa: B023  awaited within this turn
            clean += service.deaths[-1][1] == 0
        await service.wait_ready()
    return Effect(f"{clean} orderly ends, each followed by a start", clean)


async def all_at_once(world: World, rng: Random) -> Effect:
    """F79: what a power cut does to the processes of a whole machine (not what it does to its disk)."""
    servers: list[Server] = [*world.brokers, world.postgres]
    for name in world.services:
        world.hold_down(name)
    await asyncio.gather(*(asyncio.to_thread(server.kill) for server in servers))
    dead = sum(not server.running for server in servers)
    dead += sum(not service.running for service in world.services.values())
    await asyncio.sleep(2)
    for server in servers:
        server.start()
    await asyncio.gather(*(service.restart() for service in world.services.values()))
    return Effect(f"{dead} processes dead at the same moment", dead)


async def loop_blocked(world: World, rng: Random) -> Effect:
    """F16: a consumer's heartbeat runs on the loop, so that others must take its partitions."""
    switch = world.directory / f"block-{world.run}"
    scorer = world.services["scorer-1"]
    await scorer.restart(hooks=[BlockLoop(str(switch))])
    await scorer.wait_ready()
    before = await epochs(world)
    switch.write_text(str(BLOCKED_SECONDS))
    await asyncio.sleep(BLOCKED_SECONDS)
    moved = await claims_since(world, before)
    switch.unlink(missing_ok=True)
    await scorer.wait_ready()
    return Effect(f"{moved} partitions claimed by the other while the loop stood still", moved)


async def task_raises(world: World, rng: Random) -> Effect:
    """F17: a process with a dead task must end, so that somebody starts it again."""
    planned: list[tuple[str, Hook]] = [
        ("scorer-1", Raise("scorer.after_fetch", rng.randint(1, 10))),
        ("notifier-1", Raise("notifier.in_transaction", rng.randint(1, 3))),
    ]
    return await crashes(world, planned)


FAULTS: Sequence[Fault] = (
    Fault("F1", "ingest dies after reading an event, before sending it", before_send),
    Fault("F2", "ingest dies after the log's acknowledgement, before its 202", after_ack),
    Fault("F3", "ingest dies at item 1 to 5 of a batch", inside_a_batch),
    Fault("F5", "a scorer dies after fetching", after_fetch),
    Fault("F6", "a scorer dies before each statement of its transaction and before the COMMIT", inside_the_transaction),
    Fault("F7", "a scorer dies after its COMMIT, before the log knows the offset", after_commit, short=True),
    Fault("F8", "a scorer dies while partitions are being assigned to it", in_assignment),
    Fault("F9", "a notifier dies after leasing deliveries", claimed_a_delivery),
    Fault("F10", "a notifier dies after sending, before the receipt is stored", sent_but_not_stored),
    Fault("F12", "kill -9 of any process, every 3 s, four times", killed_at_random, short=True),
    Fault("F13", "SIGTERM to one service after the other, seven times, under load", rolling_restart),
    Fault("F16", f"the event loop of a scorer stands still for {BLOCKED_SECONDS} s", loop_blocked),
    Fault("F17", "the consumer's task raises, in a scorer and in a notifier", task_raises),
    Fault("F79", "all services, brokers and the database killed at once", all_at_once),
)
NOT_INJECTED = {
    "F4": "no client library with a queue file is built yet",
    "F11": "hours of climbing do not fit into a run; a simulated week is killed at each of its statements by make test",
}
