"""What no single field shows: parts of a policy that contradict one another.

Each check yields the field to look at and what must hold there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

from shared.events.payloads import CAUSES
from shared.grades import RiskGrade
from shared.policy.faults import Path
from shared.policy.sections import Band, Role, Step

if TYPE_CHECKING:
    from shared.policy.model import Policy

Found: TypeAlias = Iterator[tuple[Path, str]]
_RANK_OF_ROLE: Mapping[Role, int] = {
    "cadre": 0,
    "grid": 0,
    "village_team": 0,
    "township": 1,
    "county": 2,
    "duty_officer": 3,
}
_SERIOUS = (RiskGrade.RED, RiskGrade.ORANGE)
_TOP_SCORE = 100
_LEAST_MESSAGES_A_DAY = 2


def contradictions(policy: Policy) -> Found:
    """List what contradicts itself in a policy whose fields are all well-formed; nothing = it can be used."""
    for check in _CHECKS:
        yield from check(policy)


def _every_grade_has_its_entry(policy: Policy) -> Found:
    for section, entries in (("grades", policy.grades), ("routing", policy.routing)):
        for grade in RiskGrade:
            if grade.code not in entries:
                yield (section, grade.code), "every grade needs an entry"


def _points_follow_need(policy: Policy) -> Found:
    score = policy.score
    yield from _monotone(score.income_bands, "income_bands", rising=True)
    yield from _monotone(score.labour_bands, "labour_bands", rising=True)
    yield from _monotone(score.rigid_bands, "rigid_bands", rising=False)
    if score.income_below < score.income_bands[-1].points:
        yield ("score", "income_below"), "less income must not give fewer points than the last of income_bands"
    if score.labour_little < score.labour_bands[-1].points:
        yield ("score", "labour_little"), "less labour must not give fewer points than the last of labour_bands"
    if score.labour_none < score.labour_little:
        yield ("score", "labour_none"), "no labour must not give fewer points than labour_little"
    if not score.rigid_bands[-1].at_least:
        last = len(score.rigid_bands) - 1
        yield (
            ("score", "rigid_bands", last, "at_least"),
            "a household without expense must get no points: write above 0",
        )
    if score.guarantee_cap < score.guarantee_points:
        yield ("score", "guarantee_cap"), "must not be below guarantee_points"


def _monotone(bands: Sequence[Band], name: str, *, rising: bool) -> Found:
    for place, (above, below) in enumerate(pairwise(bands), start=1):
        if below.points < above.points if rising else below.points > above.points:
            word = "fewer" if rising else "more"
            yield ("score", name, place, "points"), f"must not give {word} points than the band above it"


def _the_score_fits_its_scale(policy: Policy) -> Found:
    score = policy.score
    most = score.income_below + max(band.points for band in score.rigid_bands)
    most += score.guarantee_cap + score.labour_none + 4 * score.element_top_rating
    if most > _TOP_SCORE:
        yield ("score",), f"the parts can add up to {most} points; {_TOP_SCORE} is the most"
    elif score.grade_at_least.red > most:
        yield ("score", "grade_at_least", "red"), f"cannot be reached: the parts add up to {most} points at most"


def _grades_are_in_order(policy: Policy) -> Found:
    bounds = policy.score.grade_at_least
    named = [("red", bounds.red), ("orange", bounds.orange), ("yellow", bounds.yellow), ("blue", bounds.blue)]
    for (_, worse), (name, milder) in pairwise(named):
        if milder >= worse:
            yield ("score", "grade_at_least", name), "must be below the bound of the next worse grade"
    if bounds.blue <= policy.hysteresis.margin_points:
        yield (
            ("hysteresis", "margin_points"),
            "must be below grade_at_least.blue, or no household could ever leave blue",
        )


def _floors_fit_together(policy: Policy) -> Found:
    floors = policy.floors
    if not 0 < floors.poverty_ratio <= 1:
        yield ("floors", "poverty_ratio"), "must be above 0 and at most 1: the poverty standard is not above the line"
    if floors.large_expense_yuan > floors.large_expense_ordinary_yuan:
        yield (
            ("floors", "large_expense_yuan"),
            "must not be above large_expense_ordinary_yuan: who is closer to poverty is noticed earlier",
        )
    if not floors.income_drop_share:
        yield ("floors", "income_drop_share"), "must be above 0"
    if not floors.debt_share:
        yield ("floors", "debt_share"), "must be above 0"


def _serious_grades_reach_somebody(policy: Policy) -> Found:
    for grade in _SERIOUS:
        if policy.routing.get(grade.code) == []:
            yield ("routing", grade.code), "somebody must be told of this grade"
    for code, roles in policy.routing.items():
        yield from _once(("routing", code), roles)
    if "red" not in policy.delivery.quiet_exempt:
        yield ("delivery", "quiet_exempt"), "must hold red: the worst grade does not wait for the morning"


def _people_are_left_in_peace(policy: Policy) -> Found:
    if policy.delivery.messages_a_day_per_person_and_household < _LEAST_MESSAGES_A_DAY:
        yield (
            ("delivery", "messages_a_day_per_person_and_household"),
            f"must be at least {_LEAST_MESSAGES_A_DAY}: one place is kept for red",
        )
    for code, roles in policy.weekly_list.routing.items():
        yield from _once(("weekly_list", "routing", code), roles)


def _alerts_climb_to_an_end(policy: Policy) -> Found:
    for code, timetable in policy.timetable.items():
        yield from _climbs(("timetable", code, "climb"), timetable.climb)
    red = policy.timetable.get("red")
    if red is None:
        yield ("timetable", "red"), "a red alert needs its deadlines"
        return
    if not red.climb:
        yield ("timetable", "red", "climb"), "a red alert that nobody acknowledges must climb to somebody"
    elif not _RANK_OF_ROLE[red.climb[-1].to]:
        last = len(red.climb) - 1
        yield ("timetable", "red", "climb", last, "to"), "must end above the village: township, county or duty_officer"
    if red.visit_within_minutes is None:
        yield ("timetable", "red", "visit_within_minutes"), "a red alert needs a time for the visit"


def _climbs(path: Path, steps: Sequence[Step]) -> Found:
    for place, (before, step) in enumerate(pairwise(steps), start=1):
        if step.after_minutes <= before.after_minutes:
            yield (*path, place, "after_minutes"), "must be later than the step before"
        if _RANK_OF_ROLE[step.to] <= _RANK_OF_ROLE[before.to]:
            yield (*path, place, "to"), "must be a level above the step before"


def _people_get_a_plan_and_measures(policy: Policy) -> Found:
    if not policy.emergency_plan:
        yield ("emergency_plan",), "a red alert comes with a plan: list its steps"
    yield from _once(("emergency_plan",), [step.code for step in policy.emergency_plan], "code")
    for cause in CAUSES:
        listed = policy.measures.get(cause, [])
        if not listed:
            yield ("measures", cause), "every cause needs a measure to suggest"
        yield from _once(("measures", cause), [measure.code for measure in listed], "code")


def _areas_have_rising_tiers(policy: Policy) -> Found:
    area = policy.area
    ranks = {"large_scale": 2, "warning": 1, "watch": 0}
    for place, (above, below) in enumerate(pairwise(area.tiers), start=1):
        if ranks[below.tier] >= ranks[above.tier]:
            yield ("area", "tiers", place, "tier"), "list the tiers from large_scale down to watch, each once"
        if below.share >= above.share:
            yield ("area", "tiers", place, "share"), "a milder tier must begin at a smaller share"
    for place, tier in enumerate(area.tiers):
        if not 0 < tier.share <= 1:
            yield ("area", "tiers", place, "share"), "must be above 0 and at most 1"
    if not area.burst_windows_days:
        yield ("area", "burst_windows_days"), "name at least one window"


def _once(path: Path, names: Iterable[str], *field: str) -> Found:
    seen: set[str] = set()
    for place, name in enumerate(names):
        if name in seen:
            yield (*path, place, *field), "is named twice in this list"
        seen.add(name)


_CHECKS: tuple[Callable[[Policy], Found], ...] = (
    _every_grade_has_its_entry,
    _points_follow_need,
    _the_score_fits_its_scale,
    _grades_are_in_order,
    _floors_fit_together,
    _serious_grades_reach_somebody,
    _people_are_left_in_peace,
    _alerts_climb_to_an_end,
    _people_get_a_plan_and_measures,
    _areas_have_rising_tiers,
)
