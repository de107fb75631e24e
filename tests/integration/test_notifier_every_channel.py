"""Every channel against its vendor, well and in every trouble: what stands in the delivery's row, and what came in."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy import select

from services.notifier.channels.aliyun_sms import AliyunSms
from services.notifier.channels.robots import DingtalkRobot, FeishuRobot, WecomRobot
from services.notifier.channels.smtp import SmtpChannel
from services.notifier.channels.webhook import WebhookChannel
from services.notifier.channels.wecom_app import WecomApp
from services.notifier.store.rows import Contact
from services.notifier.wiring import open_channels
from shared.alerts import ChannelName
from shared.clock import SettableClock
from shared.db.session import transaction
from shared.db.tables.notifier import delivery_attempt
from tests.chaos.certificates import OPENSSL, make_certificates
from tests.fakes.notifier import NOW, SECRET, Parts, deliver_all, make_change, make_person, make_settings
from tests.fakes.smtp_receiver import smtp_in_trouble, smtp_receiver
from tests.fakes.vendors import PHONE, ROBOT_SECRET, TOKEN, USER, vendor_settings, vendors
from tests.fakes.webhook_receiver import webhook_receiver
from tests.services import until

pytestmark = pytest.mark.integration
NETWORK_TROUBLES = ("silent", "drip", "garbage", "reset", "expired", "wrong_host")
CODES = {"silent": "timeout", "drip": "timeout", "garbage": "bad_reply", "reset": "bad_reply"}


@dataclass(frozen=True)
class Vendor:
    """One channel and what its vendor says. refuses, too_fast: an answer, and how it stands in the row."""

    kind: type
    receipt: str
    refuses: tuple[str | int, str, str]
    too_fast: tuple[str | int, str]
    pause: int = 5


CONTACTS = {
    ChannelName.WECOM_ROBOT: Contact(ChannelName.WECOM_ROBOT, TOKEN),
    ChannelName.WECOM_APP: Contact(ChannelName.WECOM_APP, USER),
    ChannelName.DINGTALK: Contact(ChannelName.DINGTALK, TOKEN, ROBOT_SECRET),
    ChannelName.FEISHU: Contact(ChannelName.FEISHU, TOKEN, ROBOT_SECRET),
    ChannelName.ALIYUN_SMS: Contact(ChannelName.ALIYUN_SMS, PHONE),
    ChannelName.SMTP: Contact(ChannelName.SMTP, "cadre-1@staff.example"),
}
VENDORS = {
    ChannelName.WECOM_ROBOT: Vendor(
        WecomRobot, "wecom 0", (40058, "failed", "wecom_40058"), (45009, "wecom_45009"), pause=60
    ),
    ChannelName.WECOM_APP: Vendor(
        WecomApp, "wecom msg-1", (48002, "failed", "wecom_48002"), (45009, "wecom_45009"), pause=60
    ),
    ChannelName.DINGTALK: Vendor(
        DingtalkRobot, "dingtalk 0", (310000, "pending", "dingtalk_310000"), (130101, "dingtalk_130101"), pause=600
    ),
    ChannelName.FEISHU: Vendor(
        FeishuRobot, "feishu 0", (19024, "pending", "feishu_19024"), (11232, "feishu_11232"), pause=60
    ),
    ChannelName.ALIYUN_SMS: Vendor(
        AliyunSms,
        "aliyun biz-1",
        ("isv.AMOUNT_NOT_ENOUGH", "pending", "aliyun_isv.AMOUNT_NOT_ENOUGH"),
        ("isv.BUSINESS_LIMIT_CONTROL", "aliyun_isv.BUSINESS_LIMIT_CONTROL"),
        pause=60,
    ),
    ChannelName.WEBHOOK: Vendor(
        WebhookChannel,
        "HTTP 204",
        ("403 Forbidden", "pending", "http_403"),
        ("429 Too Many Requests\nRetry-After: 90", "http_429"),
        pause=90,
    ),
    ChannelName.SMTP: Vendor(
        SmtpChannel,
        "250 2.0.0 queued as 1",
        ("554 5.7.1 refused by policy", "pending", "smtp_554"),
        ("421 4.7.0 too many mails, try later", "smtp_421"),
    ),
}
EVERY_CHANNEL = pytest.mark.parametrize("name", VENDORS)


@dataclass
class Stage:
    """One person who is told by one channel, the channel, and its vendor."""

    parts: Parts
    clock: SettableClock
    channel: object
    fake: object

    async def tell(self):
        await deliver_all(self.parts.lane(self.channel))
        (line,) = (await self.parts.alert()).deliveries
        return line

    async def tries(self):
        async with transaction(self.parts.engine) as connection:
            rows = await connection.execute(select(delivery_attempt).order_by(delivery_attempt.c.attempt_id))
            return [(row.outcome, row.detail) for row in rows]

    def says(self, answer):
        """Let the vendor answer the next message so."""
        match self.channel.name:
            case ChannelName.SMTP:
                self.fake.data_replies = [answer]
            case ChannelName.WEBHOOK:
                self.fake.answers = [answer]
            case _:
                self.fake.codes = [answer]

    def came(self):
        """How many requests, or mails, the vendor's journal holds."""
        return len(self.fake.mails if self.channel.name is ChannelName.SMTP else self.fake.journal)


@asynccontextmanager
async def fake_of(name, clock, tls=None) -> AsyncIterator[tuple[object, dict]]:
    """The vendor of a channel, and the settings that lead to it."""
    match name:
        case ChannelName.SMTP:
            async with smtp_receiver(tls) as relay:
                yield relay, {"smtp_port": relay.port, "smtp_starttls": tls is not None}
        case ChannelName.WEBHOOK:
            async with webhook_receiver(tls) as hook:
                yield hook, {}
        case _:
            async with vendors(lambda: clock.now().timestamp(), tls) as vendor:
                yield vendor, vendor_settings(vendor.port, vendor.scheme)


@asynccontextmanager
async def staged(engine, name, clock, fake, settings) -> AsyncIterator[Stage]:
    parts = Parts(engine, clock, make_settings(**{"send_timeout_seconds": 0.4, **settings}))
    contact = Contact(name, fake.url, SECRET) if name is ChannelName.WEBHOOK else CONTACTS[name]
    await parts.people(make_person("cadre-1", email=None, contacts=[contact]))
    await parts.take(make_change("yellow"))
    channel = VENDORS[name].kind(parts.settings, clock)
    try:
        yield Stage(parts, clock, channel, fake)
    finally:
        await channel.close()


@pytest.fixture
async def stage(engine, name):
    clock = SettableClock(NOW)
    async with fake_of(name, clock) as (fake, settings), staged(engine, name, clock, fake, settings) as made:
        yield made


@EVERY_CHANNEL
async def test_what_is_taken_is_sent_and_its_receipt_is_kept(stage, name):
    line = await stage.tell()
    assert (line.status, line.detail, line.receipt, line.attempts) == ("sent", "sent", VENDORS[name].receipt, 1)
    # WeCom's application fetches its token first.
    assert stage.came() == (2 if name is ChannelName.WECOM_APP else 1)


@EVERY_CHANNEL
async def test_a_refusal_leaves_the_vendors_code_and_is_tried_again_unless_it_is_for_good(stage, name):
    answer, status, code = VENDORS[name].refuses
    stage.says(answer)
    line = await stage.tell()
    assert (line.status, line.detail, line.receipt) == (status, code, None)
    stage.clock.move(timedelta(hours=1))
    line = await stage.tell()
    last = ("sent", "sent") if status == "pending" else ("failed", code)
    assert (line.status, line.detail) == last
    assert await stage.tries() == ([("retry", code), last] if status == "pending" else [last])


@EVERY_CHANNEL
async def test_a_vendor_that_is_called_too_fast_is_left_alone_for_as_long_as_it_wants(stage, name):
    answer, code = VENDORS[name].too_fast
    stage.says(answer)
    line = await stage.tell()
    assert (line.status, line.detail) == ("pending", code)
    before = stage.came()
    stage.clock.move(timedelta(seconds=VENDORS[name].pause - 1))
    assert (await stage.tell()).status == "pending"
    assert stage.came() == before
    stage.clock.move(timedelta(seconds=2))
    line = await stage.tell()
    assert (line.status, await stage.tries()) == ("sent", [("retry", code), ("sent", "sent")])


@pytest.mark.skipif(OPENSSL is None, reason="there is no openssl program here")
@EVERY_CHANNEL
@pytest.mark.parametrize("trouble", NETWORK_TROUBLES)
async def test_a_vendor_in_trouble_leaves_its_code_and_gets_the_message_when_it_is_well(
    engine, tmp_path, name, trouble
):
    certificates, clock = make_certificates(tmp_path), SettableClock(NOW)
    tls = certificates.contexts.get(trouble)
    code = "tls" if tls else CODES[trouble]
    if name is ChannelName.SMTP and trouble == "reset":
        code = "disconnected"
    async with AsyncExitStack() as stack:
        if name is ChannelName.SMTP and not tls:
            fake = await stack.enter_async_context(smtp_in_trouble(trouble))
            settings = {"smtp_port": fake.port}
        else:
            fake, settings = await stack.enter_async_context(fake_of(name, clock, tls))
            if not tls:
                fake.always = trouble
        trust = {"vendor_ca_file": str(certificates.ca_file), "smtp_ca_file": str(certificates.ca_file)}
        # Long enough for a slow machine to reach the vendor, and where the answer is what counts, also to read it.
        deadline = {"send_timeout_seconds": 2.0 if code == "timeout" else 15.0}
        made = await stack.enter_async_context(staged(engine, name, clock, fake, {**settings, **trust, **deadline}))
        line = await made.tell()
        assert (line.status, line.detail, line.receipt) == ("pending", code, None)
        if not tls:
            assert fake.journal, "the vendor was reached"
        well, settings = await stack.enter_async_context(fake_of(name, clock))
        again = make_settings(**settings)
        if name is ChannelName.WEBHOOK:
            contact = Contact(name, well.url, SECRET)
            await made.parts.people(make_person("cadre-1", email=None, contacts=[contact]))
        channel = VENDORS[name].kind(again, clock)
        stack.push_async_callback(channel.close)
        clock.move(timedelta(hours=1))
        line = await Stage(made.parts, clock, channel, well).tell()
        assert (line.status, line.receipt) == ("sent", VENDORS[name].receipt)
        assert await made.tries() == [("retry", code), ("sent", "sent")]


@EVERY_CHANNEL
async def test_a_vendor_that_is_silent_holds_no_other_channel_and_no_other_household(engine, name):
    """One message hangs; another household's by the same channel, and all by other channels, arrive meanwhile."""
    async with AsyncExitStack() as stack:
        vendor = await stack.enter_async_context(vendors(NOW.timestamp))
        hook = await stack.enter_async_context(webhook_receiver())
        relay = await stack.enter_async_context(smtp_receiver())
        settings = {**vendor_settings(vendor.port), "smtp_port": relay.port, "send_timeout_seconds": 30.0}
        parts = Parts(engine, SettableClock(NOW), make_settings(**settings))
        ways = {**CONTACTS, ChannelName.WEBHOOK: Contact(ChannelName.WEBHOOK, hook.url, SECRET)}
        await parts.people(make_person("cadre-1", email=None, contacts=[ways[name]]))
        await parts.take(make_change("red", household_id="hangs"))
        channels = {one.name: one for one in await open_channels(stack, parts.settings, parts.clock)}
        lanes = {channel: parts.lane(one) for channel, one in channels.items()}
        _let_next_hang(name, vendor, hook, relay)
        assert await lanes[name].start_due() == 1
        came = {ChannelName.SMTP: lambda: relay.hung, ChannelName.WEBHOOK: lambda: hook.journal}
        await until(_tells(came.get(name, lambda: vendor.answers == [] and vendor.journal)), 10)
        await parts.people(
            make_person("cadre-1", email=None, active=False, contacts=[ways[name]]),
            *(make_person(f"by-{channel}", email=None, contacts=[ways[channel]]) for channel in ways),
        )
        await parts.take(make_change("yellow", household_id="goes"))

        async def all_arrived():
            await asyncio.gather(*(lane.start_due() for lane in lanes.values()))
            (alert,) = await parts.alerts(household_id="goes")
            return len(alert.deliveries) == len(ways) and {line.status for line in alert.deliveries} == {"sent"}

        await until(all_arrived, 20)
        (first,) = await parts.alerts(household_id="hangs")
        assert [line.status for line in first.deliveries] == ["pending"]
        for lane in lanes.values():
            await lane.finish(0)


def _let_next_hang(name, vendor, hook, relay):
    match name:
        case ChannelName.SMTP:
            relay.to_hang = 1
        case ChannelName.WEBHOOK:
            hook.answers = ["silent"]
        case ChannelName.WECOM_APP:
            # Its token comes; the message hangs.
            vendor.answers = [None, "silent"]
        case _:
            vendor.answers = ["silent"]


def _tells(look):
    async def condition():
        return bool(look())

    return condition
