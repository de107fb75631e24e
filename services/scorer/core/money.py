"""Quantities: income, expense and people of a household on one day, as exact integers.

Ratios are never computed: they are kept as (numerator, denominator) and compared by cross multiplication.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.scorer.core.baseline import Baseline
from services.scorer.core.tally import ASSISTED, EXPENSES, GAINED, RELIEFS, Tally


@dataclass(slots=True)
class Quantities:
    """Amounts in fen.

    labour_halves: 2 × full + weak labour; net_income: NI; claims: C; expense: X; net_rigid: R, not covered by relief.
    adjusted: NI + C − X of the whole household; without_assistance: the same with aid removed.
    net_loss: losses − gains − assistance from events; line_fen: the line per head.
    below_line: whether the reference income per head is below the line (r < 1).
    """

    members: int
    labour_halves: int
    net_income: int
    claims: int
    expense: int
    net_rigid: int
    adjusted: int
    without_assistance: int
    net_loss: int
    line_fen: int
    below_line: bool

    def at_least(self, numerator: int, denominator: int) -> bool:
        """Whether r >= numerator / denominator."""
        return self.adjusted * denominator >= numerator * self.line_fen * self.members

    def rigid_at_least(self, numerator: int, denominator: int) -> bool:
        """Whether q >= numerator / denominator, for a positive bound; without income any expense is infinite."""
        if self.net_income <= 0:
            return self.net_rigid > 0
        return self.net_rigid * denominator >= numerator * self.net_income

    def labour_at_least(self, numerator: int, denominator: int) -> bool:
        """Whether ell >= numerator / denominator."""
        return self.labour_halves * denominator >= numerator * 2 * self.members

    @property
    def assistance_dependent(self) -> bool:
        """Whether only aid keeps the household at or above the line."""
        return not self.below_line and self.without_assistance < self.line_fen * self.members


def quantities_of(tally: Tally, baseline: Baseline, line_fen: int) -> Quantities:
    """Work out a day's quantities from what the evidence adds up to."""
    sums = tally.sums
    expenses, reliefs = sums[EXPENSES:RELIEFS], sums[RELIEFS:GAINED]
    gains, assistance = sums[GAINED], sums[ASSISTED]
    lost, expense, claims = sum(sums[:EXPENSES]), sum(expenses), sum(reliefs)
    net_income = baseline.net_income - lost + gains + assistance
    adjusted = net_income + claims - expense
    members, full, weak = baseline.members, baseline.full, baseline.weak
    if tally.members or tally.full or tally.weak:
        members, full, weak = max(1, members + tally.members), max(0, full + tally.full), max(0, weak + tally.weak)
    return Quantities(
        members,
        2 * full + weak,
        net_income,
        claims,
        expense,
        sum([x - o for x, o in zip(expenses, reliefs, strict=True) if x > o]) if claims else expense,
        adjusted,
        adjusted - baseline.assistance - assistance,
        lost - gains - assistance,
        line_fen,
        adjusted < line_fen * members,
    )
