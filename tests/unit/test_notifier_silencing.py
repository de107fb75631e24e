"""Silences: whom they mean, how long they may last, and that red bears none for long."""

from datetime import timedelta

import pytest

from services.notifier.core.silencing import Silence, objections, silenced
from shared.grades import RiskGrade
from tests.fakes.notifier import NOW, OTHER_VILLAGE, TOWNSHIP, VILLAGE, policy

RED, ORANGE, YELLOW = RiskGrade.RED, RiskGrade.ORANGE, RiskGrade.YELLOW
ALL = frozenset(RiskGrade)
HOUR = timedelta(hours=1)
RULES = policy().delivery


def silence(number=1, division=TOWNSHIP, household_id=None, grades=ALL, begins=NOW, hours=8, ended=None):
    by = None if ended is None else "town"
    return Silence(number, division, household_id, grades, "town", "drill", begins, begins + hours * HOUR, ended, by)


def found(*silences, grade=YELLOW, division=VILLAGE, household_id="H-1", since=NOW, now=NOW):
    return silenced(silences, household_id, division, grade, since=since, rules=RULES, now=now)


def test_a_silence_means_its_division_all_below_it_and_nobody_else():
    assert found(silence()).until == NOW + 8 * HOUR
    assert found(silence(division=VILLAGE)) is not None
    assert found(silence(division=VILLAGE), division=OTHER_VILLAGE) is None
    assert found(silence(division=VILLAGE), division=TOWNSHIP) is None


def test_a_silence_of_a_household_means_that_one_wherever_it_has_moved():
    one = silence(household_id="H-1", division=VILLAGE)
    assert found(one, division=OTHER_VILLAGE) is not None
    assert found(one, household_id="H-2") is None


def test_a_silence_means_the_grades_that_it_names():
    assert found(silence(grades=frozenset({YELLOW})), grade=ORANGE) is None


def test_a_silence_lasts_from_its_making_to_its_end():
    one = silence()
    assert [found(one, now=NOW + hours * HOUR) is not None for hours in (-1, 0, 7, 8)] == [False, True, True, False]
    assert found(silence(ended=NOW + HOUR), now=NOW + HOUR) is None


def test_of_several_the_longest_counts():
    assert found(silence(1, hours=2), silence(2, hours=5), silence(3, hours=3)).silence.silence_id == 2


def test_red_is_kept_from_people_for_four_hours_whatever_silences_follow_one_another():
    chain = [silence(number, begins=NOW + number * HOUR, hours=2) for number in range(8)]
    assert found(*chain, grade=RED).until == NOW + 2 * HOUR
    assert found(*chain, grade=RED, now=NOW + 3 * HOUR).until == NOW + 4 * HOUR
    assert found(*chain, grade=RED, now=NOW + 4 * HOUR) is None
    assert found(*chain, grade=ORANGE, now=NOW + 4 * HOUR).until == NOW + 6 * HOUR


@pytest.mark.parametrize(
    ("grades", "hours", "code", "words"),
    [
        ((YELLOW,), 0, "not_ahead", "still to come"),
        ((YELLOW,), 14 * 24, None, None),
        ((YELLOW,), 14 * 24 + 1, "too_long", "within 14 days: give 2026-03-16T09:30+08:00 or earlier"),
        ((YELLOW, RED), 4, None, None),
        ((YELLOW, RED), 5, "red_too_long", "red is silenced for 4 hours at most"),
    ],
)
def test_a_silence_that_is_too_long_is_refused_with_what_to_change(grades, hours, code, words):
    found = list(objections(grades, NOW, NOW + hours * HOUR, [RULES]))
    assert [one.code for one in found] == ([code] if code else [])
    assert not words or words in found[0].detail


def test_the_strictest_of_the_jurisdictions_that_a_silence_lies_in_counts():
    strict = RULES.model_copy(update={"longest_silence_days": 1, "longest_red_silence_minutes": 0})
    assert [one.code for one in objections((YELLOW,), NOW, NOW + 25 * HOUR, [RULES, strict])] == ["too_long"]
    assert [one.code for one in objections((RED,), NOW, NOW + HOUR, [RULES, strict])] == ["never_red"]
