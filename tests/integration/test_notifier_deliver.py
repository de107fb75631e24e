"""Alerts reach people over real SMTP and HTTP, also past refusals, slow receivers, crashes and restarts."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text
from standardwebhooks.webhooks import Webhook

from services.notifier.act_on_alert import ActOnAlert
from services.notifier.auth import Caller
from services.notifier.channels.smtp import SmtpChannel
from services.notifier.channels.webhook import WebhookChannel
from services.notifier.core.retries import Attempt
from services.notifier.deliver import Deliver
from services.notifier.store.acting import Acts
from services.notifier.store.why import WhyReader
from services.notifier.try_channels import try_channels
from services.notifier.why import explain
from shared.alerts import Acknowledgement, ChannelName, StepKind
from shared.clock import SettableClock
from shared.db.session import transaction
from shared.db.tables.notifier import delivery, delivery_attempt
from tests.fakes.notifier import (
    PROVINCE,
    SECRET,
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
from tests.fakes.smtp_receiver import smtp_receiver
from tests.fakes.webhook_receiver import webhook_receiver

pytestmark = pytest.mark.integration


@pytest.fixture
def clock():
    # Near the real time, because receivers judge the age of a signature by their own clocks.
    return SettableClock(datetime.now(UTC).replace(microsecond=0))


@pytest.fixture
async def relay():
    async with smtp_receiver() as receiver:
        yield receiver


@pytest.fixture
async def hook():
    async with webhook_receiver() as receiver:
        yield receiver


@pytest.fixture
def parts(engine, clock, relay):
    settings = make_settings(smtp_port=relay.port, send_timeout_seconds=0.6, lease_seconds=30.0)
    return Parts(engine, clock, settings, policies=nobody_waits())


@pytest.fixture
async def mail(parts):
    channel = SmtpChannel(parts.settings, parts.clock)
    yield parts.lane(channel)
    await channel.close()


@pytest.fixture
async def web(parts):
    channel = WebhookChannel(parts.settings, parts.clock)
    yield parts.lane(channel)
    await channel.close()


def by_webhook(receiver, staff_id="cadre-1", **values):
    return make_person(staff_id, email=None, webhook_url=receiver.url, **values)


async def line_of(parts):
    """The only delivery."""
    (line,) = (await parts.alert()).deliveries
    return line


async def attempts(parts):
    async with transaction(parts.engine) as connection:
        rows = await connection.execute(select(delivery_attempt).order_by(delivery_attempt.c.attempt_id))
        return [(row.outcome, row.detail) for row in rows]


async def test_a_mail_arrives_in_chinese_and_its_receipt_is_kept(parts, mail, relay):
    await parts.people(make_person("cadre-1"))
    await parts.take(make_change("red", alias="梨花家"))
    assert await deliver_all(mail) == 1
    (got,) = relay.to("cadre-1@staff.example")
    assert got["Subject"] == "【守望】红色预警 ▲ 某村 户 梨花家 请在2小时内签收"
    assert "http://console.test/alerts/" in got.get_content()
    line = await line_of(parts)
    assert (line.status, line.attempts, line.receipt) == ("sent", 1, "250 2.0.0 queued as 1")
    assert parts.metric("deliveries_total", outcome="sent") == 1
    assert parts.metric("delivery_seconds_count") == 1


async def test_many_mails_share_a_few_connections(parts, mail, relay):
    villages = await parts.villages(40)
    await parts.people(*(make_person(f"cadre-{code}", division=code) for code in villages))
    await parts.take(*(make_change("red", household_id=f"H-{code}", division=code) for code in villages))
    assert await deliver_all(mail) == 40
    assert len(relay.mails) == 40
    assert relay.connections <= parts.settings.delivery_parallel


async def test_a_webhook_is_signed_as_library_and_plain_hmac_expect(parts, web, hook):
    await parts.people(by_webhook(hook))
    await parts.take(make_change("red"))
    await deliver_all(web)
    (request,) = hook.journal
    Webhook(SECRET).verify(request.body, request.headers)
    signed = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.body
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    digest = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert request.headers["webhook-signature"] == f"v1,{digest}"
    body = json.loads(request.body)
    assert (body["household_id"], body["grade"], body["revision"]) == ("H-1024", "red", 1)
    assert "reasons" not in body
    assert (await line_of(parts)).receipt == "HTTP 204"


async def test_everybody_is_told_by_all_channels_they_have(parts, mail, web, relay, hook):
    await parts.people(make_person("cadre-1", webhook_url=hook.url), make_person("grid-1", "grid"))
    await parts.take(make_change("yellow"))
    await deliver_all(mail)
    await deliver_all(web)
    assert set(statuses(await parts.alert())) == {
        ("cadre-1", ChannelName.SMTP),
        ("cadre-1", ChannelName.WEBHOOK),
        ("grid-1", ChannelName.SMTP),
    }
    assert (len(relay.mails), len(hook.journal)) == (2, 1)


async def test_the_worst_grade_leaves_first(parts, mail, relay):
    grades = ("yellow", "orange", "red", "yellow", "red")
    villages = await parts.villages(len(grades))
    await parts.people(*(make_person(f"cadre-{code}", division=code) for code in villages))
    cases = zip(grades, villages, strict=True)
    await parts.take(*(make_change(grade, household_id=f"H-{code}", division=code) for grade, code in cases))
    single = Deliver(
        SmtpChannel(one := parts.settings.model_copy(update={"delivery_parallel": 1}), parts.clock),
        parts.claims,
        parts.leases,
        parts.deliveries,
        parts.clock,
        parts.metrics,
        one,
        "worker",
    )
    await deliver_all(single)
    await single._channel.close()
    subjects = [str(got["Subject"]) for got in relay.mails]
    assert ["红" in subject for subject in subjects] == [True, True, False, False, False]
    assert "橙" in subjects[2]


async def test_a_worker_that_dies_after_claiming_leaves_the_delivery_to_the_next(parts, web, hook, clock):
    """kill -9 between claim and send: the lease expires, another worker sends."""
    await parts.people(by_webhook(hook))
    await parts.take(make_change("red"))
    now = clock.now()
    (lost,) = await parts.claims.claim(
        ChannelName.WEBHOOK, "dead", now=now, lease=timedelta(seconds=30), most=8, busy=[]
    )
    assert await deliver_all(web) == 0
    clock.move(timedelta(seconds=29))
    assert await deliver_all(web) == 0
    clock.move(timedelta(seconds=2))
    assert await deliver_all(web) == 1
    assert hook.ids() == [lost.message_id]
    assert (await line_of(parts)).attempts == 1


class Held:
    """A channel that takes its time with one message."""

    name = ChannelName.WEBHOOK

    def __init__(self) -> None:
        self.begun, self.let_go, self.sends = asyncio.Event(), asyncio.Event(), 0

    async def send(self, *_: object) -> Attempt:
        self.sends += 1
        self.begun.set()
        await self.let_go.wait()
        return Attempt("http_204", receipt="taken")

    async def close(self) -> None: ...


async def test_a_message_that_is_long_under_way_stays_with_the_replica_that_sends_it(parts, hook):
    await parts.people(by_webhook(hook))
    await parts.take(make_change("red"))
    settings = parts.settings.model_copy(update={"lease_seconds": 1.0})
    now, slow, stop = SettableClock(parts.clock.now()), Held(), asyncio.Event()

    def lane(worker: str) -> Deliver:
        return Deliver(slow, parts.claims, parts.leases, parts.deliveries, now, parts.metrics, settings, worker)

    running = asyncio.create_task(lane("replica-1").run(stop))
    await slow.begun.wait()
    for _ in range(6):
        await asyncio.sleep(0.4)
        now.move(timedelta(seconds=0.4))
        assert await lane("replica-2").start_due() == 0
    slow.let_go.set()
    stop.set()
    await running
    assert slow.sends == 1
    assert (await line_of(parts)).status == "sent"


async def test_a_worker_that_dies_after_sending_makes_a_repeat_under_the_same_id(parts, web, hook, clock):
    await parts.people(by_webhook(hook))
    await parts.take(make_change("red"))

    async def dies(*_: object) -> None:
        return None

    web._sent.store = dies
    await deliver_all_once(web)
    clock.move(timedelta(seconds=31))
    again = parts.lane(web._channel, "worker-2")
    await deliver_all(again)
    assert len(hook.journal) == 2
    assert len(set(hook.ids())) == 1
    assert hook.journal[0].body == hook.journal[1].body
    assert (await line_of(parts)).status == "sent"


async def deliver_all_once(lane):
    assert await lane.start_due()
    await lane.finish(10)


async def test_replicas_never_send_one_delivery_twice(parts, hook):
    villages = await parts.villages(60)
    await parts.people(*(by_webhook(hook, f"cadre-{code}", division=code) for code in villages))
    await parts.take(*(make_change("red", household_id=f"H-{code}", division=code) for code in villages))
    channels = [WebhookChannel(parts.settings, parts.clock) for _ in range(3)]
    lanes = [parts.lane(channel, f"replica-{number}") for number, channel in enumerate(channels)]
    await asyncio.gather(*(deliver_all(lane) for lane in lanes))
    for channel in channels:
        await channel.close()
    assert len(hook.ids()) == len(set(hook.ids())) == 60


async def test_a_zombie_past_its_lease_cannot_undo_what_the_next_worker_did(parts, web, hook, clock):
    await parts.people(by_webhook(hook))
    await parts.take(make_change("red"))
    (zombie,) = await parts.claims.claim(
        ChannelName.WEBHOOK, "zombie", now=clock.now(), lease=timedelta(seconds=30), most=8, busy=[]
    )
    clock.move(timedelta(seconds=31))
    await deliver_all(web)
    failed = web._judge(zombie, attempt := _failed(), True, clock.now())
    await parts.deliveries.conclude(zombie, attempt, failed, clock.now())
    assert (await line_of(parts)).status == "sent"


def _failed():
    return Attempt("http_500")


async def test_the_retry_schedule_lives_in_the_database_and_survives_restarts(parts, hook, clock):
    """5 s, 30 s, 2 min, 10 min, then every 30 min; each try by a new process with nothing in memory."""
    await parts.people(by_webhook(hook))
    await parts.take(make_change("red"))
    hook.always = "500 Broken"
    for wait in (0, 5, 30, 120, 600, 1800, 1800):
        if wait:
            clock.move(timedelta(seconds=wait - 1))
            assert await _restarted(parts) == 0
            clock.move(timedelta(seconds=1))
        assert await _restarted(parts) == 1
    hook.always = None
    clock.move(timedelta(seconds=1800))
    assert await _restarted(parts) == 1
    line = await line_of(parts)
    assert (line.status, line.attempts) == ("sent", 8)
    assert len(hook.journal) == 8
    assert len(set(hook.ids())) == 1
    assert await attempts(parts) == [("retry", "http_500")] * 7 + [("sent", "sent")]


async def _restarted(parts):
    channel = WebhookChannel(parts.settings, parts.clock)
    try:
        return await deliver_all(parts.lane(channel))
    finally:
        await channel.close()


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("500 Broken", "http_500"),
        ("404 Not Found", "http_404"),
        ("302 Found\nLocation: http://127.0.0.1:1/", "http_302"),
        ("garbage", "bad_reply"),
        ("reset", "bad_reply"),
        ("cut", "bad_reply"),
        ("silent", "timeout"),
        ("drip", "timeout"),
    ],
)
async def test_a_webhook_that_does_not_answer_properly_is_tried_again(parts, web, hook, answer, code):
    await parts.people(by_webhook(hook))
    await parts.take(make_change("red"))
    hook.answers = [answer]
    started = time.monotonic()
    await deliver_all(web)
    assert time.monotonic() - started < 3
    line = await line_of(parts)
    assert (line.status, line.attempts, line.detail, line.receipt) == ("pending", 1, code, None)
    assert len(hook.journal) == 1


async def test_a_huge_answer_is_not_read_to_its_end(parts, web, hook):
    await parts.people(by_webhook(hook))
    await parts.take(make_change("red"))
    hook.answers = ["huge"]
    await deliver_all(web)
    assert (await line_of(parts)).receipt == "HTTP 200"


@pytest.mark.parametrize(("header", "seconds"), [("90", 90), ("999999999", 1800), ("-5", 5), ("never", 5), ("0", 5)])
async def test_a_receiver_that_asks_for_time_gets_it_within_caps(parts, web, hook, clock, header, seconds):
    await parts.people(by_webhook(hook))
    await parts.take(make_change("red"))
    hook.answers = [f"429 Too Many Requests\nRetry-After: {header}"]
    await deliver_all(web)
    assert (await line_of(parts)).next_attempt_at == clock.now() + timedelta(seconds=seconds)


async def test_a_webhook_that_is_gone_is_disabled_and_mail_goes_on(parts, mail, web, hook, relay):
    await parts.people(make_person("cadre-1", webhook_url=hook.url))
    await parts.take(make_change("red"))
    hook.answers = ["410 Gone"]
    await deliver_all(web)
    await deliver_all(mail)
    found = await parts.alert()
    assert statuses(found) == {("cadre-1", ChannelName.WEBHOOK): "failed", ("cadre-1", ChannelName.SMTP): "sent"}
    detail = await parts.reader.one("", found.id)
    assert StepKind.DELIVERY_FAILED in [step.kind for step in detail.timeline]
    await parts.take(make_change("red", household_id="H-2"))
    second = next(one for one in await parts.alerts() if one.household_id == "H-2")
    assert set(statuses(second)) == {("cadre-1", ChannelName.SMTP)}


async def test_private_addresses_are_refused_unless_allowed(engine, clock, hook):
    strict = Parts(engine, clock, make_settings(webhook_allow_private=False))
    await strict.people(
        make_person("cadre-1", email=None, webhook_url=f"https://127.0.0.1:{hook.port}/"),
        make_person("grid-1", "grid", email=None, webhook_url=f"https://localhost:{hook.port}/"),
        make_person("team-1", "village_team", email=None, webhook_url=hook.url),
    )
    await strict.take(make_change("red"))
    channel = WebhookChannel(strict.settings, clock)
    await deliver_all(strict.lane(channel))
    await channel.close()
    details = {line.recipient: (line.status, line.detail) for line in (await strict.alert()).deliveries}
    assert details == {
        "cadre-1": ("failed", "private_address"),
        "grid-1": ("failed", "private_address"),
        "team-1": ("failed", "unusable_address"),
    }
    assert hook.journal == []


async def test_when_every_delivery_fails_for_good_the_duty_officer_is_told(parts, mail, relay):
    await parts.people(make_person("cadre-1"), make_person("duty", "duty_officer", PROVINCE))
    relay.refuse_recipient["cadre-1@staff.example"] = "550 5.1.1 no such user"
    await parts.take(make_change("red"))
    await deliver_all(mail)
    found = await parts.alert()
    assert statuses(found) == {("cadre-1", ChannelName.SMTP): "failed", ("duty", ChannelName.SMTP): "sent"}
    assert not found.unreachable
    detail = await parts.reader.one("", found.id)
    kinds = [step.kind for step in detail.timeline]
    assert kinds == [StepKind.OPENED, StepKind.DELIVERY_FAILED, StepKind.REROUTED]


async def test_when_nobody_is_left_the_alert_is_flagged(parts, mail, relay):
    await parts.people(make_person("cadre-1"))
    relay.refuse_recipient["cadre-1@staff.example"] = "550 5.1.1 no such user"
    await parts.take(make_change("red"))
    await deliver_all(mail)
    assert (await parts.alert()).unreachable
    assert parts.metric("unreachable_alerts_total") == 1


@pytest.mark.parametrize(
    ("recipient", "data", "cut", "code"),
    [
        ("450 4.2.1 busy", [], 0, "smtp_450"),
        ("552 5.2.2 mailbox full", [], 0, "smtp_552"),
        (None, ["451 4.3.0 try later"], 0, "smtp_451"),
        (None, ["554 5.7.1 looks like spam"], 0, "smtp_554"),
        (None, [], 1, "disconnected"),
    ],
)
async def test_a_mail_that_is_not_taken_is_tried_again(parts, mail, relay, clock, recipient, data, cut, code):
    await parts.people(make_person("cadre-1"))
    await parts.take(make_change("red"))
    if recipient:
        relay.refuse_recipient["cadre-1@staff.example"] = recipient
    relay.data_replies, relay.cut_after_data = data, cut
    await deliver_all(mail)
    line = await line_of(parts)
    assert (line.status, line.detail) == ("pending", code)
    relay.refuse_recipient.clear()
    clock.move(timedelta(seconds=5))
    await deliver_all(mail)
    assert (await line_of(parts)).status == "sent"
    # A relay that took the mail and lost its answer holds it twice, under one Message-ID.
    assert len({got["Message-ID"] for got in relay.mails}) == 1


async def test_without_starttls_at_the_relay_nothing_leaves_in_clear(parts, relay, clock):
    await parts.people(make_person("cadre-1"))
    await parts.take(make_change("red"))
    channel = SmtpChannel(parts.settings.model_copy(update={"smtp_starttls": True}), clock)
    await deliver_all(parts.lane(channel))
    await channel.close()
    line = await line_of(parts)
    assert (line.status, line.detail) == ("pending", "not_offered")
    assert relay.mails == []


async def test_a_relay_that_is_away_is_tried_again(parts, clock):
    away = parts.settings.model_copy(update={"smtp_port": 1})
    await parts.people(make_person("cadre-1"))
    await parts.take(make_change("red"))
    channel = SmtpChannel(away, clock)
    await deliver_all(parts.lane(channel))
    line = await line_of(parts)
    assert (line.status, line.detail) == ("pending", "disconnected")


async def test_an_idle_connection_that_the_relay_has_closed_costs_nothing(parts, mail, relay):
    await parts.people(make_person("cadre-1"))
    await parts.take(make_change("red"))
    await deliver_all(mail)
    (client,) = mail._channel._idle
    client.transport.abort()
    await asyncio.sleep(0.05)
    await parts.take(make_change("red", household_id="H-2"))
    await deliver_all(mail)
    assert len(relay.mails) == 2
    assert await attempts(parts) == [("sent", "sent")] * 2


async def test_one_slow_receiver_does_not_hold_the_others(parts, hook):
    parts.settings = parts.settings.model_copy(update={"send_timeout_seconds": 5.0})
    async with webhook_receiver() as slow:
        slow.always = "silent"
        villages = await parts.villages(20)
        cadres = [by_webhook(slow, f"cadre-{code}", division=code) for code in villages]
        await parts.people(
            *cadres, *(by_webhook(hook, f"grid-{code}", role="grid", division=code) for code in villages)
        )
        await parts.take(*(make_change("red", household_id=f"H-{code}", division=code) for code in villages))
        channel = WebhookChannel(parts.settings, parts.clock)
        lane, stop = parts.lane(channel), asyncio.Event()
        running = asyncio.create_task(lane.run(stop))
        async with asyncio.timeout(4):
            while len(hook.journal) < 20:
                await asyncio.sleep(0.02)
        assert len(slow.journal) <= parts.settings.delivery_parallel
        stop.set()
        for task in lane._running:
            task.cancel()
        await running
        await channel.close()


async def test_a_running_lane_sends_within_moments_of_the_commit(parts, mail, relay):
    await parts.people(make_person("cadre-1"))
    stop = asyncio.Event()
    running = asyncio.create_task(mail.run(stop))
    await asyncio.sleep(0.05)
    await parts.take(make_change("red"))
    mail.wake()
    async with asyncio.timeout(2):
        while not relay.mails:
            await asyncio.sleep(0.005)
    stop.set()
    await running
    assert (await line_of(parts)).status == "sent"


async def test_acknowledging_ends_repeats_but_not_first_attempts(parts, mail, web, hook, relay, clock):
    await parts.people(by_webhook(hook), make_person("grid-1", "grid"))
    await parts.take(make_change("yellow"))
    hook.always = "500 Broken"
    await deliver_all(web)
    found = await parts.alert()
    act = ActOnAlert(Acts(parts.engine), clock, parts.policies, WORDING)
    await act.acknowledge(found.id, Caller("cadre-1", VILLAGE), Acknowledgement())
    clock.move(timedelta(hours=1))
    assert await deliver_all(web) == 0
    await deliver_all(mail)
    assert statuses(await parts.alert()) == {
        ("cadre-1", ChannelName.WEBHOOK): "suppressed",
        ("grid-1", ChannelName.SMTP): "sent",
    }


async def test_a_worse_grade_is_told_also_of_an_alert_that_somebody_holds(parts, mail, relay, clock):
    await parts.people(make_person("cadre-1"))
    await parts.take(make_change("yellow"))
    await deliver_all(mail)
    act = ActOnAlert(Acts(parts.engine), clock, parts.policies, WORDING)
    await act.acknowledge((await parts.alert()).id, Caller("cadre-1", VILLAGE), Acknowledgement())
    await parts.take(make_change("red", "yellow", version=2))
    relay.data_replies = ["451 later"]
    await deliver_all(mail)
    clock.move(timedelta(seconds=5))
    await deliver_all(mail)
    assert "加重" in str(relay.mails[-1]["Subject"])
    assert (await parts.alert()).status == "acknowledged"


async def test_a_person_who_has_left_is_not_told_and_somebody_else_is(parts, mail, relay):
    await parts.people(make_person("cadre-1"), make_person("duty", "duty_officer", PROVINCE))
    await parts.take(make_change("red"))
    await parts.people(make_person("cadre-1", active=False))
    await deliver_all(mail)
    assert [str(got["To"]) for got in relay.mails] == ["duty@staff.example"]


async def test_a_withdrawal_notice_is_given_up_after_a_day(parts, mail, relay, clock):
    await parts.people(make_person("cadre-1"))
    await parts.take(make_change("red"))
    await deliver_all(mail)
    await parts.take(make_change("green", "red", version=2, kind="replay"))
    relay.refuse_recipient["cadre-1@staff.example"] = "450 later"
    for _ in range(60):
        await deliver_all(mail)
        clock.move(timedelta(minutes=31))
    last = (await parts.alert()).deliveries[-1]
    assert (last.reason, last.status) == ("withdrawn", "failed")


async def test_a_database_that_goes_away_while_sending_only_delays_the_outcome(parts, mail, relay, engine):
    await parts.people(make_person("cadre-1"))
    await parts.take(make_change("red"))
    relay.delay_seconds = 0.2
    assert await mail.start_due()
    await asyncio.sleep(0.1)
    async with transaction(engine) as connection:
        mine = "pid <> pg_backend_pid() AND datname = current_database()"
        await connection.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {mine}"))
    await mail.finish(10)
    assert (await line_of(parts)).status == "sent"
    assert len(relay.mails) == 1


async def test_the_channel_test_sends_by_each_channel_and_says_what_became_of_it(parts, mail, web, hook, relay):
    await parts.people(make_person("cadre-1", webhook_url=hook.url), make_person("grid-1", "grid"))
    channels = [mail._channel, web._channel]
    hook.answers = ["403 Forbidden"]
    outcomes = await try_channels(parts.directory, channels, "cadre-1", "http://console.test", WORDING)
    refused = "failed (http_403): webhook_secret: the receiver does not accept it; agree on one anew"
    assert outcomes == [(True, "smtp: sent (250 2.0.0 queued as 1)"), (False, f"webhook: {refused}")]
    assert "测试" in str(relay.mails[0]["Subject"])
    assert await try_channels(parts.directory, channels, "nobody", "http://console.test", WORDING) is None


async def test_why_names_each_recipient_delivery_and_attempt(parts, web, hook):
    await parts.people(by_webhook(hook))
    await parts.take(make_change("red"))
    hook.answers = ["500 Broken"]
    await deliver_all(web)
    why = WhyReader(parts.engine)
    told = "\n".join(explain(await why.why("", (await parts.alert()).id)))
    assert "household H-1024" in told
    assert f"cadre-1 (cadre of {VILLAGE}): told_role" in told
    assert "by webhook, role: pending after 1 attempts, http_500" in told
    assert "retry (http_500)" in told
    assert await why.why("", "nothing") is None


async def test_no_lease_is_left_behind_by_a_concluded_delivery(parts, mail):
    await parts.people(make_person("cadre-1"))
    await parts.take(make_change("red"))
    await deliver_all(mail)
    async with transaction(parts.engine) as connection:
        row = (await connection.execute(select(delivery))).one()
    assert (row.leased_by, row.leased_until) == (None, None)
    assert (await parts.deliveries.pending(parts.clock.now())).all_of_them == 0


async def test_a_receiver_that_is_back_gets_what_waits_for_it_within_seconds(parts, web, hook, clock):
    """Three attempts failed, so the next would be due in minutes; a new alert that gets through hurries the old."""
    await parts.people(by_webhook(hook))
    hook.always = "503 Service Unavailable"
    await parts.take(make_change("red"))
    for _ in range(3):
        assert await deliver_all(web) == 1
        clock.move(timedelta(seconds=31))
    hook.always = None
    await parts.take(make_change("red", household_id="H-other"))
    assert await deliver_all(web) == 1
    clock.move(timedelta(seconds=4))
    assert await deliver_all(web) == 1
    assert hook.ids()[-1] == hook.ids()[0], "the message that waited came again, under its id"


async def test_a_receiver_that_asked_for_a_pause_is_not_hurried(parts, web, hook, clock):
    await parts.people(by_webhook(hook))
    hook.answers = ["503 Service Unavailable", "429 Too Many Requests"]
    await parts.take(make_change("red"))
    await deliver_all(web)
    clock.move(timedelta(seconds=6))
    await deliver_all(web)
    await parts.take(make_change("red", household_id="H-other"))
    assert await deliver_all(web) == 1
    clock.move(timedelta(seconds=4))
    assert await deliver_all(web) == 0
