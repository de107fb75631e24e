"""Puts the outbox on the log: at once when the scorer has just committed something, else twice a second."""

import asyncio
import contextlib

from services.scorer.metrics import ScorerMetrics
from shared.db.outbox import Outbox
from shared.errors import TemporaryFailure
from shared.logs import get_logger

log = get_logger(__name__)
LOOK_EVERY_SECONDS = 0.5
PAUSE_SECONDS = 1.0


class OutboxRelay:
    """A supervised task beside the consumer loop."""

    def __init__(self, outbox: Outbox, metrics: ScorerMetrics) -> None:
        self._outbox = outbox
        self._metrics = metrics
        self._news = asyncio.Event()

    def wake(self) -> None:
        """Say that a transaction with new messages was committed. Only a hint: the next look would find them too."""
        self._news.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Relay until stopped; what is left then stays in the outbox for the next start."""
        while not stop.is_set():
            try:
                sent = await self._outbox.relay()
            except TemporaryFailure as failure:
                log.warning("the outbox waits", reason=str(failure))
                await _wait(stop, PAUSE_SECONDS)
                continue
            self._metrics.relayed.inc(sent)
            if not sent:
                await _wait(self._news, LOOK_EVERY_SECONDS)
                self._news.clear()


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
