"""Alerts under way: read, judged and written in one transaction with the position of the partition they came from."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import fields
from typing import Any

from sqlalchemy import Row, and_, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.notifier.store.rows import AlertRow, QuarantineRow, Told
from services.notifier.store.writing import AlertWriting, row_values
from shared.alerts import UNDER_WAY, AlertStatus, ChannelName, DeliveryStatus, SendReason
from shared.bus.ports import Claim, PartitionBatch, TopicPartition
from shared.db.one_of import one_of
from shared.db.positions import Fates, Positions
from shared.db.session import transaction
from shared.db.tables.notifier import alert, delivery, notifier_quarantine
from shared.grades import RiskGrade

_COLUMNS = [alert.c[one.name] for one in fields(AlertRow)]


def alert_row(row: Row[Any] | Mapping[str, Any]) -> AlertRow:
    """Build an alert from a row that holds its columns."""
    found = dict(row if isinstance(row, Mapping) else row._mapping)
    values = {one.name: found[one.name] for one in fields(AlertRow)}
    untold = None if values["untold"] is None else SendReason(values["untold"])
    values |= {"grade": RiskGrade(values["grade"]), "status": AlertStatus(values["status"]), "untold": untold}
    return AlertRow(**values)


class AlertTransaction(AlertWriting):
    """What may be done inside one transaction of the handler of grade changes; nothing here commits."""

    def __init__(self, connection: AsyncConnection, positions: Positions) -> None:
        super().__init__(connection)
        self._positions = positions

    async def advance(self, batch: PartitionBatch, fates: Fates) -> None:
        """Move the partition's position. First of all: it keeps a second handler of the partition waiting."""
        await self._positions.advance(self._connection, batch, fates)

    async def quarantine(self, rows: Sequence[QuarantineRow]) -> None:
        """Keep records that cannot be read; a record that is kept already stays as it is."""
        if rows:
            await self._connection.execute(upsert(notifier_quarantine).on_conflict_do_nothing(), row_values(rows))

    async def under_way(self, household_ids: Collection[str]) -> dict[str, AlertRow]:
        """Lock and return the alerts under way, by household."""
        found = await self._connection.execute(
            select(*_COLUMNS)
            .where(one_of(alert.c.household_id, household_ids), alert.c.status.in_(UNDER_WAY))
            .order_by(alert.c.alert_id)
            .with_for_update(key_share=True)
        )
        return {row.household_id: alert_row(row) for row in found}

    async def last_versions(self, household_ids: Collection[str]) -> dict[str, int]:
        """Return the highest household version that any alert of each household has taken in."""
        found = await self._connection.execute(
            select(alert.c.household_id, func.max(alert.c.household_version).label("version"))
            .where(one_of(alert.c.household_id, household_ids))
            .group_by(alert.c.household_id)
        )
        return {row.household_id: row.version for row in found}

    async def end_reminders(self, household_ids: Collection[str]) -> None:
        """Stop the timers of these households' resolved alerts."""
        if household_ids:
            await self._connection.execute(
                update(alert)
                .where(
                    one_of(alert.c.household_id, household_ids),
                    alert.c.status == AlertStatus.RESOLVED,
                    alert.c.timer_at.is_not(None),
                )
                .values(timer_at=None)
            )

    async def told(self, alert_ids: Collection[str]) -> dict[str, list[Told]]:
        """Return who was told, or may have been, of each alert: a withdrawal goes to the same people."""
        if not alert_ids:
            return {}
        may_have_it = and_(
            delivery.c.status == DeliveryStatus.PENDING,
            or_(delivery.c.attempts > 0, delivery.c.leased_by.is_not(None), delivery.c.digest_id.is_not(None)),
        )
        found = await self._connection.execute(
            select(
                delivery.c.alert_id,
                delivery.c.staff_id,
                delivery.c.channel,
                func.max(delivery.c.grade).label("worst"),
            )
            .where(one_of(delivery.c.alert_id, alert_ids), or_(delivery.c.status == DeliveryStatus.SENT, may_have_it))
            .group_by(delivery.c.alert_id, delivery.c.staff_id, delivery.c.channel)
            .order_by(delivery.c.alert_id, delivery.c.staff_id, delivery.c.channel)
        )
        told: dict[str, list[Told]] = {}
        for row in found:
            told.setdefault(row.alert_id, []).append(Told(row.staff_id, ChannelName(row.channel), RiskGrade(row.worst)))
        return told


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
