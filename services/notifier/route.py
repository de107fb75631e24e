"""Rehearse an alert: who would hear of it, by which channel, why not the others, and to whom it would climb when."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict

from services.notifier.core.alerting import visit_by
from services.notifier.core.routing import Heard, Routing, known_division
from services.notifier.store.rows import Register
from shared.alerts import ChannelName
from shared.clock import to_rfc3339
from shared.events.envelope import Instant
from shared.grades import GradeCode, PolicyRef, RiskGrade
from shared.policy import Policy, Role


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True)


class Hearer(_Shape):
    """One person and why they would hear, or not. channels: empty for those who would not."""

    staff_id: str
    role: Role
    division: str
    heard: Heard
    instead_of: str | None
    channels: tuple[ChannelName, ...]


class Climb(_Shape):
    """When an alert that nobody takes on would climb, to which role, and who would hear then."""

    at: Instant
    to: Role
    people: tuple[Hearer, ...]


class Rehearsal(_Shape):
    """What would become of an alert that is opened at an instant. routed_from: the nearest division that is known."""

    division: str
    routed_from: str
    grade: GradeCode
    at: Instant
    policy: PolicyRef
    people: tuple[Hearer, ...]
    climb: tuple[Climb, ...]
    visit_by: Instant | None

    @property
    def is_heard(self) -> bool:
        """Whether anybody at all would be told."""
        return any(person.channels for person in self.people)


def rehearse(register: Register, policy: Policy, division: str, grade: RiskGrade, at: datetime) -> Rehearsal:
    """Route an alert of a household in a division (12 digits) as if it were opened at an instant."""
    timetable = policy.timetable.get(grade.code)
    hops = []
    for step in timetable.climb if timetable else ():
        then = at + timedelta(minutes=step.after_minutes)
        people = tuple(one for one in _hearers(register.climb(division, step.to, then)) if one.channels)
        hops.append(Climb(at=then, to=step.to, people=people))
    return Rehearsal(
        division=division,
        routed_from=known_division(division, register.names),
        grade=grade.code,
        at=at,
        policy=policy.ref,
        people=_hearers(register.route(division, policy.routing[grade.code], at)),
        climb=tuple(hops),
        visit_by=visit_by(grade, policy, at),
    )


def longest_climb(policy: Policy, grade: RiskGrade) -> timedelta:
    """How long after its opening an alert that nobody takes on climbs last."""
    timetable = policy.timetable.get(grade.code)
    return timedelta(minutes=max((step.after_minutes for step in timetable.climb), default=0) if timetable else 0)


def describe(rehearsal: Rehearsal) -> Iterator[str]:
    """Yield the lines to print."""
    yield f"{rehearsal.grade} in {rehearsal.division} at {to_rfc3339(rehearsal.at)}"
    yield f"  by policy {rehearsal.policy.name} {rehearsal.policy.version}"
    if rehearsal.routed_from != rehearsal.division:
        yield f"  the register does not know this division; routed as {rehearsal.routed_from}"
    yield "told:" if rehearsal.is_heard else "told: NOBODY"
    yield from (f"  {_words(person)}" for person in rehearsal.people if person.channels)
    others = [person for person in rehearsal.people if not person.channels]
    if others:
        yield "not told:"
    yield from (f"  {_words(person)}" for person in others)
    for hop in rehearsal.climb:
        yield f"not acknowledged until {to_rfc3339(hop.at)}, it climbs to {hop.to}:"
        yield from [f"  {_words(person)}" for person in hop.people] or ["  NOBODY"]
    if rehearsal.visit_by is not None:
        yield f"to be visited by {to_rfc3339(rehearsal.visit_by)}"


def _words(person: Hearer) -> str:
    instead = f" for {person.instead_of}" if person.instead_of else ""
    by = f" by {', '.join(person.channels)}" if person.channels else ""
    return f"{person.staff_id} ({person.role} of {person.division}): {person.heard}{instead}{by}"


def _hearers(routing: Routing) -> tuple[Hearer, ...]:
    channels = {recipient.staff_id: recipient.channels for recipient in routing.recipients}
    return tuple(
        Hearer(
            staff_id=verdict.staff_id,
            role=verdict.role,
            division=verdict.division,
            heard=verdict.heard,
            instead_of=verdict.instead_of,
            channels=channels.get(verdict.staff_id, ()),
        )
        for verdict in routing.verdicts
    )
