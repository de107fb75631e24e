"""Rehearse an alert: who would hear of it when, by which channel, why not the others, and to whom it would climb."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict

from services.notifier.core.alerting import visit_by
from services.notifier.core.holding import Held, Hold, Place, Tellings, Wanted
from services.notifier.core.routing import Heard, Routing, Verdict, known_division
from services.notifier.core.silencing import Silence, Silenced, silenced
from services.notifier.store.rows import Register
from shared.alerts import ChannelName
from shared.clock import to_rfc3339
from shared.events.envelope import Instant
from shared.grades import GradeCode, PolicyRef, RiskGrade
from shared.policy import Delivery, Policy, Role


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True)


class Hearer(_Shape):
    """One person and why they would hear, or not. channels: empty for those who would not.

    hears_at: when, if it is known; held: why not at once.
    """

    staff_id: str
    role: Role
    division: str
    heard: Heard
    instead_of: str | None
    channels: tuple[ChannelName, ...]
    hears_at: Instant | None
    held: Held | None


class Silent(_Shape):
    """The silence that keeps the alert from people at first, and until when."""

    silence: int
    owner: str
    reason: str
    until: Instant


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
    silent: Silent | None
    people: tuple[Hearer, ...]
    climb: tuple[Climb, ...]
    visit_by: Instant | None

    @property
    def is_heard(self) -> bool:
        """Whether anybody at all would be told."""
        return any(person.channels for person in self.people)


@dataclass(frozen=True, slots=True)
class Peace:
    """What may keep people from hearing at once. tellings: of the household, if one was named."""

    silences: Sequence[Silence] = ()
    tellings: Tellings = field(default_factory=Tellings)


def rehearse(
    register: Register,
    policy: Policy,
    division: str,
    grade: RiskGrade,
    at: datetime,
    *,
    household_id: str = "",
    peace: Peace | None = None,
) -> Rehearsal:
    """Route an alert of a household in a division (12 digits) as if it were opened at an instant."""
    peace = peace or Peace()
    found = silenced(peace.silences, household_id, division, grade, since=at, rules=policy.delivery, now=at)
    told_at = at if found is None else found.until
    rules = _Rules(policy.delivery, grade, household_id, peace.tellings)
    people = _hearers(register.route(division, policy.routing[grade.code], told_at), rules, told_at)
    return Rehearsal(
        division=division,
        routed_from=known_division(division, register.names),
        grade=grade.code,
        at=at,
        policy=policy.ref,
        silent=None if found is None else _silent(found),
        people=people,
        climb=tuple(_climbs(register, policy, division, rules, _first_heard(people, told_at))),
        visit_by=visit_by(grade, policy, told_at),
    )


def _climbs(
    register: Register, policy: Policy, division: str, rules: "_Rules", counts_from: datetime
) -> Iterator[Climb]:
    timetable = policy.timetable.get(rules.grade.code)
    for step in timetable.climb if timetable else ():
        then = counts_from + timedelta(minutes=step.after_minutes)
        people = tuple(one for one in _hearers(register.climb(division, step.to, then), rules, then) if one.channels)
        yield Climb(at=then, to=step.to, people=people)
        # While they cannot hear, the next hop does not come nearer.
        counts_from += _first_heard(people, then) - then


def _first_heard(people: Iterable[Hearer], at: datetime) -> datetime:
    """When the first hears; somebody whose day is full hears at some time that nobody knows yet."""
    return min((one.hears_at for one in people if one.channels and one.hears_at is not None), default=at)


def _silent(found: Silenced) -> Silent:
    silence = found.silence
    return Silent(silence=silence.silence_id, owner=silence.owner, reason=silence.reason, until=found.until)


def longest_climb(policy: Policy, grade: RiskGrade) -> timedelta:
    """How long after people can hear of it an alert that nobody takes on climbs last, with all that can wait."""
    timetable = policy.timetable.get(grade.code)
    climb = timetable.climb if timetable else []
    return timedelta(days=len(climb) + 1, minutes=max((step.after_minutes for step in climb), default=0))


def describe(rehearsal: Rehearsal) -> Iterator[str]:
    """Yield the lines to print."""
    yield f"{rehearsal.grade} in {rehearsal.division} at {to_rfc3339(rehearsal.at)}"
    yield f"  by policy {rehearsal.policy.name} {rehearsal.policy.version}"
    if rehearsal.routed_from != rehearsal.division:
        yield f"  the register does not know this division; routed as {rehearsal.routed_from}"
    if rehearsal.silent is not None:
        silent = rehearsal.silent
        by = f"by silence {silent.silence} of {silent.owner}"
        yield f"  silenced until {to_rfc3339(silent.until)} {by}: {silent.reason}"
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
    return f"{person.staff_id} ({person.role} of {person.division}): {person.heard}{instead}{by}{_when(person)}"


def _when(person: Hearer) -> str:
    if person.held is None:
        return ""
    known = "once there is room" if person.hears_at is None else f"at {to_rfc3339(person.hears_at)}"
    return f" {known} ({person.held})"


@dataclass(frozen=True, slots=True)
class _Rules:
    """What decides when a person hears."""

    delivery: Delivery
    grade: RiskGrade
    household_id: str
    tellings: Tellings

    def hold(self, staff_id: str, at: datetime) -> Hold | None:
        """As for a telling of an alert that is not there yet."""
        wanted = Wanted(Place("", 1), self.grade, self.grade)
        return self.tellings.hold(self.household_id, staff_id, wanted, self.delivery, at)


def _hearers(routing: Routing, rules: _Rules, at: datetime) -> tuple[Hearer, ...]:
    channels = {recipient.staff_id: recipient.channels for recipient in routing.recipients}
    return tuple(_hearer(verdict, channels.get(verdict.staff_id, ()), rules, at) for verdict in routing.verdicts)


def _hearer(verdict: Verdict, channels: tuple[ChannelName, ...], rules: _Rules, at: datetime) -> Hearer:
    hold = rules.hold(verdict.staff_id, at) if channels else None
    return Hearer(
        staff_id=verdict.staff_id,
        role=verdict.role,
        division=verdict.division,
        heard=verdict.heard,
        instead_of=verdict.instead_of,
        channels=channels,
        hears_at=(at if hold is None else hold.until) if channels else None,
        held=None if hold is None else hold.held,
    )
