"""From a mail to an acknowledgement without a login: asked once more, once only, and for that person alone."""

import re
from datetime import timedelta

import pytest

from services.notifier.channels.robots import WecomRobot
from services.notifier.channels.smtp import SmtpChannel
from services.notifier.console.auth import Passwords
from services.notifier.core.retries import Attempt
from services.notifier.mail_links import MOST_LINKS
from services.notifier.store.rows import Contact
from shared.alerts import ChannelName
from shared.clock import SettableClock
from tests.fakes.notifier import NOW, OTHER_VILLAGE, Parts, deliver_all, make_change, make_person, make_settings
from tests.fakes.smtp_receiver import smtp_receiver
from tests.fakes.vendors import TOKEN, vendor_settings, vendors
from tests.integration.test_notifier_console import House
from tests.told import read_mail

pytestmark = pytest.mark.integration
SECRET = "s" * 32


@pytest.fixture
async def relay():
    async with smtp_receiver() as receiver:
        yield receiver


@pytest.fixture
async def house(engine, relay):
    settings = make_settings(link_secrets=SECRET, smtp_port=relay.port)
    passwords = Passwords()
    made = House(engine, SettableClock(NOW), settings, passwords, None)
    passwords.close()
    await made.parts.people(make_person("cadre-1"), make_person("grid-1", "grid"))
    await made.parts.take(make_change("yellow"))
    return made


async def links_of(house, relay):
    """Each person's link, out of the mail that came."""
    channel = SmtpChannel(house.settings, house.clock)
    await deliver_all(house.parts.lane(channel))
    await channel.close()
    found = {}
    for mail in relay.mails:
        (path,) = set(re.findall(r"http://console\.test(/sign/\S+)", mail.get_content()))
        found[mail["To"].partition("@")[0].strip('<" ')] = path
    return found


async def test_a_link_asks_first_and_acknowledges_once_as_the_person_the_mail_went_to(house, relay):
    links = await links_of(house, relay)
    assert set(links) == {"cadre-1", "grid-1"}
    async with house.client() as client:
        for _ in range(3):
            page = await client.get(links["cadre-1"])
            assert (page.status_code, "张cadre-1" in page.text, 'method="post"' in page.text) == (200, True, True)
        assert (await house.parts.alert()).status == "open"
        done = await client.post(links["cadre-1"])
        assert (done.status_code, "您已签收" in done.text) == (200, True)
        found = await house.parts.alert()
        assert (found.status, found.owner) == ("acknowledged", "cadre-1")
        again = await client.post(links["cadre-1"])
        assert (again.status_code, "链接已使用" in again.text) == (410, True)
        late = await client.post(links["grid-1"])
        assert (late.status_code, "已由他人负责" in late.text) == (409, True)
    detail = await house.parts.reader.one("", found.id)
    assert [(step.kind, step.actor, step.reason) for step in detail.timeline[1:]] == [
        ("acknowledged", "cadre-1", "by_link")
    ]


async def digest_mails(house, relay, *, cut=0):
    """Send a digest to everybody, again where the relay cut the line after it had the mail; the mails by person."""
    channel = SmtpChannel(house.settings, house.clock)
    relay.cut_after_data = cut
    for _ in range(1 + cut):
        await deliver_all(house.parts.lane(channel))
        house.clock.move(timedelta(seconds=6))
    await channel.close()
    return {staff_id: [str(mail.get_content()) for mail in relay.to(staff_id)] for staff_id in ("cadre-1", "grid-1")}


def links_in(text):
    """The links of a digest, each with the alert under which it stands."""
    lines = text.replace("\r\n", "\n").split("\n")
    return [
        (re.search(r"/alerts/(\w+)$", lines[place - 1])[1], re.search(r"(/sign/\S+)", line)[1], line)
        for place, line in enumerate(lines)
        if "/sign/" in line
    ]


async def test_in_a_digest_the_worst_alerts_have_their_links_which_stay_the_same_in_a_repeat(house, relay):
    await house.parts.take(*(make_change("red", household_id=f"H-{number}") for number in range(MOST_LINKS + 3)))
    texts = await digest_mails(house, relay, cut=1)
    first, second = next(got for got in texts.values() if len(got) == 2)
    assert first == second
    links = links_in(first)
    # In each language, and none under what is milder or beyond the number.
    assert len(links) == 2 * MOST_LINKS
    assert [path for _, path, _ in links[:MOST_LINKS]] == [path for _, path, _ in links[MOST_LINKS:]]
    assert all("不登录" in line for *_, line in links[:MOST_LINKS])
    assert all("without login" in line for *_, line in links[MOST_LINKS:])
    grades = {one.id: one.grade for one in await house.parts.alerts()}
    assert {grades[alert_id] for alert_id, *_ in links} == {"red"}
    assert all(alert_id in path for alert_id, path, _ in links)
    assert len(read_mail(first).alerts) == MOST_LINKS + 4


async def test_who_was_told_by_a_digest_acknowledges_each_alert_by_its_own_link_once(house, relay):
    await house.parts.take(make_change("red", household_id="H-1"))
    texts = await digest_mails(house, relay)
    (mail,) = texts["cadre-1"]
    paths = {alert_id: path for alert_id, path, _ in links_in(mail)}
    assert len(paths) == 2
    reds = next(one.id for one in await house.parts.alerts() if one.grade == "red")
    async with house.client() as client:
        assert "您已签收" in (await client.post(paths[reds])).text
        taken = {one.id: (str(one.status), one.owner) for one in await house.parts.alerts()}
        assert taken.pop(reds) == ("acknowledged", "cadre-1")
        assert set(taken.values()) == {("open", None)}
        again = await client.post(paths[reds])
        assert again.status_code == 410


async def test_an_ending_in_a_digest_has_no_link_and_what_is_told_beside_it_has(house, relay):
    await links_of(house, relay)
    before = len(relay.mails)
    house.clock.move(timedelta(minutes=11))
    await house.parts.take(
        make_change("green", "yellow", version=2, kind="replay"), make_change("red", household_id="R")
    )
    await digest_mails(house, relay)
    mails = [str(mail.get_content()) for mail in relay.mails[before:]]
    red = next(one.id for one in await house.parts.alerts() if one.grade == "red")
    assert [{alert_id for alert_id, *_ in links_in(mail)} for mail in mails] == [{red}] * 2
    assert all(len(read_mail(mail).alerts) == 2 for mail in mails)


async def test_no_group_and_no_webhook_is_ever_sent_a_link(engine):
    """Whoever reads the group, or holds the webhook, is not the one person that a link is for."""
    clock = SettableClock(NOW)
    async with vendors(lambda: clock.now().timestamp()) as vendor:
        parts = Parts(engine, clock, make_settings(link_secrets=SECRET, **vendor_settings(vendor.port)))
        hook = Hook()
        group = Contact(ChannelName.WECOM_ROBOT, TOKEN)
        await parts.people(make_person("cadre-1", email=None, webhook_url="https://hook.example/x", contacts=(group,)))
        channel = WecomRobot(parts.settings, clock)
        for numbers in ((1,), (2, 3)):
            await parts.take(*(make_change("red", household_id=f"H-{number}") for number in numbers))
            for lane in (parts.lane(channel), parts.lane(hook)):
                assert await deliver_all(lane) == 1
            clock.move(timedelta(minutes=11))
        await channel.close()
        said = [*vendor.texts, *hook.bodies]
    assert len(said) == 4
    assert not any("/sign/" in one for one in said)


class Hook:
    """A webhook that takes everything."""

    name = ChannelName.WEBHOOK

    def __init__(self):
        self.bodies = []

    async def send(self, address, message, message_id):
        self.bodies.append(message.body)
        return Attempt("sent", receipt="200")

    async def close(self):
        pass


async def test_a_used_link_does_not_take_on_what_was_reopened(house, relay):
    links = await links_of(house, relay)
    async with house.client() as client, await house.key() as key:
        await client.post(links["cadre-1"])
        path = f"/v1/alerts/{(await house.parts.alert()).id}"
        await key.post(f"{path}/resolve", json={"resolution": "mistaken"})
        assert (await client.post(links["cadre-1"])).status_code == 410
        await key.post(f"{path}/reopen", json={"note": "又来"})
        assert (await client.post(links["cadre-1"])).status_code == 410
        assert (await house.parts.alert()).status == "open"


async def test_a_link_is_worth_nothing_once_it_has_ended_or_its_person_has_left_or_moved(house, relay):
    link = (await links_of(house, relay))["cadre-1"]
    async with house.client() as client:
        for person in (make_person("cadre-1", active=False), make_person("cadre-1", division=OTHER_VILLAGE)):
            await house.parts.people(person)
            assert (await client.get(link)).status_code == (await client.post(link)).status_code == 404
        await house.parts.people(make_person("cadre-1"))
        assert (await client.post(f"{link}0")).status_code == 404
        house.clock.move(timedelta(hours=25))
        late = await client.post(link)
        assert (late.status_code, "已过期" in late.text) == (410, True)
    assert (await house.parts.alert()).status == "open"


async def test_a_repeated_attempt_sends_the_same_link_and_a_withdrawal_none(house, relay):
    relay.data_replies = ["451 later"] * 2
    await links_of(house, relay)
    house.clock.move(timedelta(minutes=5))
    first = await links_of(house, relay)
    await house.parts.take(make_change("green", "yellow", version=2, kind="replay"))
    channel = SmtpChannel(house.settings, house.clock)
    await deliver_all(house.parts.lane(channel))
    await channel.close()
    assert "撤销" in str(relay.mails[-1]["Subject"])
    assert "/sign/" not in relay.mails[-1].get_content()
    assert all(f"/{int((NOW + timedelta(hours=24)).timestamp())}/" in path for path in first.values())
