"""The database is lost and comes back from a backup that is older than what was done since."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from random import Random

from sqlalchemy.engine import make_url

from deploy.local.postgres import programs_of_wheel
from tests.chaos.base import Effect, Fault
from tests.chaos.faults.watch import NOTIFIERS, SCORERS, own_connection, wait_ready
from tests.chaos.world import World

OLD_SECONDS = 8
_READ_TO = "SELECT coalesce(sum(next_offset), 0) AS read_to FROM partition_position"


async def restored(world: World, rng: Random) -> Effect:
    """F44: ingest goes on all the while; it needs no database to accept events."""
    dump = world.directory / f"backup-{world.run}"
    await _postgres_program("pg_dump", "--format=custom", f"--file={dump}", world.postgres.dsn)
    await asyncio.sleep(OLD_SECONDS)
    for name in (*SCORERS, *NOTIFIERS):
        world.hold_down(name)
    (lost,) = await world.sql(_READ_TO)
    world.note("restored")
    await _recreate(world.postgres.dsn)
    await _postgres_program("pg_restore", "--exit-on-error", f"--dbname={world.postgres.dsn}", str(dump))
    dump.unlink()
    (found,) = await world.sql(_READ_TO)
    await asyncio.gather(*(world.services[name].restart() for name in (*SCORERS, *NOTIFIERS)))
    await wait_ready(world, (*SCORERS, *NOTIFIERS))
    again = int(lost.read_to) - int(found.read_to)
    return Effect(f"positions went back by {again} records", again)


async def _recreate(dsn: str) -> None:
    url = make_url(dsn)
    async with own_connection(url.set(database="postgres").render_as_string(hide_password=False)) as connection:
        await connection.execute(f'DROP DATABASE "{url.database}" WITH (FORCE)')
        await connection.execute(f'CREATE DATABASE "{url.database}" TEMPLATE template0')


async def _postgres_program(name: str, *arguments: str) -> None:
    program: Path = programs_of_wheel() / name
    running = await asyncio.create_subprocess_exec(str(program), *arguments, stderr=asyncio.subprocess.PIPE)
    _, errors = await running.communicate()
    if running.returncode != 0:
        raise RuntimeError(f"{name}: {errors.decode(errors='replace').splitlines()[-1:]}")


FAULTS: Sequence[Fault] = (
    Fault("F44", f"the database is restored from a backup {OLD_SECONDS} s old", restored, recovers_within=90),
)
NOT_INJECTED: dict[str, str] = {}
