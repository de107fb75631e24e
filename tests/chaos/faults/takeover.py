"""How soon somebody else does the work of what is gone; the promise is a number of seconds, from the loss itself."""

import time
from collections.abc import Sequence
from random import Random
from typing import Any

from sqlalchemy import Row

from tests.chaos.base import Effect, Fault
from tests.chaos.faults.promises import lasting, must
from tests.chaos.faults.watch import comes_true
from tests.chaos.world import World

SCORER_SECONDS, NOTIFIER_SECONDS, DATABASE_SECONDS = 15.0, 10.0, 20.0
WATCHED_SECONDS = 40.0

_OWNED = """
    SELECT topic, partition, epoch, next_offset FROM partition_position
    WHERE consumer_group LIKE :consumer_group AND owner LIKE :owner
"""
# Red ones alone: what is milder waits its turn behind them, whoever had leased it.
_LEASED = """
    SELECT count(*) AS leased FROM delivery WHERE status = 'pending' AND grade = 4 AND leased_by LIKE :worker
"""


async def scorer_is_lost(world: World, rng: Random) -> Effect:
    """T1: killed, and nobody starts it again while the other one takes over."""
    began, partitions = await _lose(world, "scorer-1", "%shouwang-scorer")
    must(bool(partitions), "scorer-1 had no partition")
    done = await _advanced(world, partitions, "%shouwang-scorer")
    return _within("scorer-2 worked in each partition", began, done, SCORER_SECONDS, len(partitions))


async def notifier_is_lost(world: World, rng: Random) -> Effect:
    """T2: killed while it may hold leases; the other one reads its partitions and sends what it had leased."""
    began, partitions = await _lose(world, "notifier-1", "%shouwang-notifier")
    must(bool(partitions), "notifier-1 had no partition")

    async def nothing_leased() -> bool:
        (row,) = await world.sql(_LEASED, worker="notifier-1/%")
        return int(row.leased) == 0

    sent = await comes_true(nothing_leased, WATCHED_SECONDS)
    leases_seconds = time.monotonic() - began
    done = await _advanced(world, partitions, "%shouwang-notifier") and sent
    what = f"notifier-2 held each lease of a red alert ({leases_seconds:.1f} s) and read each partition"
    return _within(what, began, done, NOTIFIER_SECONDS, len(partitions))


async def database_restarts(world: World, rng: Random) -> Effect:
    """T3: an orderly restart, as for an update."""
    before = await world.sql(_OWNED, consumer_group="%shouwang-scorer", owner="%")
    began = time.monotonic()
    world.postgres.stop("fast")
    await world.postgres.wait_stopped()
    world.postgres.start()
    await world.postgres.wait_ready()
    done = await _advanced(world, before, "%shouwang-scorer")
    return _within("events were applied again in each partition", began, done, DATABASE_SECONDS, len(before))


async def _lose(world: World, name: str, group: str) -> tuple[float, Sequence[Row[Any]]]:
    partitions = await world.sql(_OWNED, consumer_group=group, owner=f"{name}%")
    began = time.monotonic()
    world.hold_down(name)
    return began, partitions


async def _advanced(world: World, before: Sequence[Row[Any]], group: str) -> bool:
    """Wait until each of these positions was moved since."""
    then = {(row.topic, row.partition): row.next_offset or 0 for row in before}

    async def all_moved() -> bool:
        rows = await world.sql(_OWNED, consumer_group=group, owner="%")
        now = {(row.topic, row.partition): row.next_offset or 0 for row in rows}
        return all(now.get(place, 0) > offset for place, offset in then.items())

    return await comes_true(all_moved, WATCHED_SECONDS)


def _within(what: str, began: float, done: bool, bound: float, partitions: int) -> Effect:
    seconds = time.monotonic() - began
    must(done and seconds <= bound, f"after {seconds:.1f} s not: {what} (promised within {bound:g} s)")
    return Effect(f"{what} after {seconds:.1f} s ({partitions} partitions)", partitions)


FAULTS: Sequence[Fault] = (
    Fault("T1", "a scorer is lost for good", lasting(scorer_is_lost), rate=60.0),
    Fault("T2", "a notifier is lost for good", lasting(notifier_is_lost), rate=60.0),
    Fault("T3", "the database is restarted", lasting(database_restarts), rate=60.0),
)
NOT_INJECTED: dict[str, str] = {}
