"""A grade rises at once and comes down one step at a time."""

from datetime import date, timedelta
from itertools import pairwise

from services.scorer.core.hysteresis import Held, next_held
from shared.grades import RiskGrade
from shared.policy import default_policies
from tests.factories import make_event
from tests.rules.judged import replayed

NUMBERS = default_policies().versions[0].numbers
RED, ORANGE, YELLOW, BLUE, GREEN = (RiskGrade(grade) for grade in (4, 3, 2, 1, 0))


def test_the_first_grade_is_taken_as_it_is() -> None:
    assert next_held(None, ORANGE, 10, 100, NUMBERS) == Held(ORANGE, 100, None)


def test_a_worse_grade_is_taken_at_once() -> None:
    assert next_held(Held(BLUE, 90, 95), RED, 71, 100, NUMBERS) == Held(RED, 100, None)


def test_a_household_stays_red_until_its_points_are_a_margin_below_red() -> None:
    held = Held(RED, 10, 70)
    assert next_held(held, GREEN, 67, 100, NUMBERS) == held
    assert next_held(held, GREEN, 66, 100, NUMBERS) == Held(ORANGE, 100, 100)


def test_a_grade_does_not_fall_before_thirty_quiet_days() -> None:
    held = Held(RED, 10, 71)
    assert next_held(held, GREEN, 0, 100, NUMBERS) == held
    assert next_held(held, GREEN, 0, 101, NUMBERS) == Held(ORANGE, 101, 101)


def test_the_quiet_spell_ends_when_the_step_down_reaches_the_evidence() -> None:
    assert next_held(Held(RED, 10, 70), ORANGE, 50, 100, NUMBERS) == Held(ORANGE, 100, None)


def test_a_day_as_bad_as_the_grade_ends_the_quiet_spell() -> None:
    assert next_held(Held(YELLOW, 10, 70), YELLOW, 40, 99, NUMBERS) == Held(YELLOW, 10, None)


def test_a_yuan_to_and_fro_around_the_line_for_sixty_days_worsens_once() -> None:
    events = []
    for day in range(60):
        on = date(2026, 2, 1) + timedelta(days=day)
        events.append(make_event("farm.crop_loss" if day % 2 == 0 else "income.wage_recovered", on, amount_yuan=2))
    changes = replayed(*events, baseline={"wage": 22801}, as_of="2026-04-01").changes
    assert [change.new for change in changes if change.old is not None and change.new > change.old] == [ORANGE]


def test_no_grade_falls_twice_within_thirty_days() -> None:
    visit = make_event("survey.visit", "2026-03-02", source_class="cadre", result="emergency")
    falls = [change.on_day for change in replayed(visit, as_of="2026-10-01").changes[2:]]
    assert len(falls) == 4
    assert all((later - earlier).days >= 30 for earlier, later in pairwise(falls))
