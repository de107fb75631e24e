"""Chat and text message vendors over real sockets: a no inside an HTTP 200 is a no, and each says it differently."""

import asyncio
import json
from urllib.parse import parse_qs, urlsplit

import pytest

from services.notifier.channels.aliyun_sms import AliyunSms, authorization
from services.notifier.channels.ports import Address
from services.notifier.channels.robots import DingtalkRobot, FeishuRobot, WecomRobot
from services.notifier.channels.wecom_app import WecomApp
from services.notifier.core.message import Message, sms_variables
from services.notifier.core.vendor_codes import ALIYUN_SMS, DINGTALK, FEISHU, WECOM_APP, WECOM_ROBOT
from shared.clock import SettableClock
from tests.fakes.notifier import NOW, make_settings
from tests.fakes.vendors import NOT_SET_UP, PHONE, ROBOT_SECRET, TOKEN, USER, vendor_settings, vendors

BRIEF = "【守望】红色预警 ▲\n某村 户 梨花家\n请在2026-03-02 11:30前签收\nhttps://console.test/alerts/0123456789abcdef01234567"
MESSAGE = Message("subject", "text", "{}", BRIEF)
ADDRESSES = {
    WecomRobot: Address("c-1", TOKEN),
    WecomApp: Address("c-1", USER),
    DingtalkRobot: Address("c-1", TOKEN, ROBOT_SECRET),
    FeishuRobot: Address("c-1", TOKEN, ROBOT_SECRET),
    AliyunSms: Address("c-1", PHONE),
}
EVERY_VENDOR = pytest.mark.parametrize("kind", ADDRESSES)


@pytest.fixture
async def vendor():
    async with vendors(NOW.timestamp) as running:
        yield running


async def send(kind, vendor, address=None, *, times=1, **settings):
    """Send on one open channel; return the last attempt."""
    values = {**vendor_settings(vendor.port), "send_timeout_seconds": 0.3, **settings}
    channel = kind(make_settings(**values), SettableClock(NOW))
    for _ in range(times):
        attempt = await channel.send(address or ADDRESSES[kind], MESSAGE, "msg_1")
    await channel.close()
    return attempt


@EVERY_VENDOR
async def test_a_message_that_is_taken_leaves_a_receipt(vendor, kind):
    attempt = await send(kind, vendor)
    assert attempt.receipt, attempt
    (text,) = vendor.texts
    assert "梨花家" in text
    assert "0123456789abcdef01234567" in text


@EVERY_VENDOR
async def test_an_unknown_code_inside_a_200_is_a_failure_that_is_tried_again(vendor, kind):
    vendor.codes = ["isp.SYSTEM_ERROR" if kind is AliyunSms else 88888]
    attempt = await send(kind, vendor)
    assert (attempt.receipt, attempt.permanent) == (None, False)
    assert attempt.code.endswith(("_88888", "_isp.SYSTEM_ERROR"))


@pytest.mark.parametrize(
    ("kind", "address", "code"),
    [
        (WecomRobot, Address("c-1", "another-robot-0123"), "wecom_93000"),
        (WecomApp, Address("c-1", "li.si"), "wecom_invaliduser"),
        (DingtalkRobot, Address("c-1", "another-robot-0123", ROBOT_SECRET), "dingtalk_300001"),
        (FeishuRobot, Address("c-1", "another-robot-0123", ROBOT_SECRET), "feishu_19001"),
        (AliyunSms, Address("c-1", "13900000000"), "aliyun_isv.MOBILE_NUMBER_ILLEGAL"),
    ],
)
async def test_a_receiver_that_does_not_exist_is_given_up_at_once(vendor, kind, address, code):
    attempt = await send(kind, vendor, address)
    assert (attempt.code, attempt.permanent, attempt.disables) == (code, True, True)


@EVERY_VENDOR
async def test_a_message_past_the_vendors_pace_pauses_the_receiver(vendor, kind):
    vendor.per_minute = 2
    attempt = await send(kind, vendor, times=3)
    assert (attempt.receipt, attempt.permanent, attempt.pauses_target) == (None, False, True)
    assert attempt.retry_after_seconds == (600 if kind is DingtalkRobot else 60)
    assert len(vendor.texts) == 2


@EVERY_VENDOR
@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("silent", "timeout"),
        ("drip", "timeout"),
        ("garbage", "bad_reply"),
        ("reset", "bad_reply"),
        ("cut", "bad_reply"),
        ("huge", "bad_reply"),
        ("200 OK", "bad_reply"),
        ("410 Gone", "bad_reply"),
        ("302 Found\nLocation: http://127.0.0.1:1/", "http_302"),
        ("502 Bad Gateway", "http_502"),
    ],
)
async def test_a_vendor_in_trouble_is_tried_again(vendor, kind, word, code):
    vendor.always = word
    attempt = await send(kind, vendor)
    assert (attempt.code, attempt.receipt, attempt.permanent) == (code, None, False)


@pytest.mark.parametrize(
    ("kind", "address", "settings", "code"),
    [
        (DingtalkRobot, Address("c-1", TOKEN, "another-secret"), {}, "dingtalk_310000"),
        (FeishuRobot, Address("c-1", TOKEN, "another-secret"), {}, "feishu_19021"),
        (WecomApp, None, {"wecom_secret": "another-secret"}, "wecom_40001"),
        (AliyunSms, None, {"sms_access_key_secret": "another-secret"}, "aliyun_SignatureDoesNotMatch"),
    ],
)
async def test_a_wrong_secret_is_refused_and_can_be_mended(vendor, kind, address, settings, code):
    attempt = await send(kind, vendor, address, **settings)
    assert (attempt.code, attempt.receipt, attempt.permanent) == (code, None, False)
    assert vendor.texts == []


@pytest.mark.parametrize("kind", [WecomApp, AliyunSms])
async def test_a_channel_that_is_not_set_up_lets_the_next_one_try(vendor, kind):
    attempt = await send(kind, vendor, **NOT_SET_UP)
    assert (attempt.code, attempt.permanent, attempt.disables) == ("not_set_up", True, False)
    assert vendor.journal == []


@EVERY_VENDOR
async def test_a_vendor_that_is_away_and_a_contact_that_is_closed_are_told_apart(vendor, kind):
    away = await send(
        kind, vendor, **dict.fromkeys(("wecom_url", "dingtalk_url", "feishu_url", "sms_url"), "http://127.0.0.1:1")
    )
    assert (away.code, away.permanent) == ("connection_refused", False)
    closed = await send(kind, vendor, Address("c-1"))
    assert (closed.code, closed.permanent) == ("no_address", True)


async def test_the_applications_token_is_fetched_once_and_again_when_it_is_stale(vendor):
    channel = WecomApp(make_settings(**vendor_settings(vendor.port)), SettableClock(NOW))
    attempts = await asyncio.gather(*(channel.send(ADDRESSES[WecomApp], MESSAGE, "msg_1") for _ in range(5)))
    assert all(attempt.receipt for attempt in attempts)
    assert vendor.tokens_issued == 1
    vendor.expired.add("token-1")
    attempts = await asyncio.gather(*(channel.send(ADDRESSES[WecomApp], MESSAGE, "msg_1") for _ in range(5)))
    assert all(attempt.receipt for attempt in attempts)
    assert vendor.tokens_issued == 2
    vendor.expired |= {"token-2", "token-3"}
    assert (await channel.send(ADDRESSES[WecomApp], MESSAGE, "msg_1")).code == "wecom_42001"
    assert vendor.tokens_issued == 3, "a token that is stale at once is not asked for for ever"
    await channel.close()


async def test_a_dingtalk_signature_is_percent_encoded_once(vendor):
    await send(DingtalkRobot, vendor)
    assert "%25" not in vendor.journal[0].path
    assert len(parse_qs(urlsplit(vendor.journal[0].path).query)["sign"][0]) == 44


def test_aliyuns_signature_is_that_of_their_published_example():
    headers = {
        "host": "ecs.cn-shanghai.aliyuncs.com",
        "x-acs-action": "RunInstances",
        "x-acs-content-sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "x-acs-date": "2023-10-26T10:22:32Z",
        "x-acs-signature-nonce": "3156853299f313e23d1673dc12e1703d",
        "x-acs-version": "2014-05-26",
    }
    query = {"ImageId": "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd", "RegionId": "cn-shanghai"}
    signed = authorization("POST", "/", query, headers, "YourAccessKeyId", "YourAccessKeySecret")
    assert signed.endswith("Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0")


def test_a_text_message_carries_neither_link_nor_more_than_35_characters_in_a_variable():
    long = BRIEF.replace("某村", "长" * 40)
    assert sms_variables(BRIEF) == {
        "title": "红色预警",
        "place": "某村 户 梨花家",
        "deadline": "请在2026-03-02 11:30前签收",
        "id": "0123456789abcdef01234567",
    }
    assert max(map(len, sms_variables(long).values())) == 35


@pytest.mark.parametrize("codes", [WECOM_ROBOT, WECOM_APP, DINGTALK, FEISHU, ALIYUN_SMS])
def test_a_hostile_code_leaves_a_short_plain_word(codes):
    attempt = codes.judge("<b>\n" + "x" * 500, "")
    assert len(attempt.code) <= 80
    assert attempt.code.isascii()
    assert "\n" not in attempt.code
    assert json.dumps(attempt.code).strip('"') == attempt.code
    assert codes.judge("", "").code == f"{codes.name}_no_code"
