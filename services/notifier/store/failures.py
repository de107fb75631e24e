"""What follows when a delivery has failed for good, in the transaction that says so; its alert is locked already."""

from datetime import datetime

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.core.channel_order import ONE_IS_ENOUGH
from services.notifier.core.message import message_id
from services.notifier.core.retries import Attempt
from services.notifier.core.routing import ancestors, duty_officers, known_division
from services.notifier.store.climbing import note_failed_hop
from services.notifier.store.due import Aftermath, Due, DueLine
from services.notifier.store.fallbacks import Unserved, pass_on
from services.notifier.store.holding import hold_rows
from services.notifier.store.rota import read_register_at
from services.notifier.store.rows import DeliveryRow, StepRow
from services.notifier.store.writing import row_values
from shared.alerts import TAKEN_BACK, DeliveryStatus, SendReason, StepKind
from shared.clock import day_of
from shared.db.tables.notifier import alert, alert_step, contact, delivery
from shared.policy import Policies


async def after_failure(
    connection: AsyncConnection, due: Due, line: DueLine, attempt: Attempt, policies: Policies, now: datetime
) -> Aftermath:
    """Note it, use the person's next channel, and if nobody else hears of the alert tell the duty officers."""
    facts = {"detail": attempt.code, "channel": due.channel, "staff_id": due.staff_id}
    await _note(connection, StepRow(line.alert_id, now, StepKind.DELIVERY_FAILED, facts=facts))
    if line.reason in TAKEN_BACK:
        return Aftermath()
    passed_on = await _pass_on(connection, due, line, now)
    if line.reason in (SendReason.OVERDUE, SendReason.OVERDUE_VISIT):
        await note_failed_hop(connection, line.alert_id, line.revision, now)
    if passed_on or await _somebody_hears(connection, line):
        return Aftermath(passed_on=passed_on)
    return await _tell_duty_officers(connection, line, policies, now)


async def disable(connection: AsyncConnection, due: Due, now: datetime) -> None:
    """Use an address no more; one that was changed meanwhile stays."""
    await connection.execute(
        update(contact)
        .where(
            contact.c.staff_id == due.staff_id,
            contact.c.channel == due.channel,
            contact.c.address == due.address,
        )
        .values(disabled_at=now)
    )


async def _pass_on(connection: AsyncConnection, due: Due, line: DueLine, now: datetime) -> int:
    if due.channel not in ONE_IS_ENOUGH:
        return 0
    failed = Unserved(
        line.delivery_id, line.alert_id, line.revision, due.staff_id, due.channel, line.reason, line.grade
    )
    return await pass_on(connection, [failed], now)


async def _somebody_hears(connection: AsyncConnection, line: DueLine) -> bool:
    found = await connection.execute(
        select(delivery.c.delivery_id)
        .where(
            delivery.c.alert_id == line.alert_id,
            delivery.c.revision >= line.revision,
            delivery.c.status.in_((DeliveryStatus.PENDING, DeliveryStatus.SENT)),
        )
        .limit(1)
    )
    return found.first() is not None


async def _tell_duty_officers(
    connection: AsyncConnection, line: DueLine, policies: Policies, now: datetime
) -> Aftermath:
    """Somebody must hear of every alert: where each delivery failed for good, the duty officers do."""
    register = await read_register_at(connection, ancestors(line.division), now)
    tried = await connection.execute(
        select(delivery.c.staff_id).where(delivery.c.alert_id == line.alert_id, delivery.c.revision == line.revision)
    )
    division = known_division(line.division, register.names)
    without = frozenset(tried.scalars())
    recipients = duty_officers(division, register.staff, at=now, rota=register.rota, without=without)
    rows = [
        DeliveryRow(
            alert_id=line.alert_id,
            revision=line.revision,
            staff_id=recipient.staff_id,
            channel=channel,
            reason=line.reason,
            routed_as=recipient.routed_as,
            grade=line.grade,
            target=register.target(recipient.staff_id, channel),
            message_id=message_id(line.alert_id, line.revision, recipient.staff_id, channel),
            next_attempt_at=now,
            created_at=now,
        )
        for recipient in recipients
        for channel in recipient.channels
    ]
    if not rows:
        await connection.execute(update(alert).where(alert.c.alert_id == line.alert_id).values(unreachable=True))
        await _note(connection, StepRow(line.alert_id, now, StepKind.UNREACHABLE))
        return Aftermath(unreachable=(line,))
    rules = policies.for_division(line.division).on(day_of(now)).delivery
    rows = await hold_rows(connection, rows, rules, now)
    await connection.execute(insert(delivery), row_values(rows))
    await _note(connection, StepRow(line.alert_id, now, StepKind.REROUTED, facts={"people": len(recipients)}))
    return Aftermath(rerouted=len(recipients))


async def _note(connection: AsyncConnection, step: StepRow) -> None:
    await connection.execute(insert(alert_step), row_values([step]))
