"""What time alone does to an alert: it climbs, its visit becomes overdue, a recurring step of its plan falls due.

An alert carries one timer. Whoever changes an alert sets the timer by `next_timer`; when it is due, `fire` says what
happens: one thing at a time, the earliest first, so that a long standstill skips and doubles nothing.

Nobody is passed over for not having answered before they could hear: while a telling waits (quiet hours, the day's
cap) the timetable of climbing stands still, and while a silence keeps an alert from people its timer waits for its end.
Deadlines of visits stay.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from shared.alerts import UNDER_WAY, AlertStatus, PlanStep, SendReason
from shared.grades import RiskGrade
from shared.policy import Policy, Role, Timetable

BEGINS = (SendReason.OPENED, SendReason.GRADE_WORSE)
"""With these the deadlines of an alert begin."""
CLIMBS_ON = (*BEGINS, SendReason.OVERDUE, SendReason.OVERDUE_VISIT)
"""After these an alert climbs on if nobody answers."""
OVERDUE_VISIT_TO: Role = "township"
"""Who hears of an overdue visit where the grade's timetable climbs to nobody."""


class Effect(StrEnum):
    """What a timer did; counted, and the reason of what is told."""

    CLIMBED = "climbed"
    OVERDUE_VISIT = "overdue_visit"
    REMINDED = "reminded"
    SILENCED = "silenced"
    SILENCE_OVER = "silence_over"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Standing:
    """How an alert stands towards the clock.

    climb_from: from when the present grade was to be told, None if it never was. climbed: hops made since.
    acknowledged_at, visited_at: the last time; what people did before climb_from was about something milder.
    plan: dated steps. hop_failed_at: when the last hop turned out to have reached nobody. counts_from: from when the
    timetable counts, where people could hear only after climb_from. silenced_until: nothing is told before.
    """

    status: AlertStatus
    grade: RiskGrade
    climb_from: datetime | None
    climbed: int
    visit_by: datetime | None
    acknowledged_at: datetime | None = None
    visited_at: datetime | None = None
    plan: tuple[PlanStep, ...] = ()
    hop_failed_at: datetime | None = None
    counts_from: datetime | None = None
    silenced_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Firing:
    """What happens now, and how the alert stands afterwards. to: the role of a hop. step: what people are reminded of.

    roles: who hears of an overdue visit, beside whoever had taken the alert on.
    """

    effect: Effect
    standing: Standing
    to: Role | None = None
    roles: tuple[Role, ...] = ()
    step: PlanStep | None = None


def next_timer(standing: Standing, policy: Policy) -> datetime | None:
    """Return when time alone changes something next, which may be past already; None: never."""
    return min((at for at, _ in _ahead(standing, policy)), default=None)


def fire(standing: Standing, policy: Policy, now: datetime) -> Firing:
    """Choose the one thing that is due and comes first; NOTHING if none is."""
    at, effect = min(_ahead(standing, policy), key=lambda one: one[0], default=(None, Effect.NOTHING))
    if at is None or at > now:
        return Firing(Effect.NOTHING, standing)
    match effect:
        case Effect.CLIMBED:
            to = _timetable(standing, policy).climb[standing.climbed].to
            return Firing(effect, replace(standing, climbed=standing.climbed + 1, hop_failed_at=None), to=to)
        case Effect.OVERDUE_VISIT:
            return _overdue_visit(standing, policy, now)
        case Effect.SILENCE_OVER:
            return Firing(effect, replace(standing, silenced_until=None))
        case _:
            return _reminded(standing, at, now)


def waited_for(
    standing: Standing, acknowledge_by: datetime | None, reason: SendReason, wait: timedelta
) -> tuple[Standing, datetime | None]:
    """Let the timetable of climbing stand still for so long, because nobody can hear before of what was just told.

    Return the standing, and by when to acknowledge.
    """
    if reason not in CLIMBS_ON or standing.climb_from is None:
        return standing, acknowledge_by
    standing = replace(standing, counts_from=(standing.counts_from or standing.climb_from) + wait)
    if reason in BEGINS and acknowledge_by is not None:
        acknowledge_by += wait
    return standing, acknowledge_by


def _ahead(standing: Standing, policy: Policy) -> Iterator[tuple[datetime, Effect]]:
    """What time will do, each with its instant; of two at one instant, the first named goes first."""
    if standing.status is AlertStatus.WITHDRAWN:
        return
    if standing.silenced_until is not None:
        yield standing.silenced_until, Effect.SILENCE_OVER
        return
    if not policy.routing.get(standing.grade.code):
        # Nobody is told of this grade: then nobody is told that time went by, either.
        return
    if standing.status in UNDER_WAY and standing.climb_from is not None:
        if (hop_at := _hop_at(standing, standing.climb_from, policy)) is not None:
            yield hop_at, Effect.CLIMBED
        if (overdue_at := _visit_overdue_at(standing, standing.climb_from, policy)) is not None:
            yield overdue_at, Effect.OVERDUE_VISIT
    for step in _recurring(standing):
        yield step.due_at, Effect.REMINDED


def _hop_at(standing: Standing, climb_from: datetime, policy: Policy) -> datetime | None:
    climb = _timetable(standing, policy).climb
    # Who went there has answered as well, whether or not the worse grade was acknowledged on the way.
    acted = _since(standing.acknowledged_at, climb_from) or _since(standing.visited_at, climb_from)
    is_answered = standing.status is not AlertStatus.OPEN and acted
    if is_answered or standing.climbed >= len(climb):
        return None
    counts_from = standing.counts_from or climb_from
    scheduled = counts_from + timedelta(minutes=climb[standing.climbed].after_minutes)
    # A hop that reached nobody is no hop: its successor does not wait for its hour.
    return scheduled if standing.hop_failed_at is None else min(scheduled, standing.hop_failed_at)


def _visit_overdue_at(standing: Standing, climb_from: datetime, policy: Policy) -> datetime | None:
    is_visited = standing.status is AlertStatus.VISITED and _since(standing.visited_at, climb_from)
    if is_visited or standing.visit_by is None:
        return None
    if standing.visit_by > climb_from:
        return standing.visit_by
    # The deadline that people were given has passed and was told; once in each such time it is told again.
    minutes = _timetable(standing, policy).visit_within_minutes
    return climb_from + timedelta(minutes=minutes) if minutes else None


def _overdue_visit(standing: Standing, policy: Policy, now: datetime) -> Firing:
    climb = _timetable(standing, policy).climb
    first = climb[0].to if climb else OVERDUE_VISIT_TO
    roles = tuple(dict.fromkeys((*policy.routing[standing.grade.code], first)))
    # The first hop's people hear of it with the others, so that it counts as made.
    after = replace(standing, status=AlertStatus.OPEN, acknowledged_at=None, climb_from=now, climbed=1)
    return Firing(Effect.OVERDUE_VISIT, replace(after, hop_failed_at=None, counts_from=None), roles=roles)


def _reminded(standing: Standing, at: datetime, now: datetime) -> Firing:
    step = next(one for one in _recurring(standing) if one.due_at == at)
    moved = step.model_copy(update={"due_at": _next_due(step, now)})
    plan = tuple(moved if one is step else one for one in standing.plan)
    return Firing(Effect.REMINDED, replace(standing, plan=plan), step=step)


def _recurring(standing: Standing) -> list[PlanStep]:
    """The plan belongs to the worst grade; its recurring steps end when the household leaves that grade, and only then.

    A household whose return to poverty is confirmed stays there, so its tasks go on after the alert was resolved.
    """
    if standing.grade is not RiskGrade.RED:
        return []
    return [step for step in standing.plan if step.repeat_minutes]


def _next_due(step: PlanStep, now: datetime) -> datetime:
    """The first due date of a recurring step after now: what a standstill has swallowed is not caught up on."""
    every = timedelta(minutes=step.repeat_minutes or 0)
    return step.due_at + ((now - step.due_at) // every + 1) * every


def _since(done_at: datetime | None, climb_from: datetime) -> bool:
    return done_at is not None and done_at >= climb_from


def _timetable(standing: Standing, policy: Policy) -> Timetable:
    return policy.timetable.get(standing.grade.code) or Timetable()
