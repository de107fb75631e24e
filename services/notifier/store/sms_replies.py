"""Codes by which people answer text messages, and the answers that were taken in. No phone number is kept here."""

from collections.abc import Collection
from dataclasses import asdict
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, delete, exists, insert, or_, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.notifier.core.sms_replies import ReplyOutcome, Told, code_of
from services.notifier.store.rows import StepRow
from shared.alerts import UNDER_WAY, AlertStatus, ChannelName, DeliveryStatus, StepKind
from shared.db.session import transaction
from shared.db.tables.notifier import alert, alert_step, contact, delivery, reply_code, sms_reply, staff

REMEMBERED = timedelta(days=30)
"""A vendor passes a reply on again for hours at most."""


class SmsReplies:
    """Makes codes, finds who is meant by them, and remembers replies."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def code(self, staff_id: str, alert_id: str) -> str:
        """Return the code of a person and an alert, the same each time. Raises TemporaryFailure."""
        known = select(reply_code.c.code).where(reply_code.c.staff_id == staff_id, reply_code.c.alert_id == alert_id)
        turn = 0
        async with transaction(self._engine) as connection:
            while (found := (await connection.execute(known)).scalar_one_or_none()) is None:
                # A code that the person has for another alert is left alone, and the next one is tried.
                row = {"staff_id": staff_id, "alert_id": alert_id, "code": code_of(staff_id, alert_id, turn)}
                await connection.execute(upsert(reply_code).values(row).on_conflict_do_nothing())
                turn += 1
        code: str = found
        return code

    async def is_known(self, sequence_id: str) -> bool:
        """Tell whether a reply was taken in before. Raises TemporaryFailure."""
        statement = select(sms_reply.c.sequence_id).where(sms_reply.c.sequence_id == sequence_id)
        async with transaction(self._engine) as connection:
            return (await connection.execute(statement)).one_or_none() is not None

    async def told(self, phone: str, code: str | None) -> list[Told] | None:
        """Return what those with this phone were told of by text message; None if it is nobody's in service.

        Alerts under way alone, and whichever has this code. Raises TemporaryFailure.
        """
        its_owner = (
            contact.c.channel == ChannelName.ALIYUN_SMS,
            contact.c.address == phone,
            contact.c.disabled_at.is_(None),
            staff.c.active,
        )
        owners = select(staff.c.staff_id).join(contact, contact.c.staff_id == staff.c.staff_id).where(*its_owner)
        waiting = and_(_may_have_arrived(), _is_unanswered()).label("is_waiting")
        statement = (
            select(reply_code.c.staff_id, reply_code.c.alert_id, reply_code.c.code, waiting)
            .join(alert, alert.c.alert_id == reply_code.c.alert_id)
            .where(or_(alert.c.status.in_(UNDER_WAY), reply_code.c.code == code))
            .order_by(alert.c.opened_at, reply_code.c.alert_id, reply_code.c.staff_id)
        )
        async with transaction(self._engine) as connection:
            staff_ids = list((await connection.execute(owners)).scalars())
            if not staff_ids:
                return None
            rows = await connection.execute(statement.where(reply_code.c.staff_id.in_(staff_ids)))
            return [Told(row.staff_id, row.alert_id, row.code, row.is_waiting) for row in rows]

    async def conclude(
        self, sequence_id: str, outcome: ReplyOutcome, now: datetime, unclear: Collection[Told] = ()
    ) -> bool:
        """Remember a reply that acknowledged nothing; False if it is known already. Raises TemporaryFailure.

        unclear: alerts that it may have meant, whose timelines say so.
        """
        async with transaction(self._engine) as connection:
            if not await remember_reply(connection, sequence_id, outcome, now):
                return False
            await connection.execute(delete(sms_reply).where(sms_reply.c.at < now - REMEMBERED))
            steps = [StepRow(one.alert_id, now, StepKind.REPLY_UNCLEAR, one.staff_id) for one in unclear]
            if steps:
                await connection.execute(insert(alert_step), [asdict(step) for step in steps])
        return True


async def remember_reply(connection: AsyncConnection, sequence_id: str, outcome: ReplyOutcome, now: datetime) -> bool:
    """Remember a reply inside somebody's transaction; False if it is known already, or is being taken in elsewhere."""
    values = {"sequence_id": sequence_id, "at": now, "outcome": outcome}
    stored = await connection.execute(upsert(sms_reply).values(values).on_conflict_do_nothing())
    return bool(stored.rowcount)


def _may_have_arrived() -> ColumnElement[bool]:
    """Whether a text message about the alert was taken, or perhaps was: an answer of the vendor may have been lost."""
    tried = and_(delivery.c.status == DeliveryStatus.PENDING, delivery.c.attempts > 0)
    return exists().where(
        delivery.c.alert_id == reply_code.c.alert_id,
        delivery.c.staff_id == reply_code.c.staff_id,
        delivery.c.channel == ChannelName.ALIYUN_SMS,
        or_(delivery.c.status == DeliveryStatus.SENT, tried),
    )


def _is_unanswered() -> ColumnElement[bool]:
    """Whether nobody has taken on what the alert tells, or only its owner, before it became worse."""
    told_more = and_(
        alert.c.status.in_(UNDER_WAY),
        alert.c.owner == reply_code.c.staff_id,
        alert.c.revision > alert.c.acknowledged_revision,
    )
    return or_(alert.c.status == AlertStatus.OPEN, told_more)
