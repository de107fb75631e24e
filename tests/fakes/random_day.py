"""A day in which everything happens to one household, through the scorer's own core: event by event, with disputes."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from services.scorer.fold_household import fold_household
from services.scorer.read_record import ReceivedEvent, read_record
from services.scorer.store import StateRow
from shared.bus.ports import Record
from shared.events.envelope import EventMessage
from shared.events.household_event import HouseholdEvent, SourceClass
from shared.grades import GradeChanged
from shared.policy import Policies
from tests.messages import enrolment, make_message
from tests.rules.histories import KINDS, payload_for

REGISTER = ("registry.closed", "registry.moved", "registry.enrolled")
LOUD = ("health.major_illness", "disaster.house_fire", "food.shortage", "housing.danger")


@dataclass
class RandomHousehold:
    """One household with its ledger; `happens` lets something happen and yields the changes of grade that follow."""

    household_id: str
    dice: Random
    policies: Policies
    divisions: tuple[str, ...]
    row: StateRow | None = None
    ledger: list[HouseholdEvent] = field(default_factory=list)
    sent: list[EventMessage] = field(default_factory=list)
    events: int = 0

    def enrol(self, at: datetime) -> list[GradeChanged]:
        """Begin at green, in the first division."""
        return self._fold(enrolment(self.household_id, at=at), at)

    def happens(self, at: datetime) -> list[GradeChanged]:
        """Let one thing happen, or be disputed, that was recorded just now."""
        self.events += 1
        return [change for message in self._made(at) for change in self._fold(message, at)]

    def _made(self, at: datetime) -> Iterator[EventMessage]:
        chance = self.dice.random()
        if chance < 0.02 or (chance < 0.3 and self.row is not None and self.row.status == "closed"):
            yield self._registered(at)
        elif chance < 0.55 and self.sent:
            yield self._dispute(at)
        else:
            kind = self.dice.choice(LOUD if self.dice.random() < 0.5 else KINDS)
            said = make_message(
                kind,
                self.household_id,
                payload_for(self.dice, kind),
                at=at - timedelta(days=self.dice.choice((0, 0, 0, 1, 20))),
                recorded_at=at,
                sourceclass=self.dice.choice((SourceClass.DEPARTMENT, SourceClass.SURVEY, SourceClass.SELF)),
                division=self.divisions[0],
            )
            self.sent.append(said)
            yield said

    def _dispute(self, at: datetime) -> EventMessage:
        """Mostly the newest thing turns out false: so the household gets well again, and ill, all day long."""
        is_false = self.dice.random() < 0.9
        about = self.sent.pop() if is_false else self.dice.choice(self.sent)
        said = {"ref": about.id}
        if not is_false:
            said["payload"] = payload_for(self.dice, about.event_type)
        kind = "event.refuted" if is_false else "event.corrected"
        return make_message(kind, self.household_id, said, at=at, recorded_at=at, division=self.divisions[0])

    def _registered(self, at: datetime) -> EventMessage:
        is_closed = self.row is not None and self.row.status == "closed"
        kind = "registry.enrolled" if is_closed else self.dice.choice(REGISTER)
        if kind == "registry.enrolled":
            return enrolment(self.household_id, at=at)
        said = {"reason": "moved_away"} if kind == "registry.closed" else {"division": self.dice.choice(self.divisions)}
        return make_message(kind, self.household_id, said, at=at, recorded_at=at, division=self.divisions[0])

    def _fold(self, message: EventMessage, now: datetime) -> list[GradeChanged]:
        record = Record(len(self.ledger), self.household_id.encode(), message.to_bytes(), 0)
        received = read_record(record, now)
        if not isinstance(received, ReceivedEvent):
            return []
        made = fold_household(self.row, [received], self.ledger, now, self.policies)
        self.row = made.state
        self.ledger += [received.event]
        return made.changes
