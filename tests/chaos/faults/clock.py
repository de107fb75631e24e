"""Faults of wall clocks: they jump, drift, and pass midnight at the wrong moment.

Each service is given a wall clock of its own that a file moves; steady clocks are left alone. Scorer and notifier go by
the database's time and should not care. Ingest stamps with its own, so its receipts move, and everything behind it has
to cope. A year's end cannot be crossed so: the scorer refuses receipts more than a day ahead.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

from shared.clock import SHANGHAI
from tests.chaos.base import Effect, Fault
from tests.chaos.faults.watch import wait_ready
from tests.chaos.hooks import Clock
from tests.chaos.world import World

JUMPS_SECONDS = (3_600, -7_200, 1_800)
DRIFTS = (1.1, 0.9)
HELD_SECONDS = 4.0
BEFORE_MIDNIGHT_SECONDS = 3.0


async def clocks_jump(world: World, rng: Random) -> Effect:
    """F60: an hour ahead, two hours behind, half an hour ahead; every service by another amount."""
    files = await _own_clocks(world)
    for jump in JUMPS_SECONDS:
        for name, file in files.items():
            # Those of one kind disagree as well.
            file.write_text(f"{jump + (rng.randint(1, 300) if name.endswith('2') else 0)}")
        await asyncio.sleep(HELD_SECONDS)
    moved = await _distance(world)
    await _right_clocks(world, files)
    return Effect(f"receipts were up to {moved / 60:.0f} minutes off the database's time", int(moved))


async def clocks_drift(world: World, rng: Random) -> Effect:
    """F61: faster, slower, and over midnight, while the day of everybody else goes on."""
    files = await _own_clocks(world)
    for drift in DRIFTS:
        for file in files.values():
            file.write_text(f"0 {drift}")
        await asyncio.sleep(HELD_SECONDS)
    now = datetime.now(SHANGHAI)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    ahead = (midnight - now).total_seconds() - BEFORE_MIDNIGHT_SECONDS
    for file in files.values():
        file.write_text(f"{ahead:.3f}")
    await asyncio.sleep(BEFORE_MIDNIGHT_SECONDS + HELD_SECONDS)
    rows = await world.sql(
        "SELECT count(*) AS tomorrows FROM event_ledger WHERE household_id LIKE :ours AND recorded_on = :tomorrow",
        ours=f"{world.run}-%",
        tomorrow=midnight.date(),
    )
    await _right_clocks(world, files)
    return Effect(f"{rows[0].tomorrows} events were received tomorrow, before the clock came back", rows[0].tomorrows)


async def _own_clocks(world: World) -> Mapping[str, Path]:
    files = {name: world.directory / f"clock-{world.run}-{name}" for name in world.services}
    await asyncio.gather(*(world.services[name].restart(hooks=[Clock(str(file))]) for name, file in files.items()))
    await wait_ready(world, files)
    return files


async def _right_clocks(world: World, files: Mapping[str, Path]) -> None:
    for file in files.values():
        file.unlink(missing_ok=True)
    await asyncio.gather(*(world.services[name].restart() for name in files))
    await wait_ready(world, files)


async def _distance(world: World) -> float:
    """How far, in seconds, a receipt of this run lies from the time at which it was applied."""
    rows = await world.sql(
        """
        SELECT coalesce(max(abs(extract(epoch FROM l.recorded_at - s.updated_at))), 0) AS seconds
        FROM event_ledger l JOIN household_state s USING (household_id, household_seq)
        WHERE l.household_id LIKE :ours
        """,
        ours=f"{world.run}-%",
    )
    return float(rows[0].seconds)


FAULTS: Sequence[Fault] = (
    Fault("F60", "wall clocks jump by an hour and two, each service's by another amount", clocks_jump),
    Fault("F61", "wall clocks drift by a tenth, and pass midnight early", clocks_drift),
)
NOT_INJECTED: Mapping[str, str] = {}
