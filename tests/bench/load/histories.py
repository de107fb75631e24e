"""Households with a past: ten events in the ledger, or a day that comes tonight."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from random import Random
from typing import Any

from deploy.demo.happenings import SURVEY
from services.scorer.core.household import fold, new_household
from shared.clock import SHANGHAI, day_of
from shared.events.envelope import EventMessage, wire_type
from shared.events.household_event import HouseholdEvent, SourceClass
from shared.policy import default_policies
from tests.bench.load.events import ORDINARY
from tests.bench.load.households import (
    ENROLLED_DAYS_AGO,
    KEY,
    KINDS,
    Load,
    digits_of,
    division_of,
    enrolment,
    household_id,
    kind_of,
)  # fmt: skip

POLICIES = default_policies()
# Each brings a day of its own on which the grade can change although nobody says anything.
SHOCKS: Sequence[tuple[str, Mapping[str, Any]]] = (
    ("health.hospitalisation", {"self_pay_yuan": 16_000}),
    ("edu.dropout", {"person": "p3", "stage": "junior"}),
    ("work.job_loss", {"monthly_loss_yuan": 3_000, "months": 4}),
    ("survey.visit", {"result": "emergency"}),
    ("housing.danger", {"grade": "C"}),
    ("survey.visit", {"result": "concern"}),
    ("farm.crop_loss", {"amount_yuan": 12_000}),
    ("water.failure", {"kind": "supply"}),
)
MOST_TRIES = 8


def ten_events(number: int, load: Load) -> Sequence[EventMessage]:
    """An enrolment and nine ordinary events, one every other day: the history of a household of two seasons."""
    chance = Random(f"history:{kind_of(number)}")
    rows = [row for row in ORDINARY if row.teller is not SURVEY]
    drawn = chance.choices(rows, [ORDINARY[row] for row in rows], k=9)
    days = [load.enrolled_on + timedelta(days=2 + 2 * place) for place in range(len(drawn))]
    return [
        enrolment(number, load),
        *(
            _event(number, f"e{place}", row.type, row.payload(chance), row.teller.source, row.teller.source_class, day)
            for place, (row, day) in enumerate(zip(drawn, days, strict=True))
        ),
    ]


def due_on(number: int, night: date) -> Sequence[EventMessage]:
    """An enrolment and a shock, so long ago that the household's result can change in the night to a day."""
    shock, enrolled_on = _due(kind_of(number), night)
    return _shocked(number, shock, enrolled_on)


@lru_cache(maxsize=4 * KINDS)
def _due(kind: int, night: date) -> tuple[int, date]:
    """The shock of a kind, and the day of its enrolment; both found by trying."""
    for step in range(len(SHOCKS)):
        shock, enrolled_on = (kind + step) % len(SHOCKS), night - timedelta(days=60)
        for _ in range(MOST_TRIES):
            due = _next_due(_shocked(kind, shock, enrolled_on))
            if due == night:
                return shock, enrolled_on
            if due is None:
                break
            enrolled_on += night - due
    raise RuntimeError(f"no shock makes households of kind {kind} due on {night}")


def _shocked(number: int, shock: int, enrolled_on: date) -> Sequence[EventMessage]:
    load = Load(1, 0, now=_instant(enrolled_on + timedelta(days=ENROLLED_DAYS_AGO)))
    kind, payload = SHOCKS[shock]
    day = load.enrolled_on + timedelta(days=9)
    return [enrolment(number, load), _event(number, "shock", kind, dict(payload), "urn:bench:grid", "cadre", day)]


def _next_due(messages: Sequence[EventMessage]) -> date | None:
    state = new_household()
    for message in messages:
        assert message.recordedat is not None
        event = HouseholdEvent(
            message.id, message.event_type, message.occurred_on, day_of(message.recordedat), message.sourceclass,
            message.data, source=message.source, division=message.division,
        )  # fmt: skip
        state = fold(state, event, POLICIES).state
    return state.next_due_on


def _event(
    number: int, name: str, kind: str, payload: dict[str, Any], source: str, source_class: str, day: date
) -> EventMessage:
    at = _instant(day)
    return EventMessage(
        specversion="1.0",
        id=f"{name}-{digits_of(number)}",
        source=source,
        type=wire_type(kind),
        subject=household_id(number),
        time=at,
        division=division_of(number),
        sourceclass=SourceClass(source_class),
        data=payload,
        recordedat=at,
        keyid=KEY,
    )


def _instant(day: date) -> datetime:
    return datetime.combine(day, time(10), SHANGHAI).astimezone(UTC)
