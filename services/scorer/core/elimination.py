"""Elimination: what still stands between a monitored household and its risk being marked as eliminated.

Only a person marks it; this lists what that person would have to overlook.
"""

from __future__ import annotations

from collections.abc import Iterator

from services.scorer.core.grade import Decision
from services.scorer.core.state import HouseholdState
from shared.grades import RiskGrade
from shared.policy import Elimination


def blockers_of(state: HouseholdState, decision: Decision) -> tuple[str, ...]:
    """Codes of all blockers at the household's clock, sorted; empty = nothing speaks against it."""
    rules = decision.policy.elimination
    return tuple(sorted([*_history(state, rules), *_present(state, decision, rules)]))


def _history(state: HouseholdState, rules: Elimination) -> Iterator[str]:
    day = state.clock or 0
    status = state.status_on(day)
    if not status.monitored:
        yield "NOT_MONITORED"
    elif status.monitored_since is not None and day - status.monitored_since < rules.monitored_days:
        yield "MONITORED_TOO_SHORT"
    if state.measure_from is None or state.measure_from > day:
        yield "NO_MEASURE_DELIVERED"
    if not _income_stable(state, day, rules.stable_days):
        yield "INCOME_NOT_STABLE"
    if status.return_confirmed:
        yield "RETURN_CONFIRMED"


def _income_stable(state: HouseholdState, day: int, days: int) -> bool:
    """Whether each of the last `days` day-ends, today's included, was judged and at or above the line."""
    if state.first_day is None or state.below_line or day - state.first_day + 1 < days:
        return False
    return state.unstable_on is None or state.unstable_on <= day - days


def _present(state: HouseholdState, decision: Decision, rules: Elimination) -> Iterator[str]:
    standing = decision.standing
    quantities = standing.quantities
    if standing.tally.guarantees.broken:
        yield "GUARANTEE_BROKEN"
    if quantities.rigid_at_least(*rules.rigid_share.as_integer_ratio()):
        yield "RIGID_EXPENSE_UNRESOLVED"
    if not quantities.labour_halves:
        yield "NO_LABOUR_HOUSEHOLD"
    if quantities.assistance_dependent:
        yield "ASSISTANCE_DEPENDENT"
    if decision.grade > RiskGrade.BLUE:
        yield "GRADE_ABOVE_BLUE"
