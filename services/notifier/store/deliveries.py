"""Deliveries that are due: leased by one worker at a time, concluded in a transaction of their own."""

from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, and_, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.notifier.core.budgets import LIMITS
from services.notifier.core.channel_order import ONE_IS_ENOUGH
from services.notifier.core.message import message_id
from services.notifier.core.retries import OUTAGE_PATTERN, Attempt, Verdict
from services.notifier.core.routing import ancestors, duty_officers, known_division
from services.notifier.store.budgets import Room, one_at_a_time, pause, within_budget
from services.notifier.store.climbing import note_failed_hop
from services.notifier.store.due import CLAIM_LIMITED, CLAIM_UNLIMITED, Aftermath, Due, Taken, due_of
from services.notifier.store.fallbacks import Unserved, pass_on
from services.notifier.store.holding import hold_rows
from services.notifier.store.rota import read_register_at
from services.notifier.store.rows import DeliveryRow, StepRow
from shared.alerts import ENDINGS, ChannelName, DeliveryStatus, SendReason, StepKind
from shared.clock import day_of
from shared.db.session import transaction
from shared.db.tables.notifier import alert, alert_step, contact, delivery, delivery_attempt
from shared.policy import Policies, load_policies

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
_HURRY = text(
    """
    UPDATE delivery SET next_attempt_at = CAST(:now AS timestamptz) + random() * interval '3 seconds'
    WHERE channel = :channel AND target = :target AND status = 'pending' AND attempts > 0 AND leased_by IS NULL
      AND next_attempt_at > CAST(:now AS timestamptz) + interval '3 seconds' AND detail ~ :outage
    """
)


class Deliveries:
    """Leases and concludes deliveries. policies: None: those that come with the program."""

    def __init__(self, engine: AsyncEngine, policies: Policies | None = None) -> None:
        self._engine = engine
        self._policies = policies or load_policies()

    async def claim(
        self,
        channel: ChannelName,
        worker: str,
        *,
        now: datetime,
        lease: timedelta,
        most: int,
        busy: Collection[str],
        room: Room | None = None,
    ) -> list[Due]:
        """Lease up to `most` due deliveries, none to a busy target, worst first.

        room: how many a target may have now, for channels with a limit: what is leased there counts as sent.
        """
        limits = LIMITS.get(channel)
        values = {
            "channel": channel,
            "worker": worker,
            "now": now,
            "leased_until": now + lease,
            "most": most,
            "busy": list(busy),
        }
        async with transaction(self._engine) as connection:
            if limits:
                await one_at_a_time(connection, channel)
            statement = CLAIM_LIMITED if limits else CLAIM_UNLIMITED
            rows: Sequence[Row[Any]] = (await connection.execute(statement, values)).all()
            if limits:
                claimed = {row.delivery_id for row in rows}
                rows = await within_budget(connection, rows, limits, room or (lambda _: most), now)
                await _release(connection, claimed - {row.delivery_id for row in rows}, {worker})
        return sorted((due_of(row) for row in rows), key=lambda due: (-due.grade, due.created_at, due.delivery_id))

    async def renew(self, dues: Collection[Due], until: datetime) -> None:
        """Hold on to what is still being sent; a lease that somebody else has taken meanwhile stays theirs."""
        async with transaction(self._engine) as connection:
            await connection.execute(
                update(delivery)
                .where(
                    delivery.c.delivery_id.in_([due.delivery_id for due in dues]),
                    delivery.c.leased_by.in_({due.leased_by for due in dues}),
                )
                .values(leased_until=until)
            )

    async def conclude_sent(self, taken: Collection[Taken]) -> None:
        """Store that messages were taken, whoever holds their leases now. Raises TemporaryFailure."""
        # In one order, so that two processes that conclude the same rows never wait for each other.
        rows = sorted(taken, key=lambda one: one.delivery_id)
        values = {
            "ids": [one.delivery_id for one in rows],
            "ats": [one.at for one in rows],
            "receipts": [one.receipt for one in rows],
            "details": [one.detail for one in rows],
        }
        async with transaction(self._engine) as connection:
            await connection.execute(_SENT, values)

    async def conclude(self, due: Due, attempt: Attempt, verdict: Verdict, now: datetime) -> Aftermath:
        """Store how an attempt ended that was no success (see `conclude_sent`).

        It counts only while the lease is ours: the next holder knows better.
        """
        async with transaction(self._engine) as connection:
            if verdict.status is DeliveryStatus.FAILED:
                # Alerts are locked before their deliveries, everywhere.
                await connection.execute(
                    select(alert.c.alert_id).where(alert.c.alert_id == due.alert_id).with_for_update(key_share=True)
                )
            if attempt.pauses_target:
                await pause(connection, due.target, now + timedelta(seconds=attempt.retry_after_seconds or 0.0))
            changed = await self._store(connection, due, attempt, verdict, now)
            if not changed or verdict.status is not DeliveryStatus.FAILED:
                return Aftermath()
            return await self._after_failure(connection, due, attempt, now)

    async def hurry(self, channel: ChannelName, target: str, now: datetime) -> int:
        """Make due within seconds what waits for a host that was out and is back; return how many."""
        values = {"channel": channel, "target": target, "now": now, "outage": f"^({OUTAGE_PATTERN})$"}
        async with transaction(self._engine) as connection:
            return (await connection.execute(_HURRY, values)).rowcount

    async def release(self, dues: Collection[Due]) -> None:
        """Give leases back unused."""
        async with transaction(self._engine) as connection:
            await _release(connection, {due.delivery_id for due in dues}, {due.leased_by for due in dues})

    async def pending(self) -> int:
        """Count the deliveries that are not done yet."""
        async with transaction(self._engine) as connection:
            found = await connection.execute(
                select(func.count()).select_from(delivery).where(delivery.c.status == DeliveryStatus.PENDING)
            )
            return int(found.scalar_one())

    async def _store(
        self, connection: AsyncConnection, due: Due, attempt: Attempt, verdict: Verdict, now: datetime
    ) -> bool:
        made = 0 if verdict.status is DeliveryStatus.SUPPRESSED and attempt.code == NOT_TRIED else 1
        stored = await connection.execute(
            update(delivery)
            .where(
                delivery.c.delivery_id == due.delivery_id,
                delivery.c.status == DeliveryStatus.PENDING,
                delivery.c.leased_by == due.leased_by,
            )
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
        outcome = "retry" if verdict.status is DeliveryStatus.PENDING else str(verdict.status)
        if made:
            await connection.execute(
                insert(delivery_attempt).values(
                    delivery_id=due.delivery_id, at=now, outcome=outcome, detail=attempt.code
                )
            )
        return bool(stored.rowcount)

    async def _after_failure(self, connection: AsyncConnection, due: Due, attempt: Attempt, now: datetime) -> Aftermath:
        facts = {"detail": attempt.code, "channel": due.channel, "staff_id": due.staff_id}
        await _note(connection, StepRow(due.alert_id, now, StepKind.DELIVERY_FAILED, facts=facts))
        if attempt.disables:
            await connection.execute(
                update(contact)
                .where(
                    contact.c.staff_id == due.staff_id,
                    contact.c.channel == due.channel,
                    contact.c.address == due.address,
                )
                .values(disabled_at=now)
            )
        if due.reason in ENDINGS:
            return Aftermath()
        passed_on = await self._pass_on(connection, due, now)
        if due.reason in (SendReason.OVERDUE, SendReason.OVERDUE_VISIT):
            await note_failed_hop(connection, due.alert_id, due.revision, now)
        if passed_on or await self._somebody_hears(connection, due):
            return Aftermath(passed_on=passed_on)
        return await self._tell_duty_officers(connection, due, now)

    async def _pass_on(self, connection: AsyncConnection, due: Due, now: datetime) -> int:
        if due.channel not in ONE_IS_ENOUGH:
            return 0
        failed = Unserved(due.delivery_id, due.alert_id, due.revision, due.staff_id, due.channel, due.reason, due.grade)
        return await pass_on(connection, [failed], now)

    async def _somebody_hears(self, connection: AsyncConnection, due: Due) -> bool:
        found = await connection.execute(
            select(delivery.c.delivery_id)
            .where(
                delivery.c.alert_id == due.alert_id,
                delivery.c.revision >= due.revision,
                delivery.c.status.in_((DeliveryStatus.PENDING, DeliveryStatus.SENT)),
            )
            .limit(1)
        )
        return found.first() is not None

    async def _tell_duty_officers(self, connection: AsyncConnection, due: Due, now: datetime) -> Aftermath:
        """Somebody must hear of every alert: where each delivery failed for good, the duty officers do."""
        register = await read_register_at(connection, ancestors(due.division), now)
        tried = await connection.execute(
            select(delivery.c.staff_id).where(delivery.c.alert_id == due.alert_id, delivery.c.revision == due.revision)
        )
        division = known_division(due.division, register.names)
        without = frozenset(tried.scalars())
        recipients = duty_officers(division, register.staff, at=now, rota=register.rota, without=without)
        rows = [
            DeliveryRow(
                alert_id=due.alert_id,
                revision=due.revision,
                staff_id=recipient.staff_id,
                channel=channel,
                reason=due.reason,
                routed_as=recipient.routed_as,
                grade=due.grade,
                target=register.target(recipient.staff_id, channel),
                message_id=message_id(due.alert_id, due.revision, recipient.staff_id, channel),
                next_attempt_at=now,
                created_at=now,
            )
            for recipient in recipients
            for channel in recipient.channels
        ]
        if not rows:
            await connection.execute(update(alert).where(alert.c.alert_id == due.alert_id).values(unreachable=True))
            await _note(connection, StepRow(due.alert_id, now, StepKind.UNREACHABLE))
            return Aftermath(unreachable=True)
        rules = self._policies.for_division(due.division).on(day_of(now)).delivery
        rows = await hold_rows(connection, rows, rules, now)
        await connection.execute(insert(delivery), [asdict(row) for row in rows])
        await _note(connection, StepRow(due.alert_id, now, StepKind.REROUTED, facts={"people": len(recipients)}))
        return Aftermath(rerouted=len(recipients))


NOT_TRIED = "acknowledged"
"""Code of a delivery that ended without a further attempt."""


async def _release(connection: AsyncConnection, delivery_ids: Collection[int], workers: Collection[str]) -> None:
    if delivery_ids:
        ours = and_(delivery.c.delivery_id.in_(delivery_ids), delivery.c.leased_by.in_(workers))
        await connection.execute(update(delivery).where(ours).values(leased_until=None, leased_by=None))


async def _note(connection: AsyncConnection, step: StepRow) -> None:
    await connection.execute(insert(alert_step), [asdict(step)])
