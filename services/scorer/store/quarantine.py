"""What an operator reads and does about records in quarantine. Each deed leaves an entry in the audit log."""

from collections.abc import Sequence
from dataclasses import fields

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.scorer.store.rows import QuarantineRow
from shared.bus.ports import TopicPartition
from shared.db.access_keys import audit
from shared.db.outbox import Message, add_to_outbox
from shared.db.positions import Positions
from shared.db.session import transaction
from shared.db.tables.scorer import quarantine
from shared.topics import HOUSEHOLD_EVENTS

_COLUMNS = [quarantine.c[one.name] for one in fields(QuarantineRow)]
_MARK_RETRIED = text(
    """
    UPDATE quarantine SET retried_at = now(), retried_by = :by
    WHERE quarantine_id = ANY(CAST(:ids AS bigint[]))
    """
)


class CannotRetry(Exception):
    """Nothing was put on the log; the message says, line by line, which records stand in the way."""


class Quarantine:
    """The records in quarantine."""

    def __init__(self, engine: AsyncEngine, positions: Positions) -> None:
        self._engine = engine
        self._positions = positions

    async def newest(self, most: int, reason: str | None = None) -> list[QuarantineRow]:
        """Return records, the newest first. Raises TemporaryFailure."""
        wanted = select(*_COLUMNS).order_by(quarantine.c.quarantine_id.desc()).limit(most)
        if reason is not None:
            wanted = wanted.where(quarantine.c.reason == reason)
        async with transaction(self._engine) as connection:
            return [QuarantineRow(**row) for row in (await connection.execute(wanted)).mappings()]

    async def find(self, quarantine_id: int) -> QuarantineRow | None:
        """Return one record. Raises TemporaryFailure."""
        async with transaction(self._engine) as connection:
            found = await _rows(connection, [quarantine_id])
        return found.get(quarantine_id)

    async def reveal(self, quarantine_id: int, *, by: str) -> QuarantineRow | None:
        """Return one record whose content a person is going to read, once that is on the audit log."""
        async with transaction(self._engine) as connection:
            found = (await _rows(connection, [quarantine_id])).get(quarantine_id)
            if found is not None:
                facts = {"reason": found.reason, "household_id": found.household_id}
                await audit(connection, by, "quarantine.revealed", str(quarantine_id), facts)
        return found

    async def retry(self, quarantine_ids: Sequence[int], *, by: str, again: bool = False) -> None:
        """Put records on their topic once more, in the order in which they stood there; all of them or none.

        again: also those that were put there before. Raises CannotRetry, TemporaryFailure.
        """
        async with transaction(self._engine) as connection:
            found = await _rows(connection, quarantine_ids, lock=True)
            problems = [f"{one}: there is no such record" for one in quarantine_ids if one not in found]
            problems += [f"{one.quarantine_id}: {why}" for one in found.values() if (why := _hindrance(one, again))]
            if problems:
                raise CannotRetry("\n".join(problems))
            rows = sorted(found.values(), key=lambda row: (row.topic_partition, row.topic_offset))
            await add_to_outbox(connection, [_message(row) for row in rows])
            await connection.execute(_MARK_RETRIED, {"by": by, "ids": list(found)})
            for row in rows:
                facts = {"reason": row.reason, "household_id": row.household_id, "again": row.retried_at is not None}
                await audit(connection, by, "quarantine.retried", str(row.quarantine_id), facts)

    async def allow(self, partition: TopicPartition, until_offset: int, *, by: str) -> int | None:
        """Lift the limits on refused records below an offset; return the offset that is read next.

        Raises LookupError for a partition that nobody has read yet, TemporaryFailure.
        """
        async with transaction(self._engine) as connection:
            next_offset = await self._positions.allow_refusals(connection, partition, until_offset)
            facts = {"until_offset": until_offset, "next_offset": next_offset}
            await audit(connection, by, "quarantine.allowed", str(partition), facts)
        return next_offset


async def _rows(connection: AsyncConnection, ids: Sequence[int], *, lock: bool = False) -> dict[int, QuarantineRow]:
    wanted = select(*_COLUMNS).where(quarantine.c.quarantine_id.in_(ids))
    found = await connection.execute(wanted.with_for_update() if lock else wanted)
    return {row["quarantine_id"]: QuarantineRow(**row) for row in found.mappings()}


def _hindrance(row: QuarantineRow, again: bool) -> str | None:
    if row.retried_at is not None and not again:
        return (
            f"was put on the log again on {row.retried_at:%Y-%m-%d %H:%M} UTC by {row.retried_by}; --again does it anew"
        )
    if row.record_value is None:
        return "holds nothing that could be put on the log"
    if _key(row) is None:
        return "has no key, and no household could be read from it"
    return None


def _key(row: QuarantineRow) -> str | None:
    """The household, where one could be read: a record under a wrong key belongs under the right one."""
    if row.household_id is not None:
        return row.household_id
    try:
        return row.record_key.decode() if row.record_key else None
    except UnicodeDecodeError:
        return None


def _message(row: QuarantineRow) -> Message:
    key, value = _key(row), row.record_value
    assert key is not None and value is not None
    return (HOUSEHOLD_EVENTS.name, key, value)
