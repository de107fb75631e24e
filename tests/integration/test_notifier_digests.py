"""What is due for one person goes out together: paced, stored before it is sent, concluded as a whole."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select, text, update

from services.notifier.act_on_alert import ActOnAlert
from services.notifier.auth import Caller
from services.notifier.channels.robots import DingtalkRobot, WecomRobot
from services.notifier.channels.smtp import SmtpChannel
from services.notifier.channels.webhook import WebhookChannel
from services.notifier.deliver import ShowPending
from services.notifier.pass_on import PassOn
from services.notifier.store import candidates, deliveries
from services.notifier.store.acting import Acts
from services.notifier.store.candidates import LOOK, PEOPLE
from services.notifier.store.fallbacks import Fallbacks
from services.notifier.store.rows import Contact
from services.notifier.store.why import WhyReader
from services.notifier.why import explain
from shared.alerts import Acknowledgement, ChannelName, StepKind
from shared.clock import SettableClock, to_rfc3339
from shared.db.session import transaction
from shared.db.tables.notifier import alert, delivery, delivery_attempt, digest, send_budget
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
    statuses,
)
from tests.fakes.smtp_receiver import smtp_receiver
from tests.fakes.vendors import ROBOT_SECRET, TOKEN, vendor_settings, vendors
from tests.fakes.webhook_receiver import webhook_receiver
from tests.told import read_mail, read_webhook

pytestmark = pytest.mark.integration
ROBOT = Contact(ChannelName.WECOM_ROBOT, TOKEN)
DING = Contact(ChannelName.DINGTALK, TOKEN, ROBOT_SECRET)
LEASE = timedelta(seconds=30)


def seconds(number):
    return timedelta(seconds=number)


@pytest.fixture
def clock():
    return SettableClock(NOW)  # in the morning: nothing is held back by quiet hours


@pytest.fixture
async def relay():
    async with smtp_receiver() as receiver:
        yield receiver


@pytest.fixture
async def hook():
    async with webhook_receiver() as receiver:
        yield receiver


@pytest.fixture
async def vendor(clock):
    async with vendors(lambda: clock.now().timestamp()) as running:
        yield running


@pytest.fixture
def parts(engine, clock, relay, vendor):
    settings = make_settings(smtp_port=relay.port, lease_seconds=30.0, **vendor_settings(vendor.port))
    return Parts(engine, clock, settings)


async def _lane(parts, kind):
    channel = kind(parts.settings, parts.clock)
    yield parts.lane(channel)
    await channel.close()


@pytest.fixture
async def mail(parts):
    async for lane in _lane(parts, SmtpChannel):
        yield lane


@pytest.fixture
async def web(parts):
    async for lane in _lane(parts, WebhookChannel):
        yield lane


@pytest.fixture
async def robots(parts):
    channels = [kind(parts.settings, parts.clock) for kind in (WecomRobot, DingtalkRobot)]
    yield [parts.lane(channel) for channel in channels]
    for channel in channels:
        await channel.close()


def reds(*numbers, **values):
    return [make_change("red", household_id=f"H-{number}", **values) for number in numbers]


def named(got):
    """The households that a mail names as new."""
    return [one.household for one in read_mail(got.get_content()).alerts if one.is_new]


async def act(parts, household_id, deed="acknowledge"):
    found = next(one for one in await parts.alerts() if one.household_id == household_id)
    acts = ActOnAlert(Acts(parts.engine), parts.clock, parts.policies, WORDING)
    await getattr(acts, deed)(found.id, Caller("cadre-1", VILLAGE), Acknowledgement())


async def rows(parts, table):
    async with transaction(parts.engine) as connection:
        return (await connection.execute(select(table).order_by(*table.primary_key.columns))).all()


async def ends(parts):
    """Status of each delivery, by household."""
    return {
        one.household_id: [(str(line.status), line.detail) for line in one.deliveries] for one in await parts.alerts()
    }


# --- together, and in its turn


async def test_what_is_due_at_once_is_one_message_and_each_delivery_has_its_receipt(parts, mail, relay):
    await parts.people(make_person("cadre-1"))
    await parts.take(make_change("yellow", household_id="H-1"), make_change("red", household_id="H-2"))
    assert await deliver_all(mail) == 1
    (got,) = relay.mails
    assert named(got) == ["H-2", "H-1"]
    assert got["Subject"].startswith("【守望】红色预警▲1户、黄色预警■1户 ")
    (whole,) = await rows(parts, digest)
    assert str(got["Message-ID"]) == f"<{whole.message_id}@localhost>"
    lines = await rows(parts, delivery)
    assert {(one.status, one.attempts, one.receipt, one.digest_id) for one in lines} == {
        ("sent", 1, "250 2.0.0 queued as 1", whole.digest_id)
    }
    assert len(await rows(parts, delivery_attempt)) == 2
    assert (whole.status, whole.attempts, whole.leased_by) == ("sent", 1, None)
    assert parts.metric("deliveries_total", outcome="sent") == 2
    assert parts.metric("delivery_seconds_count") == 2
    assert (parts.metric("digests_total", channel="smtp"), parts.metric("digest_alerts_total", channel="smtp")) == (
        1,
        2,
    )


async def test_a_single_alert_is_told_as_ever_by_its_own_words_and_id(parts, mail, relay):
    await parts.people(make_person("cadre-1"))
    await parts.take(*reds(1))
    await deliver_all(mail)
    (line,), (got,) = await rows(parts, delivery), relay.mails
    assert str(got["Message-ID"]) == f"<{line.message_id}@localhost>"
    assert got["Subject"] == "【守望】红色预警 ▲ 某村 户 H-1 请在2小时内签收"
    assert await rows(parts, digest) == []
    assert parts.metric("digests_total", channel="smtp") == 0


async def test_a_storm_of_a_minute_is_told_at_once_after_30_and_after_70_seconds(parts, mail, web, relay, hook, clock):
    """Mail and webhook share the budget of six."""
    await parts.people(make_person("cadre-1", webhook_url=hook.url))
    begin = clock.now()
    for number in range(60):
        await parts.take(*reds(number))
        await deliver_all(mail)
        await deliver_all(web)
        clock.move(seconds(1))
    assert clock.now() == begin + seconds(60)
    assert [len(named(got)) for got in relay.mails] == [1, 30]
    clock.move(seconds(9))
    assert await deliver_all(mail) == 0
    clock.move(seconds(1))
    assert (await deliver_all(mail), await deliver_all(web)) == (1, 1)
    told = [one.household for request in hook.journal for one in read_webhook(request.body).alerts if one.is_new]
    assert sorted(told) == sorted(f"H-{number}" for number in range(60))
    await parts.take(*reds(60))
    clock.move(seconds(600 - 70 - 1))
    assert await deliver_all(mail) == 0
    clock.move(seconds(1))
    assert await deliver_all(mail) == 1


async def test_one_message_of_a_window_is_kept_for_red(parts, mail, relay, clock, hook):
    """Mail and webhook share the budget of six."""
    await parts.people(make_person("cadre-1", webhook_url=hook.url))
    begin = clock.now()
    for number in range(3):
        await parts.take(make_change("orange", household_id=f"H-{number}"))
        await deliver_all(mail)
        clock.move(seconds(30))
    assert [named(got) for got in relay.mails] == [["H-0"], ["H-1"]]
    (waiting,) = await parts.alerts(household_id="H-2")
    told = "\n".join(explain(await WhyReader(parts.engine).why("", waiting.id)))
    assert f"pace: message_budget by smtp until {to_rfc3339(begin + seconds(600))}" in told
    await parts.take(*reds(3), make_change("orange", household_id="H-4"))
    await deliver_all(mail)
    assert named(relay.mails[-1]) == ["H-3", "H-4"]
    clock.move(begin + seconds(600) - clock.now())
    assert await deliver_all(mail) == 0
    # The one at 30 s leaves the window, the red one still counts.
    clock.move(seconds(30))
    await deliver_all(mail)
    assert named(relay.mails[-1]) == ["H-2"]


async def test_why_says_until_when_somebody_waits_and_in_which_digest_it_went(parts, mail, relay, clock, hook):
    await parts.people(make_person("cadre-1", webhook_url=hook.url))
    await parts.take(*reds(1))
    await deliver_all(mail)
    free_at = clock.now() + seconds(30)
    await parts.take(*reds(2, 3))
    assert await deliver_all(mail) == 0
    why, second = WhyReader(parts.engine), (await parts.alerts(household_id="H-2"))[0]
    show = ShowPending(parts.deliveries, clock, parts.metrics)
    await show._count()
    assert (parts.metric("pending_deliveries"), parts.metric("paced_deliveries")) == (5, 2)
    told = "\n".join(explain(await why.why("", second.id)))
    assert f"pace: message_budget by smtp until {to_rfc3339(free_at)}" in told
    assert (
        f"waits for the person's message budget, then goes out with all that waits until {to_rfc3339(free_at)}" in told
    )
    clock.move(seconds(30))
    await deliver_all(mail)
    told = "\n".join(explain(await why.why("", second.id)))
    (whole,) = await rows(parts, digest)
    assert f"in digest {whole.digest_id}, with 1 others" in told
    assert "waits for" not in told
    await show._count()
    assert (parts.metric("pending_deliveries"), parts.metric("paced_deliveries")) == (3, 0)


async def test_replicas_together_spend_no_turn_twice(parts, relay):
    """Alerts come while four replicas look; at one instant a person with one channel is sent three messages at most."""
    await parts.people(make_person("cadre-1"))
    channels = [SmtpChannel(parts.settings, parts.clock) for _ in range(4)]
    lanes = [parts.lane(channel, f"replica-{number}") for number, channel in enumerate(channels)]
    for number in range(12):
        await asyncio.gather(parts.take(*reds(number)), *(deliver_all(lane) for lane in lanes))
    for channel in channels:
        await channel.close()
    assert len(relay.mails) == 3
    assert len({str(got["Message-ID"]) for got in relay.mails}) == 3


async def test_a_persons_turn_is_nobody_elses_matter(parts, mail, relay):
    villages = await parts.villages(2)
    await parts.people(*(make_person(f"cadre-{code[-1]}", division=code) for code in villages))
    first, second = villages
    for number in range(5):
        await parts.take(*reds(number, division=first))
        await deliver_all(mail)
    assert len(relay.mails) == 3
    await parts.take(*reds(5, division=second))
    await deliver_all(mail)
    assert [str(got["To"]) for got in relay.mails[3:]] == ["cadre-2@staff.example"]


async def test_whoever_waits_for_a_turn_with_very_much_hides_nobody_behind_them(parts, mail, relay, clock):
    """More than one look goes through is due for one person, whose turn has just been spent."""
    first, second = await parts.villages(2)
    await parts.people(make_person("busy", division=first), make_person("idle", division=second))
    for number in range(3):
        await parts.take(*reds(number, division=first))
        await deliver_all(mail)
    await parts.take(*reds(*range(10, 11 + LOOK), division=first))
    await parts.take(*reds(5, division=second))
    now = clock.now()
    found = await parts.claims.claim(mail.name, "one", now=now, lease=LEASE, most=8, busy=[])
    assert [due.staff_id for due in found] == ["idle"]


async def test_what_waits_for_later_by_policy_is_not_gathered_before(parts, mail, relay, clock):
    await parts.people(make_person("cadre-1"))
    await parts.take(*reds(1, 2, 3))
    later = clock.now() + timedelta(hours=8)
    async with transaction(parts.engine) as connection:
        held = delivery.c.alert_id.in_(select(alert.c.alert_id).where(alert.c.household_id == "H-2"))
        await connection.execute(update(delivery).where(held).values(next_attempt_at=later))
    await deliver_all(mail)
    assert sorted(named(relay.mails[0])) == ["H-1", "H-3"]
    clock.move(later - clock.now())
    await deliver_all(mail)
    assert "H-2" in relay.mails[1].get_content()


# --- repeats


async def test_a_digest_that_was_not_taken_comes_again_as_it_was_and_what_is_new_goes_by_itself(
    parts, mail, relay, clock
):
    await parts.people(make_person("cadre-1"))
    await parts.take(*reds(1, 2))
    relay.data_replies = ["451 later", "451 later"]
    await deliver_all(mail)
    assert {(one.status, one.attempts, one.detail) for one in await rows(parts, delivery)} == {
        ("pending", 1, "smtp_451")
    }
    clock.move(seconds(4))
    assert await deliver_all(mail) == 0
    clock.move(seconds(1))
    assert await deliver_all(mail) == 1
    await parts.take(*reds(3))
    await deliver_all(mail)
    clock.move(seconds(30))
    await deliver_all(mail)
    alone, together = relay.mails
    assert "H-3" in alone.get_content()
    assert sorted(named(together)) == ["H-1", "H-2"]
    (whole,) = await rows(parts, digest)
    assert together.get_content().replace("\r\n", "\n") == whole.text
    assert {one.attempts for one in await rows(parts, delivery)} == {1, 3}
    outcomes = [(one.outcome, one.detail) for one in await rows(parts, delivery_attempt)]
    assert sorted(outcomes) == [("retry", "smtp_451")] * 4 + [("sent", "sent")] * 3


async def test_repeats_cost_nothing(parts, mail, relay, clock, hook):
    """Of three messages in ten minutes the second keeps 30 s from the first, however often that was tried since."""
    await parts.people(make_person("cadre-1", webhook_url=hook.url))
    relay.refuse_recipient["cadre-1@staff.example"] = "450 busy"
    await parts.take(*reds(1))
    for wait in (5, 30, 120):
        await deliver_all(mail)
        clock.move(seconds(wait))
    relay.refuse_recipient.clear()
    await deliver_all(mail)
    await parts.take(*reds(2))
    await deliver_all(mail)
    assert len(relay.mails) == 2


@pytest.mark.parametrize("sent", [False, True])
async def test_a_worker_that_dies_with_a_digest_leaves_the_same_bytes_under_the_same_id(parts, web, hook, clock, sent):
    await parts.people(make_person("cadre-1", email=None, webhook_url=hook.url))
    await parts.take(*reds(1, 2, 3))
    if sent:

        async def dies(*_):
            return False

        web._sent.store = dies
        await web.start_due()
        await web.finish(10)
    else:
        (lost,) = await parts.claims.claim(web.name, "dead", now=clock.now(), lease=LEASE, most=8, busy=[])
        assert len(lost.lines) == 3
    clock.move(LEASE - seconds(1))
    again = parts.lane(web._channel, "worker-2")
    await parts.take(*reds(4))
    assert await deliver_all(again) == 1, "what came later does not wait for it"
    clock.move(seconds(2))
    assert await deliver_all(again) == 1
    whole = [request for request in hook.journal if read_webhook(request.body).digest_id]
    assert len(whole) == 1 + sent
    assert len({(request.headers["webhook-id"], request.body) for request in whole}) == 1
    assert {one.status for one in await rows(parts, delivery)} == {"sent"}


async def test_a_zombie_cannot_undo_what_the_next_worker_did_with_a_digest(parts, web, hook, clock):
    await parts.people(make_person("cadre-1", email=None, webhook_url=hook.url))
    await parts.take(*reds(1, 2))
    (zombie,) = await parts.claims.claim(web.name, "zombie", now=clock.now(), lease=LEASE, most=8, busy=[])
    clock.move(LEASE + seconds(1))
    await deliver_all(web)
    for code, gone in (("http_500", False), ("http_410", True)):
        attempt = deliveries.Attempt(code, permanent=gone, disables=gone)
        await parts.deliveries.conclude(zombie, attempt, web._judge(zombie, attempt, True, clock.now()), clock.now())
    assert {one.status for one in await rows(parts, delivery)} == {"sent"}
    assert [one.status for one in await rows(parts, digest)] == ["sent"]


async def test_a_digest_for_a_receiver_that_is_back_need_not_wait_for_its_next_turn(parts, web, hook, clock):
    await parts.people(make_person("cadre-1", email=None, webhook_url=hook.url))
    hook.always = "503 Service Unavailable"
    await parts.take(*reds(1, 2))
    for _ in range(3):
        assert await deliver_all(web) == 1
        clock.move(seconds(31))
    hook.always = None
    await parts.take(*reds(3))
    assert await deliver_all(web) == 1
    clock.move(seconds(4))
    assert await deliver_all(web) == 1
    assert {one.status for one in await rows(parts, delivery)} == {"sent"}


# --- what people no longer need


async def test_what_was_superseded_or_closed_before_the_digest_is_left_out_of_it(parts, mail, relay, clock):
    await parts.people(make_person("cadre-1"))
    await parts.take(*[make_change("orange", household_id=f"H-{number}") for number in (1, 2, 3, 4)])
    await parts.take(make_change("red", "orange", household_id="H-1", version=2))
    await parts.take(make_change("green", "orange", household_id="H-2", version=2, kind="replay"))
    await deliver_all(mail)
    (got,) = relay.mails
    assert named(got) == ["H-1", "H-3", "H-4"]
    assert "橙色预警◆2户" in str(got["Subject"])
    assert (await ends(parts))["H-2"] == [("suppressed", "superseded")]


async def test_a_first_attempt_is_made_also_of_what_somebody_took_on_and_says_so(parts, mail, relay):
    await parts.people(make_person("cadre-1"), make_person("grid-1", "grid"))
    await parts.take(*reds(1, 2))
    await act(parts, "H-1")
    await deliver_all(mail)
    for got in relay.mails:
        assert named(got) == ["H-2", "H-1"]
        assert "H-1（某村） 已签收 " in got.get_content()


async def test_a_digest_is_repeated_until_nobody_needs_any_of_it(parts, mail, relay, clock):
    await parts.people(make_person("cadre-1"))
    relay.refuse_recipient["cadre-1@staff.example"] = "450 later"
    await parts.take(*reds(1, 2))
    await deliver_all(mail)
    await act(parts, "H-1")
    clock.move(seconds(5))
    assert await deliver_all(mail) == 1
    await act(parts, "H-2")
    clock.move(timedelta(hours=1))
    assert await deliver_all(mail) == 1
    assert (await ends(parts)) == {"H-1": [("suppressed", "acknowledged")], "H-2": [("suppressed", "acknowledged")]}
    assert [(one.status, one.attempts) for one in await rows(parts, digest)] == [("suppressed", 2)]
    assert relay.mails == []


async def test_what_is_taken_at_last_counts_also_for_what_was_superseded_meanwhile(parts, mail, relay, clock):
    await parts.people(make_person("cadre-1"))
    relay.data_replies = ["451 later"]
    await parts.take(*[make_change("orange", household_id=f"H-{number}") for number in (1, 2)])
    await deliver_all(mail)
    await parts.take(make_change("red", "orange", household_id="H-1", version=2))
    clock.move(seconds(5))
    await deliver_all(mail)
    assert {one.status for one in await rows(parts, delivery)} == {"sent"}
    assert len(relay.mails) == 2


async def test_a_withdrawal_goes_to_those_who_may_have_a_digest_that_is_under_way(parts, mail, relay, clock):
    await parts.people(make_person("cadre-1"))
    await parts.take(*reds(1, 2))
    await parts.claims.claim(mail.name, "dead", now=clock.now(), lease=LEASE, most=8, busy=[])
    await parts.take(make_change("green", "red", household_id="H-1", version=2, kind="replay"))
    await deliver_all(mail)
    assert "预警撤销" in str(relay.mails[0]["Subject"])


# --- failures for good


async def test_a_digest_that_can_never_arrive_leads_for_each_delivery_to_what_a_message_would(parts, robots, vendor):
    """A robot that is gone: the contact is closed, the next channel tells of each, and in one message too."""
    wecom, dingtalk = robots
    await parts.people(make_person("cadre-1", email=None, contacts=(ROBOT, DING)))
    await parts.take(*reds(1, 2, 3))
    vendor.codes = [93000]
    assert await deliver_all(wecom) == 1
    assert await deliver_all(dingtalk) == 1
    for one in await parts.alerts():
        assert {line.channel: (str(line.status), line.routed_as) for line in one.deliveries} == {
            "wecom_robot": ("failed", "role"),
            "dingtalk": ("sent", "fallback"),
        }
        detail = await parts.reader.one("", one.id)
        assert StepKind.DELIVERY_FAILED in [step.kind for step in detail.timeline]
    assert [(one.channel, one.status) for one in sorted(await rows(parts, digest), key=lambda one: one.channel)] == [
        ("dingtalk", "sent"),
        ("wecom_robot", "failed"),
    ]
    assert parts.metric("fallbacks_total") == 3
    assert vendor.texts[-1].startswith("【守望】红色预警▲3户\n某村3户\n")


@pytest.mark.parametrize("duty", [True, False])
async def test_where_a_failed_digest_was_the_only_way_the_duty_officers_are_told(parts, mail, relay, duty):
    people = [make_person("cadre-1")] + [make_person("duty", "duty_officer", PROVINCE)] * duty
    await parts.people(*people)
    relay.refuse_recipient["cadre-1@staff.example"] = "550 5.1.1 no such user"
    await parts.take(*reds(1, 2))
    await deliver_all(mail)
    found = await parts.alerts()
    if duty:
        assert [named(got) for got in relay.to("duty@staff.example")] == [["H-1", "H-2"]]
        assert all(statuses(one)["duty", ChannelName.SMTP] == "sent" for one in found)
    else:
        assert all(one.unreachable for one in found)
        assert parts.metric("unreachable_alerts_total") == 2
        assert parts.metric("siren_total", call="unreachable_alert") == 2


async def test_a_long_digest_fails_in_parts_and_a_kill_between_them_loses_none(parts, mail, relay, clock):
    await parts.people(make_person("cadre-1"), make_person("duty", "duty_officer", PROVINCE))
    relay.refuse_recipient["cadre-1@staff.example"] = "550 5.1.1 no such user"
    count = deliveries.FAILED_AT_ONCE + 30
    await parts.take(*reds(*range(count)))
    (lost,) = await parts.claims.claim(mail.name, "dead", now=clock.now(), lease=LEASE, most=8, busy=[])
    attempt = deliveries.Attempt("smtp_550", permanent=True)
    aftermath = await parts.deliveries.conclude(
        lost, attempt, mail._judge(lost, attempt, True, clock.now()), clock.now()
    )
    assert (aftermath.rerouted, aftermath.left) == (deliveries.FAILED_AT_ONCE, 30)
    clock.move(LEASE + seconds(1))
    await deliver_all(mail)
    clock.move(timedelta(minutes=11))
    await deliver_all(mail)
    told = [household for got in relay.to("duty@staff.example") for household in named(got)]
    assert sorted(told) == sorted(f"H-{number}" for number in range(count))
    assert [one.status for one in await rows(parts, digest) if one.staff_id == "cadre-1"] == ["failed"]


async def test_a_person_who_has_left_is_sent_no_digest_and_somebody_else_is(parts, mail, relay):
    await parts.people(make_person("cadre-1"), make_person("duty", "duty_officer", PROVINCE))
    await parts.take(*reds(1, 2))
    await parts.people(make_person("cadre-1", active=False))
    await deliver_all(mail)
    assert [str(got["To"]) for got in relay.mails] == ["duty@staff.example"]


async def test_who_waits_for_a_turn_is_not_handed_on_to_the_next_channel_and_a_failing_digest_is(
    parts, robots, vendor, clock
):
    look = PassOn(Fallbacks(parts.engine), clock, parts.metrics, lambda: None)
    await parts.people(make_person("cadre-1", email=None, contacts=(ROBOT, DING)))
    for number in range(6):
        await parts.take(*reds(number))
        await deliver_all(robots[0])
        clock.move(seconds(60))
    await parts.take(*reds(6, 7))
    await deliver_all(robots[0])
    clock.move(seconds(200))
    assert await deliver_all(robots[0]) == 0
    assert not await look.once()
    clock.move(seconds(40))
    vendor.codes = [-1] * 9
    for wait in (5, 30, 120):
        await deliver_all(robots[0])
        clock.move(seconds(wait))
    assert await look.once()
    assert parts.metric("fallbacks_total") == 2
    assert await deliver_all(robots[1]) == 1
    assert not await look.once()


async def test_a_digest_for_a_group_that_asked_for_a_pause_waits_until_it_is_over(parts, robots, vendor, clock):
    """Two people read one group: what the vendor refuses for the pace of one holds for the other too."""
    villages = await parts.villages(2)
    await parts.people(*(make_person(f"c-{code}", division=code, email=None, contacts=(DING,)) for code in villages))
    for place, code in enumerate(villages):
        await parts.take(*reds(2 * place, 2 * place + 1, division=code))
    vendor.codes = [-1, 130101]
    assert await deliver_all(robots[1]) == 2
    clock.move(seconds(6))
    assert await deliver_all(robots[1]) == 0
    (budget,) = await rows(parts, send_budget)
    assert budget.free_at > clock.now()
    assert min(one.next_attempt_at for one in await rows(parts, digest)) == budget.free_at
    clock.move(budget.free_at - clock.now() + seconds(62))
    assert await deliver_all(robots[1]) == 2
    assert {one.status for one in await rows(parts, delivery)} == {"sent"}


# --- bursts


async def test_a_burst_stands_together_and_each_later_digest_is_an_update_of_the_whole(parts, mail, relay, clock):
    await parts.people(make_person("cadre-1"))
    flood = {"causes": ("disaster",)}
    await parts.take(*reds(1, 2, 3, 4, **flood), *reds(9))
    await deliver_all(mail)
    await act(parts, "H-2")
    clock.move(timedelta(minutes=11))
    await parts.take(*reds(5, 6, **flood))
    await deliver_all(mail)
    first, second = (read_mail(got.get_content()) for got in relay.mails)
    assert [one.household for one in first.alerts] == ["H-1", "H-2", "H-3", "H-4", "H-9"]
    assert [(one.household, one.is_new) for one in second.alerts] == [
        ("H-5", True),
        ("H-6", True),
        ("H-1", False),
        ("H-3", False),
        ("H-4", False),
        ("H-2", False),
    ]
    said = relay.mails[1].get_content()
    assert "某村 6户（新增2）" in said
    assert "某村: 6 households (2 new)" in said
    assert "H-2 已签收 " in said
    assert "disaster" not in said
    assert "某村6户（新增2）" in str(relay.mails[1]["Subject"])
    clock.move(timedelta(minutes=61))
    await parts.take(*reds(7, 8, **flood))
    await deliver_all(mail)
    assert [one.household for one in read_mail(relay.mails[2].get_content()).alerts] == ["H-7", "H-8"]


async def test_a_burst_names_only_what_the_person_was_told(parts, mail, relay, clock):
    """The county hears of red alone, and came into the register when the flood had begun."""
    await parts.people(make_person("cadre-1"))
    await parts.take(*reds(1, 2, 3, 4))
    await deliver_all(mail)
    await parts.people(make_person("county-1", "county", "990100000000"))
    await parts.take(*reds(5, 6))
    clock.move(timedelta(minutes=1))
    await deliver_all(mail)
    (got,) = relay.to("county-1@staff.example")
    assert [one.household for one in read_mail(got.get_content()).alerts] == ["H-5", "H-6"]
    assert "某村 2户（新增2）" in got.get_content()


MORE_MESSAGES = """
    INSERT INTO alert_message (alert_id, revision, reason, subject, text, body, brief, decided_at)
    SELECT alert_id, n, reason, subject, text, body, brief, decided_at
    FROM alert_message, generate_series(2, 100) AS n WHERE revision = 1
"""
MORE_DELIVERIES = """
    INSERT INTO delivery (alert_id, revision, staff_id, channel, reason, routed_as, grade, target, message_id, status,
                          next_attempt_at, created_at)
    SELECT alert_id, n, staff_id, channel, reason, routed_as, grade, target, message_id || n, status,
           next_attempt_at, created_at
    FROM delivery, generate_series(2, 100) AS n WHERE revision = 1
"""


async def test_claims_stay_led_by_an_index_however_much_waits(parts, clock):
    """20,000 deliveries wait for later; a look for what is due reads none of them."""
    await parts.people(make_person("cadre-1"), make_person("grid-1", "grid"))
    await parts.take(*reds(*range(100)))
    async with transaction(parts.engine) as connection:
        await connection.execute(update(delivery).values(next_attempt_at=clock.now() + timedelta(minutes=5)))
        await connection.exec_driver_sql(MORE_MESSAGES)
        await connection.exec_driver_sql(MORE_DELIVERIES)
    await parts.take(*reds(100))
    values = {"channel": "smtp", "busy": [], "now": clock.now(), "look": LOOK, "people": PEOPLE}
    values |= {"gathered": 9, "red": 4}
    async with transaction(parts.engine) as connection:
        await connection.exec_driver_sql("ANALYZE delivery")
        look = text(f"EXPLAIN (ANALYZE, FORMAT JSON) {candidates._LOOK_UNLIMITED}")
        (found,) = (await connection.execute(look, values)).scalar_one()
    assert 2 <= _read(found["Plan"]) < 50
    assert len(await parts.claims.claim(ChannelName.SMTP, "one", now=clock.now(), lease=LEASE, most=8, busy=[])) == 2


def _read(node):
    """How many deliveries a plan's nodes have read, passed on or not."""
    rows = node["Actual Rows"] + node.get("Rows Removed by Filter", 0) if node.get("Relation Name") == "delivery" else 0
    return rows * node["Actual Loops"] + sum(map(_read, node.get("Plans", ())))
