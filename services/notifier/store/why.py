"""Reads what was stored about the tellings of an alert."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.notifier.core.holding import Held, Tellings
from services.notifier.core.reasons import Line, Wait, steps
from services.notifier.core.routing import TOLD, Heard, RoutedAs, Verdict
from services.notifier.store.holding import peek_tellings
from services.notifier.store.reading import AlertReader
from services.notifier.store.rows import verdicts_of
from services.notifier.store.waiting import DeliveryKey, Waiting, read_waiting
from services.notifier.why import AlertWhy, AttemptLine, WhyDelivery, WhyPerson, WhyRevision, WhyStep
from shared.alerts import AlertDetail, DeliveryLine
from shared.db.session import transaction
from shared.db.tables.notifier import alert_message, delivery, delivery_attempt, staff

Deliveries = dict[str, list[WhyDelivery]]
"""The deliveries of one revision, by staff_id."""
_UNKNOWN = Waiting(None, None, None, None)
"""Of a delivery that was made in this very moment."""


class _More(NamedTuple):
    """What is known of an alert's deliveries beside themselves."""

    waiting: Mapping[DeliveryKey, Waiting]
    tries: Mapping[DeliveryKey, Sequence[AttemptLine]]


class WhyReader:
    """Answers from what was stored at the time, not from what holds today."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._alerts = AlertReader(engine)

    async def why(self, reach: str, alert_id: str) -> AlertWhy | None:
        """Return all about one alert's tellings; None if there is no such alert within reach."""
        alert = await self._alerts.one(reach, alert_id)
        if alert is None:
            return None
        statement = select(alert_message).where(alert_message.c.alert_id == alert_id).order_by(alert_message.c.revision)
        async with transaction(self._engine) as connection:
            messages = (await connection.execute(statement)).all()
            more = _More(await read_waiting(connection, alert_id), await _tries(connection, alert_id))
        revisions = tuple(_revision(row, _deliveries(alert, row.revision, more)) for row in messages)
        return AlertWhy(
            id=alert.id,
            household_id=alert.household_id,
            division=alert.division,
            grade=alert.grade,
            status=alert.status,
            opened_at=alert.opened_at,
            owner=alert.owner,
            unreachable=alert.unreachable,
            timeline=alert.timeline,
            revisions=revisions,
        )

    async def lately(self, household_id: str, at: datetime) -> Tellings:
        """Return what people had of a household in the 24 hours before an instant, and are still to have."""
        async with transaction(self._engine) as connection:
            return await peek_tellings(connection, household_id, at)

    async def bystander(self, staff_id: str) -> WhyPerson | None:
        """Return a person as one who had nothing to do with an alert; None if there is no such person."""
        statement = select(staff.c.role, staff.c.division).where(staff.c.staff_id == staff_id)
        async with transaction(self._engine) as connection:
            found = (await connection.execute(statement)).one_or_none()
        if found is None:
            return None
        return _person(Verdict(staff_id, found.role, found.division, Heard.OTHER_DIVISION), ())


async def _tries(connection: AsyncConnection, alert_id: str) -> Mapping[DeliveryKey, Sequence[AttemptLine]]:
    """Return the attempts at each of an alert's deliveries, oldest first."""
    line = delivery.c
    tried = await connection.execute(
        select(line.revision, line.staff_id, line.channel, delivery_attempt)
        .join(delivery_attempt, delivery_attempt.c.delivery_id == line.delivery_id)
        .where(line.alert_id == alert_id)
        .order_by(delivery_attempt.c.attempt_id)
    )
    found: dict[DeliveryKey, list[AttemptLine]] = {}
    for row in tried:
        one = AttemptLine(at=row.at, outcome=row.outcome, detail=row.detail)
        found.setdefault(DeliveryKey(row.revision, row.staff_id, row.channel), []).append(one)
    return found


def _deliveries(alert: AlertDetail, revision: int, more: _More) -> Deliveries:
    found: Deliveries = {}
    for line in alert.deliveries:
        if line.revision == revision:
            found.setdefault(line.recipient, []).append(_delivery(line, more))
    return found


def _delivery(line: DeliveryLine, more: _More) -> WhyDelivery:
    key = DeliveryKey(line.revision, line.recipient, line.channel)
    waiting = more.waiting.get(key, _UNKNOWN)
    return WhyDelivery(
        **line.model_dump(),
        tries=tuple(more.tries.get(key, ())),
        digest=waiting.digest_id,
        digest_others=waiting.others,
        waits=waiting.wait,
        waits_until=waiting.until,
        waits_for_turn_until=waiting.until if waiting.wait is Wait.MESSAGE_BUDGET else None,
    )


def _revision(row: Row[Any], deliveries: Deliveries) -> WhyRevision:
    verdicts = () if row.routing is None else verdicts_of(row.routing)
    known = {verdict.staff_id for verdict in verdicts}
    people = [_person(verdict, deliveries.get(verdict.staff_id, ())) for verdict in verdicts]
    people += [_told(staff_id, lines) for staff_id, lines in deliveries.items() if staff_id not in known]
    return WhyRevision(revision=row.revision, reason=row.reason, decided_at=row.decided_at, people=tuple(people))


def _person(verdict: Verdict, deliveries: Sequence[WhyDelivery]) -> WhyPerson:
    # Whoever the rules did not name may have been told all the same, once nobody else could be.
    later = bool(deliveries) and verdict.heard not in TOLD.values()
    heard = _heard(deliveries[0]) if later else verdict.heard
    return WhyPerson(
        staff_id=verdict.staff_id,
        role=verdict.role,
        division=verdict.division,
        heard=heard,
        instead_of=verdict.instead_of,
        steps=_steps(heard, deliveries),
        deliveries=tuple(deliveries),
    )


def _told(staff_id: str, deliveries: Sequence[WhyDelivery]) -> WhyPerson:
    return WhyPerson(
        staff_id=staff_id,
        role=None,
        division=None,
        heard=_heard(deliveries[0]),
        instead_of=None,
        steps=_steps(_heard(deliveries[0]), deliveries),
        deliveries=tuple(deliveries),
    )


def _steps(heard: Heard, deliveries: Sequence[WhyDelivery]) -> tuple[WhyStep, ...]:
    lines = tuple(
        Line(
            one.channel,
            one.status,
            one.attempts,
            one.detail,
            None if one.held is None else Held(one.held),
            one.held_until,
            one.waits,
            one.waits_until,
            in_digest=one.digest is not None,
        )
        for one in deliveries
    )
    return tuple(WhyStep(**asdict(step)) for step in steps(heard, lines))


def _heard(line: WhyDelivery) -> Heard:
    return TOLD.get(RoutedAs(line.routed_as), Heard.TOLD_ROLE)
