"""Hysteresis: a grade rises at once and comes down one step at a time, after a quiet spell."""

from __future__ import annotations

from typing import NamedTuple

from shared.grades import RiskGrade
from shared.policy import Numbers


class Held(NamedTuple):
    """The grade a household has: since which day, and since when it would be better but for the quiet spell."""

    grade: RiskGrade
    since: int
    quiet_from: int | None


def next_held(held: Held | None, raw: RiskGrade, score: int, day: int, numbers: Numbers) -> Held:
    """Take a day's raw grade and score into the held grade.

    Worse is taken at once. Better needs `quiet_days` in a row, and a score that is a margin below the lower bound of
    the grade held; then the grade falls by one, and the next quiet spell starts.
    """
    if held is None or raw > held.grade:
        return Held(raw, day, None)
    if raw == held.grade:
        return held if held.quiet_from is None else Held(held.grade, held.since, None)
    quiet_from = day if held.quiet_from is None else held.quiet_from
    low_enough = score < numbers.lower_bounds[held.grade] - numbers.margin_points
    if day - quiet_from >= numbers.quiet_days and low_enough:
        lower = RiskGrade(held.grade - 1)
        return Held(lower, day, None if raw == lower else day)
    return Held(held.grade, held.since, quiet_from)
