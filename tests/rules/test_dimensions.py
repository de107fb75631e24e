"""Each side of a household's need has points that explain the score, a grade of its own, and its figures."""

from datetime import UTC, date, datetime
from random import Random
from typing import Any

import pytest

from services.scorer.core.baseline import ELEMENTS
from services.scorer.core.dimensions import (
    DIMENSION_OF_FLOOR,
    DIMENSIONS,
    OF_THE_WHOLE_HOUSEHOLD,
    Dimension,
    dimensions,
)
from services.scorer.core.floors import FLOOR_GRADES
from services.scorer.core.grade import Decision
from services.scorer.core.household import replay
from services.scorer.grade_change import Household, Occasion, grade_change
from shared.grade_message import read_grade_change, write_grade_change
from shared.grades import GradeChanged, RiskGrade
from shared.policy import default_policies
from tests.factories import make_event
from tests.rules.histories import random_case
from tests.rules.judged import judged
from tests.rules.live import with_enrolment

GREEN, BLUE, YELLOW, ORANGE, RED = RiskGrade
GUARANTEES = ("education", "medical", "housing", "water", "food")
MOST_BYTES = 600


def of(decision: Decision) -> dict[str, Dimension]:
    return {one.code: one for one in dimensions(decision)}


def test_the_twelve_dimensions_come_in_their_order() -> None:
    assert tuple(of(judged())) == DIMENSIONS
    assert len(DIMENSIONS) == 12


def test_every_floor_belongs_to_one_dimension_or_to_the_whole_household() -> None:
    assert set(DIMENSION_OF_FLOOR) | OF_THE_WHOLE_HOUSEHOLD == {*FLOOR_GRADES, "THIRD_PARTY"}
    assert not set(DIMENSION_OF_FLOOR) & OF_THE_WHOLE_HOUSEHOLD
    assert set(DIMENSION_OF_FLOOR.values()) <= set(DIMENSIONS)


@pytest.mark.parametrize("seed", range(120))
def test_points_add_up_to_the_parts_and_grades_follow_floors(seed: int) -> None:
    case = random_case(Random(seed), most_days=200)
    events = with_enrolment(case, 0)
    decision = replay(events, date.fromisoformat(case["as_of"]), default_policies()).decision
    assert decision is not None
    found, parts, numbers = of(decision), decision.parts, decision.policy.numbers
    assert found["income"].points == parts.income
    assert found["rigid_expense"].points == parts.rigid
    assert min(numbers.guarantee_cap, sum(found[code].points for code in GUARANTEES)) == parts.guarantee
    assert sum(found[code].points for code in ("labour", *ELEMENTS)) == parts.resilience
    for one in found.values():
        assert 0 <= one.points <= one.most
        worst = max([FLOOR_GRADES[floor] for floor in one.floors], default=GREEN)
        assert max(worst, one.grade) == one.grade <= max(worst, YELLOW)
    placed = [floor for one in found.values() for floor in one.floors]
    assert sorted(placed) == sorted(set(decision.floors) - OF_THE_WHOLE_HOUSEHOLD)


def test_three_broken_guarantees_have_their_points_each_and_the_cap_in_the_score() -> None:
    decision = judged(baseline={"guarantees": {"education": "breach", "water": "breach", "housing": "C"}})
    assert {one.code: one.points for one in dimensions(decision) if one.code in GUARANTEES and one.points} == {
        "education": 10,
        "housing": 10,
        "water": 10,
    }
    assert decision.parts.guarantee == 20


@pytest.mark.parametrize(
    ("kind", "payload", "code", "grade"),
    [
        ("edu.dropout", {}, "education", ORANGE),
        ("health.insurance_lapse", {}, "medical", YELLOW),
        ("housing.danger", {"grade": "B"}, "housing", BLUE),
        ("housing.danger", {"grade": "D"}, "housing", RED),
        ("water.failure", {}, "water", ORANGE),
        ("food.shortage", {}, "food", RED),
        ("social.psych_concern", {}, "psychological", BLUE),
        ("health.major_illness", {"self_pay_yuan": 60000}, "rigid_expense", RED),
        ("health.major_illness", {"self_pay_yuan": 60000}, "income", RED),
        ("work.job_loss", {"monthly_loss_yuan": 2700, "months": 6}, "income", YELLOW),
        ("fin.debt", {"due_12m_yuan": 40000}, "rigid_expense", BLUE),
    ],
)
def test_a_trouble_colours_its_own_dimension(kind: str, payload: dict[str, Any], code: str, grade: RiskGrade) -> None:
    found = of(judged(make_event(kind, **payload)))
    assert found[code].grade is grade
    assert found["labour"].grade is GREEN


def test_a_dimension_turns_red_with_time_like_the_household() -> None:
    decision = judged(make_event("edu.dropout", "2026-03-02"), as_of="2026-03-17")
    assert (of(decision)["education"].grade, of(decision)["education"].figures) == (
        RED,
        {"state": "breach", "since": "2026-03-02", "days": 15},
    )


def test_an_element_that_nobody_has_rated_is_to_be_checked_and_a_good_one_is_green() -> None:
    found = of(judged(baseline={"elements": {"economic": 3, "cultural": 2, "psychological": 0}}))
    assert [(found[code].grade, found[code].points, found[code].figures["rating"]) for code in ELEMENTS] == [
        (GREEN, 0, 3),
        (BLUE, 1, 2),
        (YELLOW, 3, 0),
        (YELLOW, 2, None),
    ]


def test_figures_are_those_of_the_result() -> None:
    decision = judged(make_event(self_pay_yuan=60000))
    found, result = of(decision), decision.result()
    assert found["income"].figures == {
        "adjusted_per_capita": result["adjusted_per_capita"],
        "ratio": result["ratio"],
        "line_yuan": 8700,
    }
    assert found["rigid_expense"].figures["net_rigid"] == "60000.00"
    assert found["labour"].figures == {"labour_ratio": "0.5000", "members": 4}


def change_of(decision: Decision) -> GradeChanged:
    household = Household("H1", "990100101201", None)
    return grade_change(household, 1, None, decision, Occasion("timer"), datetime(2026, 3, 2, tzinfo=UTC))


def test_a_change_of_grade_tells_its_dimensions_and_stays_small() -> None:
    troubles = ["edu.dropout", "water.failure", "food.shortage", "housing.danger", "health.insurance_lapse"]
    decision = judged(
        *(make_event(kind) for kind in troubles), make_event(self_pay_yuan=60000), baseline={"elements": {}}
    )
    change = read_grade_change(write_grade_change(change_of(decision)))
    assert [(one.code, one.grade, one.points) for one in change.dimensions] == [
        (one.code, one.grade.code, one.points) for one in dimensions(decision)
    ]
    without = write_grade_change(change_of(decision).model_copy(update={"dimensions": ()}))
    assert len(write_grade_change(change_of(decision))) - len(without) < MOST_BYTES


def test_a_message_of_an_earlier_release_has_none() -> None:
    document = change_of(judged()).model_dump(mode="json", exclude={"dimensions"})
    assert GradeChanged.model_validate(document).dimensions == ()
