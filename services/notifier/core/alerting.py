"""Whether a change of grade opens an alert, is told again, is only noted, or withdraws what was told.

A household has at most one alert under way. A milder grade is only noted, unless what was told was never so: then those
who were told hear it. People close alerts; two things close an alert by themselves: evidence
that turned out false before anybody took the alert on, and the household's closing in the register.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from services.notifier.core.words import Wording, Words
from shared.alerts import AlertStatus, PlanStep
from shared.grades import GradeChanged, RiskGrade
from shared.policy import Policy, Role

MENDING = ("event.corrected", "event.refuted")
"""Types of events by which what was told turns out not to have been so."""
SERIOUS = RiskGrade.ORANGE
"""From this grade on a household must not stand without an alert, even if its grade is falling."""


class Action(StrEnum):
    """What is done about a change."""

    IGNORE = "ignore"
    OPEN = "open"
    SEND_AGAIN = "send_again"
    NOTE = "note"
    CORRECT = "correct"
    WITHDRAW = "withdraw"


class Why(StrEnum):
    """Reason of a decision; stored on the timeline and counted."""

    OLD_VERSION = "old_version"
    GRADE_NOT_TOLD = "grade_not_told"
    NOT_WORSE = "not_worse"
    OPENED_WORSE = "opened_worse"
    OPENED_SERIOUS = "opened_serious"
    GRADE_WORSE = "grade_worse"
    NEW_FIRST_CAUSE = "new_first_cause"
    GRADE_BETTER = "grade_better"
    CORRECTED = "corrected"
    UNCHANGED = "unchanged"
    REFUTED = "refuted"
    HOUSEHOLD_CLOSED = "household_closed"


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """The household's alert under way. version: of the last change taken in; causes_told: first causes told so far."""

    status: AlertStatus
    grade: RiskGrade
    version: int
    causes_told: frozenset[str]


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do and why; roles: who hears of it by policy (empty unless something is told to roles)."""

    action: Action
    why: Why
    roles: tuple[Role, ...] = ()


@dataclass(frozen=True, slots=True)
class Deadlines:
    """By when people must act, counted from `now`; None where the policy sets no time."""

    acknowledge_by: datetime | None
    visit_by: datetime | None
    plan: tuple[PlanStep, ...]


def decide(change: GradeChanged, alert: OpenAlert | None, *, last_version: int, policy: Policy) -> Decision:
    """Choose the action for one change.

    alert: the household's alert under way, None if there is none. last_version: highest household version that any
    alert of the household has taken in (0: none), so that a message that comes twice changes nothing.
    """
    if change.version <= last_version:
        return Decision(Action.IGNORE, Why.OLD_VERSION)
    if change.closed:
        return Decision(Action.IGNORE if alert is None else Action.WITHDRAW, Why.HOUSEHOLD_CLOSED)
    roles = tuple(policy.routing[change.new])
    return _without_alert(change, roles) if alert is None else _with_alert(change, alert, roles, policy)


def _without_alert(change: GradeChanged, roles: tuple[Role, ...]) -> Decision:
    if not roles:
        return Decision(Action.IGNORE, Why.GRADE_NOT_TOLD)
    if change.new_grade > (change.old_grade or RiskGrade.GREEN):
        return Decision(Action.OPEN, Why.OPENED_WORSE, roles)
    if change.new_grade >= SERIOUS:
        return Decision(Action.OPEN, Why.OPENED_SERIOUS, roles)
    return Decision(Action.IGNORE, Why.NOT_WORSE)


def _with_alert(change: GradeChanged, alert: OpenAlert, roles: tuple[Role, ...], policy: Policy) -> Decision:
    if _is_refuted(change, alert, policy):
        return Decision(Action.WITHDRAW, Why.REFUTED)
    if change.new_grade < alert.grade and _is_mended(change):
        return Decision(Action.CORRECT, Why.CORRECTED, roles)
    if not roles:
        return Decision(Action.NOTE, Why.GRADE_BETTER if change.new_grade < alert.grade else Why.GRADE_NOT_TOLD)
    if change.new_grade > alert.grade:
        return Decision(Action.SEND_AGAIN, Why.GRADE_WORSE, roles)
    if change.new_grade < alert.grade:
        # Good news waits for the next look at the console; it must not cost anybody's attention.
        return Decision(Action.NOTE, Why.GRADE_BETTER)
    # Each first cause is told once: losses that overtake one another in turn must not become a stream of messages.
    if change.causes and change.causes[0] not in alert.causes_told:
        return Decision(Action.SEND_AGAIN, Why.NEW_FIRST_CAUSE, roles)
    return Decision(Action.NOTE, Why.UNCHANGED)


def _is_refuted(change: GradeChanged, alert: OpenAlert, policy: Policy) -> bool:
    told = [RiskGrade.from_code(code) for code, roles in policy.routing.items() if roles]
    below_all = not told or change.new_grade < min(told)
    return change.trigger.kind == "replay" and below_all and alert.status is AlertStatus.OPEN


def _is_mended(change: GradeChanged) -> bool:
    return change.trigger.kind == "replay" and change.trigger.type in MENDING


def deadlines(
    grade: RiskGrade, policy: Policy, now: datetime, wording: Wording, *, heard_from: datetime | None = None
) -> Deadlines:
    """Return the times of the policy's timetable for an alert of this grade that is told now.

    heard_from: when people can hear of it, if that is later; only the acknowledgement waits for it, never the visit.
    Acknowledged by: when it would climb first. The emergency plan belongs to the worst grade; a milder one has a visit.
    """
    timetable = policy.timetable.get(grade.code)
    climb = timetable.climb if timetable else []
    visit_at = visit_by(grade, policy, now)
    if grade is RiskGrade.RED:
        plan = emergency_plan(policy, now)
    elif visit_at is not None:
        plan = (_visit(visit_at, visit_at - now, wording),)
    else:
        plan = ()
    acknowledge_by = (heard_from or now) + timedelta(minutes=climb[0].after_minutes) if climb else None
    return Deadlines(acknowledge_by, visit_at, plan)


def visit_by(grade: RiskGrade, policy: Policy, now: datetime) -> datetime | None:
    """Return by when an alert that is told now is to be visited; None where the policy sets no time."""
    timetable = policy.timetable.get(grade.code)
    if timetable is None or timetable.visit_within_minutes is None:
        return None
    return now + timedelta(minutes=timetable.visit_within_minutes)


def _visit(due_at: datetime, span: timedelta, wording: Wording) -> PlanStep:
    text_zh, text_en = (
        words.gettext("visited within %(span)s", span=say_span(span, words)) for words in (wording.zh, wording.en)
    )
    return PlanStep(step="visit", due_at=due_at, text_zh=text_zh, text_en=text_en)


def emergency_plan(policy: Policy, now: datetime) -> tuple[PlanStep, ...]:
    """Date the policy's emergency plan from now."""
    return tuple(
        PlanStep(
            step=step.code,
            due_at=now + timedelta(minutes=step.after_minutes),
            text_zh=step.text_zh,
            text_en=step.text_en,
            repeat_minutes=step.repeat_minutes,
        )
        for step in policy.emergency_plan
    )


def say_span(span: timedelta, words: Words) -> str:
    """Say a length of time: 2 hours, 1 hour 47 minutes, 3 days. Below a minute: one minute.

    Minutes are told below ten hours, hours up to two days ("24 hours" is how the rules speak); what is left is cut off,
    so that nobody reads more time than there is.
    """
    hours, minutes = divmod(max(1, round(span.total_seconds() / 60)), 60)
    if hours >= 48:
        return words.ngettext("%(count)d day", "%(count)d days", hours // 24)
    said_hours = words.ngettext("%(count)d hour", "%(count)d hours", hours)
    if hours >= 10 or not minutes:
        return said_hours
    said_minutes = words.ngettext("%(count)d minute", "%(count)d minutes", minutes)
    return words.gettext("%(hours)s %(minutes)s", hours=said_hours, minutes=said_minutes) if hours else said_minutes
