"""Release what waits for room in people's days: each telling gets its place once, as soon as there is one.

Several replicas may do so at once: a household is looked at by one of them, and what it decides is committed together.
"""

import asyncio
from collections.abc import Callable

from services.notifier.store.releasing import Releasing
from shared.clock import Clock
from shared.errors import TemporaryFailure
from shared.lifecycle import every
from shared.logs import get_logger
from shared.policy import Policies

log = get_logger(__name__)

LOOK_EVERY_SECONDS = 1.0
BATCH = 200


class Release:
    """A supervised task."""

    def __init__(
        self, releasing: Releasing, policies: Policies, clock: Clock, on_deliveries: Callable[[], None]
    ) -> None:
        self._releasing = releasing
        self._policies = policies
        self._clock = clock
        self._on_deliveries = on_deliveries

    async def run(self, stop: asyncio.Event) -> None:
        """Look for room until stopped."""
        await every(LOOK_EVERY_SECONDS, self._once, stop)

    async def _once(self) -> bool:
        try:
            return bool(await self.release_due())
        except TemporaryFailure as failure:
            log.warning("tellings wait longer for room", reason=str(failure))
            return False

    async def release_due(self) -> int:
        """Look at the tellings whose turn it is, once each; return how many got a place. Raises TemporaryFailure."""
        released = await self._releasing.release(self._policies, self._clock.now(), BATCH)
        if released:
            log.info("tellings got a place in the day", tellings=released)
            self._on_deliveries()
        return released
