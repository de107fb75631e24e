"""What becomes of attempts, what receivers' answers mean, and which addresses webhooks may not reach."""

import base64
import hashlib
import hmac
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from standardwebhooks.webhooks import Webhook

from services.notifier.channels.addresses import AddressRefused, is_public, resolve
from services.notifier.channels.webhook import (
    check_secret,
    check_url,
    judge_status,
    retry_after_seconds,
    signed_headers,
)
from services.notifier.core.retries import Attempt, judge, still_wanted, wait_seconds
from services.notifier.settings import NotifierSettings
from services.notifier.store.deliveries import NOT_TRIED
from services.notifier.targets import Targets
from shared.alerts import AlertStatus, DeliveryStatus, SendReason
from tests.fakes.notifier import NOW, SECRET, make_settings


def test_the_waits_are_5_s_30_s_2_min_10_min_then_30_min():
    waits = [wait_seconds(attempts, None, 0.0) for attempts in range(7)]
    assert waits == [5, 30, 120, 600, 1800, 1800, 1800]
    assert wait_seconds(0, None, 1.0) == pytest.approx(5.5)


@pytest.mark.parametrize(("asked", "waits"), [(60, 60), (1, 5), (-5, 5), (10**9, 1800), (None, 5)])
def test_a_receiver_may_ask_for_time_within_caps(asked, waits):
    assert wait_seconds(0, asked, 0.0) == waits


@pytest.mark.parametrize(
    ("attempt", "wanted", "given_up", "status"),
    [
        (Attempt("sent", receipt="250 OK"), False, True, DeliveryStatus.SENT),
        (Attempt("http_500"), True, False, DeliveryStatus.PENDING),
        (Attempt("http_500"), False, False, DeliveryStatus.SUPPRESSED),
        (Attempt("http_500"), True, True, DeliveryStatus.FAILED),
        (Attempt("http_410", permanent=True), True, False, DeliveryStatus.FAILED),
    ],
)
def test_an_attempt_ends_in_sent_failed_suppressed_or_another_try(attempt, wanted, given_up, status):
    verdict = judge(attempt, attempts_before=1, now=NOW, spread=0.0, wanted=wanted, given_up=given_up)
    assert verdict.status is status
    assert verdict.next_attempt_at == (NOW + timedelta(seconds=30) if status is DeliveryStatus.PENDING else None)


@pytest.mark.parametrize(
    ("status", "acknowledged", "reason", "wanted"),
    [
        (AlertStatus.OPEN, None, SendReason.OPENED, True),
        (AlertStatus.ACKNOWLEDGED, 1, SendReason.GRADE_WORSE, True),
        (AlertStatus.ACKNOWLEDGED, 2, SendReason.GRADE_WORSE, False),
        (AlertStatus.RESOLVED, 1, SendReason.OPENED, False),
        (AlertStatus.WITHDRAWN, None, SendReason.OPENED, False),
        (AlertStatus.WITHDRAWN, None, SendReason.WITHDRAWN, True),
    ],
)
def test_repeating_ends_when_somebody_took_on_what_was_told(status, acknowledged, reason, wanted):
    assert still_wanted(status, revision=2, acknowledged_revision=acknowledged, reason=reason) is wanted


@pytest.mark.parametrize(
    ("status", "permanent", "disables"),
    [(500, False, False), (404, False, False), (302, False, False), (410, True, True)],
)
def test_only_gone_is_for_good(status, permanent, disables):
    attempt = judge_status(status, None, NOW)
    assert (attempt.receipt, attempt.permanent, attempt.disables) == (None, permanent, disables)
    assert attempt.code == f"http_{status}"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("Mon, 02 Mar 2026 01:31:00 GMT", 60),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("99999999999999999999", 999_999_999),
        (None, None),
    ],
)
def test_retry_after_is_read_in_seconds_or_as_a_date(value, seconds):
    assert retry_after_seconds(value, NOW) == seconds


def test_retry_after_counts_only_where_it_means_something():
    assert judge_status(429, "60", NOW).retry_after_seconds == 60
    assert judge_status(503, "60", NOW).retry_after_seconds == 60
    assert judge_status(500, "60", NOW).retry_after_seconds is None


def test_a_signature_verifies_with_the_library_and_with_plain_hmac():
    now = datetime.now(UTC)
    headers = signed_headers(SECRET, '{"grade":"red"}', "msg_1", now)
    Webhook(SECRET).verify('{"grade":"red"}', headers)
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    signed = f"msg_1.{headers['webhook-timestamp']}.".encode() + b'{"grade":"red"}'
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"


def test_two_secrets_give_two_signatures_so_that_a_receiver_can_change_over():
    other = "whsec_" + base64.b64encode(b"another secret of 24 b..").decode()
    headers = signed_headers(f"{SECRET} {other}", "{}", "msg_1", datetime.now(UTC))
    Webhook(SECRET).verify("{}", headers)
    Webhook(other).verify("{}", headers)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "198.18.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "224.0.0.1",
        "::1",
        "::",
        "::7f00:1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2002:a00:1::1",
        "2001:0:1::1",
        "fe80::1",
        "fec0::1",
        "fc00::1",
        "ff02::1",
    ],
)
def test_addresses_inside_the_house_are_not_public(address):
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "223.5.5.5", "2400:3200::1", "::ffff:8.8.8.8"])
def test_addresses_of_the_open_internet_are_public(address):
    assert is_public(ip_address(address))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "0177.0.0.1", "::1"])
async def test_loopback_is_refused_however_it_is_written(host):
    with ThreadPoolExecutor(1) as threads, pytest.raises(AddressRefused):
        await resolve(host, 443, threads, allow_private=False)


@pytest.mark.parametrize(
    "url",
    ["http://a.example/", "ftp://a.example/", "https://", "https://u:p@a.example/", "https://a.example/x y", "hook"],
)
def test_unusable_webhook_addresses_are_refused_with_what_to_fix(url):
    with pytest.raises(ValueError, match="give an"):
        check_url(url, allow_plain=False)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_QUJD", "whsec_\u4e2d"])
def test_unusable_secrets_are_refused(secret):
    with pytest.raises(ValueError, match="secret"):
        check_secret(secret)


def test_a_slow_host_holds_no_more_than_its_share_and_less_while_in_trouble():
    targets = Targets(share=2, probe_seconds=15)
    assert [targets.take("slow", NOW) for _ in range(3)] == [True, True, False]
    assert targets.busy(NOW) == ["slow"]
    assert targets.take("other", NOW)
    targets.give_back("slow", "timeout", NOW)
    targets.give_back("slow", "timeout", NOW)
    assert [targets.take("slow", NOW) for _ in range(2)] == [True, False]
    targets.give_back("slow", "sent", NOW)
    assert [targets.take("slow", NOW) for _ in range(2)] == [True, True]


def test_after_five_outages_in_a_row_a_receiver_gets_one_probe_every_15_seconds_and_others_are_unharmed():
    targets, now = Targets(share=2, probe_seconds=15), NOW
    for _ in range(5):
        assert targets.take("out", now)
        targets.give_back("out", "http_503", now)
    assert (targets.busy(now), targets.broken(), targets.take("other", now)) == (["out"], 1, True)
    for _ in range(3):
        assert not targets.take("out", now + timedelta(seconds=14.9))
        now += timedelta(seconds=15)
        assert [targets.take("out", now) for _ in range(2)] == [True, False]
        targets.give_back("out", "timeout", now)
    now += timedelta(seconds=15)
    assert targets.take("out", now)
    assert targets.give_back("out", "sent", now), "it is back, and what waits for it is told"
    assert [targets.take("out", now) for _ in range(3)] == [True, True, False]


def test_a_receiver_that_answers_now_and_then_is_not_left_alone():
    targets = Targets(share=1, probe_seconds=15)
    for code in ("http_500",) * 4 + ("http_404",) + ("http_500",) * 4 + (NOT_TRIED,):
        assert targets.take("shaky", NOW)
        targets.give_back("shaky", code, NOW)
    assert targets.take("shaky", NOW)


@pytest.mark.parametrize(
    "values",
    [
        {"environment": "production", "webhook_allow_private": True},
        {"environment": "production", "webhook_allow_private": False, "smtp_host": "relay.example"},
        {"lease_seconds": 0.5},
        {"mail_from": "nobody"},
        {"public_url": "console"},
    ],
)
def test_unsafe_or_unusable_settings_are_refused(values):
    with pytest.raises(ValueError):
        make_settings(**values)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"smtp_user": "u"}, "set SHOUWANG_NOTIFIER_SMTP_PASSWORD too"),
        ({"wecom_secret": "s", "wecom_agent_id": 1}, "set SHOUWANG_NOTIFIER_WECOM_CORP_ID too"),
        (
            {"sms_access_key_id": "k", "sms_access_key_secret": "s"},
            "set SHOUWANG_NOTIFIER_SMS_SIGN_NAME, SHOUWANG_NOTIFIER_SMS_TEMPLATE_CODE too, or none of",
        ),
    ],
)
def test_half_a_channel_is_told_at_start_with_what_is_missing(given, told):
    with pytest.raises(ValueError, match=told):
        make_settings(**given)


def test_production_takes_settings_that_keep_mail_from_strangers():
    settings = make_settings(
        environment="production", webhook_allow_private=False, smtp_host="relay.example", smtp_starttls=True
    )
    assert isinstance(settings, NotifierSettings)
