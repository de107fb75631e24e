"""What people may do with an alert: take it on, visit, resolve, take up again, comment; and why not, with what to do.

open -> acknowledged -> visited -> resolved -> (reopened) open. To acknowledge means: I own it. Withdrawn is final.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from shared.alerts import UNDER_WAY, AlertStatus, StepKind
from shared.clock import day_of
from shared.grades import RiskGrade

VISIT_NEEDED_FROM = RiskGrade.ORANGE
"""From this grade on nobody may close an alert without somebody's having been there."""
REOPENED_WITHIN = timedelta(days=30)
NOBODY_FOUND = "not_found"
"""Result of a visit at which the household was not met."""


class Verdict(StrEnum):
    """What an act does, or why it is refused."""

    ACKNOWLEDGED = "acknowledged"
    TAKEN_OVER = "taken_over"
    VISITED = "visited"
    VISITED_IN_VAIN = "visited_in_vain"
    RESOLVED = "resolved"
    REOPENED = "reopened"
    COMMENTED = "commented"
    UNCHANGED = "unchanged"
    CLOSED = "closed"
    WITHDRAWN = "withdrawn"
    HELD_BY_OTHER = "held_by_other"
    ACKNOWLEDGE_FIRST = "acknowledge_first"
    VISIT_FIRST = "visit_first"
    VISIT_AGAIN = "visit_again"
    NOT_RESOLVED = "not_resolved"
    RESOLVED_LONG_AGO = "resolved_long_ago"
    ANOTHER_UNDER_WAY = "another_under_way"


STEP_OF: Mapping[Verdict, StepKind] = {
    Verdict.ACKNOWLEDGED: StepKind.ACKNOWLEDGED,
    Verdict.TAKEN_OVER: StepKind.TAKEN_OVER,
    Verdict.VISITED: StepKind.VISITED,
    Verdict.VISITED_IN_VAIN: StepKind.VISITED_IN_VAIN,
    Verdict.RESOLVED: StepKind.RESOLVED,
    Verdict.REOPENED: StepKind.REOPENED,
    Verdict.COMMENTED: StepKind.COMMENTED,
}
REFUSALS: Mapping[Verdict, str] = {
    Verdict.CLOSED: "the alert is resolved; reopen it first, or comment on it",
    Verdict.WITHDRAWN: "the alert is withdrawn and stays so; new evidence opens a new one. It can be commented on",
    Verdict.HELD_BY_OTHER: "somebody else holds the alert; send take_over to take it on",
    Verdict.ACKNOWLEDGE_FIRST: "acknowledge first: nobody has taken the alert on yet",
    Verdict.VISIT_FIRST: "visit first: a red or orange alert is resolved only after a visit",
    Verdict.VISIT_AGAIN: "visit again: the alert has become worse since the last visit",
    Verdict.NOT_RESOLVED: "only a resolved alert can be reopened, and this one is under way: comment on it instead",
    Verdict.RESOLVED_LONG_AGO: "resolved more than 30 days ago; report what happened, so that a new alert is opened",
    Verdict.ANOTHER_UNDER_WAY: "the household has another alert under way; act on that one",
}


@dataclass(frozen=True, slots=True)
class Held:
    """How an alert is held.

    revision: told last; acknowledged_revision: told when the owner last acknowledged. climb_from: since when the
    present grade's timetable counts, so that an earlier visit does not count for it.
    """

    status: AlertStatus
    grade: RiskGrade
    owner: str | None
    revision: int
    acknowledged_revision: int | None
    climb_from: datetime | None
    visited_at: datetime | None
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Deed:
    """An act as the timeline keeps it."""

    kind: StepKind
    actor: str
    note: str | None
    facts: Mapping[str, Any]
    at: datetime

    def repeats(self, last: "Deed | None") -> bool:
        """Tell whether this says once more what was said last, on the same day: a form or a request sent twice."""
        return (
            last is not None
            and day_of(last.at) == day_of(self.at)
            and (last.kind, last.actor, last.note, dict(last.facts))
            == (self.kind, self.actor, self.note, dict(self.facts))
        )


def acknowledge(held: Held, actor: str, *, take_over: bool) -> Verdict:
    """Judge an acknowledgement. A repeat by the owner changes nothing unless something worse was told since."""
    if held.status not in UNDER_WAY:
        return _over(held)
    if held.owner is None or held.status is AlertStatus.OPEN:
        return Verdict.ACKNOWLEDGED
    if held.owner != actor:
        return Verdict.TAKEN_OVER if take_over else Verdict.HELD_BY_OTHER
    return Verdict.ACKNOWLEDGED if held.revision > (held.acknowledged_revision or 0) else Verdict.UNCHANGED


def visit(held: Held, result: str) -> Verdict:
    """Judge a visit. Where nobody was met the visit is still owed."""
    if held.status not in UNDER_WAY:
        return _over(held)
    return Verdict.VISITED_IN_VAIN if result == NOBODY_FOUND else Verdict.VISITED


def resolve(held: Held) -> Verdict:
    """Judge the closing of an alert by a person."""
    if held.status not in UNDER_WAY:
        return _over(held)
    if held.grade >= VISIT_NEEDED_FROM:
        if held.visited_at is None:
            return Verdict.VISIT_FIRST
        if held.climb_from is not None and held.visited_at < held.climb_from:
            return Verdict.VISIT_AGAIN
    return Verdict.ACKNOWLEDGE_FIRST if held.status is AlertStatus.OPEN else Verdict.RESOLVED


def reopen(held: Held, now: datetime, *, another_under_way: bool) -> Verdict:
    """Judge the taking up again of an alert that was resolved too early."""
    if held.status in UNDER_WAY:
        return Verdict.NOT_RESOLVED
    if held.status is AlertStatus.WITHDRAWN:
        return Verdict.WITHDRAWN
    if another_under_way:
        return Verdict.ANOTHER_UNDER_WAY
    if held.closed_at is None or now - held.closed_at > REOPENED_WITHIN:
        return Verdict.RESOLVED_LONG_AGO
    return Verdict.REOPENED


def _over(held: Held) -> Verdict:
    return Verdict.WITHDRAWN if held.status is AlertStatus.WITHDRAWN else Verdict.CLOSED
