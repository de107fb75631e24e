"""What people had lately of households, read under locks: one transaction at a time tells of a household."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, exists, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.core.holding import DAY, Place, Recalled, Telling, Tellings, Wanted
from services.notifier.core.retries import UNCLEAR_PATTERN
from services.notifier.store.rows import DeliveryRow
from shared.alerts import ENDINGS, DeliveryStatus
from shared.db.one_of import one_of
from shared.db.tables.notifier import alert, delivery, delivery_attempt
from shared.grades import RiskGrade
from shared.policy import Delivery

# Always taken once the alerts are locked and before their deliveries are, in one order.
_LOCK = text(
    """
    SELECT pg_advisory_xact_lock(hashtextextended(household_id, 0))
    FROM (SELECT DISTINCT household_id FROM alert WHERE household_id = ANY(CAST(:ids AS text[])) ORDER BY 1) AS known
    """
)
# What newer tellings take the place of, person by person: who hears nothing newer keeps the older one.
_RECALL = text(
    """
    UPDATE delivery SET status = 'suppressed',
           detail = CASE WHEN older.newer_grade > delivery.grade THEN 'inhibited' ELSE 'superseded' END
    FROM unnest(
        CAST(:alert_ids AS text[]), CAST(:revisions AS integer[]), CAST(:staff_ids AS text[]), CAST(:grades AS int[])
    ) AS older (alert_id, revision, staff_id, newer_grade)
    WHERE delivery.alert_id = older.alert_id AND delivery.revision = older.revision
      AND delivery.staff_id = older.staff_id AND delivery.status = 'pending'
    """
)
# A channel has been asked, and nobody knows for sure that it did not take the message.
_MAY_BE_HEARD = or_(
    delivery.c.leased_by.is_not(None),
    and_(
        delivery.c.attempts > 0,
        exists().where(
            delivery_attempt.c.delivery_id == delivery.c.delivery_id,
            delivery_attempt.c.detail.regexp_match(f"^({UNCLEAR_PATTERN})$"),
        ),
    ),
)
_COLUMNS = [
    alert.c.household_id,
    _MAY_BE_HEARD.label("may_be_heard"),
    *(
        delivery.c[name]
        for name in (
            *("alert_id", "revision", "staff_id", "grade", "status", "attempts", "leased_until"),
            *("next_attempt_at", "created_at", "sent_at", "held", "held_until", "reason"),
        )
    ),
]


async def read_tellings(connection: AsyncConnection, household_ids: Collection[str], now: datetime) -> Tellings:
    """Return what people had of households in the last 24 hours and are still to have.

    Until the transaction ends no other draws up tellings of these households, and no channel is asked for what still
    waits for it. The alerts that are going to be told of are locked already.
    """
    if not household_ids:
        return Tellings()
    await connection.execute(_LOCK, {"ids": list(household_ids)})
    of_them = one_of(alert.c.household_id, household_ids)
    # First what is still to come: whatever leaves it before it is locked is among what was sent.
    pending = await connection.execute(
        _select(of_them, delivery.c.status == DeliveryStatus.PENDING)
        .order_by(delivery.c.delivery_id)
        .with_for_update(of=delivery)
    )
    done = await connection.execute(_select(of_them, _told_since(now - DAY)))
    return tellings_of([*pending, *done])


async def peek_tellings(connection: AsyncConnection, household_id: str, now: datetime) -> Tellings:
    """Return the same of one household without locking anything, to rehearse with."""
    of_it = alert.c.household_id == household_id
    rows = await connection.execute(
        _select(of_it, or_(delivery.c.status == DeliveryStatus.PENDING, _told_since(now - DAY)))
    )
    return tellings_of(list(rows))


async def recall(connection: AsyncConnection, recalled: Recalled) -> None:
    """Give up deliveries that newer ones have taken the place of, in the caller's transaction."""
    if not recalled:
        return
    # In one order, so that two transactions that recall the same never wait for each other.
    rows = sorted((place, staff_id, newer) for (place, staff_id), newer in recalled.items())
    values = {
        "alert_ids": [place.alert_id for place, _, _ in rows],
        "revisions": [place.revision for place, _, _ in rows],
        "staff_ids": [staff_id for _, staff_id, _ in rows],
        "grades": [int(newer) for _, _, newer in rows],
    }
    await connection.execute(_RECALL, values)


async def hold_rows(
    connection: AsyncConnection, rows: Sequence[DeliveryRow], rules: Delivery, now: datetime
) -> list[DeliveryRow]:
    """Let deliveries of one revision, whose alert is locked already, wait where people's peace or day demands it."""
    alert_id = rows[0].alert_id
    found = await connection.execute(select(alert.c.household_id).where(alert.c.alert_id == alert_id))
    household_id = found.scalar_one()
    tellings = await read_tellings(connection, {household_id}, now)
    wanted = {row.staff_id: Wanted(Place(row.alert_id, row.revision), row.grade, row.grade) for row in rows}
    holds = {who: tellings.hold(household_id, who, one, rules, now) for who, one in wanted.items()}
    for who, one in wanted.items():
        tellings.note(household_id, who, one, holds[who], now)
    await recall(connection, tellings.recalled)
    return [row.waiting(holds[row.staff_id]) for row in rows]


def tellings_of(rows: Sequence[Row[Any]]) -> Tellings:
    """Put the deliveries of each telling together, by whatever channels it goes."""
    found: dict[tuple[str, str, Place], list[Row[Any]]] = {}
    for row in rows:
        found.setdefault((row.household_id, row.staff_id, Place(row.alert_id, row.revision)), []).append(row)
    known: dict[tuple[str, str], list[Telling]] = {}
    for (household_id, staff_id, place), lines in found.items():
        known.setdefault((household_id, staff_id), []).append(_telling(place, lines))
    return Tellings(known)


def _telling(place: Place, rows: Sequence[Row[Any]]) -> Telling:
    pending = [row for row in rows if row.status == DeliveryStatus.PENDING]
    untouched = len(pending) == len(rows) and not any(row.may_be_heard for row in rows)
    return Telling(
        place,
        RiskGrade(max(row.grade for row in rows)),
        since=max(max(row.created_at, row.held_until or row.created_at) for row in rows),
        at=None if pending else max(_heard_at(row) for row in rows),
        recallable=untouched,
        held=any(row.held and not row.attempts for row in rows),
        waits=untouched and any(row.held and row.held_until is None for row in rows),
        ends=rows[0].reason in ENDINGS,
    )


def _heard_at(row: Row[Any]) -> datetime:
    """When a message was taken, or may last have been: an attempt that was cut off can have arrived all the same."""
    at: datetime = row.sent_at or max(row.next_attempt_at, row.leased_until or row.next_attempt_at)
    return at


def _told_since(since: datetime) -> ColumnElement[bool]:
    given_up = and_(delivery.c.status == DeliveryStatus.SUPPRESSED, _MAY_BE_HEARD)
    last = func.coalesce(delivery.c.sent_at, func.greatest(delivery.c.next_attempt_at, delivery.c.leased_until))
    return and_(or_(delivery.c.status == DeliveryStatus.SENT, given_up), last > since)


def _select(*conditions: ColumnElement[bool]) -> Any:
    return select(*_COLUMNS).join(alert, alert.c.alert_id == delivery.c.alert_id).where(*conditions)
