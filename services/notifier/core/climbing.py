"""When an alert is looked at next without anybody's doing."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.alerts import AlertStatus
from shared.grades import RiskGrade
from shared.policy import Policy


@dataclass(frozen=True, slots=True)
class Standing:
    """How an alert stands. climb_from: from when the timetable counts; climbed: how many of its hops are made."""

    status: AlertStatus
    grade: RiskGrade
    climb_from: datetime | None
    climbed: int
    visit_by: datetime | None


def next_timer(standing: Standing, policy: Policy) -> datetime | None:
    """Return the next instant at which time alone changes something; None: never."""
    match standing.status:
        case AlertStatus.OPEN:
            timetable = policy.timetable.get(standing.grade.code)
            left = timetable.climb[standing.climbed :] if timetable else []
            if left and standing.climb_from is not None:
                return standing.climb_from + timedelta(minutes=left[0].after_minutes)
            return standing.visit_by
        case AlertStatus.ACKNOWLEDGED:
            return standing.visit_by
        case _:
            return None
