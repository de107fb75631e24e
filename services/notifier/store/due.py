"""What a worker leases, with all that sending it takes, and what it may lead to."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import RowMapping

from services.notifier.core.message import Message
from shared.alerts import AlertStatus, ChannelName, SendReason
from shared.grades import RiskGrade


@dataclass(frozen=True, slots=True)
class DueLine:
    """One delivery of what is sent. is_pending: not superseded, nor given up, since it went into its digest."""

    delivery_id: int
    alert_id: str
    revision: int
    reason: SendReason
    grade: RiskGrade
    division: str
    created_at: datetime
    decided_at: datetime
    alert_status: AlertStatus
    acknowledged_revision: int | None
    is_pending: bool = True


@dataclass(frozen=True, slots=True)
class Due:
    """A message that this worker has leased, with all that sending it takes.

    lines: the delivery that it tells, or all of a digest's, worst first. digest_id: None for a single one.
    """

    staff_id: str
    channel: ChannelName
    target: str
    message_id: str
    attempts: int
    leased_by: str
    message: Message
    address: str | None
    secret: str | None
    lines: tuple[DueLine, ...]
    digest_id: str | None = None

    def __repr__(self) -> str:
        return f"Due(message_id={self.message_id!r})"

    @property
    def facts(self) -> Mapping[str, object]:
        """What logs say of it."""
        what = {"alert_id": self.lines[0].alert_id} if self.digest_id is None else {"digest_id": self.digest_id}
        return {**what, "staff_id": self.staff_id, "channel": self.channel}


@dataclass(frozen=True, slots=True)
class Taken:
    """A message that its channel has taken."""

    due: Due
    at: datetime
    receipt: str
    detail: str


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What a failure for good led to.

    passed_on: how many deliveries the person's next channel makes instead. rerouted: duty officers who are told
    instead. unreachable: what nobody is left to tell of. left: how many deliveries of a digest have still to be failed.
    """

    passed_on: int = 0
    rerouted: int = 0
    unreachable: tuple[DueLine, ...] = ()
    left: int = 0

    def __add__(self, other: "Aftermath") -> "Aftermath":
        return Aftermath(
            self.passed_on + other.passed_on,
            self.rerouted + other.rerouted,
            self.unreachable + other.unreachable,
            self.left + other.left,
        )


def line_of(row: RowMapping) -> DueLine:
    """Build a delivery from a row that holds its columns and those of its alert (`alert_status`)."""
    return DueLine(
        delivery_id=row["delivery_id"],
        alert_id=row["alert_id"],
        revision=row["revision"],
        reason=SendReason(row["reason"]),
        grade=RiskGrade(row["grade"]),
        division=row["division"],
        created_at=row["created_at"],
        decided_at=row["decided_at"],
        alert_status=AlertStatus(row["alert_status"]),
        acknowledged_revision=row["acknowledged_revision"],
        is_pending=row["status"] == "pending",
    )


def due_of(row: RowMapping, lines: tuple[DueLine, ...], digest_id: str | None = None) -> Due:
    """Build what is sent from a row that holds message, address and lease."""
    return Due(
        staff_id=row["staff_id"],
        channel=ChannelName(row["channel"]),
        target=row["target"],
        message_id=row["message_id"],
        attempts=row["attempts"],
        leased_by=row["leased_by"],
        message=Message(row["subject"], row["text"], row["body"], row["brief"]),
        address=row["address"],
        secret=row["secret"],
        lines=lines,
        digest_id=digest_id,
    )
