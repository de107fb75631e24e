"""What the faults of channels share: time-lapse over the retry schedule, and what people got meanwhile."""

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from tests.chaos.faults.watch import NOTIFIERS, comes_true, wait_ready
from tests.chaos.world import World

LAPSE_EVERY_SECONDS = 1.0
TRIED_ANEW_SECONDS = 20.0


async def hurry(world: World) -> None:
    """Make everything due now that waits for its next attempt: the pause before it has passed in no time."""
    for table, key in (("delivery", "delivery_id"), ("digest", "digest_id")):
        await world.sql(
            f"""
            UPDATE {table} SET next_attempt_at = now() WHERE {key} IN (
                SELECT {key} FROM {table} WHERE status = 'pending' AND leased_until IS NULL
                FOR UPDATE SKIP LOCKED
            )
            """
        )


async def forget_turns(world: World) -> None:
    """Let everybody's message budget be untouched, as after ten quiet minutes."""
    await world.sql("UPDATE person_turn SET recent = '{}', free_at = now(), milder_free_at = now()")


async def lapse(world: World, seconds: float) -> None:
    """Hold a fault so long, with the pauses of the retry schedule (half an hour in all) shortened to one second."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        await asyncio.sleep(LAPSE_EVERY_SECONDS)
        await hurry(world)


async def people_again(world: World) -> None:
    """Let the devices work again, and wait until what they had refused has been tried anew."""
    world.devices.heal()

    async def tried_anew() -> bool:
        await hurry(world)
        # Attempts that were under way just now may still fail, and would wait for half an hour then.
        rows = await world.sql("SELECT 1 FROM delivery WHERE status = 'pending' AND attempts > 0 LIMIT 1")
        return not rows

    await comes_true(tried_anew, TRIED_ANEW_SECONDS)


async def restart_notifiers(world: World, **environment: str) -> None:
    """Restart both notifiers with additions to their environment, and wait until they are ready."""
    await asyncio.gather(*(world.services[name].restart(environment=environment) for name in NOTIFIERS))
    await wait_ready(world, NOTIFIERS)


class Told:
    """What the devices and the attempts say since this was made."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._before = dict(world.devices.outcomes)
        self.since = datetime.now(UTC)

    def count(self, channel: str, outcome: str) -> int:
        """Count what a channel's devices did: taken, refused or dropped."""
        key = (channel, outcome)
        return self._world.devices.outcomes.get(key, 0) - self._before.get(key, 0)

    async def attempts(self, channel: str) -> Mapping[str, int]:
        """Count a channel's attempts by how they ended, such as sent, http_500, timeout, tls."""
        rows = await self._world.sql(
            """
            SELECT a.detail, count(*) AS attempts FROM delivery_attempt a JOIN delivery d USING (delivery_id)
            WHERE a.at >= :since AND d.channel = :channel GROUP BY a.detail
            """,
            since=self.since,
            channel=channel,
        )
        return {row.detail: row.attempts for row in rows}

    async def slowest(self, channel: str) -> float:
        """Return the longest time, in seconds, that a message of a channel took or has taken so far."""
        rows = await self._world.sql(
            """
            SELECT coalesce(max(extract(epoch FROM coalesce(sent_at, now()) - created_at)), 0) AS seconds
            FROM delivery WHERE created_at >= :since AND channel = :channel AND status IN ('pending', 'sent')
            """,
            since=self.since,
            channel=channel,
        )
        return float(rows[0].seconds)
