"""Messages as ingest puts them on the log; a test names only what matters to it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any

from shared.events.envelope import EventMessage, wire_type
from shared.events.household_event import SourceClass
from tests.factories import make_household

_numbers = count(1)


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
    baseline = changes.pop("baseline", {})
    return make_message("registry.enrolled", household_id, make_household(baseline, **changes), at=at)
