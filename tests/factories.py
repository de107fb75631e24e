"""Valid households and events for tests, in which a test names only what matters to it."""

from collections.abc import Mapping
from datetime import date
from itertools import count
from typing import Any

from shared.events.household_event import HouseholdEvent, SourceClass

ENROLLED_ON = date(2026, 1, 1)
_numbers = count(1)


def make_baseline(**changes: Any) -> dict[str, Any]:
    """Four members, two of them working, 13,000 yuan a head: comfortably green. Changes replace fields."""
    baseline: dict[str, Any] = {
        "as_of": "2025-09-30",
        "members": 4,
        "labour_full": 2,
        "labour_weak": 0,
        "wage": 40000,
        "operating_net": 8000,
        "property": 1000,
        "transfer": 3000,
        "assistance": 0,
        "self_pay": {},
        "elements": {"economic": 2, "cultural": 2, "psychological": 2, "social": 2},
        "guarantees": {},
    }
    return baseline | changes


def make_household(baseline: Mapping[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """A lifted household, enrolled on 2026-01-01, as `registry.enrolled` and the case files have it."""
    household: dict[str, Any] = {
        "type": "lifted",
        "monitored": False,
        "enrolled_on": ENROLLED_ON.isoformat(),
        "baseline": make_baseline(**(baseline or {})),
    }
    return household | changes


def make_event(
    kind: str = "health.major_illness",
    on: date | str = "2026-03-02",
    *,
    recorded_on: date | str | None = None,
    source_class: str | SourceClass = SourceClass.DEPARTMENT,
    event_id: str | None = None,
    episode: str | None = None,
    source: str = "urn:test:app",
    **payload: Any,
) -> HouseholdEvent:
    """An event with an id of its own; other keywords are its payload (none = the payload is empty)."""
    occurred_on = _day(on)
    return HouseholdEvent(
        event_id=event_id or f"e-{next(_numbers)}",
        type=kind,
        occurred_on=occurred_on,
        recorded_on=_day(recorded_on) if recorded_on else occurred_on,
        source_class=SourceClass(source_class),
        payload=payload,
        episode=episode,
        source=source,
    )


def make_enrolment(on: date | str = ENROLLED_ON, *, event_id: str | None = None, **household: Any) -> HouseholdEvent:
    """The event that enrols `make_household(**household)`, recorded on a day."""
    return make_event(
        "registry.enrolled", on, event_id=event_id, source="urn:test:register", **make_household(**household)
    )


def _day(day: date | str) -> date:
    return day if isinstance(day, date) else date.fromisoformat(day)
