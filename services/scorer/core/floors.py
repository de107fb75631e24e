"""Floors: hard triggers. Each one names the lowest grade a household may have while its condition holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from services.scorer.core import evidence as row
from services.scorer.core.baseline import Baseline
from services.scorer.core.evidence import EDUCATION, FOOD, HOUSE, HOUSING_B, HOUSING_C, HOUSING_D, MEDICAL, WATER
from services.scorer.core.money import Quantities
from services.scorer.core.tally import Tally
from shared.grades import RiskGrade
from shared.policy import Numbers

GREEN, BLUE, YELLOW, ORANGE, RED = RiskGrade

FLOOR_GRADES: Mapping[str, RiskGrade] = {
    "RETURN_CONFIRMED": RED,
    "BASIC_LIFE": RED,
    "HOUSING_D": RED,
    "EDUCATION_OVERDUE": RED,
    "WATER_OVERDUE": RED,
    "BELOW_POVERTY_STD": RED,
    "CATASTROPHIC_EXPENSE": RED,
    "NO_LABOUR_BELOW_LINE": RED,
    "FIELD_EMERGENCY": RED,
    "SHOCK_BELOW_LINE": ORANGE,
    "HOUSING_C": ORANGE,
    "EDUCATION_BREACH": ORANGE,
    "WATER_BREACH": ORANGE,
    "MEDICAL_GAP_WITH_ILLNESS": ORANGE,
    "BELOW_LINE": YELLOW,
    "LARGE_EXPENSE": YELLOW,
    "MEDICAL_GAP": YELLOW,
    "SELF_REPORT": YELLOW,
    "VISIT_CONCERN": YELLOW,
    "INCOME_DROP": YELLOW,
    "HOUSING_B": BLUE,
    "STALE_BASELINE": BLUE,
    "ASSISTANCE_DEPENDENT": BLUE,
    "DEBT_STRESS": BLUE,
    "SOFT_CONCERN": BLUE,
    "MONITORED": BLUE,
    "NO_LABOUR": BLUE,
}
"""Grade of each floor, in output order. THIRD_PARTY comes last and has the grade that the assessment names."""


@dataclass(slots=True)
class Standing:
    """What is known of a household on one day, in one view of the evidence."""

    day: int
    tally: Tally
    baseline: Baseline
    quantities: Quantities
    monitored: bool
    return_confirmed: bool
    large_expense_fen: int


def floors_of(standing: Standing, numbers: Numbers) -> tuple[RiskGrade, tuple[str, ...]]:
    """The worst floor, and the codes of all that hold, in output order."""
    codes: list[str] = []
    _red(standing, numbers, codes)
    _orange(standing, codes)
    _yellow(standing, numbers, codes)
    _blue(standing, numbers, codes)
    worst = FLOOR_GRADES[codes[0]] if codes else GREEN
    if standing.tally.advised is not None:
        codes.append("THIRD_PARTY")
        worst = max(worst, RiskGrade(standing.tally.advised))
    return worst, tuple(codes)


def _red(on: Standing, numbers: Numbers, codes: list[str]) -> None:
    quantities, guarantees, visit = on.quantities, on.tally.guarantees, on.tally.visit
    states = guarantees.states
    if on.return_confirmed:
        codes.append("RETURN_CONFIRMED")
    if states[FOOD].rank:
        codes.append("BASIC_LIFE")
    if states[HOUSE].rank >= HOUSING_D:
        codes.append("HOUSING_D")
    if states[EDUCATION].rank and on.day - states[EDUCATION].since >= numbers.overdue_days:
        codes.append("EDUCATION_OVERDUE")
    if states[WATER].rank and on.day - states[WATER].since >= numbers.overdue_days:
        codes.append("WATER_OVERDUE")
    if not quantities.at_least(*numbers.poverty_ratio):
        codes.append("BELOW_POVERTY_STD")
    if quantities.net_rigid >= on.large_expense_fen and quantities.below_line:
        codes.append("CATASTROPHIC_EXPENSE")
    if not quantities.labour_halves and quantities.below_line:
        codes.append("NO_LABOUR_BELOW_LINE")
    if visit and visit[0] == row.EMERGENCY and on.day - visit[1] < numbers.visit_days:
        codes.append("FIELD_EMERGENCY")


def _orange(on: Standing, codes: list[str]) -> None:
    states = on.tally.guarantees.states
    if on.tally.shock and on.quantities.below_line:
        codes.append("SHOCK_BELOW_LINE")
    if states[HOUSE].rank == HOUSING_C:
        codes.append("HOUSING_C")
    if states[EDUCATION].rank:
        codes.append("EDUCATION_BREACH")
    if states[WATER].rank:
        codes.append("WATER_BREACH")
    if states[MEDICAL].rank and on.tally.ill:
        codes.append("MEDICAL_GAP_WITH_ILLNESS")


def _yellow(on: Standing, numbers: Numbers, codes: list[str]) -> None:
    tally, quantities = on.tally, on.quantities
    if quantities.below_line:
        codes.append("BELOW_LINE")
    if quantities.net_rigid >= on.large_expense_fen:
        codes.append("LARGE_EXPENSE")
    if tally.guarantees.states[MEDICAL].rank:
        codes.append("MEDICAL_GAP")
    if tally.reported_on is not None and on.day - tally.reported_on < numbers.self_report_days:
        codes.append("SELF_REPORT")
    if tally.visit and tally.visit[0] == row.CONCERNED and on.day - tally.visit[1] < numbers.visit_days:
        codes.append("VISIT_CONCERN")
    if _income_dropped(quantities.net_loss, on.baseline.net_income, numbers):
        codes.append("INCOME_DROP")


def _blue(on: Standing, numbers: Numbers, codes: list[str]) -> None:
    tally, quantities = on.tally, on.quantities
    if tally.guarantees.states[HOUSE].rank == HOUSING_B:
        codes.append("HOUSING_B")
    if on.day - on.baseline.as_of > numbers.stale_baseline_days:
        codes.append("STALE_BASELINE")
    if quantities.assistance_dependent:
        codes.append("ASSISTANCE_DEPENDENT")
    if _debt_presses(tally.debt, quantities.net_income, numbers):
        codes.append("DEBT_STRESS")
    if tally.concerned_on is not None and on.day - tally.concerned_on < numbers.concern_days:
        codes.append("SOFT_CONCERN")
    if on.monitored:
        codes.append("MONITORED")
    if not quantities.labour_halves:
        codes.append("NO_LABOUR")


def _income_dropped(net_loss: int, baseline_income: int, numbers: Numbers) -> bool:
    numerator, denominator = numbers.income_drop_share
    return net_loss > 0 and (baseline_income <= 0 or net_loss * denominator >= numerator * baseline_income)


def _debt_presses(debt: int, net_income: int, numbers: Numbers) -> bool:
    numerator, denominator = numbers.debt_share
    return debt > 0 and (net_income <= 0 or debt * denominator >= numerator * net_income)
