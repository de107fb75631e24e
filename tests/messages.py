"""Messages as ingest puts them on the log; a test names only what matters to it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any

from shared.events.envelope import EventMessage, SourceClass, wire_type

_numbers = count(1)
BASELINE: Mapping[str, Any] = {
    "as_of": "2025-09-30",
    "members": 4,
    "labour_full": 2,
    "labour_weak": 0,
    "wage": 40000,
    "operating_net": 8000,
    "property": 1000,
    "transfer": 3000,
    "assistance": 0,
    "elements": {"economic": 2, "cultural": 2, "psychological": 2, "social": 2},
    "guarantees": {},
}


def make_message(
    type: str,
    household_id: str = "H1",
    data: Mapping[str, Any] | None = None,
    *,
    id: str | None = None,
    at: datetime = datetime(2026, 3, 2, 1, 0, tzinfo=UTC),
    recorded_at: datetime | None = None,
    sourceclass: SourceClass = SourceClass.DEPARTMENT,
    division: str = "990100101201",
    source: str = "urn:app:tests",
    **attributes: Any,
) -> EventMessage:
    """Make a received event; it was recorded when it happened unless `recorded_at` says otherwise."""
    return EventMessage.model_validate(
        {
            "specversion": "1.0",
            "id": id or f"e{next(_numbers)}",
            "source": source,
            "type": wire_type(type),
            "subject": household_id,
            "time": at,
            "division": division,
            "sourceclass": sourceclass,
            "data": dict(data or {}),
            "recordedat": recorded_at or at,
            "keyid": "swtest",
            **attributes,
        }
    )


def enrolment(
    household_id: str = "H1", *, at: datetime = datetime(2026, 1, 1, 1, 0, tzinfo=UTC), **changes: Any
) -> EventMessage:
    """Make the enrolment of an ordinary lifted household that stands at green."""
    baseline = {**BASELINE, **changes.pop("baseline", {})}
    register = {"type": "lifted", "monitored": False, "enrolled_on": "2026-01-01", "baseline": baseline, **changes}
    return make_message("registry.enrolled", household_id, register, at=at)
