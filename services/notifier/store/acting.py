"""People's acts on alerts: one alert locked, judged and written in one transaction with its step and audit entry."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.notifier.core.acting import Deed
from services.notifier.core.sms_replies import ReplyOutcome
from services.notifier.store.alerts import alert_row
from services.notifier.store.reading import COLUMNS
from services.notifier.store.rows import AlertRow, StepRow
from services.notifier.store.sms_replies import remember_reply
from services.notifier.store.writing import UNIQUE_VIOLATION
from shared.alerts import UNDER_WAY, DeliveryStatus, SendReason, StepKind
from shared.db.access_keys import audit
from shared.db.session import transaction
from shared.db.tables.notifier import alert, alert_step, delivery
from shared.errors import TemporaryFailure

_ABOUT_TELLING = (StepKind.DELIVERY_FAILED, StepKind.REROUTED, StepKind.UNREACHABLE, StepKind.REPLY_UNCLEAR)
_NOBODY_ANSWERS = (SendReason.OVERDUE, SendReason.OVERDUE_VISIT)
_SET_BY_PEOPLE = (
    "status",
    "owner",
    "acknowledged_at",
    "acknowledged_revision",
    "visited_at",
    "closed_at",
    "acknowledge_by",
    "visit_by",
    "plan",
    "climb_from",
    "counts_from",
    "climbed",
    "timer_at",
    "updated_at",
)


class Overtaken(TemporaryFailure):
    """Another alert was opened for the household in this very moment."""


class Acts:
    """Opens transactions on one alert each."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @asynccontextmanager
    async def locked(self, alert_id: str) -> AsyncIterator["LockedAlert"]:
        """Lock one alert for an act on it; `row` is None if there is no such alert."""
        async with transaction(self._engine) as connection:
            found = await connection.execute(
                select(*COLUMNS).where(alert.c.alert_id == alert_id).with_for_update(key_share=True)
            )
            row = found.one_or_none()
            yield LockedAlert(connection, None if row is None else alert_row(row))


class LockedAlert:
    """One alert that nobody else can change until the transaction ends."""

    def __init__(self, connection: AsyncConnection, row: AlertRow | None) -> None:
        self._connection = connection
        self.row = row

    async def last_deed(self, alert_id: str) -> Deed | None:
        """Return what the timeline says last, apart from how messages fared."""
        found = await self._connection.execute(
            select(alert_step)
            .where(alert_step.c.alert_id == alert_id, alert_step.c.kind.not_in(_ABOUT_TELLING))
            .order_by(alert_step.c.step_id.desc())
            .limit(1)
        )
        row = found.one_or_none()
        return None if row is None else Deed(StepKind(row.kind), row.actor, row.note, row.facts, row.at)

    async def has_step(self, alert_id: str, actor: str, facts: Mapping[str, Any]) -> bool:
        """Tell whether somebody has made a step with these facts already."""
        found = await self._connection.execute(
            select(alert_step.c.step_id)
            .where(alert_step.c.alert_id == alert_id, alert_step.c.actor == actor, alert_step.c.facts.contains(facts))
            .limit(1)
        )
        return found.one_or_none() is not None

    async def take_reply(self, sequence_id: str, outcome: ReplyOutcome, now: datetime) -> bool:
        """Take a reply in together with its act; False if it was taken in before."""
        return await remember_reply(self._connection, sequence_id, outcome, now)

    async def under_way_beside(self, row: AlertRow) -> str | None:
        """Return the id of another alert of the household that is under way."""
        found = await self._connection.execute(
            select(alert.c.alert_id).where(
                alert.c.household_id == row.household_id,
                alert.c.status.in_(UNDER_WAY),
                alert.c.alert_id != row.alert_id,
            )
        )
        alert_id: str | None = found.scalar_one_or_none()
        return alert_id

    async def save(self, changed: AlertRow) -> None:
        """Store what people may change of an alert. Raises Overtaken."""
        values = {name: getattr(changed, name) for name in _SET_BY_PEOPLE}
        try:
            await self._connection.execute(update(alert).where(alert.c.alert_id == changed.alert_id).values(**values))
        except IntegrityError as error:
            if getattr(error.orig, "sqlstate", None) == UNIQUE_VIOLATION:
                raise Overtaken("another alert was just opened for the household") from error
            raise

    async def note(self, step: StepRow, changed: AlertRow) -> None:
        """Append the act to the timeline and to the audit log."""
        await self._connection.execute(insert(alert_step), [asdict(step)])
        facts = {"status": changed.status, "revision": changed.revision}
        await audit(self._connection, step.actor, f"alert.{step.kind}", changed.alert_id, facts)

    async def end_repeats(self, changed: AlertRow) -> None:
        """Stop repeated attempts to tell of what the owner knows; first attempts are still made.

        But not of what has waited and says that nobody answers: it would be said after somebody did.
        """
        untimely = and_(delivery.c.held.is_not(None), delivery.c.reason.in_(_NOBODY_ANSWERS))
        await self._suppress(
            changed,
            "acknowledged",
            or_(delivery.c.attempts > 0, untimely),
            delivery.c.revision <= (changed.acknowledged_revision or 0),
        )

    async def end_telling(self, changed: AlertRow) -> None:
        """Stop all that was still to be told: a call to act on a closed alert would send people out for nothing."""
        await self._suppress(changed, "resolved")

    async def _suppress(self, changed: AlertRow, detail: str, *which: ColumnElement[bool]) -> None:
        # In one order, so that who concludes a digest and we never wait for each other.
        locked = (
            select(delivery.c.delivery_id)
            .where(delivery.c.alert_id == changed.alert_id, delivery.c.status == DeliveryStatus.PENDING, *which)
            .order_by(delivery.c.delivery_id)
            .with_for_update()
        )
        await self._connection.execute(
            update(delivery)
            .where(delivery.c.delivery_id.in_(locked))
            .values(status=DeliveryStatus.SUPPRESSED, detail=detail)
        )
