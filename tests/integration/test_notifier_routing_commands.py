"""Commands that keep duty lists and absences, and that ask who would hear, who heard and where nobody would."""

import asyncio
import json

import pytest
from openpyxl import Workbook
from typer.testing import CliRunner

from services.notifier.main import cli
from shared.clock import SettableClock
from tests.fakes.notifier import (
    DIVISIONS,
    NOW,
    OTHER_VILLAGE,
    PROVINCE,
    TOWNSHIP,
    VILLAGE,
    Parts,
    make_change,
    make_person,
)

pytestmark = pytest.mark.integration


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


def test_a_way_that_is_not_set_up_is_told_with_its_row_its_field_and_the_fix(shell):
    fix = "phone: set SHOUWANG_NOTIFIER_SMS_URL, _SMS_ACCESS_KEY_ID, _SMS_ACCESS_KEY_SECRET, _SMS_SIGN_NAME and"
    file = shell.file("phones.csv", "staff_id,name,role,division,email,phone", f"{CADRE[:-2]},13800000000", GRID[:-1])
    told, other, _ = shell("staff", "import", file).splitlines()
    assert told.startswith(f"c-1: added; not usable here: {fix} _SMS_TEMPLATE_CODE")
    assert other == "g-1: added"
    row, _ = json.loads(shell("staff", "import", file, "--json"))["rows"]
    assert (row["verdict"], row["unusable"][0].startswith(fix)) == ("changed", True)


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


async def test_why_answers_for_one_person_also_for_one_who_was_not_thought_of(engine, shell):
    parts = Parts(engine, SettableClock(NOW))
    people = (
        make_person("c-1"),
        make_person("mute", "grid", email=None),
        make_person("elsewhere", "cadre", OTHER_VILLAGE),
    )
    await parts.people(*people)
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
