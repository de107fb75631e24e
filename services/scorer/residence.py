"""Where a household was registered from which day on, as its ledger tells; its policy follows from that."""

from collections.abc import Iterable
from datetime import date

from shared.events.household_event import HouseholdEvent
from shared.policy import Stay


def division_from(event: HouseholdEvent) -> str | None:
    """The division in which an event registers its household; None if it says nothing of that."""
    if event.type == "registry.enrolled":
        return event.division or None
    if event.type == "registry.moved":
        return str(event.payload["division"])
    return None


def stays_of(ledger: Iterable[HouseholdEvent], division: str) -> list[Stay]:
    """The stays that a ledger tells of; if it tells of none, the household is in `division`."""
    stays = [(event.recorded_on, found) for event in ledger if (found := division_from(event))]
    return stays or [(date.min, division)]
