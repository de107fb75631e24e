"""People's acts over the API on a real database: steps, audit, timers, races, and refusals that say what to do."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text

from services.notifier.console.auth import Passwords
from shared.clock import SettableClock
from shared.db.session import transaction
from shared.db.tables.common import audit_entry
from shared.db.tables.notifier import alert
from tests.fakes.notifier import NOW, make_change, make_settings, statuses
from tests.integration.test_notifier_console import House

pytestmark = pytest.mark.integration
HOUR = timedelta(hours=1)
OPENED = NOW + timedelta(minutes=1)


@pytest.fixture(scope="module")
def passwords():
    made = Passwords()
    yield made
    made.close()


@pytest.fixture
async def house(engine, passwords):
    made = House(engine, SettableClock(NOW), make_settings(), passwords, None)
    await made.keys.refresh()
    await made.fill()
    return made


@pytest.fixture
async def red(house):
    """An alert's address, under a key that may act."""
    async with await house.key() as client:
        yield Address(client, f"/v1/alerts/{house.ids['H-2']}")


class Address:
    def __init__(self, client, path):
        self.client, self.path = client, path

    async def do(self, act, **body):
        return await self.client.post(f"{self.path}/{act}", json=body)

    async def shown(self):
        return (await self.client.get(self.path)).json()


async def stored(house, alert_id):
    async with transaction(house.engine) as connection:
        return (await connection.execute(select(alert).where(alert.c.alert_id == alert_id))).one()


async def test_an_alert_lives_from_acknowledgement_to_resolving_and_is_reopened(house, red):
    async def timer():
        return (await stored(house, house.ids["H-2"])).timer_at

    house.clock.move(HOUR)
    acted = [await red.do("acknowledge", note="在路上")]
    assert await timer() == OPENED + timedelta(hours=24)
    house.clock.move(HOUR)
    acted.append(await red.do("visit", result="relief_given", measures=["relief", "relief"], note="送去粮油"))
    later = await timer()
    # No deadline of the visit is left; what the plan repeats week by week may be.
    assert later is None or later > OPENED + timedelta(hours=24)
    house.clock.move(HOUR)
    acted.append(await red.do("resolve", resolution="risk_removed"))
    house.clock.move(HOUR)
    acted.append(await red.do("reopen", note="又住院了"))
    assert await timer() == house.clock.now() + timedelta(hours=2)
    assert [answer.status_code for answer in acted] == [200] * 4
    assert [answer.json()["status"] for answer in acted] == ["acknowledged", "visited", "resolved", "open"]
    visited, reopened = acted[1].json(), acted[3].json()
    assert visited["owner"].startswith("key:") and visited["visited_at"]
    assert visited["timeline"][-1]["reason"] == "relief_given"
    assert visited["timeline"][-1]["measures"] == ["relief"]
    assert (reopened["owner"], reopened["visited_at"], reopened["closed_at"]) == (None, None, None)
    assert reopened["visit_by"] > visited["visit_by"]
    kinds = [step["kind"] for step in reopened["timeline"]]
    assert kinds == ["opened", "acknowledged", "visited", "resolved", "reopened"]
    async with transaction(house.engine) as connection:
        actions = (await connection.execute(select(audit_entry.c.action))).scalars().all()
    assert [one for one in actions if one.startswith("alert.")] == [f"alert.{kind}" for kind in kinds[1:]]


async def test_a_visit_of_an_alert_that_nobody_holds_takes_it_on(house, red):
    found = (await red.do("visit", result="stable")).json()
    assert (found["status"], found["owner"] is not None) == ("visited", True)
    assert [step["kind"] for step in found["timeline"]] == ["opened", "visited"]


async def test_where_nobody_was_met_the_visit_is_still_owed(house, red):
    found = (await red.do("visit", result="not_found", note="门锁着")).json()
    assert (found["status"], found["visited_at"]) == ("acknowledged", None)
    assert found["timeline"][-1]["kind"] == "visited_in_vain"
    assert (await stored(house, house.ids["H-2"])).timer_at == OPENED + timedelta(hours=24)
    assert (await red.do("resolve", resolution="mistaken")).status_code == 409


async def test_a_repeat_changes_nothing(house, red):
    for act, body in (
        ("acknowledge", {}),
        ("comment", {"note": "明天去"}),
        ("visit", {"result": "needs_plan", "measures": ["relief"]}),
        ("resolve", {"resolution": "passed_on", "note": "已移交"}),
        ("reopen", {"note": "移交未成"}),
    ):
        first, again = await red.do(act, **body), await red.do(act, **body)
        assert (first.status_code, again.status_code) == (200, 200), act
        assert first.json() == again.json(), act
    assert len((await red.shown())["timeline"]) == 6


async def test_an_illegal_step_is_refused_with_its_reason_and_what_to_do(house, red):
    async def refused(act, body, code, advice):
        shown = await red.shown()
        answer = await red.do(act, **body)
        problem = answer.json()
        assert (answer.status_code, answer.headers["content-type"]) == (409, "application/problem+json")
        assert problem["errors"][0]["code"] == code
        assert advice in problem["detail"]
        assert await red.shown() == shown

    await refused("resolve", {"resolution": "measures_done"}, "visit_first", "visit first")
    await refused("reopen", {"note": "x"}, "not_resolved", "comment")
    await red.do("visit", result="stable")
    await red.do("resolve", resolution="mistaken")
    await refused("acknowledge", {}, "closed", "reopen")
    house.clock.move(timedelta(days=31))
    await refused("reopen", {"note": "x"}, "resolved_long_ago", "report")
    async with transaction(house.engine) as connection:
        await connection.execute(text("UPDATE alert SET status = 'withdrawn'"))
    await refused("visit", {"result": "stable"}, "withdrawn", "new evidence")


async def test_an_unusable_body_is_refused_at_its_place(red):
    for act, body, pointer in (
        ("visit", {}, "/result"),
        ("visit", {"result": "fine"}, "/result"),
        ("visit", {"result": "stable", "measures": ["Not a code"]}, "/measures/0"),
        ("visit", {"result": "stable", "measures": ["relief"] * 21}, "/measures"),
        ("resolve", {"resolution": ""}, "/resolution"),
        ("reopen", {}, "/note"),
        ("comment", {"note": " \n"}, "/note"),
        ("comment", {"note": "x" * 1_001}, "/note"),
        ("comment", {"note": "x", "private": True}, "/private"),
    ):
        answer = await red.do(act, **body)
        assert answer.status_code == 422, (act, body)
        assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer], (act, body)
    assert len((await red.shown())["timeline"]) == 1


async def test_acts_outside_ones_division_or_without_the_scope_are_refused(house):
    path = f"/v1/alerts/{house.ids['H-2']}"
    bodies = {
        "visit": {"result": "stable"},
        "resolve": {"resolution": "mistaken"},
        "reopen": {"note": "x"},
        "comment": {"note": "x"},
    }
    async with await house.key("990100102") as foreign, await house.key(act_on_alerts=False) as idle:
        for act, body in bodies.items():
            assert (await foreign.post(f"{path}/{act}", json=body)).status_code == 404
            assert (await idle.post(f"{path}/{act}", json=body)).status_code == 403


async def test_what_is_still_to_be_told_of_a_resolved_alert_is_told_to_nobody(house, red):
    await red.do("visit", result="stable")
    await red.do("resolve", resolution="mistaken")
    (found,) = await house.parts.alerts(household_id="H-2")
    assert set(statuses(found).values()) == {"suppressed"}


async def test_reopening_is_refused_while_another_alert_is_under_way_and_names_it(house, red):
    await red.do("visit", result="stable")
    await red.do("resolve", resolution="risk_removed")
    await house.parts.take(make_change("red", "yellow", version=2, household_id="H-2"))
    (newer,) = await house.parts.alerts(household_id="H-2", status="open")
    answer = await red.do("reopen", note="又住院了")
    assert answer.status_code == 409
    assert newer.id in answer.json()["detail"]
    assert answer.json()["errors"][0]["code"] == "another_under_way"


async def test_of_a_reopening_and_a_new_alert_in_the_same_moment_one_wins(house, red):
    """The other alert is not committed yet when the reopening looks for it; the database keeps it unique."""
    await red.do("visit", result="stable")
    await red.do("resolve", resolution="risk_removed")
    async with transaction(house.engine) as connection:
        # Stands for a notifier that has opened an alert and has yet to commit.
        await connection.execute(
            text(
                'INSERT INTO alert SELECT (jsonb_populate_record(alert, \'{"alert_id": "newer", "status": '
                '"open", "closed_at": null}\')).* FROM alert WHERE household_id = \'H-2\''
            )
        )
        reopening = asyncio.create_task(red.do("reopen", note="又住院了"))
        await asyncio.sleep(0.2)
        assert not reopening.done()
    answer = await reopening
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (409, "another_under_way")
    assert "newer" in answer.json()["detail"]


async def test_a_change_after_reopening_goes_to_the_reopened_alert(house, red):
    await red.do("visit", result="stable")
    await red.do("resolve", resolution="risk_removed")
    await red.do("reopen", note="又住院了")
    await house.parts.take(make_change("red", "red", version=2, household_id="H-2", causes=("disaster",)))
    async with transaction(house.engine) as connection:
        count = select(func.count()).select_from(alert).where(alert.c.household_id == "H-2")
        assert (await connection.execute(count)).scalar_one() == 1
    assert (await red.shown())["revision"] == 2


async def test_two_people_at_once_make_one_visit_each_and_one_resolving(house, red):
    async with await house.key() as second:
        other = Address(second, red.path)
        visits = await asyncio.gather(red.do("visit", result="stable"), other.do("visit", result="stable"))
        assert [answer.status_code for answer in visits] == [200, 200]
        ends = await asyncio.gather(
            red.do("resolve", resolution="risk_removed"), other.do("resolve", resolution="risk_removed")
        )
    assert sorted(answer.status_code for answer in ends) == [200, 409]
    assert [step["kind"] for step in (await red.shown())["timeline"]] == ["opened", "visited", "visited", "resolved"]


async def test_an_act_that_fails_half_way_leaves_nothing(house, red):
    """The alert's row and the step are written before the audit entry, for which the disk is full: they go together."""
    async with transaction(house.engine) as connection:
        await connection.execute(
            text(
                "CREATE FUNCTION is_full() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE EXCEPTION 'full' USING ERRCODE = '53100'; END $$"
            )
        )
        await connection.execute(
            text("CREATE TRIGGER full_disk BEFORE INSERT ON audit_entry EXECUTE FUNCTION is_full()")
        )
    assert (await red.do("visit", result="stable")).status_code == 503
    found = await red.shown()
    assert (found["status"], len(found["timeline"])) == ("open", 1)
