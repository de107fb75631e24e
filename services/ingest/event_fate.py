"""Tells the sender of an event what became of it: on the log, applied, waiting for its household, or in quarantine."""

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

from services.ingest.answers import Fate
from services.ingest.recent_receipts import RecentReceipt, RecentReceipts
from services.ingest.store import LedgerEntry, QuarantinedRecord
from shared.clock import to_rfc3339
from shared.errors import Fault, RefusedRequest
from shared.events.envelope import EVENT_ID_PATTERN
from shared.grades import GradeCode, RiskGrade

CONFLICT = "CONFLICTING_DUPLICATE"
_ID = re.compile(EVENT_ID_PATTERN)
_SOURCE = re.compile(r"[!-~]{1,200}")


class Fates(Protocol):
    """Where the scorer's verdicts are read."""

    async def find(
        self, key_id: str, event_id: str, source: str | None
    ) -> tuple[Sequence[LedgerEntry], Sequence[QuarantinedRecord]]:
        """Return ledger entries and quarantined records of one key, newest first. Raises TemporaryFailure."""
        ...


class EventFate:
    """Joins the scorer's tables with the receipts that this process remembers."""

    def __init__(self, store: Fates, receipts: RecentReceipts) -> None:
        self._store = store
        self._receipts = receipts

    async def tell(self, key_id: str, event_id: str, source: str | None) -> Fate:
        """Return the fate of an event that this key sent.

        source: None where the sender has used the id under one source only.
        Raises RefusedRequest (404 unknown or another key's, 422 several sources), TemporaryFailure.
        """
        # Also keeps from the database what it could not take, such as a NUL.
        if not _ID.fullmatch(event_id) or not (source is None or _SOURCE.fullmatch(source)):
            raise RefusedRequest("not-found")
        recent = self._receipts.of(key_id, event_id)
        ledger, quarantined = await self._store.find(key_id, event_id, source)
        source = source if source is not None else _only_source(ledger, quarantined, recent)
        applied = next((entry for entry in ledger if entry.source == source), None)
        records = [record for record in quarantined if record.source == source]
        receipt = recent.get(source)
        if applied is not None:
            # One that was put on the log once more is counted by the row which that has left.
            conflicts = sum(record.reason == CONFLICT and not record.retried for record in records)
            return _applied(event_id, applied, conflicts)
        if records and (receipt is None or receipt.receipt.offset <= records[0].topic_offset):
            return _on_the_log_again(event_id, records[0]) if records[0].retried else _quarantined(event_id, records[0])
        if receipt is not None:
            return _accepted(event_id, source, receipt)
        raise RefusedRequest("not-found")


def _only_source(
    ledger: Sequence[LedgerEntry], quarantined: Sequence[QuarantinedRecord], recent: Mapping[str, RecentReceipt]
) -> str:
    sources = {entry.source for entry in ledger} | {record.source for record in quarantined} | set(recent)
    if len(sources) > 1:
        fault = Fault("/query/source", "required", "this id was sent under several sources; name one")
        raise RefusedRequest("invalid-request", fault.detail, faults=[fault])
    if not sources:
        raise RefusedRequest("not-found")
    return sources.pop()


def _applied(event_id: str, entry: LedgerEntry, conflicts: int) -> Fate:
    return Fate(
        id=event_id,
        source=entry.source,
        status="waiting_for_enrolment" if entry.household_status == "waiting" else "applied",
        household_id=entry.household_id,
        grade_before=_code(entry.grade_before),
        grade_after=_code(entry.grade_after),
        recorded_at=to_rfc3339(entry.recorded_at),
        conflicts=conflicts,
    )


def _quarantined(event_id: str, record: QuarantinedRecord) -> Fate:
    return Fate(
        id=event_id,
        source=record.source,
        status="quarantined",
        household_id=record.household_id,
        reason=record.reason,
        detail=record.detail,
        quarantined_at=to_rfc3339(record.quarantined_at),
    )


def _on_the_log_again(event_id: str, record: QuarantinedRecord) -> Fate:
    """Of a record that a person took out of the quarantine: what becomes of it now is another row, not there yet."""
    return Fate(id=event_id, source=record.source, status="accepted", household_id=record.household_id)


def _accepted(event_id: str, source: str, recent: RecentReceipt) -> Fate:
    return Fate(
        id=event_id,
        source=source,
        status="accepted",
        household_id=recent.household_id,
        recorded_at=recent.recorded_at,
        partition=recent.receipt.partition,
        offset=recent.receipt.offset,
    )


def _code(grade: int | None) -> GradeCode | None:
    return None if grade is None else RiskGrade(grade).code
