"""Deliveries that are due: leased by one worker at a time, concluded in a transaction of their own."""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.notifier.core.message import Message, message_id
from services.notifier.core.retries import OUTAGE_PATTERN, Attempt, Verdict
from services.notifier.core.routing import ancestors, duty_officers, known_division
from services.notifier.store.rota import read_register_at
from services.notifier.store.rows import DeliveryRow, StepRow
from shared.alerts import AlertStatus, ChannelName, DeliveryStatus, SendReason, StepKind
from shared.db.session import transaction
from shared.db.tables.notifier import alert, alert_step, delivery, delivery_attempt, staff
from shared.grades import RiskGrade

# Worst first, then oldest. SKIP LOCKED: replicas take different rows without waiting for one another.
_CLAIM = text(
    """
    WITH due AS MATERIALIZED (
        SELECT delivery_id FROM delivery
        WHERE channel = :channel AND status = 'pending' AND next_attempt_at <= :now
          AND (leased_until IS NULL OR leased_until <= :now)
          AND target <> ALL (CAST(:busy AS text[]))
        ORDER BY grade DESC, next_attempt_at, delivery_id
        LIMIT :most
        FOR UPDATE SKIP LOCKED
    )
    UPDATE delivery AS d SET leased_until = :leased_until, leased_by = :worker
    FROM due, alert AS a, alert_message AS m, staff AS s
    WHERE d.delivery_id = due.delivery_id AND a.alert_id = d.alert_id AND s.staff_id = d.staff_id
      AND m.alert_id = d.alert_id AND m.revision = d.revision
    RETURNING d.delivery_id, d.alert_id, d.revision, d.staff_id, d.channel, d.reason, d.grade, d.target, d.message_id,
              d.attempts, d.created_at, d.leased_by, m.subject, m.text, m.body, m.decided_at,
              a.status AS alert_status, a.acknowledged_revision, a.division,
              CASE WHEN s.active THEN s.email END AS email,
              CASE WHEN s.active AND s.webhook_disabled_at IS NULL THEN s.webhook_url END AS webhook_url,
              s.webhook_secret
    """
)

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


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery that this worker has leased, with all that sending it takes."""

    delivery_id: int
    alert_id: str
    revision: int
    staff_id: str
    channel: ChannelName
    reason: SendReason
    grade: RiskGrade
    target: str
    message_id: str
    attempts: int
    created_at: datetime
    leased_by: str
    message: Message
    decided_at: datetime
    alert_status: AlertStatus
    acknowledged_revision: int | None
    division: str
    email: str | None
    webhook_url: str | None
    webhook_secret: str | None

    def __repr__(self) -> str:
        return f"Due(delivery_id={self.delivery_id})"


@dataclass(frozen=True, slots=True)
class Taken:
    """A message that its channel has taken."""

    delivery_id: int
    at: datetime
    receipt: str
    detail: str


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What a failure for good led to. rerouted: duty officers who are told instead; unreachable: nobody is left."""

    rerouted: int = 0
    unreachable: bool = False


class Deliveries:
    """Leases and concludes deliveries."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def claim(
        self, channel: ChannelName, worker: str, *, now: datetime, lease: timedelta, most: int, busy: Collection[str]
    ) -> list[Due]:
        """Lease up to `most` due deliveries, none to a busy target, worst first."""
        values = {
            "channel": channel,
            "worker": worker,
            "now": now,
            "leased_until": now + lease,
            "most": most,
            "busy": list(busy),
        }
        async with transaction(self._engine) as connection:
            rows = (await connection.execute(_CLAIM, values)).all()
        return sorted((_due(row) for row in rows), key=lambda due: (-due.grade, due.created_at, due.delivery_id))

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
            await connection.execute(
                update(delivery)
                .where(
                    delivery.c.delivery_id.in_([due.delivery_id for due in dues]),
                    delivery.c.leased_by.in_({due.leased_by for due in dues}),
                )
                .values(leased_until=None, leased_by=None)
            )

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
                update(staff)
                .where(staff.c.staff_id == due.staff_id, staff.c.webhook_url == due.webhook_url)
                .values(webhook_disabled_at=now)
            )
        if due.reason is SendReason.WITHDRAWN or await self._somebody_hears(connection, due):
            return Aftermath()
        return await self._tell_duty_officers(connection, due, now)

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
        await connection.execute(insert(delivery), [asdict(row) for row in rows])
        await _note(connection, StepRow(due.alert_id, now, StepKind.REROUTED, facts={"people": len(recipients)}))
        return Aftermath(rerouted=len(recipients))


NOT_TRIED = "acknowledged"
"""Code of a delivery that ended without a further attempt."""


async def _note(connection: AsyncConnection, step: StepRow) -> None:
    await connection.execute(insert(alert_step), [asdict(step)])


def _due(row: Row[Any]) -> Due:
    values = dict(row._mapping)
    message = Message(values.pop("subject"), values.pop("text"), values.pop("body"))
    values |= {
        "channel": ChannelName(row.channel),
        "reason": SendReason(row.reason),
        "grade": RiskGrade(row.grade),
        "alert_status": AlertStatus(row.alert_status),
    }
    return Due(message=message, **values)
