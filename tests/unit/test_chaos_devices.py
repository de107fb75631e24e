"""The people's devices of the chaos tests: real clients see each fault, and the journal tells who has the message."""

import json
import smtplib
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from standardwebhooks.webhooks import Webhook

from services.notifier.channels.ports import Address
from services.notifier.channels.smtp import SmtpChannel
from services.notifier.channels.webhook import WebhookChannel
from services.notifier.core.digest_message import Digest, compose_digest
from services.notifier.core.digests import arrange, bursts_among
from services.notifier.core.message import Facts, Message, compose
from services.notifier.imports import read_divisions, read_staff
from shared.alerts import ChannelName, SendReason
from shared.clock import SystemClock
from shared.grades import RiskGrade
from shared.policy import Look
from tests.chaos.certificates import OPENSSL, Certificate
from tests.chaos.devices import Devices
from tests.chaos.journal import Journal, read_journal
from tests.chaos.people import CHAOS_STAFF, WEBHOOK_SECRET, write_people
from tests.fakes.notifier import WORDING, make_settings
from tests.told import read_mail, read_webhook
from tests.unit.test_notifier_digest import named

MAIL = "Message-ID: <msg_1@b.example>\r\n\r\nHousehold: H1\r\nsee http://console/alerts/a1\r\n"
BODY = json.dumps({"alert_id": "a1", "household_id": "H1"})
TIMEOUT_SECONDS = 0.4
ALL_OF_IT = ("cadre-1", "a1", "msg_1", "H1")
NOTHING = (None, None, None, None)
# A reset is met while writing or while reading, as it happens.
BROKEN_OFF = (httpx2.NetworkError, httpx2.RemoteProtocolError)
TLS_FAULTS: tuple[Certificate, ...] = ("expired", "self_signed", "wrong_host", "old_version")
needs_openssl = pytest.mark.skipif(OPENSSL is None, reason="there is no openssl program here")


@pytest.fixture(scope="module")
def devices(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devices]:
    directory = tmp_path_factory.mktemp("devices")
    with Journal(directory / "devices.jsonl") as journal, Devices(directory, journal) as devices:
        yield devices


@pytest.fixture(autouse=True)
def healed(devices: Devices) -> None:
    devices.heal()


def signature(at: datetime | None = None) -> dict[str, str]:
    """The headers of the webhook, as Standard Webhooks wants them."""
    now = at or datetime.now(UTC)
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(WEBHOOK_SECRET).sign("msg_1", now, BODY),
    }


def hook(devices: Devices, tls: ssl.SSLContext | None = None) -> str:
    """The address of cadre-1's receiver."""
    base = f"https://127.0.0.1:{devices.webhook_tls_port}" if tls else f"http://127.0.0.1:{devices.webhook_port}"
    return f"{base}/hook/cadre-1"


def post(devices: Devices, *, at: datetime | None = None, tls: ssl.SSLContext | None = None) -> httpx2.Response:
    """Send a signed webhook to cadre-1."""
    with httpx2.Client(trust_env=False, timeout=TIMEOUT_SECONDS, verify=tls or True) as client:
        return client.post(hook(devices, tls), content=BODY, headers=signature(at))


def send_mail(devices: Devices, tls: ssl.SSLContext | None = None) -> None:
    """Send a mail to cadre-1."""
    relay = smtplib.SMTP("127.0.0.1", devices.smtp_port, timeout=TIMEOUT_SECONDS)
    try:
        if tls is not None:
            relay.starttls(context=tls)
        relay.sendmail("a@b.example", "cadre-1@staff.example", MAIL)
    finally:
        relay.close()


def message(reason: SendReason) -> Message:
    """What the notifier tells about household H1."""
    now = datetime.now(UTC)
    return compose(
        Facts(
            alert_id="a1",
            household_id="H1",
            alias=None,
            division="990101101201",
            village="青禾村",
            grade=RiskGrade.RED,
            look=Look(colour="#b91c1c", sign="!", word_zh="红色", word_en="red"),
            reason=reason,
            revision=1,
            opened_at=now,
            told_at=now,
            acknowledge_by=now,
            visit_by=None,
            public_url="http://console",
        ),
        WORDING,
    )


def last_line(devices: Devices) -> dict[str, Any]:
    """The newest line of the devices' journal."""
    return read_journal(devices.journal.path)[-1]


def told(line: dict[str, Any]) -> tuple[str | None, ...]:
    return line["staff"], line["alert_id"], line["message_id"], line["household"]


@pytest.mark.parametrize(
    ("mode", "status", "header", "outcome"),
    [
        ("ok", 204, None, "taken"),
        ("500", 500, None, "refused"),
        ("410", 410, None, "refused"),
        ("429:30", 429, ("retry-after", "30"), "refused"),
        ("503:Wed, 21 Oct 2026 07:28:00 GMT", 503, ("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT"), "refused"),
        ("redirect:http://127.0.0.1:1/", 302, ("location", "http://127.0.0.1:1/"), "refused"),
    ],
)
def test_a_receiver_answers_as_told(
    devices: Devices, mode: str, status: int, header: tuple[str, str] | None, outcome: str
) -> None:
    devices.webhook_mode = mode
    reply = post(devices)
    assert reply.status_code == status
    assert header is None or reply.headers[header[0]] == header[1]
    line = last_line(devices)
    assert (line["channel"], line["outcome"], told(line)) == ("webhook", outcome, ALL_OF_IT)


@pytest.mark.parametrize(
    ("mode", "failure", "outcome", "came"),
    [
        ("refuse", BROKEN_OFF, "dropped", NOTHING),
        ("drop", BROKEN_OFF, "dropped", ALL_OF_IT),
        ("silent", httpx2.ReadTimeout, "dropped", ALL_OF_IT),
        ("drip", httpx2.ReadTimeout, "dropped", ALL_OF_IT),
        ("garbage", httpx2.RemoteProtocolError, "dropped", ALL_OF_IT),
        ("reset_after_200", BROKEN_OFF, "taken", ALL_OF_IT),
    ],
)
def test_a_receiver_fails_as_told(
    devices: Devices,
    mode: str,
    failure: type[Exception] | tuple[type[Exception], ...],
    outcome: str,
    came: tuple[str | None, ...],
) -> None:
    devices.webhook_mode = mode
    with pytest.raises(failure):
        post(devices)
    line = last_line(devices)
    assert (line["channel"], line["outcome"], told(line)) == ("webhook", outcome, came)


def test_a_huge_answer_goes_on_and_on(devices: Devices) -> None:
    devices.webhook_mode = "huge"
    came = 0
    with httpx2.stream("POST", hook(devices), content=BODY, headers=signature(), trust_env=False) as reply:
        for part in reply.iter_raw():
            came += len(part)
            if came > 1_000_000:
                break
    assert reply.status_code == 200
    assert last_line(devices)["outcome"] == "taken"


def test_a_throttled_receiver_takes_so_many_a_minute(devices: Devices) -> None:
    devices.webhook_mode = "throttle:2"
    assert [post(devices).status_code for _ in range(3)] == [204, 204, 429]


def test_one_persons_receiver_can_differ(devices: Devices) -> None:
    devices.webhook_mode_of.update({"cadre-1": "410", "cadre-2": "500"})
    assert post(devices).status_code == 410


def test_a_webhook_that_is_not_signed_as_it_should_be_is_refused(devices: Devices) -> None:
    assert post(devices, at=datetime.now(UTC) - timedelta(hours=1)).status_code == 401
    assert last_line(devices)["outcome"] == "refused"


def test_who_follows_a_redirect_is_counted(devices: Devices) -> None:
    httpx2.get(devices.redirect_target, trust_env=False)
    assert devices.followed_redirects == 1


@pytest.mark.parametrize("mode", ["ok", "no_starttls"])
def test_mail_is_taken(devices: Devices, mode: str) -> None:
    devices.smtp_mode = mode
    send_mail(devices)
    line = last_line(devices)
    assert (line["channel"], line["outcome"], told(line)) == ("smtp", "taken", ALL_OF_IT)


@pytest.mark.parametrize(
    ("mode", "failure", "outcome", "came"),
    [
        ("refuse", smtplib.SMTPServerDisconnected, "dropped", NOTHING),
        ("silent", smtplib.SMTPServerDisconnected, "dropped", NOTHING),
        ("drip", smtplib.SMTPServerDisconnected, "dropped", NOTHING),
        ("drop", smtplib.SMTPServerDisconnected, "dropped", ALL_OF_IT),
        ("cut_after_data", smtplib.SMTPServerDisconnected, "taken", ALL_OF_IT),
        ("tempfail", smtplib.SMTPDataError, "refused", ALL_OF_IT),
        ("permfail_data", smtplib.SMTPDataError, "refused", ALL_OF_IT),
        ("permfail", smtplib.SMTPRecipientsRefused, "refused", ("cadre-1", None, None, None)),
    ],
)
def test_the_mail_server_fails_as_told(
    devices: Devices, mode: str, failure: type[Exception], outcome: str, came: tuple[str | None, ...]
) -> None:
    devices.smtp_mode = mode
    with pytest.raises(failure):
        send_mail(devices)
    line = last_line(devices)
    assert (line["channel"], line["outcome"], told(line)) == ("smtp", outcome, came)


def test_a_greylisting_server_takes_the_second_try(devices: Devices) -> None:
    devices.smtp_mode = "greylist"
    with pytest.raises(smtplib.SMTPDataError):
        send_mail(devices)
    send_mail(devices)
    assert last_line(devices)["outcome"] == "taken"


@needs_openssl
def test_a_good_certificate_is_trusted_on_both_channels(devices: Devices) -> None:
    trusting = ssl.create_default_context(cafile=devices.ca_file)
    assert post(devices, tls=trusting).status_code == 204
    send_mail(devices, tls=trusting)


@needs_openssl
@pytest.mark.parametrize("certificate", TLS_FAULTS)
def test_a_bad_certificate_is_seen_by_clients_and_noted(devices: Devices, certificate: Certificate) -> None:
    trusting = ssl.create_default_context(cafile=devices.ca_file)
    devices.webhook_certificate = devices.smtp_certificate = certificate
    with pytest.raises(httpx2.ConnectError):
        post(devices, tls=trusting)
    with pytest.raises(ssl.SSLError):
        send_mail(devices, tls=trusting)


@needs_openssl
def test_starttls_can_be_stripped(devices: Devices) -> None:
    devices.smtp_mode = "no_starttls"
    with pytest.raises(smtplib.SMTPNotSupportedError):
        send_mail(devices, tls=ssl.create_default_context(cafile=devices.ca_file))


async def test_what_the_notifier_sends_names_its_alert_in_the_journal(devices: Devices) -> None:
    settings = make_settings(smtp_port=devices.smtp_port, smtp_starttls=False)
    mailbox = Address("cadre-1", "cadre-1@staff.example")
    webhook = Address("cadre-1", hook(devices), WEBHOOK_SECRET)
    smtp, web = SmtpChannel(settings, SystemClock()), WebhookChannel(settings, SystemClock())
    for channel, address in ((smtp, mailbox), (web, webhook)):
        for reason in (SendReason.OPENED, SendReason.WITHDRAWN):
            attempt = await channel.send(address, message(reason), "msg_1")
            assert attempt.receipt is not None
            line = last_line(devices)
            assert (line["channel"], line["outcome"], told(line)) == (channel.name, "taken", ALL_OF_IT)
        await channel.close()


async def test_a_digest_of_the_notifiers_names_all_its_alerts_in_the_journal(devices: Devices) -> None:
    settings = make_settings(smtp_port=devices.smtp_port, smtp_starttls=False)
    alerts = [named(1), named(2, is_new=False), named(3, RiskGrade.YELLOW, alias=None)]
    digest = Digest("d0", arrange(alerts, bursts_among([one.onset for one in alerts], 2)), "http://console")
    smtp, web = SmtpChannel(settings, SystemClock()), WebhookChannel(settings, SystemClock())
    addresses = (
        (smtp, Address("cadre-1", "cadre-1@staff.example")),
        (web, Address("cadre-1", hook(devices), WEBHOOK_SECRET)),
    )
    for channel, address in addresses:
        attempt = await channel.send(address, compose_digest(digest, channel.name, WORDING), "msg_1")
        assert attempt.receipt is not None
        line = last_line(devices)
        assert (line["channel"], line["outcome"], told(line)) == (
            channel.name,
            "taken",
            ("cadre-1", None, "msg_1", None),
        )
        assert line["alerts"] == [["a1", "H-1"], ["a2", "H-2"], ["a3", "H-3"]]
        await channel.close()


def test_a_mail_says_which_alerts_of_a_digest_are_new() -> None:
    alerts = [named(1), named(2, is_new=False), named(3, RiskGrade.YELLOW)]
    digest = Digest("d0", arrange(alerts, bursts_among([one.onset for one in alerts], 2)), "http://console")
    for said in (
        read_mail(compose_digest(digest, ChannelName.SMTP, WORDING).text),
        read_webhook(compose_digest(digest, ChannelName.WEBHOOK, WORDING).body),
    ):
        assert said.digest_id == "d0"
        assert [(one.household, one.is_new) for one in said.alerts] == [("H-1", True), ("H-2", False), ("H-3", True)]


def test_a_mode_that_nobody_knows_is_refused(devices: Devices) -> None:
    for wrong in ("okay", "200", "throttle", "redirect:"):
        with pytest.raises(ValueError, match="no mode"):
            devices.webhook_mode = wrong
    with pytest.raises(ValueError, match="no mode"):
        devices.smtp_mode = "garbage"


def test_the_notifier_can_import_the_people(tmp_path: Path) -> None:
    divisions, staff = write_people(tmp_path, "http://127.0.0.1:9999")
    people = read_staff(staff, read_divisions(divisions), allow_plain=True)
    assert [person.staff_id for person in people] == [member.staff_id for member in CHAOS_STAFF]
    assert people[0].contacts[1].address == "http://127.0.0.1:9999/hook/cadre-1"
