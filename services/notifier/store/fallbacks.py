"""The next channel of a person whom one channel did not serve: one more delivery of the same message."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, RowMapping, case, func, literal_column, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.notifier.core.channel_order import (
    ATTEMPTS_BEFORE_NEXT,
    ONE_IS_ENOUGH,
    PATIENCE,
    URGENT_FROM,
    is_overdue,
    next_channel,
)
from services.notifier.core.message import message_id
from services.notifier.core.retries import still_wanted
from services.notifier.core.routing import RoutedAs
from services.notifier.store.directory import read_contacts, target_of
from services.notifier.store.rows import Contact, DeliveryRow
from shared.alerts import AlertStatus, ChannelName, SendReason
from shared.db.session import transaction
from shared.db.tables.notifier import alert, delivery, digest
from shared.grades import RiskGrade

MOST_AT_ONCE = 200
# A constant and no parameter: by it the planner knows the partial indexes.
_PENDING: ColumnElement[str] = literal_column("'pending'")
_COLUMNS = [
    delivery.c[name] for name in ("delivery_id", "alert_id", "revision", "staff_id", "channel", "reason", "grade")
]
# What nobody has begun yet could be sent from its turn on.
_DUE_SINCE = case(
    (delivery.c.attempts == 0, func.greatest(delivery.c.created_at, delivery.c.next_attempt_at)),
    else_=delivery.c.created_at,
).label("due_since")
# Looked for apart, so that an index leads to each.
_ALONE = delivery.c.digest_id.is_(None)
_IN_DIGESTS = delivery.c.digest_id.in_(
    select(digest.c.digest_id).where(
        digest.c.status == _PENDING, digest.c.channel.in_(ONE_IS_ENOUGH), digest.c.grade >= URGENT_FROM
    )
)


@dataclass(frozen=True, slots=True)
class Unserved:
    """A delivery that failed for good, or is overdue."""

    delivery_id: int
    alert_id: str
    revision: int
    staff_id: str
    channel: ChannelName
    reason: SendReason
    grade: RiskGrade


async def pass_on(connection: AsyncConnection, unserved: Iterable[Unserved], now: datetime) -> int:
    """Give each person their next channel, each only once, also when two processes do this; return how many got one."""
    rows = list(unserved)
    contacts = await read_contacts(connection, {one.staff_id for one in rows})
    made = [row for one in rows if (row := _next_delivery(one, contacts.get(one.staff_id, ()), now)) is not None]
    await _mark(connection, [one.delivery_id for one in rows], now)
    if not made:
        return 0
    statement = upsert(delivery).values([asdict(row) for row in made]).on_conflict_do_nothing()
    return (await connection.execute(statement)).rowcount


async def _mark(connection: AsyncConnection, delivery_ids: list[int], now: datetime) -> None:
    await connection.execute(update(delivery).where(delivery.c.delivery_id.in_(delivery_ids)).values(passed_on_at=now))


def _next_delivery(one: Unserved, contacts: tuple[Contact, ...], now: datetime) -> DeliveryRow | None:
    in_force = {contact.channel: contact for contact in contacts if contact.disabled_at is None}
    channel = next_channel(one.channel, [contact.channel for contact in contacts], in_force)
    if channel is None:
        return None
    return DeliveryRow(
        alert_id=one.alert_id,
        revision=one.revision,
        staff_id=one.staff_id,
        channel=channel,
        reason=one.reason,
        routed_as=RoutedAs.FALLBACK,
        grade=one.grade,
        target=target_of(in_force[channel]),
        message_id=message_id(one.alert_id, one.revision, one.staff_id, channel),
        next_attempt_at=now,
        created_at=now,
    )


class Fallbacks:
    """Finds what has waited for too long."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def pass_on_overdue(self, now: datetime) -> int:
        """Use the next channel besides for urgent messages that their channel has not taken; return how many.

        Replicas take different rows. Raises TemporaryFailure.
        """
        async with transaction(self._engine) as connection:
            rows = await _waiting(connection, _ALONE, now, MOST_AT_ONCE)
            if len(rows) < MOST_AT_ONCE:
                rows += await _waiting(connection, _IN_DIGESTS, now, MOST_AT_ONCE - len(rows))
            # Those that nobody needs any more are marked too: they must not be looked at for ever.
            await _mark(connection, [row["delivery_id"] for row in rows], now)
            overdue = [_unserved(row) for row in rows if _is_overdue(row, now)]
            return await pass_on(connection, overdue, now) if overdue else 0


async def _waiting(
    connection: AsyncConnection, which: ColumnElement[bool], now: datetime, most: int
) -> list[RowMapping]:
    """Lock and return urgent deliveries that have had their chance, worst first."""
    statement = (
        select(*_COLUMNS, delivery.c.attempts, _DUE_SINCE, alert.c.status, alert.c.acknowledged_revision)
        .join(alert, alert.c.alert_id == delivery.c.alert_id)
        .where(
            which,
            delivery.c.status == _PENDING,
            delivery.c.channel.in_(ONE_IS_ENOUGH),
            delivery.c.grade >= URGENT_FROM,
            delivery.c.passed_on_at.is_(None),
            or_(delivery.c.held.is_(None), delivery.c.held_until <= now),
            or_(delivery.c.attempts >= ATTEMPTS_BEFORE_NEXT, now - PATIENCE >= _DUE_SINCE),
        )
        .order_by(delivery.c.grade.desc(), delivery.c.delivery_id)
        .limit(most)
        .with_for_update(of=delivery, skip_locked=True)
    )
    return [row._mapping for row in await connection.execute(statement)]


def _is_overdue(row: RowMapping, now: datetime) -> bool:
    return is_overdue(
        RiskGrade(row["grade"]), attempts=row["attempts"], due_since=row["due_since"], now=now
    ) and still_wanted(
        AlertStatus(row["status"]),
        revision=row["revision"],
        acknowledged_revision=row["acknowledged_revision"],
        reason=SendReason(row["reason"]),
    )


def _unserved(row: RowMapping) -> Unserved:
    return Unserved(
        row["delivery_id"],
        row["alert_id"],
        row["revision"],
        row["staff_id"],
        ChannelName(row["channel"]),
        SendReason(row["reason"]),
        RiskGrade(row["grade"]),
    )
