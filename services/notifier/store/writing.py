"""Writing what was decided about alerts, inside a transaction that somebody else opened."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import Table, insert, text
from sqlalchemy.dialects.postgresql import Insert
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.core.holding import Recalled, Tellings
from services.notifier.core.routing import ancestors
from services.notifier.core.silencing import Silence
from services.notifier.store.holding import read_tellings, recall
from services.notifier.store.rota import read_register_at
from services.notifier.store.rows import AlertRow, DeliveryRow, MessageRow, Register, StepRow
from services.notifier.store.silences import read_silences
from shared.alerts import TAKEN_BACK
from shared.db.tables.notifier import alert, alert_message, alert_step, delivery
from shared.errors import TemporaryFailure

UNIQUE_VIOLATION = "23505"
# Once an alert has closed, or says what is not so any more, what was still to be told of it ends for everybody.
_END = text(
    """
    UPDATE delivery SET status = 'suppressed', detail = 'superseded'
    FROM unnest(CAST(:alert_ids AS text[]), CAST(:revisions AS integer[])) AS newer (alert_id, revision)
    WHERE delivery.alert_id = newer.alert_id AND delivery.revision < newer.revision AND delivery.status = 'pending'
    """
)


def _save_alert() -> Insert:
    statement = upsert(alert)
    fixed = {"alert_id", "household_id", "opened_at"}
    changed = {one.name: statement.excluded[one.name] for one in fields(AlertRow) if one.name not in fixed}
    return statement.on_conflict_do_update(index_elements=[alert.c.alert_id], set_=changed)


_SAVE_ALERT = _save_alert()


class AlertWriting:
    """What may be written inside one transaction; nothing here commits."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def register(self, divisions: Iterable[str], at: datetime) -> Register:
        """Return what the directory knows of these divisions and all above them, and who is at their post then."""
        return await read_register_at(self._connection, {code for one in divisions for code in ancestors(one)}, at)

    async def tellings(self, household_ids: Collection[str], now: datetime) -> Tellings:
        """Return what people had of these households lately; until the transaction ends nobody else tells of them.

        To be called once their alerts are locked.
        """
        return await read_tellings(self._connection, household_ids, now)

    async def silences(self, now: datetime) -> list[Silence]:
        """Return the silences that are in force."""
        return await read_silences(self._connection, now)

    async def save(
        self,
        alerts: Sequence[AlertRow],
        steps: Sequence[StepRow],
        messages: Sequence[MessageRow],
        deliveries: Sequence[DeliveryRow],
        recalled: Recalled,
    ) -> None:
        """Write what was decided. recalled: what is not told any more because of it.

        Raises TemporaryFailure if somebody else has just opened an alert for one of the households.
        """
        try:
            await self._save_alerts(alerts)
            await self._insert(alert_message, messages)
        except IntegrityError as error:
            if getattr(error.orig, "sqlstate", None) == UNIQUE_VIOLATION:
                # Seen again after its commit, the other's alert makes this change an old one.
                raise TemporaryFailure("another notifier opened an alert for the same household") from error
            raise
        await self._insert(alert_step, steps)
        await recall(self._connection, recalled)
        closed = {row.alert_id for row in alerts if row.closed_at is not None}
        await self._end([one for one in messages if one.alert_id in closed or one.reason in TAKEN_BACK])
        await self._insert(delivery, deliveries)

    async def _end(self, endings: Sequence[MessageRow]) -> None:
        if endings:
            values = {"alert_ids": [one.alert_id for one in endings], "revisions": [one.revision for one in endings]}
            await self._connection.execute(_END, values)

    async def _save_alerts(self, alerts: Sequence[AlertRow]) -> None:
        if alerts:
            await self._connection.execute(_SAVE_ALERT, row_values(alerts))

    async def _insert(self, table: Table, rows: Sequence[Any]) -> None:
        if rows:
            await self._connection.execute(insert(table), row_values(rows))


def row_values(rows: Sequence[Any]) -> list[dict[str, Any]]:
    """Return rows as the values of their columns. Documents in them are written as they are, and need no copies."""
    return [{one.name: getattr(row, one.name) for one in fields(row)} for row in rows]
