"""Cross-checks: what does not fit together in a household's records. Findings for people to look at, never refusals.

Of the usual checks of national data, these cannot be made from what reaches the scorer:
- all members without labour, but not flagged so: no event carries such a flag; the floor NO_LABOUR tells the figures;
- cause "other" without a remark: events carry codes and references, never free text (a payout that names no cause and
  so counts as "other" is found as RELIEF_WITHOUT_CAUSE);
- a wrong check digit in an identity number: identity numbers are refused at the edge, events name pseudonyms.
"""

from __future__ import annotations

from collections.abc import Iterator

from services.scorer.core.evidence import CAUSE_RANKS
from services.scorer.core.grade import Decision
from services.scorer.core.guarantees import HOUSE, lowest_broken
from services.scorer.core.state import HouseholdState
from shared.events.payloads import Hospitalisation, Illness, Payload

_ILLNESS = CAUSE_RANKS["illness"]
_LOW_WAGE_FEN = 100_00


def cross_checks(state: HouseholdState, decision: Decision) -> tuple[str, ...]:
    """Codes of all findings about a household at its clock, sorted."""
    return tuple(sorted([*_about_causes(state, decision), *_about_elimination(state, decision)]))


def implausible(event_type: str, payload: Payload) -> tuple[str, ...]:
    """Codes of findings about a single event."""
    if (type(payload) is Illness or type(payload) is Hospitalisation) and payload.self_pay_yuan == 0:
        return ("ILLNESS_WITHOUT_SELF_PAY",)
    if event_type in ("relief.insurance_payout", "relief.temporary_assistance") and payload.cause is None:
        return ("RELIEF_WITHOUT_CAUSE",)
    return ()


def _about_causes(state: HouseholdState, decision: Decision) -> Iterator[str]:
    standing = decision.standing
    causes = decision.causes
    if "illness" in causes and not standing.tally.expenses[_ILLNESS]:
        yield "CAUSE_ILLNESS_SELF_PAY_ZERO"
    if "illness" in causes and not standing.tally.ill:
        yield "CAUSE_ILLNESS_NOBODY_ILL"
    if "job_instability" in causes and not standing.quantities.labour_halves:
        yield "CAUSE_JOB_NOBODY_ABLE_TO_WORK"
    if "job_instability" in causes and not standing.baseline.wage and not standing.tally.gains:
        yield "CAUSE_JOB_NO_WORK_RECORD"
    if "water" in causes and not _measured(state, "water"):
        yield "CAUSE_WATER_NO_MEASURE"
    if state.severely_disabled and not _measured(state, "disability"):
        yield "DISABILITY_NO_SUBSIDY"
    if 0 < standing.baseline.wage < _LOW_WAGE_FEN:
        yield "WAGE_IMPLAUSIBLE"


def _about_elimination(state: HouseholdState, decision: Decision) -> Iterator[str]:
    eliminated_on = state.status_on(state.clock or 0).eliminated_on
    if eliminated_on is None:
        return
    if decision.standing.tally.guarantees.states[HOUSE].rank >= lowest_broken(HOUSE):
        yield "ELIMINATED_HOUSE_DANGEROUS"
    if decision.standing.baseline.as_of < eliminated_on:
        yield "ELIMINATED_NOT_SURVEYED_SINCE"


def _measured(state: HouseholdState, cause: str) -> bool:
    return bool(state.measure_causes >> CAUSE_RANKS[cause] & 1)
