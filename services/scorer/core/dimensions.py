"""Dimensions: the household's need seen from twelve sides, each with points, a grade and the figures behind it.

The points are those of the score. Income and rigid expense are the parts of that name; labour and the four elements add
up to the part for resilience; the five guarantees add up to the part for guarantees, which is cut at the policy's cap:
a household with three broken guarantees has 10 points in each of three dimensions, and 20 in its score.
Like the score, they are worked out from all evidence, also what is not verified yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import NamedTuple

from services.scorer.core.baseline import ELEMENTS, UNKNOWN
from services.scorer.core.evidence import GUARANTEES, HOUSE, HOUSING_RANKS
from services.scorer.core.floors import FLOOR_GRADES
from services.scorer.core.grade import Decision
from services.scorer.core.guarantees import lowest_broken
from services.scorer.core.score import grade_by_score
from shared.grades import RiskGrade
from shared.policy import Numbers

DIMENSIONS = (
    "income", "rigid_expense", "education", "medical", "housing", "water", "food", "labour", *ELEMENTS,
)  # fmt: skip
"""Codes, in output order."""
DIMENSION_OF_FLOOR: Mapping[str, str] = {
    "BELOW_POVERTY_STD": "income",
    "SHOCK_BELOW_LINE": "income",
    "BELOW_LINE": "income",
    "INCOME_DROP": "income",
    "ASSISTANCE_DEPENDENT": "income",
    "CATASTROPHIC_EXPENSE": "rigid_expense",
    "LARGE_EXPENSE": "rigid_expense",
    "DEBT_STRESS": "rigid_expense",
    "EDUCATION_OVERDUE": "education",
    "EDUCATION_BREACH": "education",
    "MEDICAL_GAP_WITH_ILLNESS": "medical",
    "MEDICAL_GAP": "medical",
    "HOUSING_D": "housing",
    "HOUSING_C": "housing",
    "HOUSING_B": "housing",
    "WATER_OVERDUE": "water",
    "WATER_BREACH": "water",
    "BASIC_LIFE": "food",
    "NO_LABOUR_BELOW_LINE": "labour",
    "NO_LABOUR": "labour",
    "SOFT_CONCERN": "psychological",
}
OF_THE_WHOLE_HOUSEHOLD = frozenset(
    {
        "RETURN_CONFIRMED",
        "FIELD_EMERGENCY",
        "SELF_REPORT",
        "VISIT_CONCERN",
        "STALE_BASELINE",
        "MONITORED",
        "THIRD_PARTY",
    }
)
"""Floors that say something of the household and of no single side of it."""
Figures = Mapping[str, str | int | None]


class Dimension(NamedTuple):
    """One side of a household's need.

    grade: the worse of the worst floor that belongs to the dimension and, at most yellow, the grade that the policy's
    bounds give to its points as a share of the most it can have (70 % of them = 70 points). Points alone do not go
    beyond yellow: orange and red are for hard triggers. An element that nobody has rated is yellow: to be checked.
    figures: in output formats. floors: the floors that belong to it and hold.
    """

    code: str
    grade: RiskGrade
    points: int
    most: int
    figures: Figures
    floors: tuple[str, ...]


def dimensions(decision: Decision) -> tuple[Dimension, ...]:
    """The twelve dimensions of a decision, in the order of DIMENSIONS."""
    points, most, figures = _points(decision), _most(decision.policy.numbers), _figures(decision)
    return tuple(_dimension(code, points[code], most[code], figures[code], decision) for code in DIMENSIONS)


def _dimension(code: str, points: int, most: int, figures: Figures, decision: Decision) -> Dimension:
    floors = tuple(floor for floor in decision.floors if DIMENSION_OF_FLOOR.get(floor) == code)
    by_share = grade_by_score(100 * points // most, decision.policy.numbers) if most else RiskGrade.GREEN
    worst = max([FLOOR_GRADES[floor] for floor in floors], default=RiskGrade.GREEN)
    return Dimension(code, max(worst, min(by_share, RiskGrade.YELLOW)), points, most, figures, floors)


def _points(decision: Decision) -> dict[str, int]:
    numbers, parts, standing = decision.policy.numbers, decision.parts, decision.standing
    points = {"income": parts.income, "rigid_expense": parts.rigid}
    for place, guarantee in enumerate(GUARANTEES):
        broken = standing.tally.guarantees.states[place].rank >= lowest_broken(place)
        points[guarantee.value] = numbers.guarantee_points if broken else 0
    for name, rating in zip(ELEMENTS, standing.baseline.elements, strict=True):
        points[name] = numbers.element_points[rating]
    points["labour"] = parts.resilience - sum(points[name] for name in ELEMENTS)
    return points


def _most(numbers: Numbers) -> dict[str, int]:
    """The most points that the policy gives in each dimension."""
    most = dict.fromkeys((guarantee.value for guarantee in GUARANTEES), numbers.guarantee_points)
    most |= dict.fromkeys(ELEMENTS, max(numbers.element_points))
    labour = max(points for _, _, points in numbers.labour_bands)
    return most | {
        "income": max(numbers.income_below, *(points for _, _, points in numbers.income_bands)),
        "rigid_expense": max(points for _, _, points in numbers.rigid_bands),
        "labour": max(numbers.labour_none, numbers.labour_little, labour),
    }


def _figures(decision: Decision) -> dict[str, Figures]:
    result, standing = decision.result(), decision.standing
    quantities, elements = standing.quantities, standing.baseline.elements
    figures: dict[str, Figures] = {
        "income": _taken(result, "adjusted_per_capita", "ratio") | {"line_yuan": decision.policy.line_yuan},
        "rigid_expense": _taken(result, "net_rigid", "rigid_share"),
        "labour": _taken(result, "labour_ratio") | {"members": quantities.members},
    }
    for place, guarantee in enumerate(GUARANTEES):
        figures[guarantee.value] = _guarantee(decision, place)
    for name, rating in zip(ELEMENTS, elements, strict=True):
        figures[name] = {"rating": None if rating == UNKNOWN else rating}
    return figures


def _guarantee(decision: Decision, place: int) -> Figures:
    rank, since, _ = decision.standing.tally.guarantees.states[place]
    names = HOUSING_RANKS if place == HOUSE else ("ok", "breach")
    if rank < lowest_broken(place):
        return {"state": names[rank]}
    return {"state": names[rank], "since": date.fromordinal(since).isoformat(), "days": decision.standing.day - since}


def _taken(result: Mapping[str, object], *names: str) -> dict[str, str | int | None]:
    return {name: value if isinstance(value := result[name], str) else None for name in names}
