"""Quantities: income, expense and people of a household on one day, as exact integers.

Ratios are never computed: they are kept as (numerator, denominator) and compared by cross multiplication.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.scorer.core.baseline import Baseline
from services.scorer.core.tally import Tally


@dataclass(slots=True)
class Quantities:
    """Amounts in fen.

    labour_halves: 2 × full + weak labour; net_income: NI; claims: C; expense: X; net_rigid: R, not covered by relief.
    adjusted: NI + C − X of the whole household; without_assistance: the same with aid removed.
    net_loss: losses − gains − assistance from events; line_fen: the line per head.
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

    @property
    def below_line(self) -> bool:
        """Whether the reference income per head is below the line (r < 1)."""
        return self.adjusted < self.line_fen * self.members

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
    lost = sum(tally.losses)
    net_income = baseline.net_income - lost + tally.gains + tally.assistance
    claims, expense = sum(tally.reliefs), sum(tally.expenses)
    adjusted = net_income + claims - expense
    return Quantities(
        members=max(1, baseline.members + tally.members),
        labour_halves=2 * max(0, baseline.full + tally.full) + max(0, baseline.weak + tally.weak),
        net_income=net_income,
        claims=claims,
        expense=expense,
        net_rigid=sum([x - o for x, o in zip(tally.expenses, tally.reliefs, strict=True) if x > o]),
        adjusted=adjusted,
        without_assistance=adjusted - baseline.assistance - tally.assistance,
        net_loss=lost - tally.gains - tally.assistance,
        line_fen=line_fen,
    )
