"""Alerts climb until someone acts: each hop once, to somebody, with words that say why."""

import asyncio
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from sqlalchemy import select, text

from services.notifier.core.retries import Attempt
from services.notifier.reconcile import Reconcile, ReconcileMetrics
from services.notifier.store.reconciling import Reconciling
from services.notifier.store.why import WhyReader
from services.notifier.why import explain
from shared.alerts import AlertStatus, ChannelName, StepKind
from shared.clock import SettableClock
from shared.db.session import transaction
from shared.db.tables.notifier import alert, alert_step
from shared.metrics import ServiceMetrics
from tests.fakes.climbing import ALL, HOUR, NIGHT, STAFF, act, told
from tests.fakes.notifier import Parts, deliver_all, make_change, make_person

pytestmark = pytest.mark.integration


@pytest.fixture
def clock():
    return SettableClock(NIGHT)


@pytest.fixture
async def parts(engine, clock):
    made = Parts(engine, clock)
    await made.people(*STAFF)
    return made


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
    assert await parts.new_climber().fire_due() == 1
    assert [line for line in await told(parts) if line[0] == 2] == [(2, "whole", "overdue", ("town",))]
    assert parts.metric("climbing_faults_total") == 1
    assert await parts.new_climber().fire_due() == 0


async def test_why_names_the_hops_and_the_message_says_since_when(parts, clock):
    await parts.take(make_change("red"))
    clock.move(2 * HOUR)
    await parts.new_climber().fire_due()
    lines = list(explain(await WhyReader(parts.engine).why("", (await parts.alert()).id)))
    assert any("climbed by system [township]" in line for line in lines)
    hop = lines[next(at for at, line in enumerate(lines) if line.startswith("revision 2 (overdue)")) :]
    assert any(line.startswith("  town (township of ") and line.endswith(": told_role") for line in hop)
    assert any(line.startswith("  cadre (cadre of ") and line.endswith(": not_routed_for_grade") for line in hop)
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


async def timers(parts):
    async with transaction(parts.engine) as connection:
        found = await connection.execute(select(alert.c.timer_at).order_by(alert.c.opened_at))
        return [None if at is None else (at - NIGHT) / HOUR for at in found.scalars()]


async def test_each_change_of_grade_sets_the_timer_of_its_alert(parts, clock):
    await parts.take(make_change("yellow"))
    assert await timers(parts) == [168]
    clock.move(5 * HOUR)
    await parts.take(make_change("red", "yellow", version=2))
    assert await timers(parts) == [7]
    await parts.take(make_change("orange", "red", version=3))
    assert await timers(parts) == [29]
    await parts.take(make_change("green", "orange", version=4))
    assert await timers(parts) == [None]


async def test_an_alert_withdrawn_before_anybody_took_it_on_has_no_timer(parts):
    await parts.take(make_change("red"))
    await parts.take(make_change("green", "red", version=2, kind="replay", causes=()))
    assert await timers(parts) == [None]


async def test_reminders_go_on_after_the_alert_is_resolved_until_the_grade_falls(parts, clock):
    await parts.take(make_change("red"))
    await act(parts, "H-1024", "acknowledge", "team")
    await act(parts, "H-1024", "resolve")
    climber = parts.new_climber()
    for _ in range(15):
        clock.move(24 * HOUR)
        while await climber.fire_due():
            pass
    assert [line for line in await told(parts) if line[0]] == [
        (168, "H-1024", "reminder", ("team",)),
        (336, "H-1024", "reminder", ("team",)),
    ]
    await parts.take(make_change("red", "green"))
    assert await timers(parts) == [504]
    await parts.take(make_change("yellow", "red", version=2))
    assert await timers(parts) == [None]


async def test_a_timer_that_nobody_heeds_is_counted(parts, clock):
    await parts.take(make_change("red"))
    clock.move(2 * HOUR + timedelta(minutes=1))
    registry = CollectorRegistry()
    metrics = ReconcileMetrics(ServiceMetrics("notifier", registry))
    reconcile = Reconcile(Reconciling(parts.engine), clock, metrics, every_seconds=1)
    counted = []
    for _ in range(2):
        await reconcile.reconcile()
        counted.append(registry.get_sample_value("shouwang_notifier_overdue_timers"))
        await parts.new_climber().fire_due()
    assert counted == [1, 0]


class Refusing:
    """A mail channel that refuses one address for good and takes everything else."""

    name = ChannelName.SMTP

    def __init__(self, address):
        self._address = address

    async def send(self, address, message, message_id):
        if address.address == self._address:
            return Attempt("smtp_550", permanent=True)
        return Attempt("sent", receipt="250 OK")

    async def close(self):
        pass
