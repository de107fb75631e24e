"""Tellings that wait for room in a person's day: looked at under the locks of those who draw up new ones."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import ColumnElement, and_, case, func, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.notifier.core.climbing import next_timer, waited_for
from services.notifier.core.holding import Hold, Place, Wanted
from services.notifier.store.alerts import alert_row
from services.notifier.store.holding import read_tellings, recall
from services.notifier.store.reading import COLUMNS
from services.notifier.store.rows import AlertRow
from shared.alerts import ENDINGS, DeliveryStatus, SendReason
from shared.clock import day_of
from shared.db.session import transaction
from shared.db.tables.notifier import alert, delivery
from shared.grades import RiskGrade
from shared.policy import Policies, Policy

# A constant and no parameter: by it the planner knows the partial index.
_PENDING: ColumnElement[str] = literal_column("'pending'")
_WAITS = and_(delivery.c.status == _PENDING, delivery.c.held.is_not(None), delivery.c.held_until.is_(None))
_HEARD_FROM = func.min(
    case(
        (delivery.c.held.is_(None), delivery.c.created_at),
        else_=func.coalesce(delivery.c.held_until, delivery.c.next_attempt_at),
    )
)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A telling that waits."""

    place: Place
    staff_id: str
    grade: RiskGrade
    reason: SendReason


class Releasing:
    """Gives places."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def release(self, policies: Policies, now: datetime, most: int) -> int:
        """Give a place to each of up to `most` tellings whose turn it is, or a later turn; return how many got one."""
        async with transaction(self._engine) as connection:
            alerts = await _locked(connection, await _due(connection, now, most))
            if not alerts:
                return 0
            tellings = await read_tellings(connection, {row.household_id for row in alerts.values()}, now)
            released = 0
            # What waits is read once more, now that nobody else can change it.
            for one in await _waiting(connection, alerts, now):
                row = alerts[one.place.alert_id]
                policy = policies.for_division(row.division).on(day_of(now))
                wanted = Wanted(one.place, one.grade, one.grade, one.reason in ENDINGS)
                hold = tellings.hold(row.household_id, one.staff_id, wanted, policy.delivery, now)
                tellings.note(row.household_id, one.staff_id, wanted, hold, now)
                alerts[row.alert_id] = await _decided(connection, row, one, hold, policy, now)
                released += hold is None or hold.until is not None
            await recall(connection, tellings.recalled)
        return released


async def _due(connection: AsyncConnection, now: datetime, most: int) -> set[str]:
    found = await connection.execute(
        select(delivery.c.alert_id)
        .where(_WAITS, delivery.c.next_attempt_at <= now)
        .order_by(delivery.c.next_attempt_at, delivery.c.delivery_id)
        .limit(most)
    )
    return set(found.scalars())


async def _locked(connection: AsyncConnection, alert_ids: Iterable[str]) -> dict[str, AlertRow]:
    found = await connection.execute(
        select(*COLUMNS)
        .where(alert.c.alert_id.in_(list(alert_ids)))
        .order_by(alert.c.alert_id)
        .with_for_update(key_share=True)
    )
    return {row.alert_id: alert_row(row) for row in found}


async def _waiting(connection: AsyncConnection, alert_ids: Iterable[str], now: datetime) -> list[_Waiting]:
    """The tellings whose turn it is, worst first."""
    columns = [delivery.c[name] for name in ("alert_id", "revision", "staff_id", "grade", "reason")]
    found = await connection.execute(
        select(*columns)
        .where(_WAITS, delivery.c.next_attempt_at <= now, delivery.c.alert_id.in_(list(alert_ids)))
        .distinct()
        .order_by(delivery.c.grade.desc(), delivery.c.alert_id, delivery.c.revision, delivery.c.staff_id)
    )
    return [
        _Waiting(Place(row.alert_id, row.revision), row.staff_id, RiskGrade(row.grade), SendReason(row.reason))
        for row in found
    ]


async def _decided(
    connection: AsyncConnection, row: AlertRow, one: _Waiting, hold: Hold | None, policy: Policy, now: datetime
) -> AlertRow:
    """Store what was decided of a telling; the alert as it then climbs."""
    before = await _heard_from(connection, one.place)
    await connection.execute(
        update(delivery)
        .where(
            _WAITS,
            delivery.c.alert_id == one.place.alert_id,
            delivery.c.revision == one.place.revision,
            delivery.c.staff_id == one.staff_id,
        )
        .values(
            held_until=now if hold is None else hold.until,
            next_attempt_at=now if hold is None else hold.until or hold.look_at,
        )
    )
    wait = await _heard_from(connection, one.place) - before
    if one.place.revision != row.revision or not wait:
        return row
    standing, acknowledge_by = waited_for(row.standing, row.acknowledge_by, one.reason, wait)
    changed = replace(row, counts_from=standing.counts_from, acknowledge_by=acknowledge_by)
    timer_at = next_timer(changed.standing, policy)
    await connection.execute(
        update(alert)
        .where(alert.c.alert_id == row.alert_id)
        .values(counts_from=changed.counts_from, acknowledge_by=acknowledge_by, timer_at=timer_at)
    )
    return replace(changed, timer_at=timer_at)


async def _heard_from(connection: AsyncConnection, place: Place) -> datetime:
    """When the first can hear of a revision, as far as it is known."""
    found = await connection.execute(
        select(_HEARD_FROM).where(
            delivery.c.alert_id == place.alert_id,
            delivery.c.revision == place.revision,
            delivery.c.status.in_((DeliveryStatus.PENDING, DeliveryStatus.SENT)),
        )
    )
    at: datetime = found.scalar_one()
    return at
