"""A policy's grading parameters as plain integers: what the core compares with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, Self

from shared.policy.sections import Band, Causes, Floors, Hysteresis, Score

IntegerBand = tuple[int, int, int]
"""(numerator, denominator, points) of one band."""


class GradingRules(Protocol):
    """What of a policy says how a household is graded."""

    @property
    def line_yuan(self) -> int: ...
    @property
    def window_days(self) -> int: ...
    @property
    def score(self) -> Score: ...
    @property
    def floors(self) -> Floors: ...
    @property
    def hysteresis(self) -> Hysteresis: ...
    @property
    def causes(self) -> Causes: ...


class CountedDays(NamedTuple):
    """For how many days each sort of evidence counts: all of a policy that a sum of evidence depends on."""

    money: int
    visit: int
    self_report: int
    concern: int
    assessment: int
    stale_baseline: int


@dataclass(frozen=True, slots=True)
class Numbers:
    """A policy's grading parameters as integers, so that ratios are compared by cross multiplication."""

    line_fen: int
    window_days: int
    income_bands: tuple[IntegerBand, ...]
    income_below: int
    rigid_bands: tuple[IntegerBand, ...]
    labour_bands: tuple[IntegerBand, ...]
    labour_little: int
    labour_none: int
    guarantee_points: int
    guarantee_cap: int
    element_points: tuple[int, int, int, int, int]
    lower_bounds: tuple[int, int, int, int, int]
    poverty_ratio: tuple[int, int]
    large_expense_fen: int
    large_expense_ordinary_fen: int
    overdue_days: int
    visit_days: int
    self_report_days: int
    concern_days: int
    assessment_days: int
    stale_baseline_days: int
    income_drop_share: tuple[int, int]
    debt_share: tuple[int, int]
    quiet_days: int
    margin_points: int
    labour_shortage_below: tuple[int, int]
    most_causes: int
    counted: CountedDays

    @classmethod
    def of(cls, policy: GradingRules) -> Self:
        """Take the numbers out of a policy. element_points: for ratings 0..3, then for an unknown one."""
        score, floors, bounds = policy.score, policy.floors, policy.score.grade_at_least
        top = score.element_top_rating
        points = [max(0, top - rating) for rating in (0, 1, 2, 3, score.element_unknown_rating)]
        return cls(
            line_fen=policy.line_yuan * 100,
            window_days=policy.window_days,
            income_bands=_integers(score.income_bands),
            income_below=score.income_below,
            rigid_bands=_integers(score.rigid_bands),
            labour_bands=_integers(score.labour_bands),
            labour_little=score.labour_little,
            labour_none=score.labour_none,
            guarantee_points=score.guarantee_points,
            guarantee_cap=score.guarantee_cap,
            element_points=(points[0], points[1], points[2], points[3], points[4]),
            lower_bounds=(0, bounds.blue, bounds.yellow, bounds.orange, bounds.red),
            poverty_ratio=floors.poverty_ratio.as_integer_ratio(),
            large_expense_fen=floors.large_expense_yuan * 100,
            large_expense_ordinary_fen=floors.large_expense_ordinary_yuan * 100,
            overdue_days=floors.overdue_days,
            visit_days=floors.visit_days,
            self_report_days=floors.self_report_days,
            concern_days=floors.concern_days,
            assessment_days=floors.assessment_days,
            stale_baseline_days=floors.stale_baseline_days,
            income_drop_share=floors.income_drop_share.as_integer_ratio(),
            debt_share=floors.debt_share.as_integer_ratio(),
            quiet_days=policy.hysteresis.quiet_days,
            margin_points=policy.hysteresis.margin_points,
            labour_shortage_below=policy.causes.labour_shortage_below.as_integer_ratio(),
            most_causes=policy.causes.most,
            counted=CountedDays(
                money=policy.window_days,
                visit=floors.visit_days,
                self_report=floors.self_report_days,
                concern=floors.concern_days,
                assessment=floors.assessment_days,
                stale_baseline=floors.stale_baseline_days,
            ),
        )


def _integers(bands: Iterable[Band]) -> tuple[IntegerBand, ...]:
    return tuple((*band.at_least.as_integer_ratio(), band.points) for band in bands)
