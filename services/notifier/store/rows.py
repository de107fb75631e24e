"""Rows as the notifier works with them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any

from services.notifier.core.alerting import OpenAlert
from services.notifier.core.climbing import Standing
from services.notifier.core.duty import Rota
from services.notifier.core.holding import Held, Hold
from services.notifier.core.routing import (
    NO_ROTA,
    Heard,
    RoutedAs,
    Routing,
    StaffMember,
    Verdict,
    ancestors,
    climb,
    known_division,
    route,
)
from shared.alerts import AlertStatus, ChannelName, DeliveryStatus, PlanStep, SendReason, StepKind
from shared.grades import RiskGrade
from shared.policy import Role

SYSTEM = "system"
_OF_VERDICT = tuple(one.name for one in fields(Verdict))


@dataclass(frozen=True, slots=True)
class AlertRow:
    """One alert; see the table for what the columns mean."""

    alert_id: str
    household_id: str
    household_version: int
    alias: str | None
    division: str
    grade: RiskGrade
    status: AlertStatus
    revision: int
    change: Mapping[str, Any]
    plan: list[Mapping[str, Any]]
    causes_told: list[str]
    opened_at: datetime
    updated_at: datetime
    acknowledge_by: datetime | None = None
    visit_by: datetime | None = None
    owner: str | None = None
    acknowledged_at: datetime | None = None
    acknowledged_revision: int | None = None
    closed_at: datetime | None = None
    unreachable: bool = False
    visited_at: datetime | None = None
    climb_from: datetime | None = None
    climbed: int = 0
    timer_at: datetime | None = None
    counts_from: datetime | None = None
    silence_id: int | None = None
    silenced_since: datetime | None = None
    silenced_until: datetime | None = None
    untold: SendReason | None = None

    @property
    def under_way(self) -> OpenAlert:
        """What the core must know of it."""
        return OpenAlert(self.status, self.grade, self.household_version, frozenset(self.causes_told))

    @property
    def standing(self) -> Standing:
        """How it stands towards the clock."""
        return Standing(
            status=self.status,
            grade=self.grade,
            climb_from=self.climb_from,
            climbed=self.climbed,
            visit_by=self.visit_by,
            acknowledged_at=self.acknowledged_at,
            visited_at=self.visited_at,
            plan=tuple(PlanStep.model_validate(one) for one in self.plan),
            counts_from=self.counts_from,
            silenced_until=self.silenced_until,
        )


@dataclass(frozen=True, slots=True)
class StepRow:
    """One line of a timeline. facts: grades as codes under old_grade and new_grade, reason, detail."""

    alert_id: str
    at: datetime
    kind: StepKind
    actor: str = SYSTEM
    note: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MessageRow:
    """What is told about one revision."""

    alert_id: str
    revision: int
    reason: SendReason
    subject: str
    text: str
    body: str
    brief: str
    decided_at: datetime
    routing: Mapping[str, Any] | None = None


def stored_routing(routing: Routing) -> Mapping[str, Any]:
    """What is kept of a routing: the verdict on each person at that time. `verdicts_of` reads it."""
    return {"people": [{name: getattr(one, name) for name in _OF_VERDICT} for one in routing.verdicts]}


def verdicts_of(stored: Mapping[str, Any]) -> tuple[Verdict, ...]:
    """Read what `stored_routing` wrote."""
    return tuple(Verdict(**one | {"heard": Heard(one["heard"])}) for one in stored["people"])


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """A delivery to be made. held, held_until: see the table."""

    alert_id: str
    revision: int
    staff_id: str
    channel: ChannelName
    reason: SendReason
    routed_as: RoutedAs
    grade: RiskGrade
    target: str
    message_id: str
    next_attempt_at: datetime
    created_at: datetime
    status: DeliveryStatus = DeliveryStatus.PENDING
    detail: str | None = None
    held: Held | None = None
    held_until: datetime | None = None

    def waiting(self, hold: Hold | None) -> "DeliveryRow":
        """The same, put off as was decided."""
        if hold is None:
            return self
        return replace(self, held=hold.held, held_until=hold.until, next_attempt_at=hold.until or hold.look_at)


@dataclass(frozen=True, slots=True)
class QuarantineRow:
    """A record that cannot be read."""

    topic: str
    topic_partition: int
    topic_offset: int
    reason: str
    detail: str
    record_key: bytes | None
    record_value: bytes | None


@dataclass(frozen=True, slots=True)
class Told:
    """A person who was, or may have been, told of an alert by a channel; worst: of which grade at the worst."""

    staff_id: str
    channel: ChannelName
    worst: RiskGrade


@dataclass(frozen=True, slots=True)
class Register:
    """What routing must know about some divisions and all above them.

    names: of the divisions that the register knows. targets: per person and channel, what is slow or fast as one.
    retired: people who have left. rota: who is at their post at about one instant.
    """

    names: Mapping[str, str]
    staff: tuple[StaffMember, ...]
    targets: Mapping[tuple[str, ChannelName], str]
    retired: tuple[StaffMember, ...] = ()
    rota: Rota = NO_ROTA

    def around(self, division: str) -> "Register":
        """The same for one division alone, and all above it."""
        codes = frozenset(ancestors(division))
        staff, retired = (
            tuple(person for person in people if person.division in codes) for people in (self.staff, self.retired)
        )
        return replace(self, staff=staff, retired=retired, rota=self.rota.of(person.staff_id for person in staff))

    def route(self, division: str, roles: Sequence[Role], at: datetime) -> Routing:
        """Choose who hears of a household in a division, or in its nearest ancestor that the register knows."""
        known = known_division(division, self.names)
        return route(known, roles, self._people(known), at=at, rota=self.rota)

    def climb(self, division: str, role: Role, at: datetime) -> Routing:
        """Choose who hears when the alert of such a household climbs to a role."""
        known = known_division(division, self.names)
        return climb(known, role, self._people(known), at=at, rota=self.rota)

    def target(self, staff_id: str, channel: ChannelName) -> str:
        """The target of a person's channel; the channel itself for people who have left the register."""
        return self.targets.get((staff_id, channel), str(channel))

    def _people(self, division: str) -> list[StaffMember]:
        codes = frozenset(ancestors(division))
        return [person for person in (*self.staff, *self.retired) if person.division in codes]


@dataclass(frozen=True, slots=True)
class Contact:
    """One way to tell a person; see the table. address and secret may open a door: they are in no log and no repr."""

    channel: ChannelName
    address: str
    secret: str | None = None
    disabled_at: datetime | None = None

    def __repr__(self) -> str:
        return f"Contact(channel={str(self.channel)!r})"


@dataclass(frozen=True, slots=True)
class StaffRow:
    """A person as the console and the commands see them.

    contacts: in the person's order; read only where somebody is going to be told.
    """

    staff_id: str
    name: str
    role: Role
    division: str
    password_hash: str | None
    active: bool
    contacts: tuple[Contact, ...] = ()

    def __repr__(self) -> str:
        return f"StaffRow(staff_id={self.staff_id!r})"
