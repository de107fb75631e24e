"""A household folded anew from its ledger: what its stored row must hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from services.scorer.core.household import Folded, HouseholdState, replay
from services.scorer.residence import stays_of
from shared.events.envelope import event_identity
from shared.events.household_event import HouseholdEvent
from shared.policy import Policies

Status = Literal["waiting", "enrolled", "closed", "parked", "area"]


@dataclass(frozen=True, slots=True)
class FoldedAnew:
    """The ledger's word on a household. division: where it is registered after the last event."""

    folded: Folded
    division: str


def fold_anew(
    history: Sequence[HouseholdEvent], division: str, clock_on: date | None, policies: Policies
) -> FoldedAnew:
    """Fold a household's whole ledger, and bring it to the day that its clock shows.

    history: at least one event; division: used where no event tells of one; clock_on: None where it cannot be read.
    Raises whatever the core raises for a history that cannot be folded.
    """
    if not history:
        raise ValueError("the ledger holds no event of this household")
    stays = stays_of(history, division)
    until = max(history[-1].recorded_on, clock_on or date.min)
    folded = replay(history, until, policies.along(stays))
    check_writable(folded.state)
    return FoldedAnew(folded, stays[-1][1])


def check_writable(state: HouseholdState) -> None:
    """Fail while the step can still be undone, not when the row is written: a timer may lie past the calendar's end."""
    _ = state.next_due_on


def status_of(state: HouseholdState, *, parked: bool, is_area: bool) -> Status:
    """What the stored row calls the household."""
    if parked:
        return "parked"
    if state.closed:
        return "closed"
    if state.enrolled:
        return "enrolled"
    return "area" if is_area else "waiting"


def findings_of(folded: Folded, household_id: str, events: Sequence[HouseholdEvent]) -> list[tuple[str, str, bytes]]:
    """(household_id, code, identity of the event) of each finding; events: all that were folded."""
    if not folded.findings:
        return []
    identities: Mapping[str, bytes] = {one.event_id: event_identity(one.source, one.event_id) for one in events}
    return [(household_id, found.code, identities[found.event_id]) for found in folded.findings]
