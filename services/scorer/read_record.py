"""From a record on the log to an event that can be folded, or to the reason why it cannot.

Ingest has checked all this already. It is checked again because anyone with access to the topic may have written the
record, and because a reader can be older than the writer: attributes and fields it does not know are passed over.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from shared.bus.ports import Record
from shared.clock import day_of
from shared.codec import MalformedJson, canonical_json, fraction_at, pointer
from shared.errors import InvalidMessage
from shared.events.catalogue import EVENT_TYPES
from shared.events.checking import read_payload
from shared.events.envelope import MAX_AHEAD, EventMessage, event_identity, read_event
from shared.events.household_event import HouseholdEvent
from shared.events.written import WrittenEvent

REASONS = (
    "EMPTY_RECORD",
    "NOT_AN_EVENT",
    "WRONG_KEY",
    "WRONG_PARTITION",
    "UNKNOWN_TYPE",
    "INVALID_PAYLOAD",
    "NOT_RECEIVED",
    "CONFLICTING_DUPLICATE",
)
EARLIEST_YEAR = 2020
_SENT_BY_INGEST = {"recordedat", "keyid", "traceparent"}


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """An event as the scorer works with it.

    identity: 16 bytes, the hash of (source, id). content_hash: 16 bytes over all that the client sent.
    event.recorded_on is the day of recorded_at; the household's clock may move it on when the event is folded.
    """

    identity: bytes
    content_hash: bytes
    household_id: str
    division: str
    recorded_at: datetime
    key_id: str | None
    offset: int
    event: HouseholdEvent
    payload: bytes


@dataclass(frozen=True, slots=True)
class RefusedRecord:
    """A record for the quarantine, with whatever could be read of it."""

    record: Record
    reason: str
    detail: str
    source: str | None = None
    event_id: str | None = None
    household_id: str | None = None
    key_id: str | None = None


def read_record(record: Record, now: datetime) -> ReceivedEvent | RefusedRecord:
    """Read one record strictly; see REASONS for what can be wrong. now: against a receipt that has not been yet."""
    return read_at_a_glance(record, now) or read_through(record, now)


def read_at_a_glance(record: Record, now: datetime) -> ReceivedEvent | None:
    """Read a sound event as ingest writes it, in a quarter of the time; None for whatever needs a second look."""
    written = WrittenEvent.read(record.value) if record.value else None
    if written is None or record.key != written.household_id.encode():
        return None
    known = EVENT_TYPES.get(written.type)
    if known is None or written.recorded_at.year < EARLIEST_YEAR or written.recorded_at - now > MAX_AHEAD:
        return None
    try:
        read_payload(known, written.payload)
        payload = canonical_json(written.payload)
    except (ValidationError, TypeError):  # a fraction cannot be written
        return None
    return ReceivedEvent(
        identity=event_identity(written.source, written.id),
        content_hash=_hash(written.sent(payload)),
        household_id=written.household_id,
        division=written.division,
        recorded_at=written.recorded_at,
        key_id=written.key_id,
        offset=record.offset,
        event=HouseholdEvent(
            event_id=written.id,
            type=written.type,
            occurred_on=written.occurred_on,
            recorded_on=day_of(written.recorded_at),
            source_class=written.source_class,
            payload=written.payload,
            episode=written.episode,
            source=written.source,
            division=written.division,
        ),
        payload=payload,
    )


def read_through(record: Record, now: datetime) -> ReceivedEvent | RefusedRecord:
    """Read any record, step by step, and say what is wrong with it."""
    if record.value is None:
        return RefusedRecord(record, "EMPTY_RECORD", "the record has no value")
    try:
        message = read_event(record.value, tolerant=True)
    except MalformedJson as error:
        return RefusedRecord(record, "NOT_AN_EVENT", error.fault.detail)
    except ValidationError as error:
        return RefusedRecord(record, "NOT_AN_EVENT", _places(error))
    try:
        _check(record, message, now)
    except InvalidMessage as error:
        return RefusedRecord(
            record, error.reason, error.detail, message.source, message.id, message.subject, message.keyid
        )
    return _received(record, message)


def _check(record: Record, message: EventMessage, now: datetime) -> None:
    if record.key != message.subject.encode():
        raise InvalidMessage("WRONG_KEY", "the record's key is not the household_id; order cannot be kept")
    if message.recordedat is None:
        raise InvalidMessage("NOT_RECEIVED", "recordedat is missing: the record did not come through ingest")
    if message.recordedat.year < EARLIEST_YEAR:
        raise InvalidMessage("NOT_RECEIVED", "recordedat lies before this system")
    if message.recordedat - now > MAX_AHEAD:
        # Folded, it would put the household's clock ahead, and everything later would count from there.
        raise InvalidMessage("NOT_RECEIVED", "recordedat lies in the future")
    known = EVENT_TYPES.get(message.event_type)
    if known is None:
        raise InvalidMessage("UNKNOWN_TYPE", "no such event type in this release")
    try:
        read_payload(known, message.data)
    except ValidationError as error:
        raise InvalidMessage("INVALID_PAYLOAD", _places(error)) from error
    place = fraction_at(message.data)
    if place is not None:
        # No model looked there; without a value it can neither be kept nor compared.
        raise InvalidMessage("INVALID_PAYLOAD", f"{place}: fraction")


def _received(record: Record, message: EventMessage) -> ReceivedEvent:
    assert message.recordedat is not None
    return ReceivedEvent(
        identity=event_identity(message.source, message.id),
        content_hash=content_hash(message),
        household_id=message.subject,
        division=message.division,
        recorded_at=message.recordedat.astimezone(UTC),
        key_id=message.keyid,
        offset=record.offset,
        event=HouseholdEvent(
            event_id=message.id,
            type=message.event_type,
            occurred_on=message.occurred_on,
            recorded_on=day_of(message.recordedat),
            source_class=message.sourceclass,
            payload=message.data,
            episode=message.episode or None,
            source=message.source,
            division=message.division,
        ),
        payload=canonical_json(message.data),
    )


def content_hash(message: EventMessage) -> bytes:
    """Return 16 bytes over what the client sent: a repeat has the same, another event under the same id has not."""
    sent: dict[str, Any] = message.model_dump(mode="json", exclude=_SENT_BY_INGEST, exclude_none=True)
    return _hash(canonical_json(sent))


def _hash(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()


def _places(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{pointer(*one['loc'])}: {one['type']}" for one in found[:5])
