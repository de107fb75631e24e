"""The score: 0 (no sign of need) to 100 points, in four parts that can be shown one by one."""

from __future__ import annotations

from typing import NamedTuple

from services.scorer.core.baseline import Baseline
from services.scorer.core.money import Quantities
from shared.grades import RiskGrade
from shared.policy import Numbers

_WORST_FIRST = (RiskGrade.RED, RiskGrade.ORANGE, RiskGrade.YELLOW, RiskGrade.BLUE)
_GREEN = RiskGrade.GREEN


class Parts(NamedTuple):
    """Points of each part."""

    income: int
    rigid: int
    guarantee: int
    resilience: int

    @property
    def score(self) -> int:
        """All points."""
        return self.income + self.rigid + self.guarantee + self.resilience


def parts_of(quantities: Quantities, broken: int, baseline: Baseline, numbers: Numbers) -> Parts:
    """Give points for low income, rigid expense, `broken` guarantees and little ability to cope."""
    points = numbers.element_points
    economic, cultural, psychological, social = baseline.elements
    return Parts(
        _income(quantities, numbers),
        _rigid(quantities, numbers),
        min(numbers.guarantee_cap, numbers.guarantee_points * broken),
        _labour(quantities, numbers) + points[economic] + points[cultural] + points[psychological] + points[social],
    )


def grade_by_score(score: int, numbers: Numbers) -> RiskGrade:
    """The grade that the score alone would give."""
    for grade in _WORST_FIRST:
        if score >= numbers.lower_bounds[grade]:
            return grade
    return _GREEN


def _income(quantities: Quantities, numbers: Numbers) -> int:
    for numerator, denominator, points in numbers.income_bands:
        if quantities.at_least(numerator, denominator):
            return points
    return numbers.income_below


def _rigid(quantities: Quantities, numbers: Numbers) -> int:
    for numerator, denominator, points in numbers.rigid_bands:
        if quantities.rigid_at_least(numerator, denominator):
            return points
    return 0


def _labour(quantities: Quantities, numbers: Numbers) -> int:
    for numerator, denominator, points in numbers.labour_bands:
        if quantities.labour_at_least(numerator, denominator):
            return points
    return numbers.labour_little if quantities.labour_halves else numbers.labour_none
