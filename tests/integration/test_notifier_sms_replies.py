"""From a text message to an acknowledgement by reply, over real HTTP both ways: once, by that person, of that alert."""

import asyncio
import re
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import insert, select
from structlog.testing import capture_logs

from deploy.local.unpaced import write_unpaced_policies
from services.notifier.channels.aliyun_sms import AliyunSms
from services.notifier.console.auth import Passwords
from services.notifier.core.sms_replies import ReplyOutcome, code_of
from services.notifier.store.rows import Contact
from services.notifier.store.sms_replies import REMEMBERED, SmsReplies
from shared.alerts import ChannelName
from shared.clock import SettableClock
from shared.db.session import transaction
from shared.db.tables.notifier import reply_code, sms_reply
from shared.http.protocol_limits import HttpLimits
from shared.lifecycle import http_server
from shared.metrics import ServiceMetrics
from tests.corpus.real import serving
from tests.fakes.notifier import NOW, OTHER_VILLAGE, deliver_all, make_change, make_person, make_settings
from tests.fakes.vendors import PHONE, reply_of, vendor_settings, vendors
from tests.integration.test_notifier_console import House

pytestmark = pytest.mark.integration
SECRET = "s" * 32
BY_PHONE = Contact(ChannelName.ALIYUN_SMS, PHONE)


def cadre(**values):
    return make_person("cadre-1", contacts=[BY_PHONE], **values)


@pytest.fixture
async def vendor():
    async with vendors(NOW.timestamp) as running:
        running.template = (*running.template, "reply")
        yield running


@pytest.fixture
async def house(engine, vendor, tmp_path):
    # Each alert in a text message of its own: a digest has no code.
    policies = write_unpaced_policies(tmp_path / "policies")
    settings = make_settings(**vendor_settings(vendor.port), sms_reply_secret=SECRET, policies=policies)
    passwords = Passwords()
    made = House(engine, SettableClock(NOW), settings, passwords, None)
    passwords.close()
    await made.parts.people(cadre(), make_person("grid-1", "grid"))
    return made


@pytest.fixture
async def push(house, vendor):
    """Pass replies on to the notifier, as the vendor does."""
    server = http_server(house.app, "127.0.0.1", 0, HttpLimits(), ServiceMetrics("tests", CollectorRegistry()))
    async with serving(server) as url:

        async def push(*replies):
            return await vendor.push(f"{url}/v1/sms-replies/{SECRET}", *replies)

        yield push


async def text(house, vendor):
    """Send what is due as text messages; the code that each of them carries, oldest first."""
    before = len(vendor.texts)
    channel = AliyunSms(house.settings, house.clock)
    await deliver_all(house.parts.lane(channel))
    await channel.close()
    return re.findall(r"回复“1 (\w{4})”签收", " ".join(vendor.texts[before:]))


async def told(house, vendor, *households):
    """Open an alert of each household and send its text message; the codes by household."""
    codes = {}
    for household in households:
        await house.parts.take(make_change("red", household_id=household))
        (codes[household],) = await text(house, vendor)
        house.clock.move(timedelta(seconds=1))
    return codes


async def owners(house):
    return {alert.household_id: alert.owner for alert in await house.parts.alerts()}


async def steps(house, household):
    (alert,) = await house.parts.alerts(household_id=household)
    detail = await house.parts.reader.one("", alert.id)
    return [(step.kind, step.actor, step.reason) for step in detail.timeline[1:]]


def counted(house):
    name = "shouwang_notifier_sms_replies_total"
    values = {one: house.registry.get_sample_value(name, {"outcome": one}) for one in ReplyOutcome}
    return {str(one): int(value) for one, value in values.items() if value}


async def test_a_reply_with_the_code_acknowledges_that_alert_as_that_person(house, vendor, push):
    codes = await told(house, vendor, "H-1", "H-2")
    assert len(set(codes.values())) == 2
    assert await push(reply_of(1, f"1 {codes['H-2']}"))
    assert await owners(house) == {"H-1": None, "H-2": "cadre-1"}
    assert await steps(house, "H-2") == [("acknowledged", "cadre-1", "sms_reply")]
    assert counted(house) == {"acknowledged": 1}


async def test_1_alone_acknowledges_the_only_open_alert(house, vendor, push):
    await told(house, vendor, "H-1")
    assert await push(reply_of(1, "1", f"+86{PHONE}"))
    assert await owners(house) == {"H-1": "cadre-1"}


async def test_1_alone_with_two_open_alerts_takes_on_neither_and_both_timelines_say_so(house, vendor, push):
    codes = await told(house, vendor, "H-1", "H-2")
    assert await push(reply_of(1, "1"))
    assert await owners(house) == {"H-1": None, "H-2": None}
    unclear = [("reply_unclear", "cadre-1", None)]
    assert await steps(house, "H-1") == await steps(house, "H-2") == unclear
    assert await push(reply_of(2, f"签收{codes['H-1']}"), reply_of(3, "1"))
    assert await owners(house) == {"H-1": "cadre-1", "H-2": "cadre-1"}
    assert counted(house) == {"code_needed": 1, "acknowledged": 2}


async def test_1_alone_does_not_mean_an_alert_whose_text_message_never_came(house, vendor, push):
    await told(house, vendor, "H-1")
    vendor.codes = ["isv.MOBILE_NUMBER_ILLEGAL"]
    await house.parts.take(make_change("red", household_id="H-2"))
    assert await text(house, vendor) == []
    await house.parts.people(cadre())
    assert await push(reply_of(1, "1"))
    assert await owners(house) == {"H-1": "cadre-1", "H-2": None}


async def test_1_alone_may_mean_an_alert_whose_text_message_came_although_the_vendors_answer_was_lost(
    house, vendor, push
):
    await told(house, vendor, "H-1")
    vendor.answers = ["reset"]
    await house.parts.take(make_change("red", household_id="H-2"))
    await text(house, vendor)
    assert await push(reply_of(1, "1"))
    assert await owners(house) == {"H-1": None, "H-2": None}
    assert counted(house) == {"code_needed": 1}


async def test_a_reply_that_is_passed_on_again_does_nothing_whatever_happened_since(house, vendor, push):
    codes = await told(house, vendor, "H-1")
    await push(reply_of("77", "1"))
    (alert,) = await house.parts.alerts()
    async with await house.key() as key:
        for path, body in (("visit", {"result": "stable"}), ("resolve", {"resolution": "mistaken"})):
            assert (await key.post(f"/v1/alerts/{alert.id}/{path}", json=body)).status_code == 200
        assert (await key.post(f"/v1/alerts/{alert.id}/reopen", json={"note": "又来"})).status_code == 200
    await told(house, vendor, "H-2")
    assert await push(reply_of("77", "1"), reply_of(77, f"1 {codes['H-1']}"))
    assert await owners(house) == {"H-1": None, "H-2": None}
    assert counted(house) == {"acknowledged": 1, "repeated": 2}
    assert await push(reply_of("78", f"1 {codes['H-1']}"))
    assert await owners(house) == {"H-1": "cadre-1", "H-2": None}


async def test_a_reply_that_comes_twice_at_once_acts_once(house, vendor, push):
    await told(house, vendor, "H-1")
    assert all(await asyncio.gather(*(push(reply_of(5, "1")) for _ in range(4))))
    assert await steps(house, "H-1") == [("acknowledged", "cadre-1", "sms_reply")]
    assert counted(house) == {"acknowledged": 1, "repeated": 3}


@pytest.mark.parametrize(
    ("content", "phone", "outcome"),
    [
        ("1", "13900000001", "unknown_phone"),
        ("1", "1390000****", "unknown_phone"),
        ("1 XXXX", PHONE, "unknown_code"),
        ("好的，马上去", PHONE, "not_understood"),
        ("1", "", "unknown_phone"),
        ("x" * 100_000, PHONE, "not_understood"),
        (None, PHONE, "unreadable"),
    ],
)
async def test_whatever_else_comes_does_nothing_and_is_counted(house, vendor, push, content, phone, outcome):
    await told(house, vendor, "H-1")
    with capture_logs() as logs:
        assert await push(reply_of(9, content, phone))
    assert await owners(house) == {"H-1": None}
    assert await steps(house, "H-1") == []
    assert counted(house) == {outcome: 1}
    assert outcome in str(logs)
    assert not re.search(r"1[39]\d{5,}|马上|XXXX|xxxx", str(logs))


async def test_an_alert_that_somebody_else_holds_or_that_is_over_stays_as_it_is(house, vendor, push):
    codes = await told(house, vendor, "H-1")
    (alert,) = await house.parts.alerts()
    async with await house.key() as key:
        await key.post(f"/v1/alerts/{alert.id}/visit", json={"result": "stable"})
        await push(reply_of(1, f"1 {codes['H-1']}"), reply_of(2, "1"))
        await key.post(f"/v1/alerts/{alert.id}/resolve", json={"resolution": "mistaken"})
    await push(reply_of(3, f"1 {codes['H-1']}"))
    (after,) = await house.parts.alerts()
    assert (after.status, after.owner.partition(":")[0]) == ("resolved", "key")
    assert counted(house) == {"refused": 2, "nothing_open": 1}


async def test_the_owner_of_an_alert_that_became_worse_takes_the_worse_on_by_1_alone(house, vendor, push):
    await house.parts.take(make_change("orange"))
    (code,) = await text(house, vendor)
    await push(reply_of(1, "1"), reply_of(2, "1"), reply_of(3, f"1 {code}"))
    assert counted(house) == {"acknowledged": 1, "nothing_open": 1, "already_held": 1}
    await house.parts.take(make_change("red", "orange", version=2))
    assert await text(house, vendor) == [code]
    await push(reply_of(4, "1"))
    assert [step[0] for step in await steps(house, "H-1024")] == ["acknowledged", "worsened", "acknowledged"]


async def test_a_person_who_left_or_moved_acknowledges_nothing(house, vendor, push):
    codes = await told(house, vendor, "H-1")
    for number, person in enumerate((cadre(active=False), cadre(division=OTHER_VILLAGE))):
        await house.parts.people(person)
        await push(reply_of(number, f"1 {codes['H-1']}"))
    assert await owners(house) == {"H-1": None}
    assert counted(house) == {"unknown_phone": 1, "refused": 1}


async def test_a_text_message_about_an_ending_asks_for_no_reply(house, vendor):
    await told(house, vendor, "H-1")
    await house.parts.take(make_change("green", "red", household_id="H-1", version=2, kind="replay"))
    assert await text(house, vendor) == []
    assert "预警撤销" in vendor.texts[-1]
    assert "无需回复" in vendor.texts[-1]


async def test_a_code_that_the_person_has_already_is_not_given_to_another_alert(house, vendor):
    await told(house, vendor, "H-1", "H-2")
    first, second = sorted(await house.parts.alerts(), key=lambda alert: alert.opened_at)
    async with transaction(house.engine) as connection:
        await connection.execute(reply_code.delete())
        taken = {"staff_id": "cadre-1", "code": code_of("cadre-1", second.id, 0), "alert_id": first.id}
        await connection.execute(insert(reply_code).values(taken))
    replies = SmsReplies(house.engine)
    codes = await asyncio.gather(*(replies.code("cadre-1", second.id) for _ in range(3)))
    assert codes == [code_of("cadre-1", second.id, 1)] * 3
    assert await replies.code("cadre-1", first.id) == taken["code"]


async def test_what_is_kept_of_a_reply_is_its_name_and_outcome_and_that_for_a_month(house, vendor, push):
    await push(reply_of(1, "1"))
    house.clock.move(REMEMBERED + timedelta(seconds=1))
    await push(reply_of(2, "好"))
    async with transaction(house.engine) as connection:
        rows = [tuple(row) for row in await connection.execute(select(sms_reply))]
    assert rows == [("2", house.clock.now(), "not_understood")]


async def test_a_digest_by_text_message_asks_for_no_code_but_leads_to_the_page(house, vendor):
    for household in ("H-1", "H-2"):
        await house.parts.take(make_change("red", household_id=household))

    assert await text(house, vendor) == []
    assert "请点开链接逐户签收" in vendor.texts[-1]
