"""Writing what was decided about alerts, inside a transaction that somebody else opened."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Table, insert, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.core.routing import ancestors
from services.notifier.store.rota import read_register_at
from services.notifier.store.rows import AlertRow, DeliveryRow, MessageRow, Register, StepRow
from shared.alerts import TAKEN_BACK
from shared.db.tables.notifier import alert, alert_message, alert_step, delivery
from shared.errors import TemporaryFailure

UNIQUE_VIOLATION = "23505"
# A newer revision takes the place of an older one only for people who hear of the newer one; the others keep theirs.
# No staff_id: the older ones end for everybody, where they say what is not so any more.
_SUPERSEDE = text(
    """
    UPDATE delivery SET status = 'suppressed', detail = 'superseded'
    FROM unnest(CAST(:alert_ids AS text[]), CAST(:revisions AS integer[]), CAST(:staff_ids AS text[]))
         AS newer (alert_id, revision, staff_id)
    WHERE delivery.alert_id = newer.alert_id AND delivery.revision < newer.revision AND delivery.status = 'pending'
      AND (newer.staff_id IS NULL OR newer.staff_id = delivery.staff_id)
    """
)


class AlertWriting:
    """What may be written inside one transaction; nothing here commits."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def register(self, divisions: Iterable[str], at: datetime) -> Register:
        """Return what the directory knows of these divisions and all above them, and who is at their post then."""
        return await read_register_at(self._connection, {code for one in divisions for code in ancestors(one)}, at)

    async def save(
        self,
        alerts: Sequence[AlertRow],
        steps: Sequence[StepRow],
        messages: Sequence[MessageRow],
        deliveries: Sequence[DeliveryRow],
    ) -> None:
        """Write what was decided. What an earlier revision still had to tell the same people is not told any more.

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
        await self._supersede(alerts, messages, deliveries)
        await self._insert(delivery, deliveries)

    async def _supersede(
        self, alerts: Sequence[AlertRow], messages: Sequence[MessageRow], deliveries: Sequence[DeliveryRow]
    ) -> None:
        over = {row.alert_id for row in alerts if row.closed_at is not None}
        over |= {one.alert_id for one in messages if one.reason in TAKEN_BACK}
        newer: set[tuple[str, int, str | None]] = {
            (one.alert_id, one.revision, None) for one in messages if one.alert_id in over
        }
        newer |= {(one.alert_id, one.revision, one.staff_id) for one in deliveries if one.alert_id not in over}
        if newer:
            alert_ids, revisions, staff_ids = zip(*newer, strict=True)
            values = {"alert_ids": list(alert_ids), "revisions": list(revisions), "staff_ids": list(staff_ids)}
            await self._connection.execute(_SUPERSEDE, values)

    async def _save_alerts(self, alerts: Sequence[AlertRow]) -> None:
        if not alerts:
            return
        statement = upsert(alert)
        fixed = {"alert_id", "household_id", "opened_at"}
        changed = {one.name: statement.excluded[one.name] for one in fields(AlertRow) if one.name not in fixed}
        await self._connection.execute(
            statement.on_conflict_do_update(index_elements=[alert.c.alert_id], set_=changed), row_values(alerts)
        )

    async def _insert(self, table: Table, rows: Sequence[Any]) -> None:
        if rows:
            await self._connection.execute(insert(table), row_values(rows))


def row_values(rows: Sequence[Any]) -> list[dict[str, Any]]:
    """Return rows as the values of their columns."""
    return [asdict(row) for row in rows]
