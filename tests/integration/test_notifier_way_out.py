"""Every way out at once: the channel test, mail over STARTTLS, and the siren when nobody is left."""

import json
from contextlib import AsyncExitStack

import pytest
from structlog.testing import capture_logs

from services.notifier.channels.ports import Address
from services.notifier.channels.smtp import SmtpChannel
from services.notifier.core.message import Message
from services.notifier.store.rows import Contact
from services.notifier.try_channels import CLOSED, try_channels
from services.notifier.unusable_channels import warn_of_unusable_channels
from services.notifier.wiring import open_channels
from shared.alerts import ChannelName
from shared.clock import SystemClock
from shared.db.session import transaction
from shared.db.tables.notifier import contact
from tests.chaos.certificates import OPENSSL, make_certificates
from tests.fakes.notifier import NOW, WORDING, Parts, make_change, make_person, make_settings
from tests.fakes.smtp_receiver import smtp_receiver
from tests.fakes.vendors import NO_SMS, PHONE, ROBOT_SECRET, TOKEN, USER, vendor_settings, vendors

pytestmark = pytest.mark.integration

CONTACTS = (
    Contact(ChannelName.WECOM_APP, USER),
    Contact(ChannelName.WECOM_ROBOT, TOKEN),
    Contact(ChannelName.DINGTALK, TOKEN, "another-secret-0123"),
    Contact(ChannelName.FEISHU, TOKEN, ROBOT_SECRET),
    Contact(ChannelName.ALIYUN_SMS, PHONE),
)


async def test_the_channel_test_tries_every_channel_and_says_field_and_fix(engine):
    clock = SystemClock()
    async with vendors(lambda: clock.now().timestamp()) as vendor, smtp_receiver() as relay, AsyncExitStack() as stack:
        settings = {**vendor_settings(vendor.port), **NO_SMS, "smtp_port": relay.port}
        parts = Parts(engine, clock, make_settings(**settings))
        await parts.people(make_person("cadre-1", webhook_url="http://127.0.0.1:1/", contacts=CONTACTS))
        async with transaction(engine) as connection:
            closed = contact.update().where(contact.c.channel == "wecom_robot").values(disabled_at=NOW)
            await connection.execute(closed)
        channels = await open_channels(stack, parts.settings, clock)
        outcomes = await try_channels(parts.directory, channels, "cadre-1", "http://console.test", WORDING)
    said = {words.partition(": ")[0]: (taken, words.partition(": ")[2]) for taken, words in outcomes}
    assert set(said) == set(ChannelName)
    assert [name for name, (taken, _) in said.items() if taken] == ["smtp", "wecom_app", "feishu"]
    assert said["wecom_robot"] == (False, CLOSED)
    assert said["webhook"][1].startswith("failed (connection_refused): nothing listens there; see to webhook_url")
    assert said["dingtalk"][1].startswith("failed (dingtalk_310000): dingtalk_secret: ")
    assert said["aliyun_sms"][1].startswith("failed (not_set_up): set SHOUWANG_NOTIFIER_SMS_URL")
    everything = str(outcomes)
    assert not any(secret in everything for secret in (TOKEN, PHONE, ROBOT_SECRET, "another-secret"))


@pytest.mark.skipif(OPENSSL is None, reason="there is no openssl program here")
@pytest.mark.parametrize(("certificate", "code"), [("good", "sent"), ("expired", "tls"), ("wrong_host", "tls")])
async def test_mail_goes_over_starttls_to_a_relay_whose_certificate_is_right(tmp_path, certificate, code):
    made = make_certificates(tmp_path)
    async with smtp_receiver(made.contexts[certificate]) as relay:
        settings = make_settings(smtp_port=relay.port, smtp_starttls=True, smtp_ca_file=str(made.ca_file))
        channel = SmtpChannel(settings, SystemClock())
        message = Message("subject", "text", "{}", "brief")
        attempt = await channel.send(Address("c-1", "c-1@staff.example"), message, "msg_1")
        await channel.close()
    assert (attempt.code, len(relay.mails)) == (code, int(code == "sent"))


async def test_an_alert_that_reaches_nobody_sounds_the_siren(engine, tmp_path):
    parts = Parts(engine, SystemClock(), make_settings(siren_file=tmp_path / "siren.jsonl"))
    await parts.people()
    await parts.take(make_change("red"))
    (line,) = (tmp_path / "siren.jsonl").read_text("utf-8").splitlines()
    assert json.loads(line)["alert_id"] == (await parts.alert()).id


async def test_at_the_start_it_is_said_which_channel_people_have_and_the_settings_lack(engine):
    parts = Parts(engine, SystemClock())
    phones = [make_person(f"c-{number}", contacts=[CONTACTS[-1]], active=number != 3) for number in range(1, 4)]
    await parts.people(*phones, make_person("r-1", contacts=[CONTACTS[1]]))
    with capture_logs() as logs:
        await warn_of_unusable_channels(parts.directory, parts.settings)
        await warn_of_unusable_channels(parts.directory, make_settings(**vendor_settings(1)))
    (line,) = logs
    assert (line["log_level"], line["people"], line["fix"].partition(":")[0]) == ("warning", 2, "phone")
