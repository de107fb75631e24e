"""Alerts whose timer is due: locked, judged and written in one transaction."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, exists, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.notifier.core.climbing import Standing
from services.notifier.store.alerts import alert_row
from services.notifier.store.rows import AlertRow, StepRow
from services.notifier.store.writing import AlertWriting, row_values
from shared.alerts import UNDER_WAY, DeliveryStatus, StepKind
from shared.db.session import transaction
from shared.db.tables.notifier import alert, alert_step, delivery, silence

_HOP_FAILED_AT = (
    select(func.max(alert_step.c.at))
    .where(
        alert_step.c.alert_id == alert.c.alert_id,
        alert_step.c.kind == StepKind.HOP_FAILED,
        alert_step.c.facts["hop"].as_integer() == alert.c.climbed,
        alert_step.c.at >= alert.c.climb_from,
    )
    .scalar_subquery()
    .label("hop_failed_at")
)
_COLUMNS: list[ColumnElement[Any]] = [
    *(alert.c[one.name] for one in fields(AlertRow)),
    _HOP_FAILED_AT,
    silence.c.ended_at.label("silence_ended_at"),
    silence.c.ended_by.label("silence_ended_by"),
]


_SILENCE_ENDED = (
    select(alert.c.alert_id)
    .join(silence, silence.c.silence_id == alert.c.silence_id)
    .where(silence.c.ended_at.is_not(None))
)


@dataclass(frozen=True, slots=True)
class DueAlert:
    """An alert that time has something to do with.

    hop_failed_at: when its last hop turned out to have reached nobody. silence_ended_by: who ended its silence early.
    """

    row: AlertRow
    hop_failed_at: datetime | None
    silence_ended_by: str | None = None

    @property
    def standing(self) -> Standing:
        """How it stands towards the clock."""
        return replace(self.row.standing, hop_failed_at=self.hop_failed_at)


def _due(row: Row[Any], now: datetime) -> DueAlert:
    found = alert_row(row)
    if row.silence_ended_at is not None and found.silenced_until is not None:
        found = replace(found, silenced_until=min(found.silenced_until, now))
    return DueAlert(found, row.hop_failed_at, row.silence_ended_by)


class ClimbingTransaction(AlertWriting):
    """What may be done inside one transaction of the climber; nothing here commits."""

    async def due(self, now: datetime, most: int) -> list[DueAlert]:
        """Lock and return up to `most` alerts whose timer is due, worst first; those that others hold are left out.

        An alert whose silence somebody has ended is due at once, whatever its timer says.
        """
        over = (await self._connection.execute(_SILENCE_ENDED)).scalars().all()
        is_due = alert.c.timer_at <= now
        found = await self._connection.execute(
            select(*_COLUMNS)
            .outerjoin(silence, silence.c.silence_id == alert.c.silence_id)
            .where(or_(is_due, alert.c.alert_id.in_(over)) if over else is_due)
            .order_by(alert.c.grade.desc(), alert.c.timer_at, alert.c.alert_id)
            .limit(most)
            .with_for_update(key_share=True, skip_locked=True, of=alert)
        )
        return [_due(row, now) for row in found]


class Climbing:
    """Opens the climber's transactions."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[ClimbingTransaction]:
        """Run one transaction. Raises TemporaryFailure."""
        async with transaction(self._engine) as connection:
            yield ClimbingTransaction(connection)


async def note_failed_hop(connection: AsyncConnection, alert_id: str, revision: int, now: datetime) -> None:
    """Make the next hop due now if nobody can be told of the last one, which was told as this revision.

    The alert is locked already.
    """
    somebody_may_hear = exists().where(
        delivery.c.alert_id == alert_id,
        delivery.c.revision >= revision,
        delivery.c.status != DeliveryStatus.FAILED,
    )
    found = await connection.execute(
        update(alert)
        .where(alert.c.alert_id == alert_id, alert.c.status.in_(UNDER_WAY), ~somebody_may_hear)
        .values(timer_at=func.least(alert.c.timer_at, now))
        .returning(alert.c.climbed)
    )
    climbed = found.scalar_one_or_none()
    if climbed is not None:
        step = StepRow(alert_id, now, StepKind.HOP_FAILED, facts={"hop": climbed})
        await connection.execute(insert(alert_step), row_values([step]))
