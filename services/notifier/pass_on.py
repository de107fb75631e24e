"""Use a person's next channel when one has not taken an urgent message in time."""

import asyncio
from collections.abc import Callable

from services.notifier.metrics import NotifierMetrics
from services.notifier.store.fallbacks import Fallbacks
from shared.clock import Clock
from shared.errors import TemporaryFailure
from shared.lifecycle import every
from shared.logs import get_logger

log = get_logger(__name__)

LOOK_SECONDS = 2.0


class PassOn:
    """Looks every few seconds; as many replicas as there are may do so."""

    def __init__(
        self, fallbacks: Fallbacks, clock: Clock, metrics: NotifierMetrics, on_deliveries: Callable[[], None]
    ) -> None:
        self._fallbacks = fallbacks
        self._clock = clock
        self._metrics = metrics
        self._on_deliveries = on_deliveries

    async def run(self, stop: asyncio.Event) -> None:
        """Look until stopped; a supervised task."""
        await every(LOOK_SECONDS, self.once, stop)

    async def once(self) -> bool:
        """Look once; tell whether to look again at once, because there may be more."""
        try:
            passed_on = await self._fallbacks.pass_on_overdue(self._clock.now())
        except TemporaryFailure as failure:
            log.warning("overdue deliveries wait for the database", reason=str(failure))
            return False
        if passed_on:
            self._metrics.fallbacks.inc(passed_on)
            log.warning("the next channel is used besides", deliveries=passed_on)
            self._on_deliveries()
        return bool(passed_on)
