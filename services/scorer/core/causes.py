"""Causes: why a household is in need, largest amount first, and the category a person might choose."""

from __future__ import annotations

from services.scorer.core.baseline import Baseline
from services.scorer.core.evidence import CAUSE_RANKS
from services.scorer.core.money import Quantities
from services.scorer.core.tally import Tally
from shared.events.payloads import CAUSES
from shared.grades import RiskGrade
from shared.policy import Numbers

_LABOUR_SHORTAGE = CAUSE_RANKS["labour_shortage"]


def causes_of(tally: Tally, quantities: Quantities, numbers: Numbers) -> tuple[str, ...]:
    """Causes by amount (loss + expense − relief), then of broken guarantees, then lack of labour."""
    amounts = [
        (loss + expense - relief, cause)
        for cause, (loss, expense, relief) in enumerate(zip(tally.losses, tally.expenses, tally.reliefs, strict=True))
    ]
    found = [cause for amount, cause in sorted(amounts, key=lambda pair: (-pair[0], pair[1])) if amount > 0]
    found += [state.cause for state in tally.guarantees.broken]
    if not quantities.labour_at_least(*numbers.labour_shortage_below):
        found.append(_LABOUR_SHORTAGE)
    return tuple(CAUSES[cause] for cause in dict.fromkeys(found))[: numbers.most_causes]


def category_of(held: RiskGrade, quantities: Quantities, baseline: Baseline, kind: str) -> str | None:
    """The category to suggest: only from orange on or below the line; village and county decide."""
    if held < RiskGrade.ORANGE and not quantities.below_line:
        return None
    was_above = baseline.net_income >= quantities.line_fen * baseline.members
    if not quantities.below_line or was_above:
        return "sudden_severe"
    return "lifted_unstable" if kind == "lifted" else "marginal"
