"""The real routing agrees with a slow, obvious model of the rules."""

import random
from datetime import date, time, timedelta

import pytest

from services.notifier.core.duty import Absence, Duty, Rota
from services.notifier.core.routing import Heard, StaffMember, ancestors, route
from shared.alerts import ChannelName
from tests.fakes.notifier import COUNTY, NOW, OTHER_TOWNSHIP, OTHER_VILLAGE, PROVINCE, TOWNSHIP, VILLAGE
from tests.reference_routing import model

CONFIGURATIONS = 2_000
HOMES = {
    "cadre": (VILLAGE, VILLAGE, VILLAGE, OTHER_VILLAGE, TOWNSHIP),
    "grid": (VILLAGE, OTHER_VILLAGE),
    "village_team": (VILLAGE,),
    "township": (TOWNSHIP, TOWNSHIP, OTHER_TOWNSHIP),
    "county": (COUNTY, COUNTY, TOWNSHIP),
    "duty_officer": (VILLAGE, TOWNSHIP, COUNTY, COUNTY, PROVINCE, OTHER_TOWNSHIP),
}
ROLES = (
    ("cadre", "grid", "village_team", "township", "county"),
    ("cadre", "grid", "village_team", "township"),
    ("cadre", "grid"),
    ("grid",),
    ("township",),
    ("county",),
    ("duty_officer",),
    (),
)


def draw_person(dice, number):
    role = dice.choice(tuple(HOMES))
    channels = () if dice.random() < 0.2 else (ChannelName.SMTP,)
    return StaffMember(f"p{number}", role, dice.choice(HOMES[role]), channels, active=dice.random() < 0.9)


def draw_duty(dice, person):
    first = NOW.date() + timedelta(days=dice.randint(-3, 1))
    hours = [time(dice.randrange(24), dice.choice((0, 30))) for _ in range(2)]
    weekdays = None if dice.random() < 0.4 else tuple(sorted(dice.sample(range(1, 8), 4)))
    moved = dice.random() < 0.1
    home = dice.choice(HOMES[person.role]) if moved else person.division
    last = first + timedelta(days=dice.randint(0, 4))
    return Duty(person.staff_id, person.role, home, first, last, hours[0], hours[1], weekdays)


def draw_absence(dice, person, staff):
    begins = NOW + timedelta(hours=dice.randint(-5, 1))
    likely = [one for one in staff if one.division in ancestors(person.division) and one is not person] or staff
    stand_in = None if dice.random() < 0.2 else dice.choice(likely if dice.random() < 0.8 else staff).staff_id
    return Absence(person.staff_id, begins, begins + timedelta(hours=dice.randint(1, 8)), stand_in)


def draw(dice):
    staff = [draw_person(dice, number) for number in range(dice.randint(0, 12))]
    rota = Rota(
        tuple(draw_duty(dice, person) for person in staff if dice.random() < 0.5),
        tuple(draw_absence(dice, person, staff) for person in staff if dice.random() < 0.35),
        {date(2026, 3, day): dice.random() < 0.5 for day in range(1, 4) if dice.random() < 0.3},
    )
    at = NOW + timedelta(minutes=30 * dice.randint(-48, 48))
    return dice.choice((VILLAGE, VILLAGE, TOWNSHIP)), dice.choice(ROLES), staff, at, rota


@pytest.mark.parametrize("seed", range(4))
def test_routing_agrees_with_the_obvious_model(seed):
    dice = random.Random(seed)
    met = set()
    for _ in range(CONFIGURATIONS // 4):
        division, roles, staff, at, rota = draw(dice)
        routing = route(division, roles, staff, at=at, rota=rota)
        expected, instead = model(division, roles, staff, at, rota)
        verdicts = {one.staff_id: str(one.heard) for one in routing.verdicts}
        assert verdicts == expected, (division, roles, staff, at, rota)
        told = {staff_id for staff_id, heard in expected.items() if heard.startswith("told_")}
        assert {one.staff_id for one in routing.recipients} == told
        assert all(one.instead_of in {None, *instead.get(one.staff_id, ())} for one in routing.recipients)
        met |= set(expected.values())
    # A model that never meets a case proves nothing about it.
    assert met == set(Heard) - {Heard.TOLD_BEFORE, Heard.TOLD_OWNER}
