"""Proves again and again that nothing was lost: each record that the log took has a fate, each state is its ledger.

accepted = applied + repeated + quarantined + in flight, where applied counts every event in the ledger, also those
that wait for their household's enrolment. The counts move with the position in one transaction; here they are held
against the rows that must be there. A fault that was found stays on its gauge until the process ends: it calls for a
person, who asks `shouwang-scorer verify` for the places.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

from shared.bus.ports import TopicPartition
from shared.db.books import Book, Snapshot
from shared.errors import TemporaryFailure
from shared.lifecycle import every
from shared.logs import get_logger
from shared.metrics import ServiceMetrics

log = get_logger(__name__)

FATES = ("accepted", "applied", "repeated", "quarantined", "in_flight")
HOUSEHOLDS_AT_ONCE = 100

EndOffsets = Callable[[Collection[TopicPartition]], Awaitable[Mapping[TopicPartition, int]]]
Refold = Callable[[Sequence[str]], Awaitable[Collection[str]]]
"""Returns those of the households whose stored state is not the fold of their ledger."""


class ReconcileMetrics:
    """What the reconciler shows."""

    def __init__(self, metrics: ServiceMetrics) -> None:
        self.records = metrics.gauge("reconciled_records", "Records of the log by what became of them", fate=FATES)
        self.lost = metrics.gauge("lost_records", "Records passed without a trace in ledger or quarantine; must be 0")
        self.doubled = metrics.gauge("doubled_records", "Rows in ledger or quarantine without a record; must be 0")
        self.mismatched = metrics.gauge(
            "mismatched_households", "Households whose state is not the fold of their ledger; must be 0"
        )
        self.refolded = metrics.counter("refolded_households_total", "Households folded anew to compare")
        self.waiting = metrics.gauge("waiting_households", "Households named by events that no register knows yet")
        self.outbox = metrics.gauge("outbox_messages", "Messages of the outbox that the log does not have yet")
        self.at = metrics.gauge("reconciled_at_seconds", "When the last reconciliation ended, Unix time")


class Reconcile:
    """A supervised task beside the consumer loop; it only reads."""

    def __init__(
        self,
        snapshot: Callable[[], AbstractAsyncContextManager[Snapshot]],
        end_offsets: EndOffsets,
        refold: Refold,
        metrics: ReconcileMetrics,
        *,
        consumer_group: str,
        topic: str,
        every_seconds: float,
    ) -> None:
        self._snapshot = snapshot
        self._end_offsets = end_offsets
        self._refold = refold
        self._metrics = metrics
        self._group = consumer_group
        self._topic = topic
        self._every = every_seconds
        self._checked: dict[int, Book] = {}
        self._lost = 0
        self._doubled = 0
        self._mismatched: set[str] = set()
        self._after = ""

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
        """Compare once. Raises TemporaryFailure."""
        async with self._snapshot() as tables:
            books = await tables.books(self._group, self._topic)
            await self._compare_rows(tables, books)
            self._metrics.outbox.set(await tables.outbox_messages())
            self._metrics.waiting.set(await tables.waiting_households())
            sample = await tables.households_after(self._after, HOUSEHOLDS_AT_ONCE)
        await self._compare_states(sample)
        await self._show(books)
        self._metrics.at.set(time.time())

    async def _compare_rows(self, tables: Snapshot, books: Mapping[int, Book]) -> None:
        """Hold what was passed since the last time against the rows that it must have left."""
        before, self._checked = self._checked, dict(books)
        moved = {
            number: (before[number].next_offset, book.next_offset)
            for number, book in books.items()
            # A position that went back is a restored database; counting begins there.
            if number in before and book.next_offset > before[number].next_offset
        }
        ledger = await tables.ledger_rows(moved)
        quarantine = await tables.quarantine_rows(self._topic, moved)
        for number, (start, end) in moved.items():
            repeated = books[number].repeated - before[number].repeated
            left = ledger.get(number, 0) + quarantine.get(number, 0) + repeated
            self._note(number, start, end, missing=end - start - left)
        for number, book in books.items():
            if number not in before:
                self._note(number, book.first_offset, book.next_offset, missing=book.unexplained)
        self._metrics.lost.set(self._lost)
        self._metrics.doubled.set(self._doubled)

    def _note(self, partition: int, start: int, end: int, *, missing: int) -> None:
        if not missing:
            return
        self._lost += max(0, missing)
        self._doubled += max(0, -missing)
        log.error("the books do not balance", partition=partition, from_offset=start, to_offset=end, missing=missing)

    async def _compare_states(self, sample: Sequence[str]) -> None:
        """Walk through the households, some at each time, and look again at those that were wrong."""
        self._after = sample[-1] if len(sample) == HOUSEHOLDS_AT_ONCE else ""
        known = sorted(self._mismatched - set(sample))
        wrong = set(await self._refold([*sample, *known]))
        for household_id in sorted(wrong - self._mismatched):
            log.error("a stored state is not the fold of its ledger", household_id=household_id)
        self._mismatched = wrong
        self._metrics.refolded.inc(len(sample) + len(known))
        self._metrics.mismatched.set(len(wrong))

    async def _show(self, books: Mapping[int, Book]) -> None:
        ends = await self._end_offsets([TopicPartition(self._topic, number) for number in books])
        totals = {
            "applied": sum(book.applied for book in books.values()),
            "repeated": sum(book.repeated for book in books.values()),
            "quarantined": sum(book.quarantined for book in books.values()),
            "in_flight": sum(max(0, end - books[partition.partition].next_offset) for partition, end in ends.items()),
        }
        totals["accepted"] = sum(end - books[partition.partition].first_offset for partition, end in ends.items())
        for fate, total in totals.items():
            self._metrics.records.labels(fate).set(total)
