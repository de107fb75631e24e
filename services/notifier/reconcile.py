"""Proves again and again that nobody was forgotten: each change to red has its alert, each alert its receipt."""

import asyncio
import time
from datetime import timedelta

from services.notifier.core.holding import Held
from services.notifier.store.reconciling import Reconciling, Untold
from shared.clock import Clock
from shared.errors import TemporaryFailure
from shared.lifecycle import every
from shared.logs import get_logger
from shared.metrics import ServiceMetrics

log = get_logger(__name__)

# What is younger may still be on its way; what is older was looked at before.
GRACE = timedelta(seconds=20)
LOOKED_BACK = timedelta(days=2)


class ReconcileMetrics:
    """What the reconciler shows."""

    def __init__(self, metrics: ServiceMetrics) -> None:
        self.untold = metrics.gauge("untold_changes", "Changes to red that no alert knows of; must be 0")
        self.without_receipt = metrics.gauge(
            "alerts_without_receipt", "Alerts under way of which nobody's channel has taken a message yet"
        )
        self.overdue = metrics.gauge("overdue_deliveries", "Deliveries that were begun more than 20 s ago and go on")
        self.overdue_timers = metrics.gauge("overdue_timers", "Alerts whose time came more than 20 s ago unheeded")
        self.waiting = metrics.gauge(
            "waiting_tellings", "Tellings that wait for the morning or for room in a person's day", reason=list(Held)
        )
        self.at = metrics.gauge("reconciled_at_seconds", "When the last reconciliation ended, Unix time")


class Reconcile:
    """A supervised task; it only reads."""

    def __init__(
        self, reconciling: Reconciling, clock: Clock, metrics: ReconcileMetrics, *, every_seconds: float
    ) -> None:
        self._reconciling = reconciling
        self._clock = clock
        self._metrics = metrics
        self._every = every_seconds
        self._told_of: set[Untold] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Reconcile until stopped."""
        await every(self._every, self._once, stop)

    async def _once(self) -> bool:
        try:
            await self.reconcile()
        except TemporaryFailure as failure:
            log.warning("the reconciliation waits", reason=str(failure))
        return False

    async def reconcile(self) -> None:
        """Look once. Raises TemporaryFailure."""
        now = self._clock.now()
        found = await self._reconciling.shortcomings(since=now - LOOKED_BACK, until=now - GRACE)
        for change in found.untold:
            if change not in self._told_of:
                log.error("nobody heard of a change to red", household_id=change.household_id, version=change.version)
        self._told_of = set(found.untold)
        self._metrics.untold.set(len(found.untold))
        self._metrics.without_receipt.set(found.without_receipt)
        self._metrics.overdue.set(found.overdue)
        self._metrics.overdue_timers.set(found.overdue_timers)
        for held in Held:
            self._metrics.waiting.labels(held).set(found.waiting.get(held, 0))
        self._metrics.at.set(time.time())
