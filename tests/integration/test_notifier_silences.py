"""Silences on a real database: nobody hears, everything is kept, and at the end it is told once, whatever is killed."""

import asyncio
import json
import subprocess
import sys
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from services.notifier.act_on_alert import ActOnAlert
from services.notifier.auth import Caller
from services.notifier.console.auth import Passwords
from services.notifier.core.silencing import NewSilence
from services.notifier.store.acting import Acts
from services.notifier.store.silences import Silences
from services.notifier.store.why import WhyReader
from shared.alerts import Acknowledgement, AlertStatus
from shared.clock import SettableClock, SystemClock, to_rfc3339
from shared.db.session import transaction
from shared.db.tables.common import audit_entry
from shared.db.tables.notifier import alert, delivery
from shared.grades import RiskGrade
from tests.fakes.notifier import (
    COUNTY,
    DIVISIONS,
    NOW,
    OTHER_VILLAGE,
    TOWNSHIP,
    VILLAGE,
    WORDING,
    Parts,
    make_change,
    make_person,
    make_settings,
)
from tests.integration.test_notifier_console import House
from tests.integration.test_notifier_simulated_week import Killed, killed_at

pytestmark = pytest.mark.integration
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
STAFF = (
    make_person("cadre"),
    make_person("grid", "grid"),
    make_person("town", "township", TOWNSHIP),
    make_person("county", "county", COUNTY),
)
ALL = ("cadre", "county", "grid", "town")


@pytest.fixture
def clock():
    return SettableClock(NOW)


@pytest.fixture
async def parts(engine, clock):
    made = Parts(engine, clock)
    await made.people(*STAFF)
    return made


@pytest.fixture
def silences(engine):
    return Silences(engine)


async def silence(silences, clock, hours=3, division=TOWNSHIP, grades=RiskGrade, household_id=None):
    now = clock.now()
    wanted = NewSilence(division, household_id, frozenset(grades), "town", "演练", now, now + hours * HOUR)
    return await silences.add(wanted)


async def told(parts):
    """What was told when (hours after NOW), why and to whom."""
    statement = select(
        delivery.c.created_at, delivery.c.reason, func.array_agg(delivery.c.staff_id.distinct()).label("people")
    ).group_by(delivery.c.created_at, delivery.c.reason)
    async with transaction(parts.engine) as connection:
        rows = await connection.execute(statement.order_by(delivery.c.created_at))
        return [((row.created_at - NOW) / HOUR, row.reason, tuple(sorted(row.people))) for row in rows]


async def timeline(parts):
    found = await parts.reader.one("", (await parts.alert()).id)
    return [(str(step.kind), step.actor) for step in found.timeline]


async def fire_all(parts):
    climber, fired = parts.new_climber(), 0
    while some := await climber.fire_due():
        fired += some
    return fired


async def test_a_silenced_alert_is_told_to_nobody_and_keeps_why_for_each_person(parts, silences, clock):
    await silence(silences, clock)
    await parts.take(make_change("red"))
    assert await told(parts) == []
    found = await WhyReader(parts.engine).why("", (await parts.alert()).id)
    assert {one.staff_id: str(one.heard) for one in found.revisions[0].people} == dict.fromkeys(ALL, "silenced")
    assert all(one.steps[-1].code == "silenced" for one in found.revisions[0].people)
    assert found.timeline[-1].kind == "silenced" and found.timeline[-1].note == "演练"
    assert parts.metric("silenced_tellings_total") == 1
    assert not (await parts.alert()).unreachable


async def test_when_the_silence_is_over_the_alert_is_told_and_its_timetable_begins(parts, silences, clock):
    await silence(silences, clock)
    await parts.take(make_change("red"))
    clock.move(3 * HOUR - SECOND)
    assert await fire_all(parts) == 0
    clock.move(SECOND)
    assert await fire_all(parts) == 1
    assert await told(parts) == [(3, "opened", ALL)]
    found = await parts.alert()
    assert (found.acknowledge_by - NOW, found.visit_by - NOW) == (5 * HOUR, 27 * HOUR)
    clock.move(2 * HOUR - SECOND)
    assert await fire_all(parts) == 0
    clock.move(SECOND)
    assert await fire_all(parts) == 1
    assert (await told(parts))[1:] == [(5, "overdue", ("town",))]
    assert [kind for kind, _ in await timeline(parts)] == ["opened", "silenced", "silence_expired", "climbed"]


async def test_a_silence_that_somebody_ends_lets_the_alert_be_told_at_once(parts, silences, clock):
    made = await silence(silences, clock)
    await parts.take(make_change("orange"))
    clock.move(HOUR)
    assert await silences.end(made.silence_id, "county", clock.now())
    assert not await silences.end(made.silence_id, "county", clock.now())
    assert await fire_all(parts) == 1
    assert await fire_all(parts) == 0
    assert await told(parts) == [(1, "opened", ("cadre", "grid", "town"))]
    assert (await timeline(parts))[-1] == ("silence_ended", "county")


async def test_what_is_worse_than_the_silence_allows_for_is_told_at_once(parts, silences, clock):
    await silence(silences, clock, grades=(RiskGrade.YELLOW, RiskGrade.ORANGE))
    await parts.take(make_change("yellow"))
    clock.move(HOUR)
    await parts.take(make_change("red", "yellow", version=2))
    assert await told(parts) == [(1, "grade_worse", ALL)]
    clock.move(HOUR)
    assert await fire_all(parts) == 0


async def test_what_was_told_as_milder_and_became_worse_in_a_silence_is_told_as_worse_at_its_end(
    parts, silences, clock
):
    await parts.take(make_change("yellow"))
    clock.move(HOUR)
    await silence(silences, clock)
    await parts.take(make_change("red", "yellow", version=2))
    clock.move(3 * HOUR)
    await fire_all(parts)
    assert await told(parts) == [(0, "opened", ("cadre", "grid")), (4, "grade_worse", ALL)]


async def test_a_correction_is_told_in_a_silence_to_those_who_heard_what_was_not_so_and_to_nobody_else(
    parts, silences, clock
):
    await parts.take(make_change("red"))
    async with transaction(parts.engine) as connection:
        heard = delivery.c.staff_id.in_(("cadre", "county"))
        await connection.execute(update(delivery).where(heard).values(status="sent", attempts=1))
    clock.move(HOUR)
    await silence(silences, clock)
    await parts.take(make_change("yellow", "red", version=2, kind="replay", event_type="event.corrected"))
    assert (await told(parts))[1:] == [(1, "corrected", ("cadre", "county"))]


async def test_what_was_corrected_before_anybody_heard_of_it_is_told_at_the_silences_end_as_it_stands(
    parts, silences, clock
):
    await silence(silences, clock)
    await parts.take(make_change("red"))
    clock.move(HOUR)
    await parts.take(make_change("yellow", "red", version=2, kind="replay", event_type="event.corrected"))
    assert await told(parts) == []
    clock.move(2 * HOUR)
    await fire_all(parts)
    assert await told(parts) == [(3, "opened", ("cadre", "grid"))]


async def test_at_its_end_the_present_grade_counts(parts, silences, clock):
    await silence(silences, clock)
    await parts.take(make_change("red", household_id="better"))
    await parts.take(make_change("yellow", "red", household_id="better", version=2))
    await parts.take(
        make_change("orange", household_id="well"), make_change("blue", "orange", household_id="well", version=2)
    )
    clock.move(3 * HOUR)
    await fire_all(parts)
    assert await told(parts) == [(3, "opened", ("cadre", "grid"))]


async def test_what_is_over_or_taken_on_by_then_is_not_told(parts, silences, clock):
    await silence(silences, clock)
    await parts.take(make_change("red", household_id="over"), make_change("red", household_id="taken"))
    await parts.take(make_change("green", "red", household_id="over", version=2, kind="replay", causes=()))
    (taken,) = await parts.alerts(household_id="taken")
    act = ActOnAlert(Acts(parts.engine), clock, parts.policies, WORDING)
    await act.acknowledge(taken.id, Caller("grid", ""), Acknowledgement())
    clock.move(3 * HOUR)
    await fire_all(parts)
    assert await told(parts) == []
    assert {one.household_id: one.status for one in await parts.alerts()} == {
        "over": AlertStatus.WITHDRAWN,
        "taken": AlertStatus.ACKNOWLEDGED,
    }


async def test_that_an_alert_is_over_is_told_in_a_silence_to_those_who_heard_of_it(parts, silences, clock):
    await parts.take(make_change("red"))
    async with transaction(parts.engine) as connection:
        await connection.execute(delivery.update().values(status="sent", sent_at=clock.now()))
    await silence(silences, clock)
    clock.move(HOUR)
    await parts.take(make_change("green", "red", version=2, kind="replay", causes=()))
    assert (await told(parts))[1:] == [(1, "withdrawn", ALL)]


async def test_an_alert_that_was_told_before_does_not_climb_while_it_is_silenced_and_climbs_when_that_is_over(
    parts, silences, clock
):
    await parts.take(make_change("red"))
    clock.move(HOUR)
    await silence(silences, clock, hours=4)
    clock.move(HOUR)
    await fire_all(parts)
    clock.move(2 * HOUR)
    assert len(await told(parts)) == 1
    clock.move(HOUR)
    await fire_all(parts)
    assert (await told(parts))[1:] == [(5, "overdue", ("town",))]


async def test_one_silence_after_another_keeps_red_from_people_for_no_longer_than_the_policy_allows(
    parts, silences, clock
):
    await silence(silences, clock, hours=2)
    await parts.take(make_change("red"))
    for _ in range(6):
        clock.move(HOUR)
        await silence(silences, clock, hours=2)
        await fire_all(parts)
    assert (await told(parts))[0] == (4, "opened", ALL)
    kinds = [kind for kind, _ in await timeline(parts)]
    assert kinds[:5] == ["opened", "silenced", "silence_expired", "silenced", "silence_expired"]


async def test_the_end_of_a_silence_is_told_once_whatever_is_killed_when_and_by_however_many(parts, silences, clock):
    made = await silence(silences, clock)
    households = [f"H-{number}" for number in range(3)]
    await parts.take(*(make_change("red", household_id=one) for one in households))
    await silences.end(made.silence_id, "town", clock.now())
    kills = 0
    for number in count(1):
        with killed_at(parts.engine, number):
            try:
                # A new one each time: what a process knew has died with it.
                await parts.new_climber().fire_due()
                break
            except Killed:
                kills += 1
    assert kills >= 9
    one, two = parts.new_climber(), parts.new_climber()
    await asyncio.gather(one.fire_due(), two.fire_due(), one.fire_due(), two.fire_due())
    async with transaction(parts.engine) as connection:
        counted = select(alert.c.household_id, func.count()).join(delivery, delivery.c.alert_id == alert.c.alert_id)
        rows = (await connection.execute(counted.group_by(alert.c.household_id))).all()
    assert {row[0]: row[1] for row in rows if row[0] in households} == dict.fromkeys(households, len(ALL))


async def test_two_climbers_at_once_tell_the_end_of_a_silence_once(parts, silences, clock):
    made = await silence(silences, clock)
    await parts.take(*(make_change("red", household_id=f"H-{number}") for number in range(40)))
    await silences.end(made.silence_id, "town", clock.now())
    one, two = parts.new_climber(), parts.new_climber()
    while any(await asyncio.gather(one.fire_due(), two.fire_due())):
        pass
    async with transaction(parts.engine) as connection:
        assert (await connection.execute(select(func.count()).select_from(delivery))).scalar_one() == 40 * len(ALL)


async def test_a_silence_that_ends_while_an_alert_is_just_being_silenced_keeps_it_from_nobody(parts, silences, clock):
    made = await silence(silences, clock, hours=3)
    async with parts.handler._store.transaction() as tx:
        in_force = await tx.silences(clock.now())
        await silences.end(made.silence_id, "town", clock.now())
    assert [one.silence_id for one in in_force] == [made.silence_id]
    # What the transaction before has seen is what it goes by; the alert comes to its hour all the same.
    async with transaction(parts.engine) as connection:
        await connection.execute(made_silenced(made.silence_id, clock.now()))
    assert await fire_all(parts) == 1
    assert (await told(parts))[0][1] == "opened"


def made_silenced(silence_id, now):
    """An alert as a transaction leaves it that saw the silence in force."""
    change = make_change("red")
    return alert.insert().values(
        alert_id="a1",
        household_id=change.household_id,
        household_version=1,
        division=VILLAGE,
        grade=4,
        status="open",
        revision=1,
        change=change.model_dump(mode="json"),
        plan=[],
        causes_told=[],
        opened_at=now,
        updated_at=now,
        climb_from=now,
        silence_id=silence_id,
        silenced_since=now,
        silenced_until=now + 3 * HOUR,
        timer_at=now + 3 * HOUR,
        untold="opened",
    )


# --- over the API and the console


@pytest.fixture(scope="module")
def passwords():
    made = Passwords()
    yield made
    made.close()


@pytest.fixture
async def house(engine, passwords):
    made = House(engine, SettableClock(NOW), make_settings(), passwords, await passwords.hash("correct horse battery"))
    await made.keys.refresh()
    await made.fill()
    return made


def wanted(hours=3, **fields):
    return {"division": VILLAGE, "until": to_rfc3339(NOW + hours * HOUR), "reason": "演练"} | fields


async def test_a_program_makes_lists_and_ends_silences_within_its_own_division(house):
    async with await house.key() as client, await house.key("990200") as stranger:
        made = await client.post("/v1/silences", json=wanted(grades=["yellow", "orange"]))
        assert made.status_code == 201, made.text
        shown = made.json()
        assert (shown["division"], shown["grades"], shown["in_force"]) == (VILLAGE, ["yellow", "orange"], True)
        assert shown["owner"].startswith("key:")
        assert (await client.get("/v1/silences")).json() == {"items": [shown]}
        assert (await stranger.get("/v1/silences")).json() == {"items": []}
        assert (await stranger.post(f"/v1/silences/{shown['id']}/end")).status_code == 404
        ended = [await client.post(f"/v1/silences/{shown['id']}/end") for _ in range(2)]
        assert [(one.status_code, one.json()["in_force"]) for one in ended] == [(200, False)] * 2
    async with transaction(house.engine) as connection:
        rows = (await connection.execute(select(audit_entry).where(audit_entry.c.action.startswith("silence.")))).all()
    assert [(row.action, row.actor, row.object) for row in rows] == [
        ("silence.added", shown["owner"], str(shown["id"])),
        ("silence.ended", shown["owner"], str(shown["id"])),
    ]


async def test_a_household_is_silenced_where_it_lives(house):
    async with await house.key() as client:
        body = wanted(household_id="H-2")
        del body["division"]
        made = await client.post("/v1/silences", json=body)
        assert (made.status_code, made.json()["division"]) == (201, VILLAGE)
        unknown = await client.post("/v1/silences", json=body | {"household_id": "H-99"})
        assert (unknown.status_code, unknown.json()["errors"][0]["pointer"]) == (422, "/household_id")


@pytest.mark.parametrize(
    ("fields", "status", "pointer", "code"),
    [
        ({"hours": 5}, 422, "/until", "red_too_long"),
        ({"hours": 24 * 14 + 1, "grades": ["yellow"]}, 422, "/until", "too_long"),
        ({"hours": -1}, 422, "/until", "not_ahead"),
        ({"reason": " "}, 422, "/reason", "string_pattern_mismatch"),
        ({"household_id": "H-2"}, 422, "", "one_of_two"),
        ({"grades": []}, 422, "/grades", "too_short"),
        ({"division": OTHER_VILLAGE}, 403, None, None),
        ({"division": TOWNSHIP}, 403, None, None),
    ],
)
async def test_a_silence_that_may_not_be_is_refused_with_what_to_change(house, fields, status, pointer, code):
    async with await house.key(VILLAGE) as client:
        refused = await client.post("/v1/silences", json=wanted(**fields))
    assert refused.status_code == status, refused.text
    if pointer is not None:
        (fault,) = refused.json()["errors"]
        assert (fault["pointer"], fault["code"]) == (pointer, code)
    async with transaction(house.engine) as connection:
        assert (
            await connection.execute(
                select(func.count()).select_from(audit_entry).where(audit_entry.c.action == "silence.added")
            )
        ).scalar_one() == 0


async def test_a_key_that_only_reads_makes_no_silence(house):
    async with await house.key(act_on_alerts=False) as client, house.client() as nobody:
        assert (await client.post("/v1/silences", json=wanted())).status_code == 403
        assert (await client.get("/v1/silences?division=99")).status_code == 422
        assert (await nobody.get("/v1/silences")).status_code == 401


async def test_a_person_silences_within_their_reach_and_the_page_of_the_alert_says_so(house):
    async with house.log_in("cadre-1") as client:
        page = await client.get("/")
        token = page.text.split('name="csrf" value="')[1].split('"')[0]
        assert (await client.post("/v1/silences", json=wanted())).status_code == 403
        headers = {"x-csrf-token": token}
        made = await client.post("/v1/silences", json=wanted(reason="<b>演练</b>"), headers=headers)
        assert (made.status_code, made.json()["owner"]) == (201, "cadre-1")
        assert (await client.post("/v1/silences", json=wanted(division=TOWNSHIP), headers=headers)).status_code == 403
        shown = (await client.get(f"/alerts/{house.ids['H-2']}")).text
        assert "静默中，2026-03-02 12:30前不发通知：&lt;b&gt;演练&lt;/b&gt;（张cadre-1）" in shown
        await client.post(f"/v1/silences/{made.json()['id']}/end", headers=headers)
        assert "静默中" not in (await client.get(f"/alerts/{house.ids['H-2']}")).text


# --- by command


@pytest.fixture
def shell(database_url, tmp_path):
    program = Path(sys.executable).with_name("shouwang-notifier")

    def run(*arguments, expect=0):
        done = subprocess.run(
            [str(program), *arguments],
            env={"PATH": "/usr/bin:/bin", "DATABASE_URL": database_url},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == expect, done.stderr
        return done.stdout if expect == 0 else done.stderr

    (tmp_path / "divisions.csv").write_text(
        "\n".join(["code,name", *(f"{code},{name}" for code, name in DIVISIONS.items())])
    )
    (tmp_path / "staff.csv").write_text(
        "staff_id,name,role,division,email,webhook_url,webhook_secret\n"
        f"c-1,虚青山,cadre,{VILLAGE},c-1@staff.example,,\nt-1,虚晓溪,township,{TOWNSHIP},t-1@staff.example,,\n"
    )
    run("divisions", "import", str(tmp_path / "divisions.csv"))
    run("staff", "import", str(tmp_path / "staff.csv"))
    return run


def soon():
    """In an hour: the commands go by the database's clock."""
    return to_rfc3339(SystemClock().now() + HOUR)


def test_silences_are_made_listed_and_ended_by_command_each_under_a_name(shell):
    later = ("--until", "2090-01-01")
    words = ("--by", "t-1", "--reason", "drill", "--division", TOWNSHIP)
    assert "--until: a silence ends within 14 days" in shell("silence", "add", *later, *words, expect=2)
    made = shell("silence", "add", "--until", soon(), *words)
    assert made.startswith(f"1: division {TOWNSHIP}, blue, yellow, orange, red, until")
    listed = json.loads(shell("silence", "list", "--json"))
    assert [(one["id"], one["owner"], one["reason"], one["in_force"]) for one in listed] == [(1, "t-1", "drill", True)]
    rehearsed = json.loads(shell("route", "--division", VILLAGE, "--grade", "red", "--json"))
    assert rehearsed["silent"]["silence"] == 1
    assert {one["hears_at"] for one in rehearsed["people"]} == {rehearsed["silent"]["until"]}
    assert "silenced until" in shell("route", "--division", VILLAGE, "--grade", "red")
    assert "ended by t-1" in shell("silence", "end", "1", "--by", "t-1")
    assert "no silence has this number" in shell("silence", "end", "7", "--by", "t-1", expect=2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--by", "nobody", "--division", TOWNSHIP), "--by: give the staff_id"),
        (("--by", "c-1", "--division", TOWNSHIP), "within the caller's own division"),
        (("--by", "t-1", "--division", "9901"), "--division: "),
        (("--by", "t-1"), "give either division or household_id"),
        (("--by", "t-1", "--household", "H-9"), "--household: neither the books nor an alert"),
        (("--by", "t-1", "--division", TOWNSHIP, "--grade", "purple"), "--grade: "),
    ],
)
def test_a_silence_that_a_command_may_not_make_says_which_option_to_change(shell, arguments, words):
    assert words in shell("silence", "add", "--until", soon(), "--reason", "drill", *arguments, expect=2)
