"""Duty lists, absences and holidays: who is at their post when, and what everybody who is not told is told about it."""

import itertools
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from services.notifier.core.duty import Absence, Duty, Rota
from services.notifier.core.routing import Heard, RoutedAs, StaffMember, duty_officers, route
from shared.alerts import ChannelName
from tests.fakes.notifier import COUNTY, NOW, OTHER_VILLAGE, PROVINCE, TOWNSHIP, VILLAGE

CHINA = ZoneInfo("Asia/Shanghai")
MONDAY = date(2026, 3, 2)
ORANGE = ("cadre", "grid", "village_team", "township")
HOUR = timedelta(hours=1)


def person(staff_id, role="cadre", division=VILLAGE, channels=(ChannelName.SMTP,), *, active=True):
    return StaffMember(staff_id, role, division, channels, active)


def shift(staff_id, role="township", division=TOWNSHIP, days=(MONDAY, MONDAY), hours=("08:00", "18:00"), weekdays=None):
    begin, end = (time.fromisoformat(one) for one in hours)
    return Duty(staff_id, role, division, *days, begin, end, weekdays)


def local(day, hour):
    return datetime.combine(day, time.fromisoformat(hour), CHINA).astimezone(UTC)


def away(staff_id, stand_in=None):
    return Absence(staff_id, NOW - HOUR, NOW + HOUR, stand_in)


def verdicts(staff, rota, roles=ORANGE, at=NOW):
    return {one.staff_id: one.heard for one in route(VILLAGE, roles, staff, at=at, rota=rota).verdicts}


@pytest.mark.parametrize(
    ("line", "at", "is_on"),
    [
        (shift("t"), local(MONDAY, "08:00"), True),
        (shift("t"), local(MONDAY, "17:59"), True),
        (shift("t"), local(MONDAY, "18:00"), False),
        (shift("t"), local(MONDAY, "07:59"), False),
        (shift("t", hours=("18:00", "08:00")), local(MONDAY + timedelta(days=1), "07:59"), True),
        (shift("t", hours=("18:00", "08:00")), local(MONDAY, "07:59"), False),
        (shift("t", hours=("08:00", "08:00")), local(MONDAY + timedelta(days=1), "07:59"), True),
        (shift("t", weekdays=(6, 7)), local(MONDAY, "12:00"), False),
        (shift("t", weekdays=(1,)), local(MONDAY, "12:00"), True),
    ],
)
def test_a_shift_belongs_to_the_day_it_begins_on_in_beijing_time(line, at, is_on):
    assert Rota((line,)).on_duty("township", TOWNSHIP, at) == (frozenset({"t"}) if is_on else frozenset())


def test_on_a_holiday_the_sunday_lines_count_and_on_its_make_up_day_the_monday_lines():
    lines = (shift("weekday", weekdays=(1, 2, 3, 4, 5)), shift("weekend", weekdays=(6, 7)))
    noon = local(MONDAY, "12:00")
    assert Rota(lines, holidays={MONDAY: False}).on_duty("township", TOWNSHIP, noon) == {"weekend"}
    sunday = MONDAY - timedelta(days=1)
    lines = tuple(shift(one.staff_id, days=(sunday, sunday), weekdays=one.weekdays) for one in lines)
    noon = local(sunday, "12:00")
    assert Rota(lines, holidays={sunday: True}).on_duty("township", TOWNSHIP, noon) == {"weekday"}


def test_for_its_time_an_override_takes_the_place_of_the_usual_lines():
    usual = shift("usual", hours=("00:00", "00:00"))
    swapped = replace(shift("swapped", hours=("12:00", "18:00")), overrides=True)
    found = [
        Rota((usual, swapped)).on_duty("township", TOWNSHIP, local(MONDAY, hour))
        for hour in ("11:59", "12:00", "18:00")
    ]
    assert found == [{"usual"}, {"swapped"}, {"usual"}]


def test_an_override_of_people_who_cannot_hear_leaves_no_alert_unheard():
    staff = [person("c"), person("usual", "township", TOWNSHIP), person("mute", "township", TOWNSHIP, channels=())]
    rota = Rota((shift("usual"), replace(shift("mute"), overrides=True)))
    assert verdicts(staff, rota) == {"c": Heard.TOLD_ROLE, "usual": Heard.TOLD_ROLE, "mute": Heard.NO_CHANNEL}


def test_of_a_township_with_a_duty_list_only_those_on_duty_are_told():
    staff = [person("c"), person("on", "township", TOWNSHIP), person("off", "township", TOWNSHIP)]
    assert verdicts(staff, Rota((shift("on"),))) == {
        "c": Heard.TOLD_ROLE,
        "on": Heard.TOLD_ROLE,
        "off": Heard.OFF_DUTY,
    }


@pytest.mark.parametrize("silent", ["away", "without an address", "of another post", "at another time"])
def test_a_duty_list_that_leads_to_nobody_does_not_count(silent):
    staff = [
        person("c"),
        person("on", "township", TOWNSHIP, () if silent == "without an address" else (ChannelName.SMTP,)),
        person("off", "township", TOWNSHIP),
    ]
    line = shift("on", "county", COUNTY) if silent == "of another post" else shift("on")
    rota = Rota((line,), (away("on"),) if silent == "away" else ())
    at = local(MONDAY, "03:00") if silent == "at another time" else NOW
    assert verdicts(staff, rota, at=at)["off"] is Heard.TOLD_ROLE


def test_a_duty_list_cannot_excuse_the_cadre_of_a_village():
    staff = [person("c"), person("other")]
    assert set(verdicts(staff, Rota((shift("c", "cadre", VILLAGE),))).values()) == {Heard.TOLD_ROLE}


def test_the_stand_in_hears_for_an_absent_cadre_and_the_township_is_left_in_peace():
    staff = [person("c"), person("g", "grid"), person("t", "township", TOWNSHIP)]
    routing = route(VILLAGE, ("cadre",), staff, at=NOW, rota=Rota(absences=(away("c", "g"),)))
    assert [(one.staff_id, one.routed_as, one.instead_of) for one in routing.recipients] == [
        ("g", RoutedAs.STAND_IN, "c")
    ]
    assert [one.heard for one in routing.verdicts] == [Heard.ABSENT, Heard.TOLD_STAND_IN, Heard.NOT_ROUTED_FOR_GRADE]


def test_whoever_is_meant_anyway_is_told_once_and_in_their_own_right():
    staff = [person("c"), person("g", "grid")]
    routing = route(VILLAGE, ("cadre", "grid"), staff, at=NOW, rota=Rota(absences=(away("c", "g"),)))
    assert [(one.staff_id, one.routed_as) for one in routing.recipients] == [("g", RoutedAs.ROLE)]


@pytest.mark.parametrize(
    ("stand_in", "rota"),
    [
        (person("s", "cadre", OTHER_VILLAGE), Rota(absences=(away("c", "s"),))),
        (person("s", channels=()), Rota(absences=(away("c", "s"),))),
        (person("s", "grid", active=False), Rota(absences=(away("c", "s"),))),
        (person("s", "grid"), Rota(absences=(away("c", "s"), away("s")))),
        (person("s", "grid"), Rota(absences=(away("c"),))),
    ],
    ids=["of another division", "without an address", "not in service", "away as well", "not named"],
)
def test_without_a_stand_in_who_can_hear_an_absent_cadre_is_missing(stand_in, rota):
    staff = [person("c"), stand_in, person("t", "township", TOWNSHIP)]
    routing = route(VILLAGE, ("cadre",), staff, at=NOW, rota=rota)
    assert [(one.staff_id, one.routed_as) for one in routing.recipients] == [("t", RoutedAs.TOWNSHIP_STANDS_IN)]


def test_for_a_missing_cadre_the_next_level_upwards_that_can_hear_stands_in():
    above = [person("t", "township", TOWNSHIP), person("k", "county", COUNTY), person("d", "duty_officer", PROVINCE)]
    expected = [RoutedAs.TOWNSHIP_STANDS_IN, RoutedAs.COUNTY_STANDS_IN, RoutedAs.DUTY_OFFICER]
    for gone, routed_as in enumerate(expected):
        routing = route(VILLAGE, ("cadre", "grid"), [person("g", "grid"), *above[gone:]], at=NOW)
        assert [one.routed_as for one in routing.recipients] == [RoutedAs.ROLE, routed_as]


def test_an_absence_ends_at_its_end():
    staff = [person("c")]
    assert verdicts(staff, Rota(absences=(away("c"),)))["c"] is Heard.ABSENT
    assert verdicts(staff, Rota(absences=(away("c"),)), at=NOW + HOUR)["c"] is Heard.TOLD_ROLE


def test_duty_officers_take_turns_too_and_one_who_was_tried_makes_way_for_the_next():
    staff = [person("on", "duty_officer", COUNTY), person("off", "duty_officer", COUNTY)]
    rota = Rota((shift("on", "duty_officer", COUNTY),))
    assert [one.staff_id for one in duty_officers(VILLAGE, staff, at=NOW, rota=rota)] == ["on"]
    assert [one.staff_id for one in duty_officers(VILLAGE, staff, at=NOW, rota=rota, without={"on"})] == ["off"]


def test_everybody_else_hears_why_not():
    staff = [
        person("c"),
        person("mute", channels=()),
        person("gone", active=False),
        person("k", "county", COUNTY),
        person("misplaced", "cadre", TOWNSHIP),
        person("d", "duty_officer", COUNTY),
    ]
    assert verdicts(staff, Rota()) == {
        "c": Heard.TOLD_ROLE,
        "mute": Heard.NO_CHANNEL,
        "gone": Heard.INACTIVE,
        "k": Heard.NOT_ROUTED_FOR_GRADE,
        "misplaced": Heard.OTHER_DIVISION,
        "d": Heard.NOT_ROUTED_FOR_GRADE,
    }


def test_between_two_turns_nobody_comes_or_goes():
    rota = Rota((shift("on"), shift("night", hours=("18:00", "08:00"))), (away("c"),))
    start, end = local(MONDAY, "00:00"), local(MONDAY + timedelta(days=1), "00:00")
    turns = [start, *rota.turns(start, end), end]
    for begin, finish in itertools.pairwise(turns):
        for at in (begin, finish - timedelta(seconds=1)):
            assert rota.on_duty("township", TOWNSHIP, at) == rota.on_duty("township", TOWNSHIP, begin)
            assert rota.absences_of("c", at) == rota.absences_of("c", begin)
