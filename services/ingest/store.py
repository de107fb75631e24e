"""Reads what the scorer has written about an event; ingest writes nothing here, and reads nothing to take an event."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db.session import transaction
from shared.events.envelope import event_identity

MAX_ROWS = 100
# A sender who asks is not worth a long wait, nor a connection that writes nothing for half a minute.
_SHORT = text("SET LOCAL statement_timeout = '2s'")

_LEDGER = """
    SELECT l.source, l.household_id, l.recorded_at, l.grade_before, l.grade_after, s.status AS household_status
    FROM event_ledger AS l LEFT JOIN household_state AS s ON s.household_id = l.household_id
    WHERE {event} AND l.key_id = :key_id
    LIMIT :most
"""
# By source and id: the ledger's primary key. By id alone: only for who does not name the source.
_LEDGER_OF_ONE = text(_LEDGER.format(event="l.identity = :identity"))
_LEDGER_OF_ANY_SOURCE = text(_LEDGER.format(event="l.event_id = :event_id"))
_QUARANTINE = text("""
    SELECT source, household_id, reason, detail, topic_offset, quarantined_at
    FROM quarantine
    WHERE event_id = :event_id AND key_id = :key_id AND source IS NOT NULL
      AND (CAST(:source AS text) IS NULL OR source = :source)
    ORDER BY quarantine_id DESC
    LIMIT :most
""")


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """An event in the ledger. grades: 0 to 4, None while not graded; household_status: of its household, now."""

    source: str
    household_id: str
    recorded_at: datetime
    grade_before: int | None
    grade_after: int | None
    household_status: str | None


@dataclass(frozen=True, slots=True)
class QuarantinedRecord:
    """A record that could not be applied, with the reason."""

    source: str
    household_id: str | None
    reason: str
    detail: str
    topic_offset: int
    quarantined_at: datetime


class FateStore:
    """Read-only queries by event id, each limited to what one key sent."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def find(
        self, key_id: str, event_id: str, source: str | None
    ) -> tuple[Sequence[LedgerEntry], Sequence[QuarantinedRecord]]:
        """Return the ledger's entries and the quarantined records, newest first. Raises TemporaryFailure."""
        known = {"key_id": key_id, "event_id": event_id, "most": MAX_ROWS}
        async with transaction(self._engine) as connection:
            await connection.execute(_SHORT)
            if source is None:
                entries = await connection.execute(_LEDGER_OF_ANY_SOURCE, known)
            else:
                identity = {"key_id": key_id, "identity": event_identity(source, event_id), "most": MAX_ROWS}
                entries = await connection.execute(_LEDGER_OF_ONE, identity)
            ledger = [LedgerEntry(**row) for row in entries.mappings()]
            records = await connection.execute(_QUARANTINE, {**known, "source": source})
            return ledger, [QuarantinedRecord(**row) for row in records.mappings()]
