"""Gaps: the hours in which a village's alert would reach nobody, or nobody but duty officers."""

from datetime import date, datetime, time, timedelta

from services.notifier.core.duty import Absence, Duty, Rota
from services.notifier.core.routing import StaffMember
from services.notifier.gaps import Gap, Reach, find_gaps, villages_of
from services.notifier.store.rows import Register
from shared.alerts import ChannelName
from shared.clock import SHANGHAI
from tests.fakes.notifier import COUNTY, DIVISIONS, OTHER_VILLAGE, PROVINCE, TOWNSHIP, VILLAGE

MAIL = (ChannelName.SMTP,)
START = datetime(2026, 3, 2, tzinfo=SHANGHAI)
DAY = timedelta(days=1)


def gaps(*staff, rota, roles=("cadre", "township"), villages=(VILLAGE,), days=3):
    register = Register(DIVISIONS, staff, {}, rota=rota)
    return list(find_gaps(register, villages, START, START + days * DAY, lambda division, at: roles))


def away(staff_id, begins, ends):
    return Absence(staff_id, START + timedelta(hours=begins), START + timedelta(hours=ends))


CADRE = StaffMember("c", "cadre", VILLAGE, MAIL)
OFFICER = StaffMember("d", "duty_officer", COUNTY, MAIL)


def test_a_gap_goes_on_over_midnights_and_over_what_does_not_end_it():
    rota = Rota(absences=(away("c", 10, 40), away("c", 30, 60)))
    assert gaps(CADRE, rota=rota) == [
        Gap(VILLAGE, START + timedelta(hours=10), START + timedelta(hours=60), Reach.NOBODY)
    ]
    assert gaps(CADRE, rota=rota)[0].hours == 50


def test_where_only_a_duty_officer_is_left_the_gap_says_so_and_ends_where_nobody_is():
    rota = Rota(absences=(away("c", 10, 30), away("d", 20, 25)))
    assert [(gap.reach, gap.hours) for gap in gaps(CADRE, OFFICER, rota=rota)] == [
        (Reach.DUTY_OFFICERS_ALONE, 10),
        (Reach.NOBODY, 5),
        (Reach.DUTY_OFFICERS_ALONE, 5),
    ]


def test_a_duty_officer_who_stands_in_for_a_cadre_fills_the_gap():
    absence = Absence("c", START, START + DAY, "d")
    assert gaps(CADRE, OFFICER, rota=Rota(absences=(absence,))) == []


def test_each_shift_of_a_duty_list_is_looked_at():
    """One of two takes the nights and has no address; where he is on duty, the other one hears all the same."""
    mute = StaffMember("n", "township", TOWNSHIP, ())
    night = Duty("n", "township", TOWNSHIP, date(2026, 3, 2), date(2026, 3, 4), time(18), time(8))
    assert gaps(mute, rota=Rota((night,)), days=1)[0].hours == 24
    assert gaps(mute, StaffMember("t", "township", TOWNSHIP, MAIL), rota=Rota((night,))) == []


def test_another_villages_people_fill_no_gap():
    elsewhere = StaffMember("x", "cadre", OTHER_VILLAGE, MAIL)
    found = gaps(CADRE, elsewhere, rota=Rota(absences=(away("c", 0, 72),)), villages=villages_of(DIVISIONS))
    assert [(gap.division, gap.hours) for gap in found] == [(VILLAGE, 72)]


def test_villages_are_told_from_what_lies_above_them():
    assert villages_of({*DIVISIONS, PROVINCE}) == [VILLAGE, OTHER_VILLAGE]
