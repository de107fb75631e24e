"""The real routing agrees with a slow, obvious model of the rules."""

import random
from datetime import date, time, timedelta

import pytest

from services.notifier.core.duty import Absence, Duty, Rota
from services.notifier.core.holding import Held, Place, Telling, Tellings
from services.notifier.core.routing import Heard, StaffMember, ancestors, route
from services.notifier.core.silencing import Silence
from services.notifier.draft_alerts import Drafts
from services.notifier.store.rows import Register, verdicts_of
from services.notifier.telling import Surroundings
from shared.alerts import ChannelName
from shared.grades import RiskGrade
from shared.policy import Policies, PolicyBook
from tests.fakes.notifier import (
    COUNTY,
    DIVISIONS,
    NOW,
    OTHER_TOWNSHIP,
    OTHER_VILLAGE,
    PROVINCE,
    TOWNSHIP,
    VILLAGE,
    WORDING,
    make_change,
    policies_of,
)
from tests.reference_routing import model, whole_model

CONFIGURATIONS = 2_000
HOUSEHOLD = "H-1024"
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
    return Duty(person.staff_id, person.role, home, first, last, *hours, weekdays, overrides=dice.random() < 0.2)


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
    assert met == set(Heard) - {Heard.TOLD_BEFORE, Heard.TOLD_OWNER, Heard.SILENCED}


def draw_rules(dice):
    quiet_from = f"{dice.randrange(24):02}:{dice.choice(('00', '30'))}"
    quiet_to = quiet_from if dice.random() < 0.1 else f"{dice.randrange(24):02}:{dice.choice(('00', '45'))}"
    return {
        "quiet_from": quiet_from,
        "quiet_to": quiet_to,
        "quiet_exempt": dice.choice((["red"], ["red", "orange"])),
        "messages_a_day_per_person_and_household": dice.randint(2, 5),
        "longest_red_silence_minutes": dice.choice((0, 60, 240)),
    }


def draw_silence(dice, number, at):
    begins = at - timedelta(minutes=dice.randint(-30, 300))
    until = begins + timedelta(minutes=dice.randint(1, 500))
    ended = begins + (until - begins) / 2 if dice.random() < 0.2 else None
    of_one = dice.choice((None, None, HOUSEHOLD, "other"))
    grades = dice.sample(("yellow", "orange", "red"), dice.randint(1, 3))
    return {
        "number": number,
        "division": dice.choice((VILLAGE, TOWNSHIP, COUNTY, PROVINCE, OTHER_VILLAGE)),
        "household_id": of_one,
        "grades": grades,
        "begins": begins,
        "until": until,
        "ended": ended,
    }


def draw_had(dice, at):
    """What a person had of the household in the last two days: (when, grade), the oldest first."""
    ages = sorted((dice.randint(0, 48 * 60) for _ in range(dice.randint(0, 6))), reverse=True)
    return [(at - timedelta(minutes=age), dice.choice(("yellow", "orange", "red"))) for age in ages]


def real_silence(one):
    grades = frozenset(RiskGrade.from_code(code) for code in one["grades"])
    ended_by = None if one["ended"] is None else "p0"
    return Silence(
        one["number"],
        one["division"],
        one["household_id"],
        grades,
        "p0",
        "drill",
        one["begins"],
        one["until"],
        one["ended"],
        ended_by,
    )


def real_tellings(had):
    return Tellings(
        {
            (HOUSEHOLD, staff_id): [
                Telling(Place(f"earlier-{place}", 1), RiskGrade.from_code(code), when, when)
                for place, (when, code) in enumerate(lines)
            ]
            for staff_id, lines in had.items()
        }
    )


def decide_for_real(division, grade, roles, staff, rota, rules, silences, had, at):
    """What the notifier drafts for an alert that is opened: {staff_id: (verdict, why it waits, until when)}."""
    (national,) = policies_of(**rules).national.versions
    policies = Policies([], PolicyBook([national.model_copy(update={"routing": national.routing | {grade: roles}})]))
    register = Register(
        DIVISIONS, tuple(p for p in staff if p.active), {}, tuple(p for p in staff if not p.active), rota
    )
    surroundings = Surroundings(
        policies,
        register,
        {},
        "http://console.test",
        at,
        WORDING,
        real_tellings(had),
        [real_silence(one) for one in silences],
    )
    drafts = Drafts(surroundings, {}, {})
    drafts.take(make_change(grade, "green", division=division, household_id=HOUSEHOLD, decided_at=at))
    waits = {one.staff_id: (one.held, one.next_attempt_at if one.held else None) for one in drafts.deliveries}
    verdicts = verdicts_of(drafts.messages[0].routing)
    return {one.staff_id: (str(one.heard), *waits.get(one.staff_id, (None, None))) for one in verdicts}


@pytest.mark.parametrize("seed", range(4))
def test_who_hears_when_agrees_with_the_obvious_model(seed):
    dice = random.Random(100 + seed)
    met = set()
    for _ in range(CONFIGURATIONS // 4):
        division, roles, staff, at, rota = draw(dice)
        staff = [person for person in staff if person.division in ancestors(division)]
        roles, grade = list(roles) or ["cadre"], dice.choice(("yellow", "orange", "red"))
        at += timedelta(minutes=dice.randint(0, 59))
        rules = draw_rules(dice)
        silences = [draw_silence(dice, number, at) for number in range(dice.choice((0, 0, 1, 2)))]
        had = {person.staff_id: draw_had(dice, at) for person in staff}
        given = (grade, roles, staff, rota, rules, silences, had, at)
        expected = whole_model(HOUSEHOLD, division, *given)
        found = decide_for_real(division, *given)
        assert found == expected, (division, *given)
        met |= {line[:2] for line in expected.values()}
    assert {held for _, held in met} == {None, *Held}
    assert "silenced" in {verdict for verdict, _ in met}
