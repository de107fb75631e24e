"""Whether a change of grade opens an alert, is told again, is only noted, or withdraws what was told.

A household has at most one alert under way. People close alerts; two things close an alert by themselves: evidence
that turned out false before anybody took the alert on, and the household's closing in the register.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from shared.alerts import AlertStatus, PlanStep
from shared.grades import GradeChanged, RiskGrade
from shared.policy import Policy, Role

SERIOUS = RiskGrade.ORANGE
"""From this grade on a household must not stand without an alert, even if its grade is falling."""


class Action(StrEnum):
    """What is done about a change."""

    IGNORE = "ignore"
    OPEN = "open"
    SEND_AGAIN = "send_again"
    NOTE = "note"
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


def deadlines(grade: RiskGrade, policy: Policy, now: datetime, *, heard_from: datetime | None = None) -> Deadlines:
    """Return the times of the policy's timetable for an alert of this grade that is told now.

    heard_from: when people can hear of it, if that is later; only the acknowledgement waits for it, never the visit.
    Acknowledged by: when it would climb first. The emergency plan belongs to the worst grade; a milder one has a visit.
    """
    timetable = policy.timetable.get(grade.code)
    climb = timetable.climb if timetable else []
    visit_minutes = timetable.visit_within_minutes if timetable else None
    visit_by = None if visit_minutes is None else now + timedelta(minutes=visit_minutes)
    if grade is RiskGrade.RED:
        plan = emergency_plan(policy, now)
    elif visit_by is not None and visit_minutes is not None:
        words_zh, words_en = span_words(timedelta(minutes=visit_minutes))
        text_zh, text_en = f"{words_zh}内入户", f"visited within {words_en}"
        plan = (PlanStep(step="visit", due_at=visit_by, text_zh=text_zh, text_en=text_en),)
    else:
        plan = ()
    acknowledge_by = (heard_from or now) + timedelta(minutes=climb[0].after_minutes) if climb else None
    return Deadlines(acknowledge_by, visit_by, plan)


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


def span_words(span: timedelta) -> tuple[str, str]:
    """Say a length of time in Chinese and English: 2小时, 1小时47分钟, 3天. Below a minute: one minute.

    Minutes are told below ten hours, hours up to two days ("24 hours" is how the rules speak); what is left is cut off,
    so that nobody reads more time than there is.
    """
    hours, minutes = divmod(max(1, round(span.total_seconds() / 60)), 60)
    if hours >= 48:
        parts = [(hours // 24, "天", "day")]
    elif hours >= 10:
        parts = [(hours, "小时", "hour")]
    else:
        parts = [(count, zh, en) for count, zh, en in ((hours, "小时", "hour"), (minutes, "分钟", "minute")) if count]
    words_en = " ".join(f"{count} {unit}{'' if count == 1 else 's'}" for count, _, unit in parts)
    return "".join(f"{count}{unit}" for count, unit, _ in parts), words_en
