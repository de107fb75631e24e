"""The invented county's life as a stream of CloudEvents: seeded, with the faults that real feeds have.

Pure: the caller tells each event's instant. Of all events sent, 3 % are duplicates, 1 % corrections, 2 % refutations
and 0.5 % malformed; of the others, 5 % come 1 to 20 days late.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from random import Random

from deploy.demo.county import County
from deploy.demo.draw import pick, time_ordered_id
from deploy.demo.happenings import CADRE, MIX, REGISTER, SURVEY, Happening, Matter, Payload, Teller, shares
from deploy.demo.households import Household
from deploy.demo.spoil import spoil
from shared.clock import SHANGHAI
from shared.events.catalogue import can_be_disputed
from shared.events.envelope import wire_type

CloudEvent = dict[str, object]
LATE_SHARE = 0.05
LATE_DAYS = (1, 20)
REMEMBERED = 300


class Manner(StrEnum):
    """How an event comes to be sent."""

    ORDINARY = "ordinary"
    DUPLICATE = "duplicate"
    CORRECTION = "correction"
    REFUTATION = "refutation"
    MALFORMED = "malformed"


MANNERS: Mapping[Manner, float] = {
    Manner.ORDINARY: 93.5,
    Manner.DUPLICATE: 3,
    Manner.REFUTATION: 2,
    Manner.CORRECTION: 1,
    Manner.MALFORMED: 0.5,
}


@dataclass(frozen=True, slots=True)
class StreamedEvent:
    """One event to send. group: the row of the mix, for ordinary ones; late: it occurred days before."""

    event: CloudEvent
    manner: Manner
    group: str = ""
    late: bool = False


@dataclass(frozen=True, slots=True)
class _Open:
    """A matter that is open at a household; yuan: its amount, 0 where there is none."""

    household: Household
    yuan: int


@dataclass(frozen=True, slots=True)
class _Sent:
    """An event that was sent, with what a later one needs to know of it."""

    household: Household
    type: str
    teller: Teller
    event: CloudEvent


def cloud_event(
    event_id: str, household: Household, event_type: str, teller: Teller, occurred: datetime, payload: Payload
) -> CloudEvent:
    """A CloudEvent in structured form."""
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": teller.source,
        "type": wire_type(event_type),
        "subject": household.household_id,
        "time": occurred.astimezone(SHANGHAI).isoformat(timespec="seconds"),
        "division": household.division,
        "sourceclass": teller.source_class,
        "datacontenttype": "application/json",
        "data": payload,
    }


def enrolment_event(county: County, household: Household) -> CloudEvent:
    """The event that brings a household into the register: the same id and content each time it is made."""
    day = household.enrolled_on
    instant = datetime(day.year, day.month, day.day, tzinfo=SHANGHAI)
    chance = Random(f"enrolment:{county.seed}:{county.today}:{household.household_id}")
    event_id = time_ordered_id(chance, instant)
    return cloud_event(event_id, household, "registry.enrolled", REGISTER, instant, household.enrolment)


class EventStream:
    """Endless events of one county; `began` sets one run's stream apart from another's."""

    def __init__(self, county: County, began: datetime) -> None:
        self._households = county.households
        self._chance = Random(f"events:{county.seed}:{began.isoformat()}")
        self._sent: deque[_Sent] = deque(maxlen=REMEMBERED)
        self._open: dict[Matter, deque[_Open]] = {}

    def next_event(self, now: datetime) -> StreamedEvent:
        """The next event, as it is sent at `now` (aware)."""
        match pick(self._chance, MANNERS) if self._sent else Manner.ORDINARY:
            case Manner.DUPLICATE:
                return StreamedEvent(self._chance.choice(self._sent).event, Manner.DUPLICATE)
            case Manner.REFUTATION:
                return self._about("event.refuted", now, Manner.REFUTATION)
            case Manner.CORRECTION:
                return self._about("event.corrected", now, Manner.CORRECTION)
            case Manner.MALFORMED:
                return self._malformed(now)
            case _:
                return self._ordinary(now)

    def _malformed(self, now: datetime) -> StreamedEvent:
        event = self._ordinary(now).event
        self._sent.pop()  # it will be refused: nobody repeats, corrects or refutes it
        return StreamedEvent(spoil(self._chance, event), Manner.MALFORMED)

    def _ordinary(self, now: datetime) -> StreamedEvent:
        name = pick(self._chance, shares(now.astimezone(SHANGHAI).month))
        group = next(group for group in MIX if group.name == name)
        happening = pick(self._chance, {row: row.weight for row in group.happenings})
        late = self._chance.random() < LATE_SHARE
        days = self._chance.randint(*LATE_DAYS) if late else 0
        occurred = now - timedelta(days=days, minutes=self._chance.randrange(1, 90))
        household, payload = self._who_and_what(happening, occurred)
        event = self._make(household, happening.type, happening.teller, now, occurred, payload)
        return StreamedEvent(event, Manner.ORDINARY, group.name, late)

    def _who_and_what(self, happening: Happening, occurred: datetime) -> tuple[Household, Payload]:
        """Choose the household and the payload: where a matter is open, most answers go there."""
        payload = happening.payload(self._chance)
        if happening.settles and (waiting := self._open.get(happening.settles)):
            matter = waiting.popleft()
            if matter.yuan and "amount_yuan" in payload:
                payload["amount_yuan"] = round(matter.yuan * self._chance.uniform(0.3, 0.8))
            return matter.household, payload
        household = self._chance.choice(self._households)
        if happening.opens:
            amount = payload.get("self_pay_yuan", payload.get("amount_yuan", 0))
            waiting = self._open.setdefault(happening.opens, deque(maxlen=REMEMBERED))
            waiting.append(_Open(household, int(str(amount).partition(".")[0])))
        if happening.teller is SURVEY:
            payload = {"baseline": self._surveyed(household, occurred)}
        return household, payload

    def _surveyed(self, household: Household, occurred: datetime) -> Payload:
        """A new baseline as of that day: wages have moved by up to a tenth."""
        wage = household.baseline["wage"]
        assert isinstance(wage, int)
        as_of = occurred.astimezone(SHANGHAI).date().isoformat()
        return {**household.baseline, "as_of": as_of, "wage": round(wage * self._chance.uniform(0.93, 1.1))}

    def _make(
        self,
        household: Household,
        event_type: str,
        teller: Teller,
        now: datetime,
        occurred: datetime,
        payload: Payload,
    ) -> CloudEvent:
        event = cloud_event(time_ordered_id(self._chance, now), household, event_type, teller, occurred, payload)
        self._sent.append(_Sent(household, event_type, teller, event))
        return event

    def _about(self, event_type: str, now: datetime, manner: Manner) -> StreamedEvent:
        """A cadre's word about an earlier event, or an ordinary event while there is none to speak about."""
        disputable = [sent for sent in self._sent if can_be_disputed(sent.type)]
        if manner is Manner.CORRECTION:
            disputable = [sent for sent in disputable if _amount_field(sent.event)]
        if not disputable:
            return self._ordinary(now)
        sent = self._chance.choice(disputable)
        payload: Payload = {"ref": sent.event["id"], "ref_source": sent.teller.source}
        if manner is Manner.CORRECTION:
            payload["payload"] = {_amount_field(sent.event): 10 * self._chance.randrange(20, 400)}
        return StreamedEvent(self._make(sent.household, event_type, CADRE, now, now, payload), manner)


def _amount_field(event: CloudEvent) -> str:
    """Name of the payload's amount; empty when it has none."""
    payload = event["data"]
    assert isinstance(payload, dict)
    return next((name for name in payload if name.endswith("_yuan")), "")
