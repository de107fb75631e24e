"""A household through time: fold one event, advance to a day, or replay the whole ledger.

Every day starts at 00:00 with a judgement that sees the events recorded before it; each event is judged after that.
Judging a day on which nothing can change changes nothing, so only days that are due are judged.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from services.scorer.core.evidence import NEVER
from services.scorer.core.folding import Change, Finding, Folded, Folding, enrols
from services.scorer.core.history import Patch, read_corrected, register_of, settle
from services.scorer.core.judge import decision_of
from services.scorer.core.state import HouseholdState
from shared.events.effects import Register
from shared.events.household_event import HouseholdEvent
from shared.events.payloads import SurveyResult
from shared.policy import PolicyBook

__all__ = [
    "Change",
    "Finding",
    "Folded",
    "HouseholdState",
    "advance",
    "decision_of",
    "fold",
    "new_household",
    "replay",
]


def new_household() -> HouseholdState:
    """A household nobody has enrolled yet: its events wait."""
    return HouseholdState()


def fold(state: HouseholdState, event: HouseholdEvent, policies: PolicyBook) -> Folded:
    """Fold one new event. The caller has dropped events it has seen before, by their identity."""
    day = max(event.recorded_on.toordinal(), state.clock or 0)
    recorded_on = date.fromordinal(day)
    folding = Folding(state.draft(), policies)
    if not folding.take(event, (), day):
        return Folded(state, None, needs_replay=True, recorded_on=recorded_on)
    return folding.done(recorded_on)


def advance(state: HouseholdState, day: date, policies: PolicyBook) -> Folded:
    """Bring a household to 00:00 of a day, judging the days on which something can change; earlier days: no effect."""
    folding = Folding(state.draft(), policies)
    folding.bring_to(day.toordinal())
    return folding.done(None)


def replay(events: Iterable[HouseholdEvent], as_of: date, policies: PolicyBook) -> Folded:
    """Build a household from nothing: events in ledger order with rising recorded_on, then time up to as_of.

    The first enrolment counts from the start, however late it was recorded.
    """
    given = list(events)
    history = settle(given)
    folding = Folding(new_household().draft(), policies)
    folding.draft.orphans = history.orphans
    folding.processed = set()
    first = next((at for at, (event, _) in enumerate(history.events) if enrols(event)), None)
    if first is not None:
        folding.enrol_from_the_start(history.events[first][0])
    ahead = _surveys_ahead(history.events)
    for at, (event, patches) in enumerate(history.events):
        folding.live_after_ahead = ahead[at]
        early_closure = first is not None and at < first and register_of(event) is Register.CLOSED
        if at == first or early_closure:
            folding.bring_to(event.recorded_on.toordinal())
            folding.processed.add(event.identity)
            if at == first:
                folding.judge_now(event)
        else:
            folding.take(event, patches, event.recorded_on.toordinal())
    folding.live_after_ahead = NEVER
    folding.waiting_for(given)
    folding.bring_to(as_of.toordinal())
    return folding.done(None)


def _surveys_ahead(events: list[tuple[HouseholdEvent, tuple[Patch, ...]]]) -> list[int]:
    """For each place, the earliest day of any baseline that a survey brings there or later."""
    ahead, earliest = [NEVER] * len(events), NEVER
    for at in range(len(events) - 1, -1, -1):
        event, patches = events[at]
        if event.type == "survey.result":
            payload, _ = read_corrected(event, patches)
            if isinstance(payload, SurveyResult):
                earliest = min(earliest, payload.baseline.as_of.toordinal())
        ahead[at] = earliest
    return ahead
