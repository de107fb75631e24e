"""One input of the corpus: its number, its bytes, and what must come of it."""

import json
from dataclasses import dataclass
from typing import Any

from tests.factories import make_household
from tests.fakes.ingest_edge import make_event

# Stands in every event of the corpus, in the refused place where there is one; no refusal may repeat it.
CANARY = "CANARY7731"


@dataclass(frozen=True, slots=True)
class Refused:
    """Answered with this problem, and nothing of it on the log. pointer: a place that the problem must name."""

    status: int
    slug: str
    pointer: str | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """Answered 202, and read back equal from the ledger."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Not a body that this table could hold; `how` says which test has it, or why it cannot happen to us."""

    how: str


Expectation = Refused | Stored | Elsewhere


@dataclass(frozen=True, slots=True)
class Case:
    """code: number in the corpus, several cases may share one. as_key: whose key sends it.

    cuts: False where the bytes would also break the array around them, so that its other events cannot be told apart.
    """

    code: str
    name: str
    body: bytes
    expect: Expectation
    as_key: str = "all"
    cuts: bool = True

    def __str__(self) -> str:
        return f"{self.code} {self.name}"


MALFORMED = Refused(400, "malformed-json")
TOO_LARGE = Refused(413, "too-large")
STORED = Stored()


def invalid(pointer: str) -> Refused:
    """Expect a fault at this place of the event."""
    return Refused(422, "invalid-event", pointer)


def malformed_at(pointer: str) -> Refused:
    """Expect the decoder to refuse the text at this place."""
    return Refused(400, "malformed-json", pointer)


def event(**changes: Any) -> bytes:
    """Write an event that is accepted but for its changes; an attribute given as ... is left out."""
    changes.setdefault("data", {"person": CANARY, "self_pay_yuan": 60000})
    return json.dumps(make_event(**changes), ensure_ascii=False).encode()


def of_type(event_type: str, data: object, **changes: Any) -> bytes:
    """Write an event of a rule-book type, from a department."""
    given = {"type": f"cn.shouwang.{event_type}.v1", "sourceclass": "department", "data": data}
    return event(**{**given, **changes})


def enrolled(alias: str, household_id: str, **changes: Any) -> bytes:
    """Write the enrolment of a household that stands at green."""
    return of_type("registry.enrolled", make_household(alias=alias), subject=household_id, **changes)


def amount(raw: str) -> bytes:
    """Write an event whose amount is this text, byte for byte."""
    return GOOD.replace(b"60000", raw.encode())


def named(body: bytes, event_id: str) -> bytes:
    """Give a sound event another id."""
    return body.replace(b'"id": "e-1"', b'"id": "' + event_id.encode() + b'"')


GOOD = event()
