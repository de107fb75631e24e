"""Duty lists, absences and what was stored of a routing, on a real database; and the commands that ask about them."""

import asyncio
import json
from datetime import date, datetime, time, timedelta

import pytest
from openpyxl import Workbook
from sqlalchemy import text
from typer.testing import CliRunner

from services.notifier.core.duty import Absence, Duty
from services.notifier.core.retries import SENT, Attempt
from services.notifier.main import cli
from services.notifier.store.rosters import DutyRow, HolidayRow, Rosters
from services.notifier.store.why import WhyReader
from shared.alerts import ChannelName
from shared.clock import SHANGHAI, SettableClock
from shared.db.session import transaction
from tests.fakes.notifier import (
    COUNTY,
    DIVISIONS,
    NOW,
    OTHER_VILLAGE,
    PROVINCE,
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


class Shell:
    """Runs commands on the test's database."""

    def __init__(self, folder, database_url):
        self._folder, self._environment = folder, {"DATABASE_URL": database_url}

    def __call__(self, *arguments, expect=0):
        done = CliRunner().invoke(cli, arguments, env=self._environment, catch_exceptions=False)
        assert done.exit_code == expect, done.output
        return done.output

    def file(self, name, *lines):
        path = self._folder / name
        if name.endswith(".xlsx"):
            book = Workbook()
            for line in lines:
                book.active.append(line.split(","))
            book.save(path)
        else:
            path.write_text("\n".join(lines), encoding="utf-8")
        return str(path)


@pytest.fixture
def shell(tmp_path, database_url):
    run = Shell(tmp_path, database_url)
    run(
        "divisions",
        "import",
        run.file("divisions.csv", "code,name", *(f"{one},{name}" for one, name in DIVISIONS.items())),
    )
    return run


HEADER = "staff_id,name,role,division,email,webhook_url,webhook_secret"
CADRE = f"c-1,虚青山,cadre,{VILLAGE},c-1@staff.example,,"
GRID = f"g-1,虚小满,grid,{VILLAGE},g-1@staff.example,,"
TOWN = f"t-1,虚晓溪,township,{TOWNSHIP},t-1@staff.example,,"
OFFICER = f"d-1,值班员,duty_officer,{PROVINCE},d-1@staff.example,,"


def test_a_staff_list_says_of_each_row_what_became_of_it(shell):
    first = shell.file("staff.xlsx", HEADER, CADRE, TOWN)
    assert shell("staff", "import", first).splitlines() == ["c-1: added", "t-1: added", "staff imported: 2"]
    second = shell.file("staff.csv", HEADER, CADRE, GRID)
    assert json.loads(shell("staff", "import", second, "--json")) == {
        "imported": 2,
        "rows": [{"staff_id": "c-1", "verdict": "changed"}, {"staff_id": "g-1", "verdict": "added"}],
        "faults": [],
    }
    bad = shell.file("bad.csv", HEADER, CADRE, CADRE.replace("cadre", "mayor"))
    refused = json.loads(shell("staff", "import", bad, "--json", expect=2))
    assert refused["imported"] == 0
    assert [(one["line"], one["field"]) for one in refused["faults"]] == [(3, "staff_id"), (3, "role")]


def test_a_rehearsal_says_who_would_hear_when_and_to_whom_it_would_climb(shell):
    shell("staff", "import", shell.file("staff.csv", HEADER, CADRE, GRID, TOWN, OFFICER))
    away = ("--from", "2026-03-02T08:00", "--to", "2026-03-02", "--stand-in", "g-1")
    assert "absence 1 added" in shell("absence", "add", "c-1", *away)
    here = ("route", "--division", VILLAGE, "--at", "2026-03-02T23:00")
    found = json.loads(shell(*here, "--grade", "red", "--json"))
    assert {one["staff_id"]: one["heard"] for one in found["people"]} == {
        "c-1": "absent",
        "g-1": "told_role",
        "t-1": "told_role",
        "d-1": "not_routed_for_grade",
    }
    climbs = [(hop["at"], hop["to"], [one["staff_id"] for one in hop["people"]]) for hop in found["climb"]]
    # Nobody is in the county: the second hop goes on to the duty officer.
    assert climbs == [
        ("2026-03-02T17:00:00.000Z", "township", ["t-1"]),
        ("2026-03-03T03:00:00.000Z", "county", ["d-1"]),
    ]
    told = shell(*here, "--grade", "yellow")
    assert f"g-1 (grid of {VILLAGE}): told_role by smtp" in told
    assert f"c-1 (cadre of {VILLAGE}): absent" in told


def test_absences_are_added_listed_and_removed(shell):
    shell("staff", "import", shell.file("staff.csv", HEADER, CADRE, TOWN))
    shell("absence", "add", "c-1", "--from", "2090-03-02T08:00", "--to", "2090-03-02", "--stand-in", "t-1")
    assert shell("absence", "list") == "1: c-1 from 2090-03-02 08:00 to 2090-03-03 00:00, stand-in t-1\n"
    assert json.loads(shell("absence", "list", "--json"))[0]["to"] == "2090-03-02T16:00:00.000Z"
    here = ("route", "--division", VILLAGE, "--at", "2090-03-02T12:00", "--grade", "yellow")
    assert f"t-1 (township of {TOWNSHIP}): told_stand_in for c-1 by smtp" in shell(*here)
    shell("absence", "remove", "1")
    assert "no absence has this number" in shell("absence", "remove", "1", expect=2)
    assert f"c-1 (cadre of {VILLAGE}): told_role" in shell(*here)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("route",), "either --household or --division"),
        (("route", "--household", "nobody"), "give --division"),
        (("route", "--division", "9901"), "12 digits"),
        (("route", "--division", VILLAGE, "--at", "noon"), "2026-03-02T08:00"),
        (("why", "nothing"), "no such alert"),
        (("staff", "gaps", "--from", "2026-03-03", "--to", "2026-03-02"), "--to"),
        (("absence", "add", "nobody", "--from", "2026-03-02", "--to", "2026-03-03"), "no such person"),
    ],
)
def test_a_question_that_cannot_be_answered_says_what_to_give(shell, arguments, words):
    assert words in shell(*arguments, expect=2)


def test_a_stand_in_must_be_of_the_same_division_or_above_it(shell):
    other = f"x-1,虚远,cadre,{OTHER_VILLAGE},x-1@staff.example,,"
    shell("staff", "import", shell.file("staff.csv", HEADER, CADRE, TOWN, other))
    days = ("--from", "2026-03-02", "--to", "2026-03-03", "--stand-in")
    assert "or of one above it" in shell("absence", "add", "c-1", *days, "x-1", expect=2)
    assert "another person" in shell("absence", "add", "c-1", *days, "c-1", expect=2)
    assert "added" in shell("absence", "add", "c-1", *days, "t-1")


def test_gaps_name_the_hours_and_villages_where_nobody_would_hear(shell):
    week = ("staff", "gaps", "--from", "2026-03-02", "--to", "2026-03-02")
    shell(
        "staff", "import", shell.file("staff.csv", HEADER, CADRE, f"x-1,虚远,cadre,{OTHER_VILLAGE},x@staff.example,,")
    )
    assert "nobody: 0.0 h in 0 of 2 villages" in shell(*week)
    shell("absence", "add", "c-1", "--from", "2026-03-02T10:30", "--to", "2026-03-02T12:00")
    found = json.loads(shell(*week, "--json", expect=1))
    assert found == [
        {
            "division": VILLAGE,
            "from": "2026-03-02T02:30:00.000Z",
            "to": "2026-03-02T04:00:00.000Z",
            "hours": 1.5,
            "reach": "nobody",
        }
    ]
    shell("staff", "import", shell.file("officer.csv", HEADER, OFFICER))
    found = shell(*week)
    assert f"{VILLAGE} 某村: 2026-03-02 10:30 to 2026-03-02 12:00 (1.5 h): duty_officers_alone" in found
    assert "nobody: 0.0 h in 0 of 2 villages" in found


def test_a_duty_list_and_holidays_are_imported_by_command(shell):
    shell("staff", "import", shell.file("staff.csv", HEADER, CADRE, TOWN, TOWN.replace("t-1", "t-2")))
    header = "staff_id,from_day,to_day,from_time,to_time,weekdays"
    listed = shell.file("duty.csv", header, "t-2,2026-03-01,2026-03-31,00:00,24:00,67")
    assert shell("duty", "import", listed) == "duty lines imported: 1, replaced: 0\n"
    assert json.loads(shell("duty", "import", listed, "--json")) == {"imported": 1, "replaced": 1, "faults": []}
    here = ("route", "--division", VILLAGE, "--at", "2026-03-02T12:00")
    assert "t-1 (township of 990100101000): told_role" in shell(*here)
    shell("duty", "holidays", shell.file("days.csv", "day,name", "2026-03-02,节日"))
    assert "t-1 (township of 990100101000): off_duty" in shell(*here)


async def test_why_answers_for_one_person_also_for_one_who_was_not_thought_of(parts, shell):
    await parts.people(*STAFF)
    await parts.take(make_change("red"))
    alert = await parts.alert()
    asked = {
        staff_id: json.loads(await asyncio.to_thread(shell, "why", alert.id, "--person", staff_id, "--json"))
        for staff_id in ("mute", "elsewhere")
    }
    heard = {staff_id: found["revisions"][0]["people"] for staff_id, found in asked.items()}
    assert {staff_id: [one["heard"] for one in people] for staff_id, people in heard.items()} == {
        "mute": ["no_channel"],
        "elsewhere": ["other_division"],
    }
    assert "no such person" in await asyncio.to_thread(shell, "why", alert.id, "--person", "nobody", expect=2)


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
