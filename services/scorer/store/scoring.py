"""The SQL of the batches. One `ScorerTransaction` is one partition batch: what it writes becomes true together."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime
from operator import attrgetter
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.scorer.read_record import RefusedRecord
from services.scorer.store.reading import STATE_COLUMNS, HouseholdReader
from services.scorer.store.rows import KnownEvent, LedgerRow, StateRow, TransitionRow
from shared.bus.ports import Claim, PartitionBatch, TopicPartition
from shared.db.driver import AlreadyThere, Driver
from shared.db.outbox import Message, add_to_outbox
from shared.db.positions import Fates, Positions, RefusalTerms
from shared.db.session import transaction
from shared.errors import TemporaryFailure

_KNOWN = text(
    """
    SELECT identity, content_hash, topic_partition, topic_offset FROM event_ledger
    WHERE identity = ANY(CAST(:identities AS bytea[]))
    """
)
_DUE = text(
    f"""
    SELECT {STATE_COLUMNS} FROM household_state
    WHERE topic_partition = :partition AND next_due_on <= :today AND status = 'enrolled'
    ORDER BY next_due_on, household_id LIMIT :limit FOR UPDATE SKIP LOCKED
    """  # noqa: S608
)
_ONE_MOMENT = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
_REFOLD_REQUESTS = text(
    """
    SELECT household_id FROM refold_request WHERE topic_partition = :partition
    ORDER BY requested_at, household_id LIMIT :limit
    """
)
_FORGET_REFOLD_REQUESTS = text("DELETE FROM refold_request WHERE household_id = ANY(CAST(:ids AS text[]))")
_LATELY_REFUSED = text(
    """
    SELECT topic_offset FROM quarantine
    WHERE topic = :topic AND topic_partition = :partition AND topic_offset >= :since AND reason <> ALL(:uncounted)
    ORDER BY topic_offset
    """
)


def _bulk(head: str, columns: Mapping[str, str], tail: str = "") -> Any:
    names = ", ".join(columns)
    arrays = ", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in columns.items())
    return text(f"{head} ({names}) SELECT * FROM unnest({arrays}) {tail}")  # noqa: S608


# Column -> where it is found in a LedgerRow. The partition, which is the same for a whole batch, comes last.
_LEDGER_PLACES = {
    "identity": "received.identity",
    "household_id": "received.household_id",
    "household_seq": "household_seq",
    "source": "received.event.source",
    "event_id": "received.event.event_id",
    "type": "received.event.type",
    "source_class": "received.event.source_class.value",
    "episode": "received.event.episode",
    "division": "received.division",
    "occurred_on": "received.event.occurred_on",
    "recorded_on": "recorded_on",
    "recorded_at": "received.recorded_at",
    "payload": "received.payload",
    "content_hash": "received.content_hash",
    "key_id": "received.key_id",
    "topic_offset": "received.offset",
    "grade_before": "grade_before",
    "grade_after": "grade_after",
}
_LEDGER_COLUMNS = (*_LEDGER_PLACES, "topic_partition")
_ledger_values = attrgetter(*_LEDGER_PLACES.values())
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
# All of them stand in a StateRow under the same name, but the partition, which is the transaction's.
_STATE_COLUMNS = [name for name in _STATE_WRITE_COLUMNS if name != "topic_partition"]
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


class ScorerTransaction(HouseholdReader):
    """Reads and writes of one transaction on the scorer's tables."""

    def __init__(self, connection: AsyncConnection, partition: TopicPartition, positions: Positions) -> None:
        super().__init__(connection)
        self._partition = partition
        self._positions = positions

    async def known(self, identities: Sequence[bytes]) -> dict[bytes, KnownEvent]:
        """Return, by identity, those events that the ledger has."""
        rows = await self._connection.execute(_KNOWN, {"identities": list(identities)})
        return {identity: KnownEvent(*event) for identity, *event in rows}

    async def due(self, today: date, limit: int) -> list[StateRow]:
        """Return enrolled households of the partition whose result can have changed by today, oldest day first."""
        rows = await self._connection.execute(
            _DUE, {"partition": self._partition.partition, "today": today, "limit": limit}
        )
        return [StateRow(*row) for row in rows]

    async def refold_requests(self, limit: int) -> list[str]:
        """Return the households of the partition that somebody wants folded anew, the longest waiting first."""
        rows = await self._connection.execute(
            _REFOLD_REQUESTS, {"partition": self._partition.partition, "limit": limit}
        )
        return list(rows.scalars())

    async def forget_refold_requests(self, household_ids: Sequence[str]) -> None:
        """Note that these were dealt with."""
        if household_ids:
            await self._connection.execute(_FORGET_REFOLD_REQUESTS, {"ids": list(household_ids)})

    async def lately_refused(self, since: int, uncounted: Sequence[str]) -> list[int]:
        """Return the offsets, rising, at which a record of the partition was refused, but for some reasons."""
        values = {"topic": self._partition.topic, "partition": self._partition.partition}
        rows = await self._connection.execute(_LATELY_REFUSED, {**values, "since": since, "uncounted": list(uncounted)})
        return list(rows.scalars())

    async def refusal_terms(self) -> RefusalTerms:
        """Return what the partition's position says about refusing records."""
        return await self._positions.refusal_terms(self._connection, self._partition)

    async def add_ledger(self, rows: Sequence[LedgerRow]) -> None:
        """Append events to the ledger. Raises TemporaryFailure when another partition was first with an identity."""
        if not rows:
            return
        partition = (self._partition.partition,)
        try:
            driver = await Driver.of(self._connection)
            await driver.copy("event_ledger", _LEDGER_COLUMNS, [_ledger_values(row) + partition for row in rows])
        except AlreadyThere as error:
            # Another partition has just committed an event with an identity of this batch: tried again, it is known.
            raise TemporaryFailure("an identity of the batch was taken meanwhile") from error

    async def put_states(self, rows: Sequence[StateRow]) -> None:
        """Insert or replace households."""
        if rows:
            # One order for all writers, so that two of them cannot wait for each other.
            columns = _columns(sorted(rows, key=attrgetter("household_id")), _STATE_COLUMNS)
            values = {**columns, "topic_partition": [self._partition.partition] * len(rows)}
            await self._connection.execute(_PUT_STATES, values)

    async def add_transitions(self, rows: Sequence[TransitionRow]) -> None:
        """Append changes of held grades."""
        if rows:
            await self._connection.execute(_ADD_TRANSITIONS, _columns(rows, _TRANSITION_COLUMNS))

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

    async def advance(self, batch: PartitionBatch, fates: Fates) -> None:
        """Move the partition's position. Raises LostOwnership."""
        await self._positions.advance(self._connection, batch, fates)

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

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[HouseholdReader]:
        """Read only, and all as of one moment, while others write. Raises TemporaryFailure."""
        async with transaction(self._engine) as connection:
            await connection.execute(_ONE_MOMENT)
            yield HouseholdReader(connection)


def _columns(rows: Sequence[Any], names: Iterable[str]) -> dict[str, list[Any]]:
    return {name: list(map(attrgetter(name), rows)) for name in names}
