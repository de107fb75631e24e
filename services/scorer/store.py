"""All SQL of the scorer. One `ScorerTransaction` is one partition batch: what it writes becomes true together."""

import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.scorer.read_record import ReceivedEvent, RefusedRecord
from shared.bus.ports import Claim, TopicPartition
from shared.db.outbox import Message, add_to_outbox
from shared.db.positions import Positions
from shared.db.session import transaction
from shared.errors import TemporaryFailure
from shared.events.household_event import HouseholdEvent, SourceClass


@dataclass(frozen=True, slots=True)
class StateRow:
    """A household as it is stored; `body` is the folded state, which only the core reads."""

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


_KNOWN = text("SELECT identity, content_hash FROM event_ledger WHERE identity = ANY(CAST(:identities AS bytea[]))")
_STATE_COLUMNS = (
    "household_id, division, alias, status, grade, version, household_seq, next_due_on, parked_reason, body"
)
_STATES = text(f"SELECT {_STATE_COLUMNS} FROM household_state WHERE household_id = ANY(CAST(:ids AS text[]))")  # noqa: S608
_DUE = text(
    f"""
    SELECT {_STATE_COLUMNS} FROM household_state
    WHERE topic_partition = :partition AND next_due_on <= :today AND status = 'enrolled'
    ORDER BY next_due_on, household_id LIMIT :limit FOR UPDATE SKIP LOCKED
    """  # noqa: S608
)
_HISTORY = text(
    """
    SELECT household_id, source, event_id, type, source_class, episode, division, occurred_on, recorded_on, payload
    FROM event_ledger WHERE household_id = ANY(CAST(:ids AS text[])) ORDER BY household_id, household_seq
    """
)


def _bulk(head: str, columns: Mapping[str, str], tail: str = "") -> Any:
    names = ", ".join(columns)
    arrays = ", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in columns.items())
    return text(f"{head} ({names}) SELECT * FROM unnest({arrays}) {tail}")  # noqa: S608


_LEDGER_COLUMNS = {
    "identity": "bytea",
    "household_id": "text",
    "household_seq": "bigint",
    "source": "text",
    "event_id": "text",
    "type": "text",
    "source_class": "text",
    "episode": "text",
    "division": "text",
    "occurred_on": "date",
    "recorded_on": "date",
    "recorded_at": "timestamptz",
    "payload": "bytea",
    "content_hash": "bytea",
    "key_id": "text",
    "topic_partition": "int",
    "topic_offset": "bigint",
    "grade_before": "smallint",
    "grade_after": "smallint",
}
_STATE_WRITE_COLUMNS = {
    "household_id": "text",
    "topic_partition": "int",
    "division": "text",
    "alias": "text",
    "status": "text",
    "grade": "smallint",
    "version": "int",
    "household_seq": "bigint",
    "next_due_on": "date",
    "parked_reason": "text",
    "body": "bytea",
}
_TRANSITION_COLUMNS = {
    "household_id": "text",
    "version": "int",
    "old_grade": "smallint",
    "new_grade": "smallint",
    "on_day": "date",
    "decided_at": "timestamptz",
    "trigger_identity": "bytea",
    "change": "jsonb",
}
_QUARANTINE_COLUMNS = {
    "topic": "text",
    "topic_partition": "int",
    "topic_offset": "bigint",
    "reason": "text",
    "detail": "text",
    "source": "text",
    "event_id": "text",
    "household_id": "text",
    "key_id": "text",
    "record_key": "bytea",
    "record_value": "bytea",
}
_ADD_LEDGER = _bulk("INSERT INTO event_ledger", _LEDGER_COLUMNS)
_PUT_STATES = _bulk(
    "INSERT INTO household_state",
    _STATE_WRITE_COLUMNS,
    "ON CONFLICT (household_id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _STATE_WRITE_COLUMNS if name != "household_id")
    + ", updated_at = now()",
)
_ADD_TRANSITIONS = _bulk("INSERT INTO grade_transition", _TRANSITION_COLUMNS)
_ADD_QUARANTINE = _bulk("INSERT INTO quarantine", _QUARANTINE_COLUMNS, "ON CONFLICT DO NOTHING")
_ADD_CLUES = _bulk(
    "INSERT INTO clue",
    {"household_id": "text", "division": "text", "opened_at": "timestamptz"},
    "ON CONFLICT DO NOTHING",
)
_CLOSE_CLUES = text(
    "UPDATE clue SET closed_at = :now WHERE household_id = ANY(CAST(:ids AS text[])) AND closed_at IS NULL"
)
_ADD_FINDINGS = _bulk(
    "INSERT INTO data_finding",
    {"household_id": "text", "code": "text", "identity": "bytea", "found_at": "timestamptz"},
    "ON CONFLICT DO NOTHING",
)


class ScorerTransaction:
    """Reads and writes of one transaction on the scorer's tables."""

    def __init__(self, connection: AsyncConnection, partition: TopicPartition, positions: Positions) -> None:
        self._connection = connection
        self._partition = partition
        self._positions = positions

    async def known(self, identities: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return identity -> content hash of those events that the ledger has."""
        rows = await self._connection.execute(_KNOWN, {"identities": list(identities)})
        return {row.identity: row.content_hash for row in rows}

    async def states(self, household_ids: Iterable[str]) -> dict[str, StateRow]:
        """Return the stored households of these ids."""
        rows = await self._connection.execute(_STATES, {"ids": list(household_ids)})
        return {row.household_id: StateRow(*row) for row in rows}

    async def due(self, today: date, limit: int) -> list[StateRow]:
        """Return enrolled households of the partition whose result can have changed by today, oldest day first."""
        rows = await self._connection.execute(
            _DUE, {"partition": self._partition.partition, "today": today, "limit": limit}
        )
        return [StateRow(*row) for row in rows]

    async def histories(self, household_ids: Iterable[str]) -> dict[str, list[HouseholdEvent]]:
        """Return the households' events from the ledger, each in its order."""
        rows = await self._connection.execute(_HISTORY, {"ids": list(household_ids)})
        found: dict[str, list[HouseholdEvent]] = {}
        for row in rows:
            found.setdefault(row.household_id, []).append(_event(row))
        return found

    async def add_ledger(self, rows: Sequence[LedgerRow]) -> None:
        """Append events to the ledger. Raises TemporaryFailure when another partition was first with an identity."""
        try:
            await self._write(_ADD_LEDGER, _LEDGER_COLUMNS, [_ledger_values(row, self._partition) for row in rows])
        except IntegrityError as error:
            # Another partition has just committed an event with an identity of this batch: tried again, it is known.
            raise TemporaryFailure("an identity of the batch was taken meanwhile") from error

    async def put_states(self, rows: Sequence[StateRow]) -> None:
        """Insert or replace households."""
        await self._write(
            _PUT_STATES,
            _STATE_WRITE_COLUMNS,
            [
                (
                    *(r.household_id, self._partition.partition, r.division, r.alias, r.status, r.grade, r.version),
                    *(r.household_seq, r.next_due_on, r.parked_reason, r.body),
                )
                for r in sorted(rows, key=lambda row: row.household_id)
            ],
        )

    async def add_transitions(self, rows: Sequence[TransitionRow]) -> None:
        """Append changes of held grades."""
        values = [
            (r.household_id, r.version, r.old_grade, r.new_grade, r.on_day, r.decided_at, r.trigger_identity, r.change)
            for r in rows
        ]
        await self._write(_ADD_TRANSITIONS, _TRANSITION_COLUMNS, values)

    async def add_quarantine(self, rows: Sequence[RefusedRecord]) -> None:
        """Keep records that cannot be applied."""
        values = [
            (
                *(self._partition.topic, self._partition.partition, r.record.offset, r.reason, r.detail),
                *(r.source, r.event_id, r.household_id, r.key_id, r.record.key, r.record.value),
            )
            for r in rows
        ]
        await self._write(_ADD_QUARANTINE, _QUARANTINE_COLUMNS, values)

    async def open_clues(self, clues: Sequence[tuple[str, str]], now: datetime) -> None:
        """Open one clue per (household_id, division) that no register knows; a second changes nothing."""
        await self._write(
            _ADD_CLUES,
            {"household_id": "text", "division": "text", "opened_at": "timestamptz"},
            [(*clue, now) for clue in clues],
        )

    async def close_clues(self, household_ids: Sequence[str], now: datetime) -> None:
        """Close the clues of households that were enrolled."""
        if household_ids:
            await self._connection.execute(_CLOSE_CLUES, {"ids": list(household_ids), "now": now})

    async def add_findings(self, findings: Sequence[tuple[str, str, bytes]], now: datetime) -> None:
        """Note (household_id, code, identity of the event) for a person to look at."""
        await self._write(
            _ADD_FINDINGS,
            {"household_id": "text", "code": "text", "identity": "bytea", "found_at": "timestamptz"},
            [(*finding, now) for finding in findings],
        )

    async def add_outbox(self, messages: Sequence[Message]) -> None:
        """Leave messages for the relay."""
        await add_to_outbox(self._connection, messages)

    async def advance(self, claim: Claim, next_offset: int) -> None:
        """Move the partition's position. Raises LostOwnership."""
        await self._positions.advance(self._connection, self._partition, claim, next_offset)

    async def hold(self, claim: Claim) -> None:
        """Stay the partition's owner until the transaction ends. Raises LostOwnership."""
        await self._positions.hold(self._connection, self._partition, claim)

    async def _write(self, statement: Any, columns: Mapping[str, str], rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            await self._connection.execute(
                statement, dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True))
            )


class ScorerStore:
    """Opens the scorer's transactions."""

    def __init__(self, engine: AsyncEngine, positions: Positions) -> None:
        self._engine = engine
        self._positions = positions

    async def claim(self, partition: TopicPartition) -> Claim:
        """Become the partition's owner. Raises TemporaryFailure."""
        return await self._positions.claim(partition)

    @asynccontextmanager
    async def transaction(self, partition: TopicPartition) -> AsyncIterator[ScorerTransaction]:
        """Open a transaction; committed on leaving, rolled back by any exception. Raises TemporaryFailure."""
        async with transaction(self._engine) as connection:
            yield ScorerTransaction(connection, partition, self._positions)


def _event(row: Any) -> HouseholdEvent:
    return HouseholdEvent(
        event_id=row.event_id,
        type=row.type,
        occurred_on=row.occurred_on,
        recorded_on=row.recorded_on,
        source_class=SourceClass(row.source_class),
        payload=json.loads(row.payload),
        episode=row.episode,
        source=row.source,
        division=row.division,
    )


def _ledger_values(row: LedgerRow, partition: TopicPartition) -> tuple[Any, ...]:
    received, event = row.received, row.received.event
    return (
        *(received.identity, received.household_id, row.household_seq, event.source, event.event_id, event.type),
        *(event.source_class.value, event.episode, received.division, event.occurred_on, row.recorded_on),
        *(received.recorded_at, received.payload, received.content_hash, received.key_id, partition.partition),
        *(received.offset, row.grade_before, row.grade_after),
    )
