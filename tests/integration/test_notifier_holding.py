"""Quiet hours and the daily cap on a real database: what waits, what does not, and that nothing is lost or early."""

import asyncio
from datetime import datetime, timedelta
from itertools import count

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import select, text

from services.notifier.act_on_alert import ActOnAlert
from services.notifier.auth import Caller
from services.notifier.core.holding import Held
from services.notifier.core.retries import Attempt
from services.notifier.reconcile import Reconcile, ReconcileMetrics
from services.notifier.release import Release
from services.notifier.store.acting import Acts
from services.notifier.store.fallbacks import Fallbacks
from services.notifier.store.reconciling import Reconciling
from services.notifier.store.releasing import Releasing
from services.notifier.store.rows import Contact
from services.notifier.store.why import WhyReader
from services.notifier.why import explain
from shared.alerts import Acknowledgement, ChannelName, Closing, Visit
from shared.clock import SHANGHAI, SettableClock
from shared.db.session import transaction
from shared.db.tables.notifier import alert_message
from shared.metrics import ServiceMetrics
from shared.policy import MessagesPerPerson, Policies, PolicyBook
from shared.policy.sections import Step, Timetable
from tests.fakes.notifier import (
    COUNTY,
    TOWNSHIP,
    WORDING,
    Parts,
    deliver_all,
    make_change,
    make_person,
    policies_of,
    policy,
)
from tests.integration.test_notifier_simulated_week import Killed, killed_at

pytestmark = pytest.mark.integration
EVENING = datetime(2026, 3, 2, 23, 0, tzinfo=SHANGHAI)
MORNING = datetime(2026, 3, 3, 7, 0, tzinfo=SHANGHAI)
NOON = datetime(2026, 3, 3, 12, 0, tzinfo=SHANGHAI)
HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
STAFF = (
    make_person("cadre"),
    make_person("grid", "grid"),
    make_person("town", "township", TOWNSHIP),
    make_person("county", "county", COUNTY),
)


class Postbox:
    """A mail channel that takes everything, or while `broken` nothing, and remembers what it took."""

    name = ChannelName.SMTP

    def __init__(self, clock):
        self.clock, self.taken, self.broken = clock, [], False

    async def send(self, address, message, message_id):
        if self.broken:
            return Attempt("connection_refused")
        self.taken.append((self.clock.now(), address.staff_id, message.subject))
        return Attempt("sent", receipt="250 OK")

    async def close(self):
        pass

    def told(self):
        """Who was told since this was asked last, with the grade in one character."""
        told = sorted((who, subject.removeprefix("【守望】")[:2]) for _, who, subject in self.taken)
        self.taken.clear()
        return told


def climbing_orange():
    """The national policy, but orange is told in the village, and climbs: after an hour to the township, then on."""
    steps = [Step(after_minutes=60, to="township"), Step(after_minutes=120, to="county")]
    timetable = policy().timetable | {"orange": Timetable(climb=steps, visit_within_minutes=4320)}
    routing = policy().routing | {"orange": ["cadre", "grid"]}
    changed = policy().model_copy(update={"timetable": timetable, "routing": routing})
    return Policies([], PolicyBook([changed]))


@pytest.fixture
def clock():
    return SettableClock(EVENING)


@pytest.fixture
async def parts(engine, clock):
    made = Parts(engine, clock, policies=climbing_orange())
    await made.people(*STAFF)
    return made


@pytest.fixture
def postbox(clock):
    return Postbox(clock)


@pytest.fixture
def lane(parts, postbox):
    return parts.lane(postbox)


@pytest.fixture
def release(parts):
    return new_release(parts)


@pytest.fixture
def act(parts, clock):
    return ActOnAlert(Acts(parts.engine), clock, parts.policies, WORDING)


def set_clock(clock, at):
    clock.move(at - clock.now())


async def held(parts):
    """Of the alert, per revision and person: why it waits, until what hour in the field, and how it stands."""
    lines = (await parts.alert()).deliveries
    return {
        (line.revision, line.recipient): (
            line.held,
            line.held_until and f"{line.held_until.astimezone(SHANGHAI):%H:%M}",
            str(line.status),
        )
        for line in lines
    }


async def test_a_yellow_alert_in_the_evening_waits_for_the_morning_and_is_told_then(parts, clock, lane, postbox):
    await parts.take(make_change("yellow"))
    waits = ("quiet_hours", "07:00", "pending")
    assert await held(parts) == {(1, "cadre"): waits, (1, "grid"): waits}
    set_clock(clock, MORNING - SECOND)
    assert await deliver_all(lane) == 0
    clock.move(SECOND)
    assert await deliver_all(lane) == 2
    assert postbox.told() == [("cadre", "黄色"), ("grid", "黄色")]
    assert parts.metric("held_tellings_total", reason="quiet_hours") == 2


async def test_the_words_of_what_waits_count_the_time_from_when_it_is_read(parts, clock):
    await parts.take(make_change("orange"))
    async with transaction(parts.engine) as connection:
        subject = (await connection.execute(select(alert_message.c.subject))).scalar_one()
    assert subject.endswith("请在1小时内签收")
    found = await parts.alert()
    assert found.acknowledge_by == MORNING + HOUR
    # The household does not wait for the morning.
    assert found.visit_by == EVENING + 72 * HOUR


async def test_red_is_told_at_night_and_what_waited_as_milder_is_not_told_any_more(parts, clock, lane, postbox):
    await parts.take(make_change("yellow"))
    clock.move(HOUR)
    await parts.take(make_change("red", "yellow", version=2))
    await deliver_all(lane)
    assert postbox.told() == [(who, "红色") for who in ("cadre", "county", "grid", "town")]
    found = (await parts.alert()).deliveries
    assert {(line.revision, str(line.status), line.detail) for line in found} == {
        (1, "suppressed", "inhibited"),
        (2, "sent", "sent"),
    }
    set_clock(clock, NOON)
    assert await deliver_all(lane) == 0


async def test_that_a_red_alert_is_over_is_told_at_night_and_that_a_yellow_one_is_in_the_morning(
    parts, clock, lane, postbox
):
    set_clock(clock, EVENING - 3 * HOUR)
    await parts.take(make_change("red", household_id="R"), make_change("yellow", household_id="Y"))
    await deliver_all(lane)
    postbox.told()
    set_clock(clock, EVENING)
    over = {"kind": "replay", "causes": (), "version": 2}
    await parts.take(
        make_change("green", "red", household_id="R", **over), make_change("green", "yellow", household_id="Y", **over)
    )
    await deliver_all(lane)
    assert postbox.told() == [(who, "预警") for who in ("cadre", "county", "grid", "town")]
    set_clock(clock, MORNING)
    await deliver_all(lane)
    assert postbox.told() == [("cadre", "预警"), ("grid", "预警")]


async def test_an_alert_that_is_over_before_the_morning_is_not_told_at_all(parts, clock, lane):
    await parts.take(make_change("yellow"))
    await parts.take(make_change("green", "yellow", version=2, kind="replay", causes=()))
    set_clock(clock, NOON)
    assert await deliver_all(lane) == 0


async def test_the_end_of_an_alert_is_not_told_after_the_next_one_has_begun(parts, clock, lane, postbox):
    set_clock(clock, EVENING - 3 * HOUR)
    await parts.take(make_change("yellow"))
    await deliver_all(lane)
    postbox.told()
    set_clock(clock, EVENING)
    await parts.take(make_change("green", "yellow", version=2, kind="replay", causes=()))
    clock.move(HOUR)
    await parts.take(make_change("red", "green", version=3))
    set_clock(clock, NOON)
    await deliver_all(lane)
    assert {grade for _, grade in postbox.told()} == {"红色"}


async def test_nobody_is_passed_over_before_they_could_hear(parts, clock, lane, postbox):
    await parts.take(make_change("orange"))
    climber = parts.new_climber()
    set_clock(clock, MORNING + HOUR - SECOND)
    assert await climber.fire_due() == 0
    clock.move(SECOND)
    assert await climber.fire_due() == 1
    await deliver_all(lane)
    told = dict(postbox.told())
    assert set(told) == {"cadre", "grid", "town"}
    set_clock(clock, MORNING + 2 * HOUR)
    assert await climber.fire_due() == 1
    await deliver_all(lane)
    assert set(dict(postbox.told())) == {"county"}


async def test_a_hop_that_is_told_at_night_puts_the_next_one_off_by_as_long_as_it_waits(parts, clock, lane, postbox):
    set_clock(clock, EVENING - 3 * HOUR + MINUTE)
    await parts.take(make_change("orange"))
    climber = parts.new_climber()
    clock.move(HOUR)
    assert await climber.fire_due() == 1
    # Told at 21:01, heard at 07:00; the county would have had its turn at 22:01.
    set_clock(clock, MORNING + HOUR - SECOND)
    assert await climber.fire_due() == 0
    clock.move(SECOND)
    assert await climber.fire_due() == 1


async def test_who_takes_an_alert_on_in_the_night_keeps_it_from_climbing_in_the_morning(parts, clock, act):
    await parts.take(make_change("orange"))
    clock.move(HOUR)
    await act.acknowledge((await parts.alert()).id, Caller("grid", ""), Acknowledgement())
    set_clock(clock, NOON)
    assert await parts.new_climber().fire_due() == 0


async def test_what_waits_and_says_that_nobody_answered_is_not_said_once_somebody_has(parts, clock, lane, postbox, act):
    set_clock(clock, EVENING - 3 * HOUR + MINUTE)
    await parts.take(make_change("orange"))
    await deliver_all(lane)
    postbox.told()
    clock.move(HOUR)
    await parts.new_climber().fire_due()
    await act.acknowledge((await parts.alert()).id, Caller("grid", ""), Acknowledgement())
    set_clock(clock, NOON)
    await deliver_all(lane)
    assert postbox.told() == []


async def test_the_next_channel_is_not_used_at_night_for_what_waits_for_the_morning(engine, clock):
    parts = Parts(engine, clock)
    ways = (Contact(ChannelName.DINGTALK, "t", "s"), Contact(ChannelName.ALIYUN_SMS, "13800000000"))
    await parts.people(make_person("cadre", email=None, contacts=ways))
    await parts.take(make_change("orange"))
    fallbacks = Fallbacks(engine)
    clock.move(HOUR)
    assert await fallbacks.pass_on_overdue(clock.now()) == 0
    set_clock(clock, MORNING + MINUTE - SECOND)
    assert await fallbacks.pass_on_overdue(clock.now()) == 0
    clock.move(SECOND)
    assert await fallbacks.pass_on_overdue(clock.now()) == 1


async def test_what_waits_for_room_in_the_day_is_not_passed_on_to_the_next_channel_meanwhile(engine, clock):
    parts, fallbacks = Parts(engine, clock), Fallbacks(engine)
    ways = [Contact(ChannelName.WECOM_APP, "someone"), Contact(ChannelName.ALIYUN_SMS, "13800000000")]
    await parts.people(make_person("cadre", email=None, contacts=ways))
    await parts.take(make_change("orange"))
    async with transaction(engine) as connection:
        waits = "held = 'daily_cap', held_until = NULL, next_attempt_at = created_at"
        await connection.execute(text(f"UPDATE delivery SET {waits}"))
    clock.move(HOUR)
    assert await fallbacks.pass_on_overdue(clock.now()) == 0
    async with transaction(engine) as connection:
        await connection.execute(text("UPDATE delivery SET held_until = created_at"))
    assert await fallbacks.pass_on_overdue(clock.now()) == 1


async def test_what_waits_is_no_shortcoming_but_is_counted(parts, clock):
    await parts.take(make_change("yellow"))
    clock.move(HOUR)
    registry = CollectorRegistry()
    metrics = ReconcileMetrics(ServiceMetrics("notifier", registry))
    reconcile = Reconcile(Reconciling(parts.engine), clock, metrics, every_seconds=1)

    async def shown():
        await reconcile.reconcile()
        return {
            name: registry.get_sample_value(f"shouwang_notifier_{name}", labels)
            for name, labels in (
                ("overdue_deliveries", {}),
                ("alerts_without_receipt", {}),
                ("waiting_tellings", {"reason": "quiet_hours"}),
            )
        }

    assert await shown() == {"overdue_deliveries": 0, "alerts_without_receipt": 0, "waiting_tellings": 2}
    set_clock(clock, MORNING + MINUTE)
    assert await shown() == {"overdue_deliveries": 2, "alerts_without_receipt": 1, "waiting_tellings": 0}


async def tell_many(parts, clock, lane, count, first=1):
    """Tell of so many first causes, half an hour apart; grid and cadre hear of each that has a place."""
    for number in range(first, first + count):
        change = make_change("yellow", "green" if number == 1 else "yellow", version=number, causes=(f"c{number}",))
        await parts.take(change)
        await deliver_all(lane)
        clock.move(HOUR / 2)


async def test_beyond_the_cap_only_the_newest_waits_and_is_told_when_there_is_room(
    parts, clock, lane, postbox, release
):
    set_clock(clock, MORNING)
    await tell_many(parts, clock, lane, 7)
    assert len(postbox.told()) == 2 * 4
    lines = (await parts.alert()).deliveries
    late = {(line.revision, line.held, str(line.status), line.detail) for line in lines if line.revision > 4}
    assert late == {
        (5, "daily_cap", "suppressed", "superseded"),
        (6, "daily_cap", "suppressed", "superseded"),
        (7, "daily_cap", "pending", None),
    }
    set_clock(clock, MORNING + 24 * HOUR - SECOND)
    assert await release.release_due() == 0
    assert await deliver_all(lane) == 0
    clock.move(SECOND)
    assert await release.release_due() == 2
    assert await release.release_due() == 0
    assert await deliver_all(lane) == 2
    assert parts.metric("held_tellings_total", reason="daily_cap") == 6


async def test_a_place_is_given_once_whatever_is_killed_when_and_by_however_many(parts, clock, lane):
    set_clock(clock, MORNING)
    await tell_many(parts, clock, lane, 6)
    set_clock(clock, MORNING + 24 * HOUR)
    kills = 0
    for number in count(1):
        with killed_at(parts.engine, number):
            try:
                # A new one each time: what a process knew has died with it.
                released = await new_release(parts).release_due()
                break
            except Killed:
                kills += 1
    assert kills >= 8 and released == 2
    assert sum(await asyncio.gather(*(new_release(parts).release_due() for _ in range(3)))) == 0
    assert await deliver_all(lane) == 2


async def test_two_that_give_places_at_once_give_each_once(parts, clock, lane):
    set_clock(clock, MORNING)
    await tell_many(parts, clock, lane, 6)
    set_clock(clock, MORNING + 24 * HOUR)
    assert sum(await asyncio.gather(*(new_release(parts).release_due() for _ in range(2)))) == 2


def new_release(parts):
    return Release(Releasing(parts.engine), parts.policies, parts.clock, parts.wake)


async def test_what_no_channel_can_have_taken_fills_nobodys_day(parts, clock, lane, postbox):
    """The relay was away all day: each of six tellings was tried, and newer ones took their place."""
    set_clock(clock, MORNING)
    postbox.broken = True
    await tell_many(parts, clock, lane, 6)
    postbox.broken = False
    clock.move(HOUR)
    await deliver_all(lane)
    assert postbox.told() == [("cadre", "黄色"), ("grid", "黄色")]
    assert parts.metric("held_tellings_total", reason="daily_cap") == 0


async def test_a_telling_whose_room_nobody_looks_for_is_a_shortcoming(parts, clock, lane):
    set_clock(clock, MORNING)
    await tell_many(parts, clock, lane, 5)
    set_clock(clock, MORNING + 24 * HOUR - SECOND)
    reconciling = Reconciling(parts.engine)

    async def seen():
        found = await reconciling.shortcomings(since=clock.now() - HOUR, until=clock.now())
        return found.overdue, found.waiting.get(Held.DAILY_CAP, 0)

    assert await seen() == (0, 2)
    clock.move(2 * SECOND)
    assert await seen() == (2, 0)
    await new_release(parts).release_due()
    await deliver_all(lane)
    assert await seen() == (0, 0)


async def test_red_finds_its_place_in_a_day_that_is_full_of_milder_things(parts, clock, lane, postbox):
    set_clock(clock, MORNING)
    await tell_many(parts, clock, lane, 6)
    postbox.told()
    await parts.take(make_change("red", "yellow", version=7))
    await deliver_all(lane)
    assert postbox.told() == [(who, "红色") for who in ("cadre", "county", "grid", "town")]
    # What waited is not told after it.
    set_clock(clock, MORNING + 48 * HOUR)
    assert await deliver_all(lane) == 0


async def test_what_finds_room_at_night_waits_on_for_the_morning(parts, clock, lane, postbox, release):
    await parts.take(make_change("red"))
    await deliver_all(lane)
    await parts.take(make_change("green", "red", version=2, kind="replay", causes=()))
    await deliver_all(lane)
    set_clock(clock, MORNING)
    for number in (3, 4, 5):
        await parts.take(
            make_change("yellow", "green" if number == 3 else "yellow", version=number, causes=(f"c{number}",))
        )
        await deliver_all(lane)
    postbox.told()
    # Red and its end were told at eleven in the evening, and leave room at that hour.
    set_clock(clock, EVENING + 24 * HOUR)
    assert await release.release_due() == 2
    clock.move(HOUR)
    assert await release.release_due() == 0
    assert await deliver_all(lane) == 0
    set_clock(clock, MORNING + 24 * HOUR)
    await deliver_all(lane)
    assert postbox.told() == [("cadre", "黄色"), ("grid", "黄色")]
    lines = {line.held_until for line in (await parts.alerts(status="open"))[0].deliveries if line.held}
    assert lines == {MORNING + 24 * HOUR}


async def test_what_a_channel_took_late_counts_from_when_it_took_it(parts, clock, lane, postbox, release):
    set_clock(clock, MORNING)
    await tell_many(parts, clock, lane, 3)
    postbox.broken = True
    await tell_many(parts, clock, lane, 1, first=4)
    set_clock(clock, MORNING + 12 * HOUR)
    postbox.broken = False
    await deliver_all(lane)
    set_clock(clock, MORNING + 24 * HOUR + 3 * HOUR)
    await tell_many(parts, clock, lane, 4, first=5)
    taken = sorted(at for at, who, _ in postbox.taken if who == "cadre")
    assert len(taken) == 7
    assert all(later - earlier >= 24 * HOUR for earlier, later in zip(taken, taken[4:], strict=False))


async def test_mail_and_webhook_of_one_telling_count_once(engine, clock, postbox):
    parts = Parts(engine, clock, policies=policies_of(messages_per_person=MessagesPerPerson(most=60)))
    await parts.people(make_person("cadre", webhook_url="https://hook.example/x"))
    hook = Postbox(clock)
    hook.name = ChannelName.WEBHOOK
    set_clock(clock, MORNING)
    for number in range(1, 6):
        change = make_change("yellow", "green" if number == 1 else "yellow", version=number, causes=(f"c{number}",))
        await parts.take(change)
        for channel in (postbox, hook):
            await deliver_all(parts.lane(channel))
    assert (len(postbox.taken), len(hook.taken)) == (4, 4)


async def test_an_alert_that_nobody_has_room_for_does_not_climb_before_somebody_has(parts, clock, lane, release):
    set_clock(clock, MORNING)
    await tell_many(parts, clock, lane, 4)
    await parts.take(make_change("orange", "yellow", version=5))
    tomorrow, late = MORNING + 24 * HOUR, 10 * MINUTE
    assert (await parts.alert()).acknowledge_by == tomorrow + HOUR
    # The notifier was away when there was room.
    set_clock(clock, tomorrow + late)
    assert await release.release_due() == 2
    assert (await parts.alert()).acknowledge_by == tomorrow + late + HOUR
    climber = parts.new_climber()
    set_clock(clock, tomorrow + late + HOUR - SECOND)
    assert await climber.fire_due() == 0
    clock.move(SECOND)
    assert await climber.fire_due() == 1


async def test_two_alerts_of_a_household_that_are_told_at_once_stay_within_the_cap(parts, clock, lane, postbox, act):
    set_clock(clock, MORNING)
    await parts.take(make_change("red"))
    await deliver_all(lane)
    first = (await parts.alert()).id
    await act.acknowledge(first, Caller("cadre", ""), Acknowledgement())
    await act.visit(first, Caller("cadre", ""), Visit(result="relief_given"))
    await act.resolve(first, Caller("cadre", ""), Closing(resolution="measures_done"))
    clock.move(HOUR)
    for number in range(2, 5):
        await parts.take(make_change("red", "red", version=number, causes=(f"c{number}",)))
        await deliver_all(lane)
    # One place is left for the cadre, and it is kept: a reminder and a new cause ask for it in the same moment.
    async with transaction(parts.engine) as connection:
        await connection.execute(text("UPDATE alert SET timer_at = :now"), {"now": clock.now()})
    await asyncio.gather(
        parts.take(make_change("red", "red", version=5, causes=("c5",))), parts.new_climber().fire_due()
    )
    await deliver_all(lane)
    assert max(len([1 for _, who, _ in postbox.taken if who == one]) for one in ("cadre", "grid")) <= 5


async def test_why_says_that_somebody_waited_until_when_and_what_became_of_it(parts, clock, lane):
    await parts.take(make_change("yellow"))
    reader = WhyReader(parts.engine)
    (before,) = (await reader.why("", (await parts.alert()).id)).revisions
    assert [(step.stage, step.outcome, step.code) for step in before.people[0].steps][-5:] == [
        ("cap", "passed", "day_has_room"),
        ("quiet_hours", "waited", "quiet_hours"),
        ("dedup", "passed", "newest"),
        ("pace", "passed", "budget_has_room"),
        ("receipt", "waited", "not_tried_yet"),
    ]
    set_clock(clock, MORNING)
    await deliver_all(lane)
    lines = explain(await reader.why("", (await parts.alert()).id))
    assert any("quiet_hours: quiet_hours until 2026-03-02T23:00:00.000Z" in line for line in lines)
    assert any("receipt: taken by smtp" in line for line in lines)


async def test_duty_officers_who_are_told_instead_are_left_in_peace_as_well(engine, clock):
    parts = Parts(engine, clock)
    await parts.people(make_person("cadre"), make_person("duty", "duty_officer", COUNTY))
    set_clock(clock, EVENING - 3 * HOUR)
    await parts.take(make_change("yellow"))
    set_clock(clock, EVENING)

    class Refusing(Postbox):
        async def send(self, address, message, message_id):
            return Attempt("smtp_550", permanent=True)

    await deliver_all(parts.lane(Refusing(clock)))
    lines = {line.recipient: (line.held, str(line.status)) for line in (await parts.alert()).deliveries}
    assert lines == {"cadre": (None, "failed"), "duty": ("quiet_hours", "pending")}
