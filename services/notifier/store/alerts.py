"""Alerts under way: read, judged and written in one transaction with the position of the partition they came from."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Table, and_, func, insert, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.notifier.core.routing import ancestors
from services.notifier.store.rota import read_register_at
from services.notifier.store.rows import (
    AlertRow,
    DeliveryRow,
    MessageRow,
    QuarantineRow,
    Register,
    StepRow,
    Told,
)
from shared.alerts import UNDER_WAY, AlertStatus, ChannelName, DeliveryStatus
from shared.bus.ports import Claim, PartitionBatch, TopicPartition
from shared.db.access_keys import audit
from shared.db.positions import Fates, Positions
from shared.db.session import transaction
from shared.db.tables.notifier import alert, alert_message, alert_step, delivery, notifier_quarantine
from shared.errors import TemporaryFailure
from shared.grades import RiskGrade

_COLUMNS = [alert.c[one.name] for one in fields(AlertRow)]
UNIQUE_VIOLATION = "23505"
_SUPERSEDE = text(
    """
    UPDATE delivery SET status = 'suppressed', detail = 'superseded'
    FROM unnest(CAST(:alert_ids AS text[]), CAST(:revisions AS integer[])) AS newer (alert_id, revision)
    WHERE delivery.alert_id = newer.alert_id AND delivery.revision < newer.revision AND delivery.status = 'pending'
    """
)


def alert_row(row: Row[Any] | Mapping[str, Any]) -> AlertRow:
    """Build an alert from a row that holds its columns."""
    found = dict(row if isinstance(row, Mapping) else row._mapping)
    values = {one.name: found[one.name] for one in fields(AlertRow)}
    return AlertRow(**values | {"grade": RiskGrade(values["grade"]), "status": AlertStatus(values["status"])})


class AlertTransaction:
    """What may be done inside one transaction; nothing here commits."""

    def __init__(self, connection: AsyncConnection, positions: Positions) -> None:
        self._connection = connection
        self._positions = positions

    async def advance(self, batch: PartitionBatch, fates: Fates) -> None:
        """Move the partition's position. First of all: it keeps a second handler of the partition waiting."""
        await self._positions.advance(self._connection, batch, fates)

    async def quarantine(self, rows: Sequence[QuarantineRow]) -> None:
        """Keep records that cannot be read; a record that is kept already stays as it is."""
        if rows:
            await self._connection.execute(upsert(notifier_quarantine).on_conflict_do_nothing(), _values(rows))

    async def under_way(self, household_ids: Collection[str]) -> dict[str, AlertRow]:
        """Lock and return the alerts under way, by household."""
        found = await self._connection.execute(
            select(*_COLUMNS)
            .where(alert.c.household_id.in_(household_ids), alert.c.status.in_(UNDER_WAY))
            .order_by(alert.c.alert_id)
            .with_for_update(key_share=True)
        )
        return {row.household_id: alert_row(row) for row in found}

    async def last_versions(self, household_ids: Collection[str]) -> dict[str, int]:
        """Return the highest household version that any alert of each household has taken in."""
        found = await self._connection.execute(
            select(alert.c.household_id, func.max(alert.c.household_version).label("version"))
            .where(alert.c.household_id.in_(household_ids))
            .group_by(alert.c.household_id)
        )
        return {row.household_id: row.version for row in found}

    async def register(self, divisions: Iterable[str], at: datetime) -> Register:
        """Return what the directory knows of these divisions and all above them, and who is at their post then."""
        return await read_register_at(self._connection, {code for one in divisions for code in ancestors(one)}, at)

    async def told(self, alert_ids: Collection[str]) -> dict[str, list[Told]]:
        """Return who was told, or may have been, of each alert: a withdrawal goes to the same people."""
        if not alert_ids:
            return {}
        may_have_it = and_(
            delivery.c.status == DeliveryStatus.PENDING,
            or_(delivery.c.attempts > 0, delivery.c.leased_by.is_not(None)),
        )
        found = await self._connection.execute(
            select(delivery.c.alert_id, delivery.c.staff_id, delivery.c.channel)
            .where(delivery.c.alert_id.in_(alert_ids), or_(delivery.c.status == DeliveryStatus.SENT, may_have_it))
            .distinct()
            .order_by(delivery.c.alert_id, delivery.c.staff_id, delivery.c.channel)
        )
        told: dict[str, list[Told]] = {}
        for row in found:
            told.setdefault(row.alert_id, []).append(Told(row.staff_id, ChannelName(row.channel)))
        return told

    async def save(
        self,
        alerts: Sequence[AlertRow],
        steps: Sequence[StepRow],
        messages: Sequence[MessageRow],
        deliveries: Sequence[DeliveryRow],
    ) -> None:
        """Write what was decided. What an earlier revision still had to tell is not told any more.

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
        if messages:
            newer = {"alert_ids": [one.alert_id for one in messages], "revisions": [one.revision for one in messages]}
            await self._connection.execute(_SUPERSEDE, newer)
        await self._insert(delivery, deliveries)

    async def _save_alerts(self, alerts: Sequence[AlertRow]) -> None:
        if not alerts:
            return
        statement = upsert(alert)
        fixed = {"alert_id", "household_id", "opened_at"}
        changed = {one.name: statement.excluded[one.name] for one in fields(AlertRow) if one.name not in fixed}
        await self._connection.execute(
            statement.on_conflict_do_update(index_elements=[alert.c.alert_id], set_=changed), _values(alerts)
        )

    async def _insert(self, table: Table, rows: Sequence[Any]) -> None:
        if rows:
            await self._connection.execute(insert(table), _values(rows))


def _values(rows: Sequence[Any]) -> list[dict[str, Any]]:
    return [asdict(row) for row in rows]


class AlertStore:
    """Opens transactions on alerts."""

    def __init__(self, engine: AsyncEngine, positions: Positions) -> None:
        self._engine = engine
        self._positions = positions

    async def claim(self, partition: TopicPartition) -> Claim:
        """Become the owner of a partition. Raises TemporaryFailure."""
        return await self._positions.claim(partition)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AlertTransaction]:
        """Run one transaction. Raises TemporaryFailure, LostOwnership."""
        async with transaction(self._engine) as connection:
            yield AlertTransaction(connection, self._positions)


class Acknowledgements:
    """People's acts on alerts."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @asynccontextmanager
    async def locked(self, alert_id: str) -> AsyncIterator["LockedAlert"]:
        """Lock one alert for an act on it; `row` is None if there is no such alert."""
        async with transaction(self._engine) as connection:
            found = await connection.execute(
                select(*_COLUMNS).where(alert.c.alert_id == alert_id).with_for_update(key_share=True)
            )
            row = found.one_or_none()
            yield LockedAlert(connection, None if row is None else alert_row(row))


class LockedAlert:
    """One alert that nobody else can change until the transaction ends."""

    def __init__(self, connection: AsyncConnection, row: AlertRow | None) -> None:
        self._connection = connection
        self.row = row

    async def acknowledge(self, changed: AlertRow, step: StepRow | None, now: datetime) -> None:
        """Store who holds the alert; repeated attempts to tell others end, first attempts are still made."""
        await self._connection.execute(
            update(alert)
            .where(alert.c.alert_id == changed.alert_id)
            .values(
                status=changed.status,
                owner=changed.owner,
                acknowledged_at=changed.acknowledged_at,
                acknowledged_revision=changed.acknowledged_revision,
                updated_at=now,
            )
        )
        await self._connection.execute(
            update(delivery)
            .where(
                delivery.c.alert_id == changed.alert_id,
                delivery.c.status == DeliveryStatus.PENDING,
                delivery.c.attempts > 0,
                delivery.c.revision <= (changed.acknowledged_revision or 0),
            )
            .values(status=DeliveryStatus.SUPPRESSED, detail="acknowledged")
        )
        if step is not None:
            await self._connection.execute(insert(alert_step), [asdict(step)])
            facts = {"status": changed.status, "revision": changed.revision}
            await audit(self._connection, step.actor, f"alert.{step.kind}", changed.alert_id, facts)
