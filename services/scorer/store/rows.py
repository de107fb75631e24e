"""The rows that the scorer reads and writes."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

from services.scorer.read_record import ReceivedEvent


class KnownEvent(NamedTuple):
    """An event that the ledger has: the hash of what was sent, and where on the topic it was read."""

    content_hash: bytes
    topic_partition: int
    topic_offset: int


@dataclass(frozen=True, slots=True)
class StateRow:
    """A household as it is stored; `body` is the folded state, which only the core reads.

    topic_partition: where the row was written from; None before it is stored for the first time.
    """

    household_id: str
    division: str
    alias: str | None
    status: str
    grade: int | None
    version: int
    household_seq: int
    next_due_on: date | None
    parked_reason: str | None
    body: bytes
    topic_partition: int | None = None


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """An event that counts, with its place in the household's order and what it did to the grade."""

    received: ReceivedEvent
    household_seq: int
    recorded_on: date
    grade_before: int | None
    grade_after: int | None


@dataclass(frozen=True, slots=True)
class TransitionRow:
    """A change of a held grade; `change` is the JSON of the message."""

    household_id: str
    version: int
    old_grade: int | None
    new_grade: int
    on_day: date
    decided_at: datetime
    trigger_identity: bytes | None
    change: str


@dataclass(frozen=True, slots=True)
class QuarantineRow:
    """A record in quarantine. retried_at, retried_by: when, and by whom, it was last put on the log again."""

    quarantine_id: int
    topic: str
    topic_partition: int
    topic_offset: int
    reason: str
    detail: str
    source: str | None
    event_id: str | None
    household_id: str | None
    key_id: str | None
    record_key: bytes | None
    record_value: bytes | None
    quarantined_at: datetime
    retried_at: datetime | None
    retried_by: str | None


@dataclass(frozen=True, slots=True)
class ParkedHousehold:
    """A household whose history could not be folded. asked: somebody has asked for another try."""

    household_id: str
    division: str
    topic_partition: int
    grade: int | None
    household_seq: int
    parked_reason: str
    asked: bool
