"""Reads what the scorer shows of an event through its views applied_event and quarantined_record.

Ingest writes nothing here, and reads nothing to take an event.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.ingest.recent_receipts import GivenReceipt
from shared.db.session import transaction
from shared.events.envelope import event_identity

MAX_ROWS = 100
# A sender who asks is not worth a long wait, nor a connection that writes nothing for half a minute.
_SHORT = text("SET LOCAL statement_timeout = '2s'")

_LEDGER = """
    SELECT source, household_id, recorded_at, grade_before, grade_after, household_status FROM applied_event
    WHERE {event} AND key_id = :key_id
    LIMIT :most
"""
# By source and id: the ledger's primary key. By id alone: only for who does not name the source.
_LEDGER_OF_ONE = text(_LEDGER.format(event="identity = :identity"))
_LEDGER_OF_ANY_SOURCE = text(_LEDGER.format(event="event_id = :event_id"))
_QUARANTINE = text("""
    SELECT source, household_id, reason, detail, topic_offset, quarantined_at, retried FROM quarantined_record
    WHERE event_id = :event_id AND key_id = :key_id AND source IS NOT NULL
      AND (CAST(:source AS text) IS NULL OR source = :source)
    ORDER BY quarantine_id DESC
    LIMIT :most
""")

# What the scorer has passed and what is in neither of its books. Offsets that it has not reached are still on the way.
_WITHOUT_TRACE = text("""
    SELECT given.at FROM unnest(
        CAST(:ats AS int[]), CAST(:identities AS bytea[]), CAST(:partitions AS int[]), CAST(:offsets AS bigint[])
    ) AS given (at, identity, partition, place)
    JOIN partition_position AS read
      ON read.consumer_group = :scorer AND read.topic = :topic AND read.partition = given.partition
     AND read.next_offset > given.place
    WHERE NOT EXISTS (SELECT 1 FROM applied_event AS l WHERE l.identity = given.identity)
      AND NOT EXISTS (
        SELECT 1 FROM quarantined_record AS q
        WHERE q.topic = :topic AND q.topic_partition = given.partition AND q.topic_offset = given.place
      )
""")
SCORER = "shouwang-scorer"


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
    """A record that could not be applied, with the reason. retried: a person has put it on the log once more."""

    source: str
    household_id: str | None
    reason: str
    detail: str
    topic_offset: int
    quarantined_at: datetime
    retried: bool = False


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


class TraceStore:
    """Tells whether accepted events have left a trace. topic: with the installation's prefix."""

    def __init__(self, engine: AsyncEngine, topic: str) -> None:
        self._engine = engine
        self._topic = topic

    async def without_trace(self, given: Sequence[GivenReceipt]) -> list[GivenReceipt]:
        """Return those that the scorer has passed and that are in no book of its. Raises TemporaryFailure."""
        values = {
            "ats": list(range(len(given))),
            "identities": [event_identity(one.source, one.event_id) for one in given],
            "partitions": [one.partition for one in given],
            "offsets": [one.offset for one in given],
            "scorer": SCORER,
            "topic": self._topic,
        }
        async with transaction(self._engine) as connection:
            await connection.execute(_SHORT)
            found = await connection.execute(_WITHOUT_TRACE, values)
            return [given[row.at] for row in found]
