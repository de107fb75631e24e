"""How messages end: concluded in a transaction of their own, a digest with all its deliveries."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.notifier.core.retries import OUTAGE_PATTERN, Attempt, Verdict
from services.notifier.store.budgets import pause
from services.notifier.store.digests import (
    conclude_digest,
    conclude_sent_digests,
    end_failed_digest,
    is_ours,
    left_in_digest,
)
from services.notifier.store.due import Aftermath, Due, DueLine, Taken
from services.notifier.store.failures import after_failure, disable
from shared.alerts import ChannelName, DeliveryStatus
from shared.db.one_of import one_of
from shared.db.session import transaction
from shared.db.tables.notifier import alert, delivery, delivery_attempt
from shared.policy import Policies, load_policies

FAILED_AT_ONCE = 100
"""Deliveries of a digest that one transaction fails: their alerts are locked meanwhile."""
NOT_TRIED = "acknowledged"
"""Code of a delivery that ended without a further attempt."""

# A message that was taken counts as sent whoever holds the lease now.
_SENT = text(
    """
    WITH taken AS (
        SELECT * FROM unnest(
            CAST(:ids AS bigint[]), CAST(:ats AS timestamptz[]), CAST(:receipts AS text[]), CAST(:details AS text[])
        ) AS t (id, at, receipt, detail)
    ), stored AS (
        UPDATE delivery SET status = 'sent', attempts = attempts + 1, leased_until = NULL, leased_by = NULL,
               receipt = taken.receipt, detail = taken.detail, sent_at = taken.at
        FROM taken WHERE delivery_id = taken.id AND status IN ('pending', 'suppressed')
    )
    INSERT INTO delivery_attempt (delivery_id, at, outcome, detail) SELECT id, at, 'sent', detail FROM taken
    """
)
# Spread over a few seconds: a host that has just come back should not be met by everything at once.
_HURRY = """
    UPDATE {table} SET next_attempt_at = CAST(:now AS timestamptz) + random() * interval '3 seconds'
    WHERE channel = :channel AND target = :target AND status = 'pending' AND attempts > 0 AND leased_by IS NULL
      AND next_attempt_at > CAST(:now AS timestamptz) + interval '3 seconds' AND detail ~ :outage {alone}
"""
_HURRY_ALONE = text(_HURRY.format(table="delivery", alone="AND digest_id IS NULL"))
_HURRY_DIGESTS = text(_HURRY.format(table="digest", alone=""))
_PENDING = text(
    """
    SELECT count(*) + (
               SELECT count(*) FROM digest AS g JOIN delivery AS d ON d.digest_id = g.digest_id
               WHERE g.status = 'pending' AND d.status = 'pending'
           ) AS all_of_them,
           count(*) FILTER (WHERE d.attempts = 0 AND d.leased_by IS NULL AND d.next_attempt_at > :now
                              AND d.next_attempt_at IN (t.free_at, t.milder_free_at)) AS paced
    FROM delivery AS d LEFT JOIN person_turn AS t ON t.staff_id = d.staff_id AND t.channel = d.channel
    WHERE d.status = 'pending' AND d.digest_id IS NULL
    """
)


@dataclass(frozen=True, slots=True)
class Pending:
    """How many deliveries are not done yet, and how many of them wait for their person's next turn."""

    all_of_them: int
    paced: int


class Deliveries:
    """Concludes what was leased. policies: None: those that come with the program."""

    def __init__(self, engine: AsyncEngine, policies: Policies | None = None) -> None:
        self._engine = engine
        self._policies = policies or load_policies()

    async def conclude_sent(self, taken: Collection[Taken]) -> None:
        """Store that messages were taken, whoever holds their leases now. Raises TemporaryFailure."""
        digests = [one for one in taken if one.due.digest_id is not None]
        # In one order, so that two processes that conclude the same rows never wait for each other.
        alone = sorted(
            ((one.due.lines[0].delivery_id, one) for one in taken if one.due.digest_id is None), key=lambda row: row[0]
        )
        values = {
            "ids": [delivery_id for delivery_id, _ in alone],
            "ats": [one.at for _, one in alone],
            "receipts": [one.receipt for _, one in alone],
            "details": [one.detail for _, one in alone],
        }
        async with transaction(self._engine) as connection:
            if alone:
                await connection.execute(_SENT, values)
            if digests:
                await conclude_sent_digests(connection, digests)

    async def conclude(self, due: Due, attempt: Attempt, verdict: Verdict, now: datetime) -> Aftermath:
        """Store how an attempt ended that was no success (see `conclude_sent`).

        It counts only while the lease is ours: the next holder knows better. A digest that has failed for good is
        failed in parts: again, while something is left.
        """
        async with transaction(self._engine) as connection:
            if attempt.pauses_target:
                await pause(connection, due.target, now + timedelta(seconds=attempt.retry_after_seconds or 0.0))
            if verdict.status is DeliveryStatus.FAILED:
                return await self._fail(connection, due, attempt, now)
            made = 0 if verdict.status is DeliveryStatus.SUPPRESSED and attempt.code == NOT_TRIED else 1
            if due.digest_id is not None:
                await conclude_digest(connection, due, attempt, verdict, now, made=made)
            else:
                ours = delivery.c.leased_by == due.leased_by
                await _store(connection, due.lines[0], ours, attempt, verdict, now, made=made)
        return Aftermath()

    async def hurry(self, channel: ChannelName, target: str, now: datetime) -> int:
        """Make due within seconds what waits for a host that was out and is back; return how many messages."""
        values = {"channel": channel, "target": target, "now": now, "outage": f"^({OUTAGE_PATTERN})$"}
        async with transaction(self._engine) as connection:
            alone = (await connection.execute(_HURRY_ALONE, values)).rowcount
            return alone + (await connection.execute(_HURRY_DIGESTS, values)).rowcount

    async def pending(self, now: datetime) -> Pending:
        """Count the deliveries that are not done yet."""
        async with transaction(self._engine) as connection:
            row = (await connection.execute(_PENDING, {"now": now})).one()
        return Pending(row.all_of_them, row.paced)

    async def _fail(self, connection: AsyncConnection, due: Due, attempt: Attempt, now: datetime) -> Aftermath:
        lines = due.lines
        if due.digest_id is not None:
            left = frozenset(await left_in_digest(connection, due))
            lines = tuple(line for line in due.lines if line.delivery_id in left)
        some = lines[:FAILED_AT_ONCE]
        await _lock_alerts(connection, some)
        if due.digest_id is not None and not await is_ours(connection, due):
            return Aftermath()
        aftermath = Aftermath(left=len(lines) - len(some))
        failed = Verdict(DeliveryStatus.FAILED)
        ours = delivery.c.leased_by == due.leased_by if due.digest_id is None else delivery.c.digest_id == due.digest_id
        for line in some:
            if await _store(connection, line, ours, attempt, failed, now, made=1):
                if attempt.disables:
                    await disable(connection, due, now)
                aftermath += await after_failure(connection, due, line, attempt, self._policies, now)
        if due.digest_id is not None and not aftermath.left:
            await end_failed_digest(connection, due, attempt)
        return aftermath


async def _lock_alerts(connection: AsyncConnection, lines: Sequence[DueLine]) -> None:
    """Alerts are locked before their deliveries, everywhere, and in one order."""
    await connection.execute(
        select(alert.c.alert_id)
        .where(one_of(alert.c.alert_id, {line.alert_id for line in lines}))
        .order_by(alert.c.alert_id)
        .with_for_update(key_share=True)
    )


async def _store(
    connection: AsyncConnection,
    line: DueLine,
    ours: ColumnElement[bool],
    attempt: Attempt,
    verdict: Verdict,
    now: datetime,
    *,
    made: int,
) -> bool:
    stored = await connection.execute(
        update(delivery)
        .where(delivery.c.delivery_id == line.delivery_id, delivery.c.status == DeliveryStatus.PENDING, ours)
        .values(
            status=verdict.status,
            attempts=delivery.c.attempts + made,
            next_attempt_at=verdict.next_attempt_at or delivery.c.next_attempt_at,
            leased_until=None,
            leased_by=None,
            receipt=attempt.receipt,
            detail=attempt.code,
        )
    )
    if made:
        outcome = "retry" if verdict.status is DeliveryStatus.PENDING else str(verdict.status)
        await connection.execute(
            insert(delivery_attempt).values(delivery_id=line.delivery_id, at=now, outcome=outcome, detail=attempt.code)
        )
    return bool(stored.rowcount)
