"""Gathers all that is new for a person into one digest, inside the claim's transaction, under the person's turn."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notifier.core.digests import BURSTS_FROM, Onset
from services.notifier.digesting import Addressee, Digesting, Nearby, ToTell, Written
from services.notifier.store.due import Due, line_of
from shared.alerts import UNDER_WAY, AlertStatus, ChannelName, DeliveryStatus, SendReason
from shared.db.tables.notifier import digest
from shared.grades import RiskGrade

# SKIP LOCKED: what others are changing just now is gathered at the person's next turn, or is superseded.
_NEW = text(
    """
    SELECT d.delivery_id, d.staff_id, d.alert_id, d.revision, d.reason, d.grade, d.target, d.status,
           greatest(d.created_at, d.held_until) AS created_at, m.body,
           greatest(m.decided_at, d.held_until) AS decided_at, a.division, a.status AS alert_status,
           a.acknowledged_revision, a.causes_told[1] AS first_cause
    FROM delivery AS d
    JOIN alert AS a ON a.alert_id = d.alert_id
    JOIN alert_message AS m ON m.alert_id = d.alert_id AND m.revision = d.revision
    WHERE d.staff_id = ANY (CAST(:staff_ids AS text[])) AND d.channel = :channel AND d.status = 'pending'
      AND d.digest_id IS NULL AND d.next_attempt_at <= :now AND d.attempts = 0 AND d.leased_by IS NULL
      AND (d.held IS NULL OR d.held_until <= :now)
    ORDER BY d.grade DESC, d.delivery_id
    FOR UPDATE OF d SKIP LOCKED
    """
)
_NEARBY = text(
    """
    SELECT a.alert_id, a.division, a.grade, a.causes_told[1] AS first_cause, a.status, a.revision,
           a.acknowledged_revision, m.reason, CASE WHEN told.told THEN m.body END AS body
    FROM alert AS a
    JOIN alert_message AS m ON m.alert_id = a.alert_id AND m.revision = a.revision
    CROSS JOIN LATERAL (
        SELECT EXISTS (
            SELECT FROM delivery AS d
            WHERE d.alert_id = a.alert_id AND d.staff_id = :staff_id AND d.status = 'sent'
        ) AS told
    ) AS told
    WHERE a.division = ANY (CAST(:divisions AS text[])) AND a.opened_at > :since AND a.grade >= :least
      AND a.status = ANY (CAST(:under_way AS text[]))
    """
)
_ADDRESSES = text(
    """
    SELECT s.staff_id, c.address, c.secret FROM staff AS s
    LEFT JOIN contact AS c ON c.staff_id = s.staff_id AND c.channel = :channel AND s.active AND c.disabled_at IS NULL
    WHERE s.staff_id = ANY (CAST(:staff_ids AS text[]))
    """
)
_ATTACH = text(
    """
    UPDATE delivery SET digest_id = gathered.digest_id, leased_until = :leased_until, leased_by = :worker
    FROM unnest(CAST(:ids AS bigint[]), CAST(:digest_ids AS text[])) AS gathered (delivery_id, digest_id)
    WHERE delivery.delivery_id = gathered.delivery_id
    """
)


@dataclass(frozen=True, slots=True)
class Lease:
    """Who leases, by which channel, from when until when."""

    channel: ChannelName
    worker: str
    now: datetime
    until: datetime


async def read_new(
    connection: AsyncConnection, staff_ids: Collection[str], lease: Lease
) -> Mapping[str, Sequence[ToTell]]:
    """Lock and return what is new for people whose turns are ours, worst first."""
    values = {"staff_ids": list(staff_ids), "channel": lease.channel, "now": lease.now}
    found: dict[str, list[ToTell]] = {}
    for row in (await connection.execute(_NEW, values)).mappings():
        one = ToTell(line_of(row), row["target"], row["body"], row["first_cause"])
        found.setdefault(row["staff_id"], []).append(one)
    return found


async def make_digests(
    connection: AsyncConnection,
    gathered: Iterable[tuple[Addressee, Sequence[ToTell]]],
    digesting: Digesting,
    lease: Lease,
) -> list[Due]:
    """Store and lease one digest for each of these people. All words are final before anything is sent."""
    made = [(person, told, await _written(connection, person, told, digesting, lease)) for person, told in gathered]
    if not made:
        return []
    await connection.execute(insert(digest), [_row(person, told, one, lease) for person, told, one in made])
    values = {
        "leased_until": lease.until,
        "worker": lease.worker,
        "ids": [one.line.delivery_id for _, told, _ in made for one in told],
        "digest_ids": [written.digest_id for _, told, written in made for _ in told],
    }
    await connection.execute(_ATTACH, values)
    staff_ids = [person.staff_id for person, _, _ in made]
    rows = await connection.execute(_ADDRESSES, {"channel": lease.channel, "staff_ids": staff_ids})
    addresses = {row["staff_id"]: row for row in rows.mappings()}
    return [_due(told, written, addresses[person.staff_id], lease) for person, told, written in made]


async def _written(
    connection: AsyncConnection, person: Addressee, told: Sequence[ToTell], digesting: Digesting, lease: Lease
) -> Written:
    divisions = {one.line.division for one in told if one.line.grade >= BURSTS_FROM}
    nearby: list[Nearby] = []
    if divisions:
        values = {
            "staff_id": person.staff_id,
            "divisions": sorted(divisions),
            "since": digesting.burst_since(person.division, lease.now),
            "least": int(BURSTS_FROM),
            "under_way": [str(status) for status in UNDER_WAY],
        }
        nearby = [_nearby(row) for row in (await connection.execute(_NEARBY, values)).mappings()]
    return digesting.write(person, told, nearby, lease.now)


def _nearby(row: RowMapping) -> Nearby:
    return Nearby(
        alert_id=row["alert_id"],
        onset=Onset(row["division"], RiskGrade(row["grade"]), row["first_cause"]),
        status=AlertStatus(row["status"]),
        revision=row["revision"],
        acknowledged_revision=row["acknowledged_revision"],
        reason=SendReason(row["reason"]),
        body=row["body"],
    )


def _row(person: Addressee, told: Sequence[ToTell], written: Written, lease: Lease) -> dict[str, Any]:
    message = written.message
    return {
        "digest_id": written.digest_id,
        "staff_id": person.staff_id,
        "channel": person.channel,
        "message_id": _message_id(written),
        "target": told[0].target,
        "grade": max(one.line.grade for one in told),
        "deliveries": len(told),
        "earlier": list(written.earlier),
        "subject": message.subject,
        "text": message.text,
        "body": message.body,
        "brief": message.brief,
        "status": DeliveryStatus.PENDING,
        "attempts": 0,
        "next_attempt_at": lease.now,
        "leased_until": lease.until,
        "leased_by": lease.worker,
        "created_at": lease.now,
    }


def _due(told: Sequence[ToTell], written: Written, address: RowMapping, lease: Lease) -> Due:
    return Due(
        staff_id=address["staff_id"],
        channel=lease.channel,
        target=told[0].target,
        message_id=_message_id(written),
        attempts=0,
        leased_by=lease.worker,
        message=written.message,
        address=address["address"],
        secret=address["secret"],
        lines=tuple(one.line for one in told),
        digest_id=written.digest_id,
    )


def _message_id(written: Written) -> str:
    return f"msg_{written.digest_id}"
