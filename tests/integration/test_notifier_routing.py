"""Duty lists, absences and what was stored of a routing, on a real database."""

import json
from dataclasses import replace
from datetime import date, datetime, time, timedelta

import pytest
from sqlalchemy import text

from services.notifier.core.duty import Absence, Duty
from services.notifier.core.retries import SENT, Attempt
from services.notifier.store.rosters import DutyRow, HolidayRow, Rosters
from services.notifier.store.why import WhyReader
from shared.alerts import ChannelName
from shared.clock import SHANGHAI, SettableClock
from shared.db.session import transaction
from tests.fakes.notifier import (
    COUNTY,
    NOW,
    OTHER_VILLAGE,
    TOWNSHIP,
    VILLAGE,
    Parts,
    deliver_all,
    make_change,
    make_person,
    make_settings,
)
from tests.integration.test_notifier_console import House

pytestmark = pytest.mark.integration
TODAY = date(2026, 3, 2)
STAFF = (
    make_person("cadre-1"),
    make_person("grid-1", "grid"),
    make_person("town-1", "township", TOWNSHIP),
    make_person("town-2", "township", TOWNSHIP),
    make_person("county-1", "county", COUNTY),
    make_person("gone", "grid", active=False),
    make_person("mute", "grid", email=None),
    make_person("elsewhere", "cadre", OTHER_VILLAGE),
)
HOUR = timedelta(hours=1)


@pytest.fixture
def clock():
    return SettableClock(NOW)


@pytest.fixture
def parts(engine, clock):
    return Parts(engine, clock)


@pytest.fixture
def rosters(engine):
    return Rosters(engine)


def duty(staff_id, role, division, first=TODAY, last=TODAY, begins=time(8), ends=time(18), weekdays=None):
    return DutyRow(Duty(staff_id, role, division, first, last, begins, ends, weekdays))


async def heard(parts):
    """Per revision, why each person was told or was not."""
    found = await WhyReader(parts.engine).why("", (await parts.alert()).id)
    return [{person.staff_id: str(person.heard) for person in revision.people} for revision in found.revisions]


async def test_an_alert_goes_to_those_at_their_post_and_keeps_why_not_to_the_others(parts, rosters, clock):
    await parts.people(*STAFF)
    await rosters.save_duties([duty("town-1", "township", TOWNSHIP)])
    await rosters.add_absence(Absence("cadre-1", NOW - HOUR, NOW + HOUR, "grid-1"))
    await parts.take(make_change("orange"))
    at_first = {
        "cadre-1": "absent",
        "county-1": "not_routed_for_grade",
        "gone": "inactive",
        "grid-1": "told_role",
        "mute": "no_channel",
        "town-1": "told_role",
        "town-2": "off_duty",
    }
    assert await heard(parts) == [at_first]
    assert {line.recipient for line in (await parts.alert()).deliveries} == {"grid-1", "town-1"}

    clock.move(12 * HOUR)
    await parts.take(make_change("red", "orange", version=2))
    later = at_first | {"cadre-1": "told_role", "county-1": "told_role", "town-2": "told_role"}
    # The second telling is judged by its own time, and the first keeps the answer of its own.
    assert await heard(parts) == [at_first, later]


async def test_yesterdays_night_shift_is_on_duty_this_morning_and_a_holiday_counts_as_a_sunday(parts, rosters):
    await parts.people(*STAFF)
    yesterday = TODAY - timedelta(days=1)
    night = duty("town-2", "township", TOWNSHIP, yesterday, yesterday, time(18), time(10), (1,))
    await rosters.save_duties([night])
    await parts.take(make_change("orange"))
    assert (await heard(parts))[0]["town-1"] == "told_role"
    # The first of March is a Sunday; worked to make up for a holiday, it counts as a Monday.
    await rosters.save_holidays([HolidayRow(yesterday, "调休", True)])
    await parts.take(make_change("red", "orange", version=2))
    assert (await heard(parts))[1]["town-1"] == "off_duty"


async def test_the_duty_officer_of_the_hour_hears_what_nobody_else_can(parts, rosters):
    officers = [make_person(f"duty-{number}", "duty_officer", COUNTY) for number in (1, 2)]
    await parts.people(make_person("cadre-1"), *officers)
    await rosters.save_duties([duty("duty-2", "duty_officer", COUNTY)])
    await parts.take(make_change("yellow"))
    await deliver_all(parts.lane(RefusesCadres()))
    assert await heard(parts) == [
        {"cadre-1": "told_role", "duty-1": "not_routed_for_grade", "duty-2": "told_duty_officer"}
    ]


async def test_a_withdrawal_names_those_who_were_told_before(parts, engine):
    await parts.people(make_person("cadre-1"), make_person("grid-1", "grid"))
    await parts.take(make_change("yellow"))
    async with transaction(engine) as connection:
        await connection.execute(text("UPDATE delivery SET status = 'sent' WHERE staff_id = 'grid-1'"))
    await parts.take(make_change("green", "yellow", version=2, kind="replay", causes=()))
    assert (await heard(parts))[1] == {"grid-1": "told_before"}


async def test_a_duty_list_replaces_what_begins_on_or_after_its_first_day_for_its_posts_alone(parts, rosters):
    await parts.people(*STAFF)
    days = [TODAY + timedelta(days=number) for number in range(3)]
    await rosters.save_duties([duty("town-1", "township", TOWNSHIP, day, day) for day in days])
    await rosters.save_duties([duty("county-1", "county", COUNTY, days[2], days[2])])
    new = [duty("town-2", "township", TOWNSHIP, day, day) for day in days[1:]]
    assert [await rosters.save_duties(new) for _ in range(2)] == [2, 2]
    for day, expected in zip(days, ("town-1", "town-2", "town-2"), strict=True):
        noon = datetime.combine(day, time(12), SHANGHAI)
        register = await rosters.register(noon, noon)
        assert register.rota.on_duty("township", TOWNSHIP, noon) == {expected}
    assert register.rota.on_duty("county", COUNTY, noon) == {"county-1"}


async def test_an_import_of_overrides_leaves_the_usual_lines_as_they_are_and_the_other_way_round(parts, rosters):
    await parts.people(*STAFF)
    usual, later = duty("town-1", "township", TOWNSHIP), duty("town-1", "township", TOWNSHIP, begins=time(9))
    swapped = DutyRow(replace(duty("town-2", "township", TOWNSHIP).line, overrides=True), "调班")
    assert [await rosters.save_duties(rows) for rows in ([usual], [swapped], [later], [swapped])] == [0, 0, 1, 1]
    noon = datetime.combine(TODAY, time(12), SHANGHAI)
    register = await rosters.register(noon, noon)
    assert len(register.rota.duties) == 2
    await parts.take(make_change("orange"))
    assert {who: why for who, why in (await heard(parts))[0].items() if who.startswith("town")} == {
        "town-1": "off_duty",
        "town-2": "told_role",
    }


async def test_a_program_reads_why_within_its_own_division_alone(engine, clock):
    house = House(engine, clock, make_settings(), None, None)
    await house.fill()
    address = f"/v1/alerts/{house.ids['H-2']}/why"
    async with await house.key() as client, await house.key("990200") as stranger, house.client() as nobody:
        assert [(await one.get(address)).status_code for one in (client, stranger, nobody)] == [200, 404, 401]
        assert (await client.get("/v1/alerts/nothing/why")).status_code == 404
        found = (await client.get(address)).json()
    (revision,) = found["revisions"]
    assert {one["staff_id"]: one["heard"] for one in revision["people"]} == {
        "cadre-1": "told_role",
        "county-1": "told_role",
        "duty": "not_routed_for_grade",
        "town-1": "told_role",
    }
    assert found["household_id"] == "H-2"
    assert "staff.example" not in json.dumps(found)


class RefusesCadres:
    """A channel that takes nothing for cadres."""

    name = ChannelName.SMTP

    async def send(self, address, message, message_id):
        if address.staff_id.startswith("cadre"):
            return Attempt(code="smtp_550", permanent=True)
        return Attempt(code=SENT, receipt="taken")

    async def close(self):
        pass


async def test_a_household_is_routed_from_where_it_lives_by_the_books_or_by_its_newest_alert(parts, rosters, engine):
    await parts.people(*STAFF)
    await parts.take(make_change("red"))
    assert await rosters.division_of("H-1024") == VILLAGE
    await parts.take(make_change("red", "red", version=2, division=OTHER_VILLAGE))
    assert await rosters.division_of("H-1024") == OTHER_VILLAGE
    books = (
        "INSERT INTO household_state (household_id, topic_partition, division, status, version, household_seq, body)"
    )
    async with transaction(engine) as connection:
        await connection.execute(text(f"{books} VALUES ('H-1024', 0, '{TOWNSHIP}', 'enrolled', 2, 2, '')"))
    assert await rosters.division_of("H-1024") == TOWNSHIP
    assert await rosters.division_of("nobody") is None
