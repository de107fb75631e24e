"""Faults of PostgreSQL: gone, ambiguous, silent, full, locked, refusing, restored from a backup."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import asyncpg

from tests.chaos.base import Effect, Fault
from tests.chaos.faults.promises import must
from tests.chaos.faults.watch import NOTIFIERS, SCORERS, comes_true, happens, own_connection, unready, wait_ready
from tests.chaos.hooks import DatabaseErrors, Hook
from tests.chaos.world import World

AWAY_SECONDS = 4
SILENT_SECONDS = 12
LOCKED_SECONDS = 12
REFUSED_SECONDS = 8
BEGUN_WITHIN_SECONDS = 60
CLIENTS = ("ingest", "scorer", "notifier")

# A deferred trigger runs inside COMMIT, before anything of it is durable: it makes a COMMIT long enough to be met.
_SLOW_COMMITS = (
    """
    CREATE FUNCTION chaos_slow_commit() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_sleep(0.3); RETURN NULL; END $$
    """,
    """
    CREATE CONSTRAINT TRIGGER chaos_slow_commit AFTER UPDATE ON partition_position DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION chaos_slow_commit()
    """,
)
_USUAL_COMMITS = ("DROP TRIGGER chaos_slow_commit ON partition_position", "DROP FUNCTION chaos_slow_commit()")
_COMMITTING = """
    SELECT pid FROM pg_stat_activity
    WHERE application_name LIKE 'shouwang-' || $1 || '%' AND state = 'active' AND query ILIKE 'COMMIT%' LIMIT 1
"""
_END_SESSIONS = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE 'shouwang-%'"
_WAITING = "SELECT count(*) AS waiting FROM pg_locks WHERE NOT granted"


async def immediate_stop(world: World, rng: Random) -> Effect:
    """F36."""
    world.postgres.stop("immediate")
    await world.postgres.wait_stopped()
    await asyncio.sleep(AWAY_SECONDS)
    lost = await unready(world, [*SCORERS, *NOTIFIERS])
    world.postgres.start()
    await world.postgres.wait_ready()
    return Effect(f"not ready meanwhile: {', '.join(lost) or 'nobody'}", len(lost))


async def broken_commits(world: World, rng: Random) -> Effect:
    """F37: a session is killed inside its COMMIT, or the answer to the COMMIT is lost; both, several times."""
    killed = lost = 0
    async with own_connection(world.postgres.dsn) as watcher, _slow_commits(watcher):
        for turn in range(8):
            client = "scorer" if turn % 4 < 3 else "notifier"
            pid = await _a_commit(watcher, client)
            if pid is None:
                continue
            if turn % 2:
                killed += await watcher.fetchval("SELECT pg_terminate_backend($1)", pid)
                continue
            link = world.links.database[client]
            before = link.count.dropped
            link.drop_replies()
            await asyncio.sleep(0.6)
            link.heal()
            lost += link.count.dropped > before
    return Effect(f"{killed} sessions killed inside COMMIT, {lost} times the answer lost", min(killed, lost))


async def never_answers(world: World, rng: Random) -> Effect:
    """F38: first the way is dead, then the server itself is frozen."""
    for client in CLIENTS:
        world.links.database[client].blackhole()
    await asyncio.sleep(SILENT_SECONDS)
    lost = await unready(world, [*SCORERS, *NOTIFIERS])
    for client in CLIENTS:
        world.links.database[client].heal()
    await asyncio.sleep(1)
    world.postgres.pause()
    await asyncio.sleep(AWAY_SECONDS)
    world.postgres.resume()
    return Effect(f"not ready meanwhile: {', '.join(lost) or 'nobody'}", len(lost))


async def no_connections_left(world: World, rng: Random) -> Effect:
    """F39: others hold every connection that the server allows, and the services lose theirs."""
    marks = {name: service.log_mark() for name, service in world.services.items()}
    held: list[Any] = []
    loop = asyncio.get_running_loop()
    end = loop.time() + REFUSED_SECONDS
    try:
        while loop.time() < end:
            await _take_all(world.postgres.dsn, held)
            await held[0].execute(_END_SESSIONS)
            await asyncio.sleep(0.2)
    finally:
        await asyncio.gather(*(connection.close() for connection in held))
    refused = sum(service.log_text(marks[name]).count("53300") for name, service in world.services.items())
    return Effect(f"{len(held)} connections taken away, the services were refused {refused} times", refused)


async def transactions_fail(world: World, rng: Random) -> Effect:
    """F40: real errors of the server, at every so many statements, whatever these do."""
    hooks: dict[str, Hook] = {
        "scorer-1": DatabaseErrors("40P01", rng.randint(17, 29)),
        "scorer-2": DatabaseErrors("40001", rng.randint(17, 29)),
        "notifier-1": DatabaseErrors("40001", rng.randint(17, 29)),
        "notifier-2": DatabaseErrors("40P01", rng.randint(17, 29)),
    }
    return await _with_errors(world, hooks)


async def read_only_and_full(world: World, rng: Random) -> Effect:
    """F41: the server takes no writes; then it says at times that its disk is full."""
    async with own_connection(world.postgres.dsn) as connection:
        await connection.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        await connection.execute("SELECT pg_reload_conf()")
        marks = {name: world.services[name].log_mark() for name in SCORERS}
        await asyncio.sleep(REFUSED_SECONDS)
        refused = sum(world.services[name].log_text(mark).count("25006") for name, mark in marks.items())
        await connection.execute("ALTER SYSTEM RESET default_transaction_read_only")
        await connection.execute("SELECT pg_reload_conf()")
    full = await _with_errors(world, {name: DatabaseErrors("53100", rng.randint(17, 29)) for name in SCORERS})
    return Effect(f"{refused} writes refused as read-only; {full.seen}", min(refused, full.count))


async def long_lock(world: World, rng: Random) -> Effect:
    """F42."""
    most = 0
    async with world.transaction() as lock:
        await lock.exec_driver_sql("LOCK TABLE household_state, outbox IN ACCESS EXCLUSIVE MODE")
        for _ in range(LOCKED_SECONDS):
            await asyncio.sleep(1)
            (row,) = await world.sql(_WAITING)
            most = max(most, row.waiting)
    return Effect(f"up to {most} sessions waited for the lock", most)


async def _with_errors(world: World, hooks: dict[str, Hook]) -> Effect:
    await asyncio.gather(*(world.services[name].restart(hooks=[hook]) for name, hook in hooks.items()))
    # Not their readiness: with an error every so many statements, some partition may always be waiting for its claim.
    begun = await happens(lambda: all(world.services[name].marks() for name in hooks), BEGUN_WITHIN_SECONDS)
    must(begun, "a service met no error of the database")
    await asyncio.sleep(REFUSED_SECONDS)
    met = {name: len(world.services[name].marks()) for name in hooks}
    await asyncio.gather(*(world.services[name].restart() for name in hooks))
    await wait_ready(world, hooks)
    return Effect(", ".join(f"{name} met {count} errors" for name, count in met.items()), min(met.values()))


@asynccontextmanager
async def _slow_commits(connection: Any) -> AsyncIterator[None]:
    for statement in _SLOW_COMMITS:
        await connection.execute(statement)
    try:
        yield
    finally:
        for statement in _USUAL_COMMITS:
            await connection.execute(statement)


async def _a_commit(connection: Any, client: str) -> int | None:
    """Wait for a session of these services that is inside COMMIT."""
    found: list[int | None] = [None]

    async def is_there() -> bool:
        found[0] = await connection.fetchval(_COMMITTING, client)
        return found[0] is not None

    await comes_true(is_there, 5)
    return found[0]


async def _take_all(dsn: str, held: list[Any]) -> None:
    try:
        while True:
            held.append(await asyncpg.connect(dsn, ssl=False, timeout=5))
    except asyncpg.TooManyConnectionsError:
        return


FAULTS: Sequence[Fault] = (
    Fault("F36", f"PostgreSQL crashes and is away for {AWAY_SECONDS} s", immediate_stop, short=True),
    Fault(
        "F37",
        "sessions are killed inside COMMIT, or the answer to COMMIT is lost",
        broken_commits,
        rate=60.0,
        short=True,
    ),
    Fault("F38", f"the database is silent for {SILENT_SECONDS} s, then frozen", never_answers),
    Fault("F39", "the database has no connection left", no_connections_left),
    Fault("F40", "deadlocks and serialisation failures at any statement", transactions_fail),
    Fault("F41", "the database is read-only, then says that its disk is full", read_only_and_full),
    Fault("F42", f"states and outbox are locked for {LOCKED_SECONDS} s", long_lock),
)
NOT_INJECTED = {
    "F43": "there is no SQLite here; PostgreSQL is the only database",
}
