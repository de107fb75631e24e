"""From a mail to an acknowledgement without a login: asked once more, once only, and for that person alone."""

import re
from datetime import timedelta

import pytest

from services.notifier.channels.smtp import SmtpChannel
from services.notifier.console.auth import Passwords
from shared.clock import SettableClock
from tests.fakes.notifier import NOW, OTHER_VILLAGE, deliver_all, make_change, make_person, make_settings
from tests.fakes.smtp_receiver import smtp_receiver
from tests.integration.test_notifier_console import House

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
