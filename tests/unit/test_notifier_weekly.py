"""The weekly list: once a week at its hour, thin, Chinese before English."""

import json
from datetime import UTC, date, datetime

import pytest

from services.notifier.core.weekly import MOST_LINES, Listed, Place, compose_list, week_due
from shared.clock import SHANGHAI
from shared.grades import RiskGrade
from shared.policy import WeeklyList
from tests.fakes.notifier import VILLAGE, WORDING, policy

MONDAY = date(2026, 3, 2)
RULES = policy().delivery
LOOKS = {grade: policy().look(grade) for grade in RiskGrade}


def due(text, weekly=None, rules=RULES):
    return week_due(
        weekly or WeeklyList(), rules, datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).astimezone(UTC)
    )


@pytest.mark.parametrize(
    ("at", "week"),
    [
        ("2026-03-02T08:29:59", None),
        ("2026-03-02T08:30:00", MONDAY),
        ("2026-03-03T08:29:59", MONDAY),
        ("2026-03-03T08:30:00", None),
        ("2026-03-08T23:00:00", None),
        ("2026-03-09T08:30:00", date(2026, 3, 9)),
    ],
)
def test_a_list_is_made_from_monday_morning_on_for_a_day_and_then_waits_for_the_next_week(at, week):
    assert due(at) == week


def test_a_list_of_another_day_belongs_to_the_week_that_it_lies_in():
    sunday = WeeklyList(weekday=7, at="19:00")
    assert due("2026-03-08T19:30:00", sunday) == MONDAY
    assert due("2026-03-09T10:00:00", sunday) == MONDAY
    assert due("2026-03-08T18:59:00", sunday) is None


def test_a_list_whose_hour_lies_in_the_quiet_hours_waits_for_the_morning():
    night = WeeklyList(weekday=1, at="22:00")
    assert due("2026-03-02T22:30:00", night) is None
    assert due("2026-03-03T06:59:00", night) is None
    assert due("2026-03-03T07:00:00", night) == MONDAY


def test_a_list_names_household_and_grade_and_nothing_else_worst_first():
    households = [Listed("H-2", None, RiskGrade.BLUE), Listed("H-1", "石榴\u202e\n", RiskGrade.YELLOW)]
    made = compose_list(MONDAY, Place(VILLAGE, "某村"), households, LOOKS, "http://console.test/", WORDING)
    assert made.subject == "【守望】每周名单 某村 2户"
    assert made.text.splitlines() == [
        "本周请多留意以下2户：",
        "村：某村",
        "■ 石榴 黄色·需核实",
        "● H-2 蓝色·常态关注",
        "名单（登录后）：http://console.test/list",
        "",
        "Please keep an eye on 2 households this week:",
        "Village: 某村",
        "■ 石榴 yellow, to be checked",
        "● H-2 blue, under watch",
        "The list, after login: http://console.test/list",
    ]
    assert json.loads(made.body) == {
        "type": "cn.shouwang.list.weekly.v1",
        "week": "2026-03-02",
        "division": VILLAGE,
        "village": "某村",
        "households": [
            {"household_id": "H-1", "alias": "石榴", "grade": "yellow"},
            {"household_id": "H-2", "alias": None, "grade": "blue"},
        ],
        "more": 0,
        "link": "http://console.test/list",
    }
    assert made.brief.split("\n") == ["【守望】每周名单", "某村 2户", "本周请多留意", "http://console.test/list"]


def test_a_long_list_says_how_many_more_there_are():
    households = [Listed(f"H-{number:03}", None, RiskGrade.BLUE) for number in range(MOST_LINES + 3)]
    made = compose_list(MONDAY, Place(VILLAGE, "某村"), households, LOOKS, "http://console.test", WORDING)
    assert "另有3户，见名单。" in made.text and "3 more are on the list." in made.text
    assert json.loads(made.body)["more"] == 3
