"""How the sums of a household's evidence stand in its stored state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.scorer.core.guarantees import ALL_HELD, HELD, Guarantee, Guarantees
from services.scorer.core.state import HouseholdState
from services.scorer.core.tally import Tallies, Tally
from shared.policy import CountedDays

_USUAL: list[object] = [0, 0, 0, 0, (), None, None, None, None, 0]
"""What most tallies hold of debt, people, defaults, visits, reports, concerns, advice and guarantees; left out then."""


def tallies_row(state: HouseholdState) -> list[object] | None:
    """The sums of a household that is judged: they are right at its clock then, however it has come there."""
    tallies = state.tallies
    if tallies is None or state.held is None or state.closed or not tallies.are_of(state.evidence, state.baseline):
        return None
    rows = [_tally_row(tallies.everything)]
    if tallies.certain is not tallies.everything:
        rows.append(_tally_row(tallies.certain))
    return [tuple(tallies.counted), *rows]


def tallies_of(row: Sequence[Any], state: HouseholdState) -> Tallies:
    """Take what `tallies_row` gave; the state holds the evidence and the baseline already that the sums are of."""
    counted, everything, *certain = row
    first = _tally_of(everything)
    second = _tally_of(certain[0]) if certain else first
    return Tallies(first, second, state.evidence, state.baseline, CountedDays(*counted))


def _tally_row(tally: Tally) -> list[object]:
    sums = [number for place, fen in enumerate(tally.sums) if fen for number in (place, fen)]
    states = tally.guarantees.states
    guarantees = 0 if states == ALL_HELD.states else [0 if state == HELD else tuple(state) for state in states]
    seldom: list[object] = [
        *(tally.debt, tally.members, tally.full, tally.weak, tally.imputed, tally.visit),
        *(tally.reported_on, tally.concerned_on, tally.advised, guarantees),
    ]
    return [tally.due, int(tally.shock), int(tally.ill), sums, *(seldom if seldom != _USUAL else ())]


def _tally_of(row: Sequence[Any]) -> Tally:
    tally = Tally()
    tally.due, shock, ill, sums, *seldom = row
    tally.shock, tally.ill = bool(shock), bool(ill)
    amounts = tally.sums
    for place, fen in zip(sums[::2], sums[1::2], strict=True):
        amounts[place] = fen
    guarantees = None
    if seldom:
        (tally.debt, tally.members, tally.full, tally.weak, imputed, visit, tally.reported_on, tally.concerned_on,
         tally.advised, guarantees) = seldom  # fmt: skip
        tally.imputed, tally.visit = tuple(imputed), (visit[0], visit[1]) if visit else None
    tally.guarantees = ALL_HELD
    if guarantees:
        tally.guarantees = Guarantees(tuple([Guarantee(*state) if state else HELD for state in guarantees]))
    return tally
