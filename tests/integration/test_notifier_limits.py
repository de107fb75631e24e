"""Next channels and limits on a real database: who is told by what, how often, and never twice by two replicas."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select

from services.notifier.act_on_alert import ActOnAlert
from services.notifier.auth import Caller
from services.notifier.channels.robots import DingtalkRobot, WecomRobot
from services.notifier.pass_on import PassOn
from services.notifier.store.acting import Acts
from services.notifier.store.fallbacks import Fallbacks
from services.notifier.store.rows import Contact
from shared.alerts import Acknowledgement, ChannelName
from shared.clock import SettableClock
from shared.db.session import transaction
from shared.db.tables.notifier import contact
from tests.fakes.notifier import (
    NOW,
    PROVINCE,
    VILLAGE,
    WORDING,
    Parts,
    deliver_all,
    make_change,
    make_person,
    make_settings,
    nobody_waits,
    statuses,
)
from tests.fakes.vendors import ROBOT_SECRET, TOKEN, vendor_settings, vendors

pytestmark = pytest.mark.integration

ROBOT = Contact(ChannelName.WECOM_ROBOT, TOKEN)
DING = Contact(ChannelName.DINGTALK, TOKEN, ROBOT_SECRET)
PHONE = Contact(ChannelName.ALIYUN_SMS, "13800000000")


@pytest.fixture
def clock():
    return SettableClock(NOW)


@pytest.fixture
async def vendor(clock):
    async with vendors(lambda: clock.now().timestamp()) as running:
        yield running


@pytest.fixture
def parts(engine, clock, vendor):
    settings = make_settings(**vendor_settings(vendor.port), lease_seconds=30.0)
    return Parts(engine, clock, settings, policies=nobody_waits())


@pytest.fixture
async def lanes(parts):
    channels = [kind(parts.settings, parts.clock) for kind in (WecomRobot, DingtalkRobot)]
    yield [parts.lane(channel) for channel in channels]
    for channel in channels:
        await channel.close()


@pytest.fixture
def look(parts, clock):
    return PassOn(Fallbacks(parts.engine), clock, parts.metrics, lambda: None)


def by_robots(*contacts, **values):
    return make_person("cadre-1", email=None, contacts=contacts, **values)


async def lines_of(parts):
    return {line.channel: (str(line.status), line.routed_as, line.detail) for line in (await parts.alert()).deliveries}


async def test_a_receiver_that_is_gone_hands_over_to_the_next_channel_and_is_not_used_again(parts, lanes, vendor):
    wecom, dingtalk = lanes
    await parts.people(by_robots(ROBOT, DING, PHONE), make_person("duty", "duty_officer", PROVINCE))
    await parts.take(make_change("yellow"))
    assert set(await lines_of(parts)) == {"wecom_robot"}
    vendor.codes = [93000]
    await deliver_all(wecom)
    await deliver_all(dingtalk)
    assert await lines_of(parts) == {
        "wecom_robot": ("failed", "role", "wecom_93000"),
        "dingtalk": ("sent", "fallback", "sent"),
    }
    await parts.take(make_change("yellow", household_id="H-2"))
    second = next(one for one in await parts.alerts() if one.household_id == "H-2")
    assert set(statuses(second)) == {("cadre-1", ChannelName.DINGTALK)}


async def test_when_the_last_channel_fails_for_good_the_duty_officer_is_told(parts, lanes, vendor):
    await parts.people(by_robots(ROBOT, DING), make_person("duty", "duty_officer", PROVINCE))
    await parts.take(make_change("red"))
    vendor.codes = [93000, 300001]
    for lane in lanes:
        await deliver_all(lane)
    assert set(statuses(await parts.alert())) == {
        ("cadre-1", ChannelName.WECOM_ROBOT),
        ("cadre-1", ChannelName.DINGTALK),
        ("duty", ChannelName.SMTP),
    }


async def test_an_urgent_message_is_handed_on_after_3_attempts_or_60_seconds_once(parts, lanes, look, clock, vendor):
    vendor.codes = [-1] * 50
    await parts.people(by_robots(ROBOT, DING, PHONE))
    await parts.take(make_change("red"))
    for wait in (5, 30):
        await deliver_all(lanes[0])
        assert not await look.once()
        clock.move(timedelta(seconds=wait))
    await deliver_all(lanes[0])
    looks = await asyncio.gather(*(look.once() for _ in range(4)))
    assert sum(looks) == 1
    assert set(await lines_of(parts)) == {"wecom_robot", "dingtalk"}
    clock.move(timedelta(seconds=59))
    assert not await look.once()
    clock.move(timedelta(seconds=1))
    assert await look.once()
    assert not await look.once()
    assert (await lines_of(parts))["aliyun_sms"] == ("pending", "fallback", None)
    assert parts.metric("fallbacks_total") == 2


@pytest.mark.parametrize(("grade", "acknowledged"), [("yellow", False), ("orange", True)])
async def test_what_is_not_urgent_or_taken_on_is_not_handed_on(parts, lanes, look, clock, vendor, grade, acknowledged):
    vendor.codes = [-1]
    await parts.people(by_robots(ROBOT, DING))
    await parts.take(make_change(grade))
    if acknowledged:
        act = ActOnAlert(Acts(parts.engine), clock, parts.policies, WORDING)
        await act.acknowledge((await parts.alert()).id, Caller("cadre-1", VILLAGE), Acknowledgement())
    clock.move(timedelta(minutes=10))
    assert not await look.once()
    assert set(await lines_of(parts)) == {"wecom_robot"}


async def test_three_replicas_together_stay_within_the_robots_limit_worst_first(parts, vendor, clock):
    """60 people in one group, 20 of them told of a red alert: 18 a minute leave, and DingTalk never has to refuse."""
    villages = await parts.villages(60)
    await parts.people(*(make_person(f"c-{code}", division=code, email=None, contacts=(DING,)) for code in villages))
    cases = zip(["yellow", "orange", "red"] * 20, villages, strict=True)
    await parts.take(*(make_change(grade, household_id=f"H-{code}", division=code) for grade, code in cases))
    channels = [DingtalkRobot(parts.settings, clock) for _ in range(3)]
    lanes = [parts.lane(channel, f"replica-{number}") for number, channel in enumerate(channels)]
    taken = []
    for _ in range(4):
        await asyncio.gather(*(deliver_all(lane) for lane in lanes))
        taken.append(len(vendor.texts))
        clock.move(timedelta(seconds=59))
        assert not sum([await deliver_all(lane) for lane in lanes])
        clock.move(timedelta(seconds=1))
    for channel in channels:
        await channel.close()
    assert taken == [18, 36, 54, 60]
    assert all("红" in text for text in vendor.texts[:18])
    assert all("黄" in text for text in vendor.texts[40:])
    assert vendor.silenced_until == 0


async def test_a_robot_that_called_us_too_fast_is_left_alone_for_as_long_as_it_says(parts, lanes, vendor, clock):
    """Somebody else writes into the same group too, so that the vendor's count is not ours."""
    villages = await parts.villages(4)
    await parts.people(*(make_person(f"c-{code}", division=code, email=None, contacts=(DING,)) for code in villages))
    await parts.take(*(make_change("red", household_id=f"H-{code}", division=code) for code in villages))
    vendor.per_minute = 1
    while await deliver_all(lanes[1]):
        pass
    refused = len(vendor.journal)
    clock.move(timedelta(seconds=599))
    assert await deliver_all(lanes[1]) == 0
    vendor.per_minute = 20
    clock.move(timedelta(seconds=62))
    assert await deliver_all(lanes[1]) == 3
    assert len(vendor.journal) == refused + 3
    assert len(vendor.texts) == 4


async def test_a_dead_worker_costs_the_limit_but_no_message(parts, lanes, vendor, clock):
    await parts.people(by_robots(ROBOT))
    await parts.take(make_change("red"))
    lease = timedelta(seconds=30)
    (lost,) = await parts.claims.claim(ChannelName.WECOM_ROBOT, "dead", now=clock.now(), lease=lease, most=8, busy=[])
    assert lost.address == TOKEN
    assert TOKEN not in repr(lost) + lost.target
    clock.move(timedelta(seconds=31))
    assert await deliver_all(lanes[0]) == 1
    assert len(vendor.texts) == 1


async def test_a_contact_that_was_taken_from_the_list_hands_over_too(parts, lanes, vendor):
    await parts.people(by_robots(ROBOT, DING))
    await parts.take(make_change("red"))
    async with transaction(parts.engine) as connection:
        await connection.execute(contact.delete().where(contact.c.channel == "wecom_robot"))
    for lane in lanes:
        await deliver_all(lane)
    assert await lines_of(parts) == {
        "wecom_robot": ("failed", "role", "no_address"),
        "dingtalk": ("sent", "fallback", "sent"),
    }
    async with transaction(parts.engine) as connection:
        assert len((await connection.execute(select(contact))).all()) == 1
