"""Why a delivery of an alert is not sent yet although it may be told, and in which digest it goes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Row, and_, case, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.core.reasons import Wait
from shared.db.tables.notifier import delivery, digest, person_turn, send_budget


class DeliveryKey(NamedTuple):
    """Names one delivery of an alert."""

    revision: int
    staff_id: str
    channel: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """digest_id: in which digest it goes or went, together with so many others. wait, until: why it waits now."""

    digest_id: str | None
    others: int | None
    wait: Wait | None
    until: datetime | None


async def read_waiting(connection: AsyncConnection, alert_id: str) -> Mapping[DeliveryKey, Waiting]:
    """Return for each delivery of an alert how it waits."""
    line, turn, budget, whole = delivery.c, person_turn.c, send_budget.c, digest.c
    is_pending = line.status == "pending"
    is_new = and_(is_pending, line.attempts == 0, line.digest_id.is_(None), line.leased_by.is_(None))
    # Moved to the person's turn, or to when the receiver may be sent something, and not by a policy to a time after it.
    waits_for_turn = and_(is_new, line.next_attempt_at.in_((turn.free_at, turn.milder_free_at)))
    goes_at = case((line.digest_id.is_(None), line.next_attempt_at), else_=whole.next_attempt_at)
    waits_for_receiver = and_(is_pending, goes_at == budget.free_at)
    in_digest = and_(is_pending, line.attempts == 0, line.digest_id.is_not(None))
    wait = case(
        (waits_for_receiver, str(Wait.RECEIVER_LIMIT)),
        (waits_for_turn, str(Wait.MESSAGE_BUDGET)),
        (in_digest, str(Wait.IN_DIGEST)),
    )
    until = case((waits_for_receiver, budget.free_at), (waits_for_turn, line.next_attempt_at))
    columns: list[ColumnElement[Any]] = [
        *(line.revision, line.staff_id, line.channel, whole.digest_id, whole.deliveries),
        *(wait.label("wait"), until.label("until")),
    ]
    rows = await connection.execute(
        select(*columns)
        .outerjoin(digest, whole.digest_id == line.digest_id)
        .outerjoin(person_turn, and_(turn.staff_id == line.staff_id, turn.channel == line.channel))
        .outerjoin(send_budget, budget.target == line.target)
        .where(line.alert_id == alert_id)
    )
    return {DeliveryKey(row.revision, row.staff_id, row.channel): _waiting(row) for row in rows}


def _waiting(row: Row[Any]) -> Waiting:
    return Waiting(
        digest_id=row.digest_id,
        others=None if row.deliveries is None else row.deliveries - 1,
        wait=None if row.wait is None else Wait(row.wait),
        until=row.until,
    )
