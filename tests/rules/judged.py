"""Judges a household with some events in one line."""

from datetime import date
from typing import Any

from services.scorer.core.grade import Decision
from services.scorer.core.household import Folded, replay
from shared.events.household_event import HouseholdEvent
from shared.policy import PolicyBook, default_policies
from tests.factories import make_enrolment

POLICIES = default_policies()


def replayed(
    *events: HouseholdEvent, as_of: str | None = None, policies: PolicyBook = POLICIES, **household: Any
) -> Folded:
    """Replay the events of `make_household(**household)`, by default up to the last one's day."""
    first = min([event.recorded_on for event in events], default=date(2026, 1, 1))
    ledger = [make_enrolment(first, **household), *sorted(events, key=lambda event: event.recorded_on)]
    return replay(ledger, date.fromisoformat(as_of) if as_of else ledger[-1].recorded_on, policies)


def judged(*events: HouseholdEvent, **options: Any) -> Decision:
    """The decision that stands after some events."""
    decision = replayed(*events, **options).decision
    assert decision is not None
    return decision
