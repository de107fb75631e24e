"""Holds receipts that were given to senders against the books: what the scorer has passed must have left a trace.

Samples this process's newest receipts. It reads the database beside the write path; while that is away it waits.
"""

import asyncio
from collections.abc import Sequence

from services.ingest.recent_receipts import GivenReceipt, RecentReceipts
from services.ingest.store import TraceStore
from shared.errors import TemporaryFailure
from shared.lifecycle import every
from shared.logs import get_logger
from shared.metrics import ServiceMetrics

log = get_logger(__name__)
SAMPLE = 200


class ReceiptMetrics:
    """What the check of receipts shows."""

    def __init__(self, metrics: ServiceMetrics) -> None:
        self.checked = metrics.counter("receipts_checked_total", "Receipts held against the books")
        self.lost = metrics.gauge("lost_receipts", "Receipts of events that left no trace; must be 0")


class ReconcileReceipts:
    """A supervised task of ingest."""

    def __init__(
        self, receipts: RecentReceipts, traces: TraceStore, metrics: ReceiptMetrics, *, every_seconds: float
    ) -> None:
        self._receipts = receipts
        self._traces = traces
        self._metrics = metrics
        self._every = every_seconds
        self._lost: set[GivenReceipt] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Check until stopped."""
        await every(self._every, self._once, stop)

    async def _once(self) -> bool:
        chosen = self._receipts.sample(SAMPLE)
        try:
            await self._check([*chosen, *(self._lost - set(chosen))])
        except TemporaryFailure as failure:
            log.warning("receipts could not be checked", reason=str(failure))
        return False

    async def _check(self, given: Sequence[GivenReceipt]) -> None:
        if not given:
            return
        lost = set(await self._traces.without_trace(given))
        for receipt in lost - self._lost:
            log.error("an accepted event left no trace", partition=receipt.partition, offset=receipt.offset)
        self._lost = lost
        self._metrics.checked.inc(len(given))
        self._metrics.lost.set(len(lost))
