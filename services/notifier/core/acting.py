"""What people may do with an alert. To acknowledge it means: I own it."""

from dataclasses import dataclass
from enum import StrEnum

from shared.alerts import UNDER_WAY, AlertStatus


class Verdict(StrEnum):
    """What an acknowledgement does, or why it is refused."""

    ACKNOWLEDGED = "acknowledged"
    TAKEN_OVER = "taken_over"
    UNCHANGED = "unchanged"
    CLOSED = "closed"
    HELD_BY_OTHER = "held_by_other"


@dataclass(frozen=True, slots=True)
class Held:
    """How an alert is held. revision: told last; acknowledged_revision: told when the owner last acknowledged."""

    status: AlertStatus
    owner: str | None
    revision: int
    acknowledged_revision: int | None


def acknowledge(held: Held, actor: str, *, take_over: bool) -> Verdict:
    """Judge an acknowledgement. A repeat by the owner changes nothing unless something worse was told since."""
    if held.status not in UNDER_WAY:
        return Verdict.CLOSED
    if held.owner is None or held.status is AlertStatus.OPEN:
        return Verdict.ACKNOWLEDGED
    if held.owner != actor:
        return Verdict.TAKEN_OVER if take_over else Verdict.HELD_BY_OTHER
    return Verdict.ACKNOWLEDGED if held.revision > (held.acknowledged_revision or 0) else Verdict.UNCHANGED
