"""Alerts climb until someone acts: a simulated week on a real database, compared with a timetable written by hand."""

import asyncio
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from prometheus_client import generate_latest
from sqlalchemy import event, select, text

from services.notifier.core.retries import Attempt
from services.notifier.store.deliveries import Deliveries
from services.notifier.why import explain
from shared.alerts import AlertStatus, ChannelName, StepKind
from shared.clock import SettableClock
from shared.db.session import transaction
from shared.db.tables.notifier import alert, alert_step, delivery
from tests.fakes.notifier import (
    COUNTY,
    OTHER_VILLAGE,
    PROVINCE,
    TOWNSHIP,
    Parts,
    deliver_all,
    make_change,
    make_person,
)

pytestmark = pytest.mark.integration
NIGHT = datetime(2026, 3, 2, 15, 30, tzinfo=UTC)
"""Half past eleven at night in the field."""
HOUR = timedelta(hours=1)
STAFF = (
    make_person("cadre"),
    make_person("grid", "grid"),
    make_person("team", "village_team"),
    make_person("town", "township", TOWNSHIP),
    make_person("county", "county", COUNTY),
    make_person("duty", "duty_officer", PROVINCE),
    make_person("elsewhere", "cadre", OTHER_VILLAGE),
)
ALL = ("cadre", "county", "grid", "team", "town")
FIRST_FOUR = ("cadre", "grid", "team", "town")

ACTS = {
    "acknowledge": "status = 'acknowledged', owner = :who, acknowledged_at = :now, acknowledged_revision = revision",
    "visit": "status = 'visited', visited_at = :now",
    "resolve": "status = 'resolved', closed_at = :now",
}
STORY = [
    # hour, household, grade that it takes or what somebody does, who
    (0, "forgotten", "red", None),
    (1, "not-visited", "red", None),
    (1, "worsening", "yellow", None),
    (2, "not-visited", "acknowledge", "cadre"),
    (5, "worsening", "acknowledge", "grid"),
    (10, "orange", "orange", None),
    (30, "cared-for", "red", None),
    (31, "cared-for", "acknowledge", "team"),
    (38, "not-visited", "acknowledge", "town"),
    (40, "not-visited", "visit", None),
    (40, "cared-for", "visit", None),
    (50, "forgotten", "resolve", None),
    (60, "cared-for", "orange", None),
    (100, "worsening", "red", None),
    (103, "worsening", "acknowledge", "grid"),
    (110, "worsening", "visit", None),
    (120, "worsening", "resolve", None),
]
TIMETABLE = [
    (0, "forgotten", "opened", ALL),
    (1, "not-visited", "opened", ALL),
    (1, "worsening", "opened", ("cadre", "grid")),
    (2, "forgotten", "overdue", ("town",)),
    (10, "orange", "opened", FIRST_FOUR),
    (12, "forgotten", "overdue", ("county",)),
    (24, "forgotten", "overdue_visit", ALL),
    (25, "not-visited", "overdue_visit", ALL),
    (30, "cared-for", "opened", ALL),
    (36, "forgotten", "overdue", ("county",)),
    (37, "not-visited", "overdue", ("county",)),
    (48, "forgotten", "overdue_visit", ALL),
    (82, "orange", "overdue_visit", FIRST_FOUR),
    (100, "worsening", "grade_worse", ALL),
    (102, "worsening", "overdue", ("town",)),
    (154, "orange", "overdue_visit", FIRST_FOUR),
    (169, "not-visited", "reminder", ("town",)),
]
DAYS = 8


class Killed(Exception):
    """Stands for the end of the process at some statement."""


@pytest.fixture
def clock():
    return SettableClock(NIGHT)


@pytest.fixture
async def parts(engine, clock):
    made = Parts(engine, clock)
    await made.people(*STAFF)
    return made


async def act(parts, household, what, who=None):
    async with transaction(parts.engine) as connection:
        await connection.execute(
            text(f"UPDATE alert SET {ACTS[what]} WHERE household_id = :household"),
            {"household": household, "now": parts.clock.now()} | ({"who": who} if who else {}),
        )


async def tell_story(parts, hour, versions):
    for at, household, what, who in STORY:
        if at != hour:
            continue
        if what in ACTS:
            await act(parts, household, what, who)
        else:
            version = versions[household] = versions.get(household, 0) + 1
            before = {"worsening": "yellow", "cared-for": "red"}.get(household) if version > 1 else "green"
            await parts.take(make_change(what, before, household_id=household, version=version))


async def week(parts, clock, climb):
    """Let eight days pass, hour by hour; `climb` makes the passes of the climber that become due within an hour."""
    versions = {}
    for hour in range(24 * DAYS + 1):
        await tell_story(parts, hour, versions)
        await climb()
        clock.move(HOUR)


async def told(parts):
    """What was told when, of whom, why, to whom, as the database has it."""
    statement = (
        select(alert.c.household_id, delivery.c.created_at, delivery.c.revision, delivery.c.reason, delivery.c.staff_id)
        .join(alert, alert.c.alert_id == delivery.c.alert_id)
        .order_by(delivery.c.created_at, alert.c.household_id, delivery.c.revision, delivery.c.staff_id)
    )
    lines = {}
    async with transaction(parts.engine) as connection:
        for row in await connection.execute(statement):
            key = ((row.created_at - NIGHT) / HOUR, row.household_id, row.revision, row.reason)
            lines.setdefault(key, []).append(row.staff_id)
    return sorted((hour, household, reason, tuple(people)) for (hour, household, _, reason), people in lines.items())


@contextmanager
def killed_at(engine, number):
    """Fail instead of executing the statement of this number, counted from 1; a commit counts as one."""
    executed = count(1)

    def step(*_):
        if next(executed) == number:
            raise Killed

    event.listen(engine.sync_engine, "before_cursor_execute", step)
    event.listen(engine.sync_engine, "commit", step)
    try:
        yield
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", step)
        event.remove(engine.sync_engine, "commit", step)


async def test_in_a_simulated_week_everybody_is_told_exactly_what_the_timetable_says(parts, clock):
    climber = parts.new_climber()

    async def climb():
        while await climber.fire_due():
            pass

    await week(parts, clock, climb)
    assert await told(parts) == TIMETABLE
    assert parts.metric("hops_total", role="township") == 2
    assert parts.metric("hops_total", role="county") == 3
    assert parts.metric("timers_total", effect="overdue_visit") == 5
    assert parts.metric("climbing_faults_total") == 0


async def test_a_climber_killed_before_any_of_its_statements_changes_nothing_in_the_timetable(parts, clock):
    kills = []

    async def climb():
        while True:
            for number in count(1):
                with killed_at(parts.engine, number):
                    try:
                        # A new one each time: what a process knew has died with it.
                        fired = await parts.new_climber().fire_due()
                        break
                    except Killed:
                        kills.append(number)
            if not fired:
                return

    await week(parts, clock, climb)
    assert await told(parts) == TIMETABLE
    # One hop is nine statements at least: lock, read (2), write (5), commit.
    assert max(kills) >= 9
    assert len(kills) > 24 * DAYS


async def test_two_climbers_at_once_make_each_hop_once(parts, clock):
    one, two = parts.new_climber(), parts.new_climber()

    async def climb():
        while any(await asyncio.gather(one.fire_due(), two.fire_due())):
            pass

    await week(parts, clock, climb)
    assert await told(parts) == TIMETABLE


async def test_after_a_standstill_the_hops_that_are_due_are_made_once_each(parts, clock):
    await parts.take(make_change("red", household_id="H"))
    clock.move(timedelta(hours=30))
    climber = parts.new_climber()
    assert [await climber.fire_due() for _ in range(4)] == [1, 1, 1, 0]
    expected = [(0, "H", "opened", ALL), (30, "H", "overdue", ("county",)), (30, "H", "overdue", ("town",))]
    assert await told(parts) == [*expected, (30, "H", "overdue_visit", ALL)]


async def test_a_clock_that_was_put_back_fires_nothing_twice(parts, clock):
    await parts.take(make_change("red", household_id="H"))
    clock.move(2 * HOUR)
    climber = parts.new_climber()
    assert await climber.fire_due() == 1
    clock.move(-HOUR)
    assert await climber.fire_due() == 0
    clock.move(2 * HOUR)
    assert await climber.fire_due() == 0
    assert len(await told(parts)) == 2


async def test_a_hop_takes_the_place_of_older_messages_only_for_the_people_it_tells(parts, clock):
    await parts.take(make_change("red"))
    clock.move(2 * HOUR)
    await parts.new_climber().fire_due()
    lines = {(line.recipient, line.revision): str(line.status) for line in (await parts.alert()).deliveries}
    assert lines == {(who, 1): "pending" for who in ALL} | {("town", 1): "suppressed", ("town", 2): "pending"}


async def test_a_hop_that_reaches_nobody_brings_the_next_one_forward(parts, clock):
    await parts.take(make_change("red"))
    clock.move(2 * HOUR)
    climber = parts.new_climber()
    await climber.fire_due()
    assert await climber.fire_due() == 0
    await deliver_all(parts.lane(Refusing("town@staff.example")))
    clock.move(timedelta(seconds=1))
    assert await climber.fire_due() == 1
    found = await parts.reader.one("", (await parts.alert()).id)
    assert [step.kind for step in found.timeline if step.kind is not StepKind.DELIVERY_FAILED] == [
        StepKind.OPENED,
        StepKind.CLIMBED,
        StepKind.HOP_FAILED,
        StepKind.REROUTED,
        StepKind.CLIMBED,
    ]
    assert [line.recipient for line in found.deliveries if line.revision == 3] == ["county"]
    assert await climber.fire_due() == 0


async def test_an_overdue_visit_takes_the_alert_from_its_owner_and_the_timeline_says_whose_it_was(parts, clock):
    await parts.take(make_change("red"))
    await act(parts, "H-1024", "acknowledge", "county")
    clock.move(24 * HOUR)
    await parts.new_climber().fire_due()
    found = await parts.reader.one("", (await parts.alert()).id)
    assert (found.status, found.owner, found.acknowledged_at) == (AlertStatus.OPEN, None, None)
    routed = {line.recipient: line.routed_as for line in found.deliveries if line.reason == "overdue_visit"}
    assert routed == dict.fromkeys(ALL, "role") | {"county": "owner"}
    last = found.timeline[-1]
    assert (last.kind, last.reason) == (StepKind.OVERDUE_VISIT, "county")


async def test_nobody_at_all_to_climb_to_is_said_aloud(engine, clock):
    lonely = Parts(engine, clock)
    await lonely.people(make_person("cadre"))
    await lonely.take(make_change("red"))
    clock.move(2 * HOUR)
    await lonely.new_climber().fire_due()
    found = await lonely.reader.one("", (await lonely.alert()).id)
    assert [step.kind for step in found.timeline] == [StepKind.OPENED, StepKind.CLIMBED, StepKind.UNREACHABLE]
    assert lonely.metric("unreachable_alerts_total") == 1


async def test_an_alert_that_cannot_be_read_keeps_no_other_from_climbing(parts, clock):
    await parts.take(make_change("red", household_id="spoilt"), make_change("red", household_id="whole"))
    async with transaction(parts.engine) as connection:
        await connection.execute(text("UPDATE alert SET plan = '[{}]' WHERE household_id = 'spoilt'"))
    clock.move(2 * HOUR)
    assert await parts.new_climber().fire_due() == 2
    assert [line for line in await told(parts) if line[0] == 2] == [(2, "whole", "overdue", ("town",))]
    assert parts.metric("climbing_faults_total") == 1
    assert await parts.new_climber().fire_due() == 0


async def test_why_names_the_hops_and_the_message_says_since_when(parts, clock):
    await parts.take(make_change("red"))
    clock.move(2 * HOUR)
    await parts.new_climber().fire_due()
    found = await parts.alert()
    lines = await explain(parts.reader, Deliveries(parts.engine), found.id)
    assert any("climbed by system [township]" in line for line in lines)
    assert any("revision 2 (overdue) town by smtp, routed as role" in line for line in lines)
    async with transaction(parts.engine) as connection:
        subject = (await connection.execute(text("SELECT subject FROM alert_message WHERE revision = 2"))).scalar_one()
    assert subject == "【守望】红色预警（超时未签收） ▲ 某村 户 H-1024 自2026-03-02 23:30起无人签收，请立即处理"


async def test_the_climber_runs_by_itself_and_wakes_the_deliveries(parts, clock):
    await parts.take(make_change("red"))
    clock.move(2 * HOUR)
    woken = parts.woken
    stop = asyncio.Event()
    running = asyncio.create_task(parts.new_climber().run(stop))
    async with asyncio.timeout(5):
        while parts.woken == woken:
            await asyncio.sleep(0.01)
    stop.set()
    await running
    assert b'shouwang_notifier_hops_total{role="township"} 1.0' in generate_latest(parts.registry)
    async with transaction(parts.engine) as connection:
        kinds = (await connection.execute(select(alert_step.c.kind).order_by(alert_step.c.step_id))).scalars().all()
    assert kinds == ["opened", "climbed"]


class Refusing:
    """A mail channel that refuses one address for good and takes everything else."""

    name = ChannelName.SMTP

    def __init__(self, address):
        self._address = address

    async def send(self, address, message, message_id):
        if address.email == self._address:
            return Attempt("smtp_550", permanent=True)
        return Attempt("sent", receipt="250 OK")

    async def close(self):
        pass
