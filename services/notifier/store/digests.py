"""How digests end: all their deliveries are concluded with them, each with an attempt of its own."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.core.retries import Attempt, Verdict
from services.notifier.store.due import Due, Taken
from shared.alerts import DeliveryStatus
from shared.db.tables.notifier import delivery, digest

# A message that was taken counts as sent whoever holds the lease now. Rows are locked in one order, so that two
# processes that change the same ones never wait for each other.
_SENT = text(
    """
    WITH taken AS (
        SELECT * FROM unnest(
            CAST(:ids AS text[]), CAST(:ats AS timestamptz[]), CAST(:receipts AS text[]), CAST(:details AS text[])
        ) AS t (id, at, receipt, detail)
    ), whole AS (
        UPDATE digest SET status = 'sent', attempts = attempts + 1, leased_until = NULL, leased_by = NULL,
               detail = taken.detail
        FROM taken WHERE digest_id = taken.id AND status IN ('pending', 'suppressed')
    ), members AS MATERIALIZED (
        SELECT delivery_id, taken.at, taken.receipt, taken.detail
        FROM delivery JOIN taken ON delivery.digest_id = taken.id
        WHERE delivery.status <> 'failed'
        ORDER BY delivery_id FOR UPDATE OF delivery
    ), stored AS (
        UPDATE delivery AS d SET status = 'sent', attempts = d.attempts + 1, leased_until = NULL, leased_by = NULL,
               receipt = members.receipt, detail = members.detail, sent_at = members.at
        FROM members WHERE d.delivery_id = members.delivery_id AND d.status IN ('pending', 'suppressed')
    )
    INSERT INTO delivery_attempt (delivery_id, at, outcome, detail)
    SELECT delivery_id, at, 'sent', detail FROM members
    """
)
_TRIED = text(
    """
    WITH members AS MATERIALIZED (
        SELECT delivery_id FROM delivery WHERE digest_id = :id AND status = 'pending'
        ORDER BY delivery_id FOR UPDATE
    ), stored AS (
        UPDATE delivery AS d
           SET status = :status, attempts = d.attempts + CAST(:made AS integer), leased_until = NULL, leased_by = NULL,
               next_attempt_at = coalesce(CAST(:next_attempt_at AS timestamptz), d.next_attempt_at),
               detail = CAST(:detail AS text)
        FROM members WHERE d.delivery_id = members.delivery_id
    )
    INSERT INTO delivery_attempt (delivery_id, at, outcome, detail)
    SELECT delivery_id, CAST(:at AS timestamptz), CAST(:outcome AS text), CAST(:detail AS text) FROM members
    WHERE CAST(:made AS integer) > 0
    """
)


async def conclude_sent_digests(connection: AsyncConnection, taken: Collection[Taken]) -> None:
    """Store that digests were taken, and with them every delivery that they name."""
    rows = sorted(((one.due.digest_id, one) for one in taken), key=lambda row: row[0] or "")
    values = {
        "ids": [digest_id for digest_id, _ in rows],
        "ats": [one.at for _, one in rows],
        "receipts": [one.receipt for _, one in rows],
        "details": [one.detail for _, one in rows],
    }
    await connection.execute(_SENT, values)


async def conclude_digest(
    connection: AsyncConnection, due: Due, attempt: Attempt, verdict: Verdict, now: datetime, *, made: int
) -> None:
    """Store that a digest is tried again later, or that nobody needs it any more, while the lease is ours.

    made: 0 if it was not even tried.
    """
    whole = digest.c
    stored = await connection.execute(
        update(digest)
        .where(whole.digest_id == due.digest_id, whole.status == "pending", whole.leased_by == due.leased_by)
        .values(
            status=verdict.status,
            attempts=whole.attempts + made,
            next_attempt_at=verdict.next_attempt_at or whole.next_attempt_at,
            leased_until=None,
            leased_by=None,
            detail=attempt.code,
        )
    )
    if not stored.rowcount:
        return
    values = {
        "id": due.digest_id,
        "status": verdict.status,
        "made": made,
        "next_attempt_at": verdict.next_attempt_at,
        "detail": attempt.code,
        "at": now,
        "outcome": "retry" if verdict.status is DeliveryStatus.PENDING else str(verdict.status),
    }
    await connection.execute(_TRIED, values)


async def is_ours(connection: AsyncConnection, due: Due) -> bool:
    """Lock a digest whose lease is ours until the transaction ends; False if it is another's, or done."""
    whole = digest.c
    found = await connection.execute(
        select(whole.digest_id)
        .where(whole.digest_id == due.digest_id, whole.status == "pending", whole.leased_by == due.leased_by)
        .with_for_update()
    )
    return found.first() is not None


async def left_in_digest(connection: AsyncConnection, due: Due) -> list[int]:
    """Return the delivery_ids of a digest that are still to be concluded, worst first."""
    found = await connection.execute(
        select(delivery.c.delivery_id)
        .where(delivery.c.digest_id == due.digest_id, delivery.c.status == DeliveryStatus.PENDING)
        .order_by(delivery.c.grade.desc(), delivery.c.delivery_id)
    )
    return list(found.scalars())


async def end_failed_digest(connection: AsyncConnection, due: Due, attempt: Attempt) -> None:
    """Store that a digest has failed for good, once all its deliveries have."""
    await connection.execute(
        update(digest)
        .where(digest.c.digest_id == due.digest_id)
        .values(
            status=DeliveryStatus.FAILED,
            attempts=digest.c.attempts + 1,
            leased_until=None,
            leased_by=None,
            detail=attempt.code,
        )
    )
