"""What a worker leases, with all that sending it takes, and what it may lead to."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text

from services.notifier.core.message import Message
from shared.alerts import AlertStatus, ChannelName, SendReason
from shared.grades import RiskGrade

# Worst first, then oldest. SKIP LOCKED: replicas take different rows without waiting for one another.
# {limited}: a further condition, for channels whose receivers have a limit. What was held is told from the hold's end
# on, and not from when it was drafted: ages are counted from there.
_CLAIM = """
    WITH due AS MATERIALIZED (
        SELECT delivery_id, alert_id, revision, staff_id, channel FROM delivery
        WHERE channel = :channel AND status = 'pending' AND next_attempt_at <= :now
          AND (leased_until IS NULL OR leased_until <= :now)
          AND (held IS NULL OR held_until <= :now)
          AND target <> ALL (CAST(:busy AS text[])) {limited}
        ORDER BY grade DESC, next_attempt_at, delivery_id
        LIMIT :most
        FOR UPDATE SKIP LOCKED
    )
    UPDATE delivery AS d SET leased_until = :leased_until, leased_by = :worker
    FROM due
    JOIN alert AS a ON a.alert_id = due.alert_id
    JOIN alert_message AS m ON m.alert_id = due.alert_id AND m.revision = due.revision
    JOIN staff AS s ON s.staff_id = due.staff_id
    LEFT JOIN contact AS c
      ON c.staff_id = due.staff_id AND c.channel = due.channel AND s.active AND c.disabled_at IS NULL
    WHERE d.delivery_id = due.delivery_id
    RETURNING d.delivery_id, d.alert_id, d.revision, d.staff_id, d.channel, d.reason, d.grade, d.target, d.message_id,
              d.attempts, greatest(d.created_at, d.held_until) AS created_at, d.leased_by,
              m.subject, m.text, m.body, m.brief, greatest(m.decided_at, d.held_until) AS decided_at,
              a.status AS alert_status, a.acknowledged_revision, a.division, c.address, c.secret
"""
CLAIM_UNLIMITED = text(_CLAIM.format(limited=""))
CLAIM_LIMITED = text(
    _CLAIM.format(
        limited="""
          AND NOT EXISTS (SELECT FROM send_budget AS b WHERE b.target = delivery.target AND b.free_at > :now)"""
    )
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
    address: str | None
    secret: str | None

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
    """What a failure for good led to.

    passed_on: 1 if the person's next channel is used instead. rerouted: duty officers who are told instead.
    unreachable: nobody is left.
    """

    passed_on: int = 0
    rerouted: int = 0
    unreachable: bool = False


def due_of(row: Row[Any]) -> Due:
    """Build a delivery from a row that a claim returned."""
    values = dict(row._mapping)
    message = Message(values.pop("subject"), values.pop("text"), values.pop("body"), values.pop("brief"))
    values |= {
        "channel": ChannelName(row.channel),
        "reason": SendReason(row.reason),
        "grade": RiskGrade(row.grade),
        "alert_status": AlertStatus(row.alert_status),
    }
    return Due(message=message, **values)
