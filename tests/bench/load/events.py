"""The events of a load, as ingest has put them on the log: ordinary days of a province with a flood in their midst.

Of all, 3 % are duplicates and 1 % corrections; of the others, three in five belong to the flood and 5 % come late. The
same load gives the same events.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from random import Random
from typing import Any, NamedTuple

from deploy.demo.draw import time_ordered_id
from deploy.demo.happenings import CADRE, MIX, SURVEY, Happening, Payload
from shared.clock import day_of
from shared.events.catalogue import can_be_disputed
from shared.events.envelope import EventMessage, wire_type
from tests.bench.load.households import KEY, Load, division_of, household_id, kind_of, register_of
from tests.bench.load.surge import EVENTS_A_HOUSEHOLD, FLOOD

DUPLICATES, CORRECTIONS = 0.03, 0.01
FLOOD_SHARE = 0.6
LATE_SHARE, LATE_DAYS = 0.05, (1, 20)
WITHIN = timedelta(hours=1)
REMEMBERED = 5_000
ORDINARY: Mapping[Happening, float] = {
    row: group.share * row.weight / sum(one.weight for one in group.happenings)
    for group in MIX
    for row in group.happenings
}


class _Sent(NamedTuple):
    number: int
    message: EventMessage


class _Stream:
    """Draws event after event."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._chance = Random(f"bench:{load.households}:{load.events}:{load.among}")
        self._sent: deque[_Sent] = deque(maxlen=REMEMBERED)
        among = min(load.among or load.households, load.households)
        self._numbers = range(0, load.households, load.households // among)[:among]
        hit = max(1, round(load.events * FLOOD_SHARE / EVENTS_A_HOUSEHOLD))
        self._flooded = [number for number in self._numbers[:hit] for _ in range(EVENTS_A_HOUSEHOLD)]
        self._chance.shuffle(self._flooded)
        self._rows, self._weights = zip(*ORDINARY.items(), strict=True)
        self._flood_weights = [row.weight for row in FLOOD]

    def next(self, received: datetime) -> EventMessage:
        """The next one, received by ingest at that instant."""
        drawn = self._chance.random()
        if self._sent and drawn < DUPLICATES:
            return self._chance.choice(self._sent).message.received(received, KEY)
        correction = self._correction(received) if drawn < DUPLICATES + CORRECTIONS else None
        return correction or self._ordinary(received)

    def _ordinary(self, received: datetime) -> EventMessage:
        chance = self._chance
        if self._flooded and chance.random() < FLOOD_SHARE:
            number = self._flooded.pop()
            row = chance.choices(FLOOD, self._flood_weights)[0]
        else:
            number = chance.choice(self._numbers)
            row = chance.choices(self._rows, self._weights)[0]
        days = chance.randint(*LATE_DAYS) if chance.random() < LATE_SHARE else 0
        occurred = received - timedelta(days=days, minutes=chance.randrange(1, 90))
        payload = row.payload(chance) if row.teller is not SURVEY else self._surveyed(number, occurred)
        message = self._message(number, row, occurred, received, payload)
        self._sent.append(_Sent(number, message))
        return message

    def _surveyed(self, number: int, occurred: datetime) -> Payload:
        """A new baseline as of that day: wages have moved by up to a tenth."""
        baseline: dict[str, Any] = register_of(kind_of(number), self._load.enrolled_on)["baseline"]
        wage = round(baseline["wage"] * self._chance.uniform(0.93, 1.1))
        return {"baseline": {**baseline, "as_of": day_of(occurred).isoformat(), "wage": wage}}

    def _correction(self, received: datetime) -> EventMessage | None:
        """A cadre's word about an earlier event, if one can be found that has an amount."""
        for _ in range(20 if self._sent else 0):
            number, earlier = self._chance.choice(self._sent)
            field = next((name for name in earlier.data if name.endswith("_yuan")), None)
            if field is None or not can_be_disputed(earlier.event_type):
                continue
            patch = {field: 10 * self._chance.randrange(20, 400)}
            payload: Payload = {"ref": earlier.id, "ref_source": earlier.source, "payload": patch}
            row = Happening("event.corrected", 0, CADRE)
            return self._message(number, row, received - timedelta(minutes=1), received, payload)
        return None

    def _message(
        self, number: int, row: Happening, occurred: datetime, received: datetime, payload: Payload
    ) -> EventMessage:
        return EventMessage.model_validate(
            {
                "specversion": "1.0",
                "id": time_ordered_id(self._chance, received),
                "source": row.teller.source,
                "type": wire_type(row.type),
                "subject": household_id(number),
                "time": occurred,
                "division": division_of(number),
                "sourceclass": row.teller.source_class,
                "data": payload,
                "recordedat": received,
                "keyid": KEY,
            }
        )


def messages(load: Load) -> Iterator[EventMessage]:
    """All events of a load, in the order in which ingest has received them within the last hour."""
    stream = _Stream(load)
    for at in range(1, load.events + 1):
        yield stream.next(load.now - WITHIN * (1 - at / load.events))
