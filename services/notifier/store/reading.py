"""Alerts as clients see them, never beyond the caller's reach."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.notifier.store.alerts import alert_row
from services.notifier.store.rows import AlertRow
from shared.alerts import Alert, AlertDetail, AlertStatus, DeliveryLine, PlanStep, StepKind, TimelineStep
from shared.db.session import transaction
from shared.db.tables.notifier import alert, alert_step, delivery
from shared.grades import Measure, PolicyRef, Reason, RiskGrade

COLUMNS = [alert.c[one.name] for one in fields(AlertRow)]


@dataclass(frozen=True, slots=True)
class Filters:
    """Which alerts are wanted; None: all. division: prefix of codes."""

    household_id: str | None = None
    division: str | None = None
    grade: RiskGrade | None = None
    status: AlertStatus | None = None


@dataclass(frozen=True, slots=True)
class After:
    """The last alert of the page before."""

    opened_at: datetime
    alert_id: str


class AlertReader:
    """Reads alerts."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def page(self, reach: str, filters: Filters, after: After | None, limit: int) -> list[Alert]:
        """Return up to `limit` alerts within reach, newest first, that come after a given one."""
        statement = (
            select(*COLUMNS)
            .where(*_conditions(reach, filters, after))
            .order_by(alert.c.opened_at.desc(), alert.c.alert_id.desc())
            .limit(limit)
        )
        async with transaction(self._engine) as connection:
            rows = [alert_row(row) for row in await connection.execute(statement)]
            deliveries = await deliveries_of(connection, [row.alert_id for row in rows])
        return [Alert.model_validate(alert_values(row, deliveries.get(row.alert_id, ()))) for row in rows]

    async def one(self, reach: str, alert_id: str) -> AlertDetail | None:
        """Return one alert with its timeline; None if there is none within reach."""
        statement = select(*COLUMNS).where(alert.c.alert_id == alert_id, within(reach))
        async with transaction(self._engine) as connection:
            found = (await connection.execute(statement)).one_or_none()
            if found is None:
                return None
            deliveries = await deliveries_of(connection, [alert_id])
            timeline = await timeline_of(connection, alert_id)
        row = alert_row(found)
        return AlertDetail(**alert_values(row, deliveries.get(alert_id, ())), timeline=timeline)


def within(reach: str) -> ColumnElement[bool]:
    """The condition that an alert lies within a prefix of divisions."""
    return alert.c.division.startswith(reach, autoescape=True)


async def deliveries_of(connection: AsyncConnection, alert_ids: Collection[str]) -> Mapping[str, list[DeliveryLine]]:
    """Return the deliveries of some alerts, oldest first."""
    if not alert_ids:
        return {}
    rows = await connection.execute(
        select(delivery).where(delivery.c.alert_id.in_(alert_ids)).order_by(delivery.c.delivery_id)
    )
    found: dict[str, list[DeliveryLine]] = {}
    for row in rows:
        found.setdefault(row.alert_id, []).append(_line(row))
    return found


async def timeline_of(connection: AsyncConnection, alert_id: str) -> tuple[TimelineStep, ...]:
    """Return an alert's steps, oldest first."""
    rows = await connection.execute(
        select(alert_step).where(alert_step.c.alert_id == alert_id).order_by(alert_step.c.step_id)
    )
    return tuple(
        TimelineStep(
            at=row.at,
            kind=StepKind(row.kind),
            actor=row.actor,
            note=row.note,
            old_grade=row.facts.get("old_grade"),
            new_grade=row.facts.get("new_grade"),
            reason=row.facts.get("reason") or row.facts.get("detail"),
            measures=tuple(row.facts.get("measures", ())),
        )
        for row in rows
    )


def alert_values(row: AlertRow, deliveries: Sequence[DeliveryLine]) -> dict[str, Any]:
    """Return the public fields of an alert."""
    change = row.change
    return {
        "id": row.alert_id,
        "household_id": row.household_id,
        "alias": row.alias,
        "division": row.division,
        "grade": row.grade.code,
        "status": row.status,
        "opened_at": row.opened_at,
        "updated_at": row.updated_at,
        "owner": row.owner,
        "acknowledged_at": row.acknowledged_at,
        "visited_at": row.visited_at,
        "closed_at": row.closed_at,
        "acknowledge_by": row.acknowledge_by,
        "visit_by": row.visit_by,
        "revision": row.revision,
        "unreachable": row.unreachable,
        "causes": tuple(change["causes"]),
        "suggested_category": change.get("suggested_category"),
        "policy": PolicyRef.model_validate(change["policy"]),
        "reasons": tuple(Reason.model_validate(one) for one in change["reasons"]),
        "measures": tuple(Measure.model_validate(one) for one in change["measures"]),
        "plan": tuple(PlanStep.model_validate(one) for one in row.plan),
        "deliveries": tuple(deliveries),
    }


def _conditions(reach: str, filters: Filters, after: After | None) -> list[ColumnElement[bool]]:
    wanted = [within(reach)]
    if filters.household_id is not None:
        wanted.append(alert.c.household_id == filters.household_id)
    if filters.division is not None:
        wanted.append(within(filters.division))
    if filters.grade is not None:
        wanted.append(alert.c.grade == filters.grade)
    if filters.status is not None:
        wanted.append(alert.c.status == filters.status)
    if after is not None:
        wanted.append(tuple_(alert.c.opened_at, alert.c.alert_id) < (after.opened_at, after.alert_id))
    return wanted


def _line(row: Row[Any]) -> DeliveryLine:
    return DeliveryLine(
        recipient=row.staff_id,
        channel=row.channel,
        status=row.status,
        attempts=row.attempts,
        receipt=row.receipt,
        revision=row.revision,
        reason=row.reason,
        routed_as=row.routed_as,
        detail=row.detail,
        next_attempt_at=row.next_attempt_at if row.status == "pending" else None,
        sent_at=row.sent_at,
        held=row.held,
        held_until=row.held_until,
    )
