"""Processes that are frozen while they hold something, lose it, and wake up as if nothing had happened."""

import asyncio
from collections.abc import Sequence
from random import Random

from tests.chaos.base import Effect, Fault
from tests.chaos.faults.watch import NOTIFIERS, claims_since, comes_true, epochs, happens, wait_ready
from tests.chaos.world import World

TAKEN_OVER_SECONDS = 20
"""A silent member loses its partitions after 6 s. It is thawed as soon as it has: its own database driver would give a
statement up after 10 s, and then it is not the fence that stops it."""
CLAIM_SECONDS = 0.5
"""From the first partition claimed to the last."""
LEASE_SECONDS, SEND_SECONDS = 6, 5

_WAITING_FOR_A_LOCK = """
    SELECT 1 FROM pg_stat_activity
    WHERE application_name = :application AND wait_event_type = 'Lock' AND query ILIKE '%event_ledger%'
"""
_LEASED = """
    SELECT delivery_id FROM delivery
    WHERE status = 'pending' AND leased_by LIKE :worker AND leased_until > now()
"""
_REFUSED = "has another owner"
_SENT = "SELECT count(*) AS sent FROM delivery WHERE delivery_id = ANY(:ids) AND status = 'sent'"


async def zombie_scorer(world: World, rng: Random) -> Effect:
    """F14: frozen in the middle of a transaction, so that it surely wakes up with something to write."""
    zombie = world.services["scorer-1"]
    mark = zombie.log_mark()

    async def is_writing() -> bool:
        return bool(await world.sql(_WAITING_FOR_A_LOCK, application="shouwang-scorer scorer-1"))

    before = await epochs(world)
    async with world.transaction() as lock:
        await lock.exec_driver_sql("LOCK TABLE event_ledger IN SHARE MODE")
        in_time = await comes_true(is_writing, 10)
        zombie.pause()

    async def is_replaced() -> bool:
        return await claims_since(world, before) > 0

    await comes_true(is_replaced, TAKEN_OVER_SECONDS)
    await asyncio.sleep(CLAIM_SECONDS)
    zombie.resume()
    await happens(lambda: _REFUSED in zombie.log_text(mark), 10)
    await zombie.wait_ready()
    refused, moved = zombie.log_text(mark).count(_REFUSED), await claims_since(world, before)
    seen = f"{moved} partitions taken over, {refused} writes of the woken one rolled back"
    return Effect(seen, min(moved, refused) if in_time else 0)


async def zombie_notifier(world: World, rng: Random) -> Effect:
    """F15: frozen while receivers keep it waiting, so that its leases run out under way."""
    short = {
        "SHOUWANG_NOTIFIER_LEASE_SECONDS": str(LEASE_SECONDS),
        "SHOUWANG_NOTIFIER_SEND_TIMEOUT_SECONDS": str(SEND_SECONDS),
    }
    await asyncio.gather(*(world.services[name].restart(environment=short) for name in NOTIFIERS))
    await wait_ready(world, NOTIFIERS)
    world.devices.webhook_mode = "silent"
    leased: list[int] = []

    async def holds_some() -> bool:
        leased[:] = [row.delivery_id for row in await world.sql(_LEASED, worker="notifier-1/%")]
        return bool(leased)

    await comes_true(holds_some, 10)
    world.services["notifier-1"].pause()
    world.devices.heal()
    await asyncio.sleep(LEASE_SECONDS + 4)
    (row,) = await world.sql(_SENT, ids=leased)
    world.services["notifier-1"].resume()
    await asyncio.gather(*(world.services[name].restart() for name in NOTIFIERS))
    return Effect(f"{row.sent} of {len(leased)} deliveries of the frozen one were made by the other", row.sent)


FAULTS: Sequence[Fault] = (
    Fault("F14", "a scorer is frozen inside a transaction until another takes over", zombie_scorer, short=True),
    Fault("F15", f"a notifier is frozen while sending until its leases of {LEASE_SECONDS} s are over", zombie_notifier),
)
NOT_INJECTED: dict[str, str] = {}
