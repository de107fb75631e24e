"""Draws the events of a run from its seed: what ordinary counties send, grave illnesses, and what must be refused.

The same seed, run and day give the same bytes, whatever happens while they are sent. Days are counted back from
midnight of `today`, so no event lies in the future of any clock.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from random import Random
from typing import Any

from deploy.demo.happenings import CADRE, MIX, REGISTER, SURVEY, Happening
from deploy.local.red_alert import red_alert_events
from shared.clock import SHANGHAI
from shared.events.catalogue import can_be_disputed
from shared.events.envelope import wire_type
from tests.chaos.field_app import FieldEvent, Kind
from tests.chaos.people import VILLAGES

SOURCES = 8
DAY_MINUTES = 24 * 60
LATE_DAYS = (2, 300)
SERIOUS_YUAN = 60_000

CANARY_WORD = "canary-7f3a91c4"
CANARY_NAME = "金丝雀不外传"
CANARY_NUMBER = "990101190001019991"
CANARY_PHONE = "10012345678"
CANARIES = (CANARY_WORD, CANARY_NAME, CANARY_NUMBER, CANARY_PHONE)
"""Stand in refused events only; none of them may be found in any answer, log, record, row or message."""

Document = dict[str, Any]

_ROWS: Mapping[Happening, float] = {
    row: group.share * row.weight / sum(one.weight for one in group.happenings)
    for group in MIX
    for row in group.happenings
    if row.teller is not SURVEY  # has no payload of its own
}
_WAYS_TO_SPOIL: Sequence[Callable[[Document], Document]] = (
    lambda event: event | {"type": wire_type("housing.repaired"), "data": {"remark": f"{CANARY_NAME} {CANARY_WORD}"}},
    lambda event: event | {"type": wire_type("health.hospitalisation"), "data": {"person": CANARY_NUMBER}},
    lambda event: event | {"type": wire_type("health.major_illness"), "data": {"self_pay_yuan": CANARY_PHONE + "x"}},
    lambda event: (
        event | {"type": wire_type("health.accident"), "data": {"self_pay_yuan": -300, "person": CANARY_NAME}}
    ),
    lambda event: {key: value for key, value in event.items() if key != "subject"} | {"household": CANARY_WORD},
    lambda event: event | {"type": f"cn.shouwang.{CANARY_WORD}.v1"},
    lambda event: event | {"time": f"{event['time'][:10]} {CANARY_WORD}"},
    lambda event: event | {"division": CANARY_PHONE},
    lambda event: event | {"grade": "red", "episode": CANARY_NAME},
)


@dataclass(frozen=True, slots=True)
class Home:
    """A household, and the one app that speaks of it."""

    id: str
    source: str
    division: str


class EventMaker:
    """Makes the events of one run, each with an id and an amount of its own."""

    def __init__(self, run: str, seed: int, today: date, series: str = "e") -> None:
        """series: stands in the ids before the number, so that two makers of one run never make the same id."""
        self._run = run
        self._series = series
        self._today = today
        self._midnight = datetime(today.year, today.month, today.day, tzinfo=SHANGHAI)
        self._made = 0
        self.chance = Random(f"load:{seed}")

    def home(self, number: int) -> Home:
        """The household with this number, from 0."""
        source = f"urn:chaos:{self._run}:app-{number % SOURCES}"
        return Home(f"{self._run}-h{number:04d}", source, VILLAGES[number % len(VILLAGES)])

    def enrolment(self, home: Home, intended: float) -> FieldEvent:
        """The household enters the register, comfortably green."""
        payload = red_alert_events(home.id, self._today, home.division)[0]["data"]
        assert isinstance(payload, dict)
        document = self.document(home, "registry.enrolled", payload, sourceclass=REGISTER.source_class)
        return self.event(document, Kind.NORMAL, intended)

    def serious(self, home: Home, intended: float) -> FieldEvent:
        """A major illness that makes a green household red."""
        payload = {"self_pay_yuan": f"{SERIOUS_YUAN}.{self._made % 100:02d}"}
        document = self.document(home, "health.major_illness", payload, sourceclass="department")
        return self.event(document, Kind.SERIOUS, intended, serious=True)

    def everyday(
        self, home: Home, kind: Kind, intended: float, minutes_ago: tuple[int, int] = (0, DAY_MINUTES)
    ) -> FieldEvent:
        """Something that happens in an ordinary county, so many minutes before today."""
        return self.event(self._everyday(home, minutes_ago), kind, intended)

    def late(self, home: Home, intended: float) -> FieldEvent:
        """Something that happened days or months ago."""
        first, last = (days * DAY_MINUTES for days in LATE_DAYS)
        return self.everyday(home, Kind.LATE, intended, (first, last))

    def swapped(self, home: Home, intended: float) -> Sequence[FieldEvent]:
        """Two things in the order in which they are sent; the second happened first."""
        half = DAY_MINUTES // 2
        later = self.everyday(home, Kind.REORDERED, intended, (0, half))
        return later, self.everyday(home, Kind.REORDERED, intended, (half + 1, DAY_MINUTES))

    def about(self, earlier: FieldEvent, home: Home, kind: Kind, intended: float) -> FieldEvent:
        """A cadre verifies, refutes or corrects an earlier event of the same household."""
        document = json.loads(earlier.body)
        payload: Document = {"ref": earlier.id, "ref_source": earlier.source}
        amount = next((name for name in document["data"] if name.endswith("_yuan")), None)
        words = ["event.verified", "event.refuted", *(["event.corrected"] if amount else [])]
        word = self.chance.choice(words)
        if word == "event.corrected":
            payload["payload"] = {amount: self._amount(100 * self.chance.randrange(2, 40))}
        return self.event(self.document(home, word, payload, sourceclass=CADRE.source_class), kind, intended)

    def conflict(self, earlier: FieldEvent, home: Home, intended: float) -> FieldEvent:
        """Another event under the identity of an earlier one."""
        document = self._everyday(home, (0, DAY_MINUTES)) | {"id": earlier.id, "source": earlier.source}
        return self.event(document, Kind.CONFLICT, intended)

    def repeat(self, earlier: FieldEvent, intended: float) -> FieldEvent:
        """The very same event once more."""
        return replace(earlier, kind=Kind.DUPLICATE, intended=intended)

    def invalid(self, home: Home, intended: float, *, whole_json: bool = False) -> FieldEvent:
        """An event that must be refused, with a canary in it. whole_json: it must not break the batch around it."""
        spoil = self.chance.choice(_WAYS_TO_SPOIL)
        event = self.event(spoil(self._everyday(home, (0, DAY_MINUTES))), Kind.INVALID, intended)
        event = replace(event, household=home.id)
        if whole_json or self.chance.random() < 0.7:
            return event
        break_json = self.chance.choice((_cut_short, _a_key_twice))
        return replace(event, body=break_json(event.body))

    def document(self, home: Home, type: str, payload: Mapping[str, Any], **attributes: Any) -> Document:
        """A CloudEvent of midnight today; an attribute given as ... is left out."""
        self._made += 1
        document = {
            "specversion": "1.0",
            "id": f"{self._run}-{self._series}{self._made:06d}",
            "source": home.source,
            "type": wire_type(type),
            "subject": home.id,
            "time": self._midnight.isoformat(),
            "division": home.division,
            "sourceclass": "department",
            "data": dict(payload),
        }
        return {name: value for name, value in (document | attributes).items() if value is not ...}

    def event(self, document: Document, kind: Kind, intended: float, *, serious: bool = False) -> FieldEvent:
        """Fix the bytes of a document."""
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        type = str(document.get("type", "")).removeprefix("cn.shouwang.").removesuffix(".v1")
        household, source = str(document.get("subject", "")), str(document.get("source", ""))
        return FieldEvent(str(document.get("id", "")), source, household, type, kind, serious, body, intended)

    def _everyday(self, home: Home, minutes_ago: tuple[int, int]) -> Document:
        row = self.chance.choices(list(_ROWS), weights=list(_ROWS.values()))[0]
        occurred = self._midnight - timedelta(minutes=self.chance.randint(*minutes_ago))
        payload = row.payload(self.chance)
        for name, amount in payload.items():
            if name.endswith("_yuan") and isinstance(amount, int):
                payload[name] = self._amount(amount)
        attributes = {"time": occurred.isoformat(), "sourceclass": row.teller.source_class}
        return self.document(home, row.type, payload, **attributes)

    def _amount(self, yuan: int) -> str:
        """An amount whose fen tell events apart."""
        return f"{yuan}.{self._made % 100:02d}"


def can_be_spoken_about(event: FieldEvent) -> bool:
    """Whether a later event may verify, refute or correct this one; nobody takes back what makes a household red."""
    return can_be_disputed(event.type) and not event.serious


def _cut_short(body: bytes) -> bytes:
    return body[:-2]


def _a_key_twice(body: bytes) -> bytes:
    return body[:-1] + f',"subject":"{CANARY_WORD}"}}'.encode()
