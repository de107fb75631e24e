"""What a reply to a text message means, which alert is meant by it, and what the vendor's address answers."""

import itertools

import httpx2
import pytest

from services.notifier.core.sms_replies import (
    ALPHABET,
    Meant,
    Reply,
    ReplyOutcome,
    Told,
    choose,
    code_of,
    mobile_number,
    read_reply,
    understand,
)
from services.notifier.routes import REPLIES_LIMIT_BYTES
from tests.fakes.notifier import make_settings
from tests.fakes.notifier_edge import notifier_app
from tests.fakes.vendors import reply_of

SECRET = "s" * 32


@pytest.mark.parametrize(
    "content",
    [
        "1 AC34",
        "1AC34",
        " 1  ac34 ",
        "1,AC34。",
        "1：AC34！",
        "１　ＡＣ３４",
        "签收 AC34",
        "签收AC34",
        "“1 AC34”",
        "AC34",
        "ac34.",
    ],
)
def test_a_code_with_or_without_1_before_it_acknowledges_however_it_is_typed(content):
    assert understand(content) == Meant("AC34")


@pytest.mark.parametrize("content", ["1", " 1。", "１", "签收", "签收！", "“1”"])
def test_1_alone_acknowledges_without_saying_what(content):
    assert understand(content) == Meant(None)


@pytest.mark.parametrize(
    "content",
    [
        *("", " ", "2", "11", "0 AC34", "TD", "好的", "1 AC3", "1 AC345", "1 AC34 AC36", "1 B028"),
        *(
            "不签收 AC34",
            "1 AC34 不是我村的",
            "AC34\x00\nAC34",
            "1" + " " * 200 + "AC34",
            "\ud800",
            "👍",
            "1' OR '1'='1",
        ),
    ],
)
def test_whatever_else_somebody_writes_acknowledges_nothing(content):
    assert understand(content) is None


def test_codes_hold_no_signs_that_are_taken_for_others_and_are_the_same_each_time():
    codes = {code_of("cadre-1", f"alert-{number}", 0) for number in range(500)}
    assert len(codes) > 495
    assert all(len(code) == 4 and set(code) <= set(ALPHABET) for code in codes)
    assert not set(ALPHABET) & set("0O1IL2Z5S8B")
    assert code_of("cadre-1", "a", 0) == code_of("cadre-1", "a", 0)
    assert len({code_of("cadre-1", "a", turn) for turn in range(10)}) == 10
    assert code_of("cadre-1", "a", 0) != code_of("cadre-2", "a", 0)
    assert all(understand(f"1 {code}") == understand(code) == Meant(code) for code in codes)


TOLD = [
    Told("cadre-1", "a", "AAAA", is_waiting=True),
    Told("cadre-1", "b", "CCCC", is_waiting=False),
    Told("cadre-1", "c", "DDDD", is_waiting=True),
]


@pytest.mark.parametrize(
    ("code", "told", "chosen"),
    [
        ("AAAA", TOLD, TOLD[0]),
        ("CCCC", TOLD, TOLD[1]),
        ("EEEE", TOLD, ReplyOutcome.UNKNOWN_CODE),
        (None, TOLD, ReplyOutcome.CODE_NEEDED),
        (None, TOLD[:2], TOLD[0]),
        (None, TOLD[1:2], ReplyOutcome.NOTHING_OPEN),
        (None, [], ReplyOutcome.NOTHING_OPEN),
        # Two people share a phone, and each was told of the same alert.
        (None, [TOLD[0], Told("grid-1", "a", "EEEE", is_waiting=True)], ReplyOutcome.CODE_NEEDED),
        ("AAAA", [TOLD[0], Told("grid-1", "d", "AAAA", is_waiting=True)], ReplyOutcome.UNKNOWN_CODE),
    ],
)
def test_a_code_names_one_alert_and_1_alone_means_the_only_one_that_waits(code, told, chosen):
    assert choose(Meant(code), told) == chosen


@pytest.mark.parametrize("phone", ["13800000000", "+8613800000000", "8613800000000", "0086 138-0000-0000"])
def test_a_number_is_known_however_it_is_written(phone):
    assert mobile_number(phone) == "13800000000"


@pytest.mark.parametrize(
    "phone", ["", "1380000000", "138000000000", "12800000000", "１３８００００００００", "1390000****"]
)
def test_what_is_no_mobile_number_is_nobodys(phone):
    assert mobile_number(phone) is None
    assert read_reply(reply_of(1, "1", phone)) == Reply("1", "", "1")


@pytest.mark.parametrize("sequence_id", ["1234567890", 1234567890, 1234567890.0])
def test_a_replys_name_is_the_same_as_a_text_and_as_a_number(sequence_id):
    assert read_reply(reply_of(sequence_id, "1")) == Reply("1234567890", "13800000000", "1")


BROKEN = [
    *(1, None, "1", [], {}, {"sequence_id": "1"}),
    *({**reply_of(1, "1"), name: value} for name, value in itertools.product(
        ("sequence_id", "phone_number", "content"), (None, True, [], {}, 1.5)
    )),
    *(reply_of(name, "1") for name in ("", "a b", "x" * 65, "1\n", "\ud800")),
]  # fmt: skip


@pytest.mark.parametrize("item", BROKEN, ids=repr)
def test_what_is_no_reply_is_not_taken_for_one(item):
    assert read_reply(item) is None


def test_a_reply_does_not_show_whose_it_is():
    assert "13800000000" not in repr(read_reply(reply_of(1, "1")))


async def post(path, body=b"[]", **settings):
    app = await notifier_app(**settings)
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://x") as client:
        return await client.post(path, content=body)


@pytest.mark.parametrize(
    ("path", "settings"),
    [
        (f"/v1/sms-replies/{SECRET}", {}),
        (f"/v1/sms-replies/{'t' * 32}", {"sms_reply_secret": SECRET}),
        (f"/v1/sms-replies/{SECRET[:-1]}", {"sms_reply_secret": SECRET}),
        ("/v1/sms-replies/%ff%E5%AE%88", {"sms_reply_secret": SECRET}),
        ("/v1/sms-replies/", {"sms_reply_secret": SECRET}),
        ("/v1/sms-replies", {"sms_reply_secret": SECRET}),
    ],
)
async def test_without_the_secret_there_is_nothing_here(path, settings):
    assert (await post(path, b"not looked at", **settings)).status_code == 404


@pytest.mark.parametrize("body", [b"", b"{}", b"[", b"\xff", b"[" * 100_000, b'"x"'])
async def test_what_is_no_list_is_refused(body):
    answer = await post(f"/v1/sms-replies/{SECRET}", body, sms_reply_secret=SECRET)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "not_an_array")


async def test_a_body_past_its_size_is_refused_and_a_large_one_is_not():
    path = f"/v1/sms-replies/{SECRET}"
    assert (await post(path, b" " * REPLIES_LIMIT_BYTES + b"[]", sms_reply_secret=SECRET)).status_code == 413
    answer = await post(path, b"[" + b"1," * 50_000 + b"1]", sms_reply_secret=SECRET)
    assert (answer.status_code, answer.json()) == (200, {"code": 0, "msg": "taken"})


async def test_while_the_database_is_away_the_vendor_is_asked_to_come_again():
    body = b'[{"sequence_id": "1", "phone_number": "13800000000", "content": "1"}]'
    assert (await post(f"/v1/sms-replies/{SECRET}", body, sms_reply_secret=SECRET)).status_code == 503


@pytest.mark.parametrize(
    "secret", ["short", "x" * 31, "a/" * 20, "secret with spaces in it, but long", "秘" * 40, "x" * 201]
)
def test_a_secret_that_can_be_guessed_or_fits_no_address_is_refused_at_start(secret):
    with pytest.raises(ValueError, match="SMS_REPLY_SECRET"):
        make_settings(sms_reply_secret=secret)


def test_an_empty_secret_is_none():
    assert make_settings(sms_reply_secret="").sms_reply_secret is None
