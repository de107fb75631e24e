"""Holds stored households against their ledgers: the state must be the fold of the ledger, byte for byte."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from services.scorer.core.state_codec import decode, encode, is_renewed
from services.scorer.fold_anew import fold_anew, status_of
from services.scorer.store import ScorerStore, StateRow
from services.scorer.store.reading import Numbering
from shared.events.household_event import HouseholdEvent
from shared.policy import Policies

Kind = Literal["state", "columns", "numbering", "format", "unfoldable"]
MEANINGS: dict[Kind, str] = {
    "state": "the stored state is not the fold of the ledger",
    "columns": "the row's other columns do not say what its state says",
    "numbering": "the ledger's numbers have a gap, or end elsewhere than the row says",
    "format": "the state is in the format of another release; the next event or a rebuild renews it",
    "unfoldable": "the ledger cannot be folded, although the household is not parked",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One household whose row is not what its ledger says."""

    household_id: str
    kind: Kind


async def refold(store: ScorerStore, household_ids: Sequence[str], policies: Policies) -> list[Difference]:
    """Fold these households anew and return those that differ; changes nothing. Raises TemporaryFailure.

    Of a parked household only the numbering is looked at: its state is that before the event at which it was parked.
    Ids that are not stored are passed over.
    """
    async with store.snapshot() as reader:
        stored = await reader.states(household_ids)
        histories = await reader.histories(stored)
        numberings = await reader.numberings(stored)
    found: list[Difference] = []
    for household_id, row in stored.items():
        # Others on this event loop, a consumer perhaps, get their turn between two households.
        await asyncio.sleep(0)
        kind = compare(row, histories.get(household_id, []), numberings.get(household_id), policies)
        if kind is not None:
            found.append(Difference(household_id, kind))
    return found


def compare(
    row: StateRow, history: Sequence[HouseholdEvent], numbering: Numbering | None, policies: Policies
) -> Kind | None:
    """Tell what about a stored household is not what its ledger says; None if all is."""
    if numbering != (row.household_seq, 1, row.household_seq):
        return "numbering"
    if row.parked_reason is not None:
        return None
    try:
        clock_on = decode(row.body).clock_on
    except ValueError:
        return "format"
    if not is_renewed(row.body):
        return "format"
    try:
        anew = fold_anew(history, row.division, clock_on, policies)
    except Exception:
        # The core says only so what it cannot fold; the service would park the household here.
        return "unfoldable"
    state = anew.folded.state
    if encode(state) != row.body:
        return "state"
    grade = None if state.grade is None else int(state.grade)
    status = status_of(state, parked=False, is_area=row.status == "area")
    says = (anew.division, state.alias, status, grade, state.next_due_on)
    return None if says == (row.division, row.alias, row.status, row.grade, row.next_due_on) else "columns"
