"""What people are told: thin, in two languages, safe as a mail header."""

import json
import re
from datetime import timedelta

import pytest

from services.notifier.core.message import Facts, alert_id_of, compose, message_id, plain
from shared.alerts import ChannelName, SendReason
from shared.grades import RiskGrade
from tests.fakes.notifier import NOW, VILLAGE, WORDING, policy


def facts(grade=RiskGrade.RED, **values):
    defaults = {
        "alert_id": "a1b2",
        "household_id": "H-1024",
        "alias": None,
        "division": VILLAGE,
        "village": "某村",
        "grade": grade,
        "look": policy().look(grade),
        "reason": SendReason.OPENED,
        "revision": 1,
        "opened_at": NOW,
        "told_at": NOW,
        "acknowledge_by": NOW + timedelta(hours=2),
        "visit_by": NOW + timedelta(hours=24),
        "public_url": "https://console.test/",
    }
    return Facts(**(defaults | values))


@pytest.mark.parametrize(
    ("given", "subject"),
    [
        (facts(), "【守望】红色预警 ▲ 某村 户 H-1024 请在2小时内签收"),
        (facts(alias="梨花家"), "【守望】红色预警 ▲ 某村 户 梨花家 请在2小时内签收"),
        (facts(reason=SendReason.GRADE_WORSE), "【守望】红色预警（加重） ▲ 某村 户 H-1024 请在2小时内签收"),
        (
            facts(RiskGrade.ORANGE, acknowledge_by=None, visit_by=NOW + timedelta(days=3)),
            "【守望】橙色预警 ◆ 某村 户 H-1024 请在3天内入户核实",
        ),
        (
            facts(RiskGrade.YELLOW, acknowledge_by=None, visit_by=NOW + timedelta(days=7)),
            "【守望】黄色预警 ■ 某村 户 H-1024 请在7天内入户核实",
        ),
        (facts(reason=SendReason.WITHDRAWN), "【守望】预警撤销 某村 户 H-1024 无需再处理"),
        (
            facts(reason=SendReason.OVERDUE, since=NOW - timedelta(hours=2)),
            "【守望】红色预警（超时未签收） ▲ 某村 户 H-1024 自2026-03-02 07:30起无人签收，请立即处理",
        ),
        (
            facts(reason=SendReason.OVERDUE_VISIT),
            "【守望】红色预警（超期未入户） ▲ 某村 户 H-1024 入户期限已过，请立即签收并入户",
        ),
        (
            facts(reason=SendReason.REMINDER, task=("每周走访，直至降为橙色", "visited weekly until orange")),
            "【守望】红色预警（定期任务） ▲ 某村 户 H-1024 每周走访，直至降为橙色",
        ),
        (facts(RiskGrade.YELLOW, reason=SendReason.CORRECTED), "【守望】预警更正 某村 户 H-1024 现为黄色"),
        (facts(reason=SendReason.HOUSEHOLD_CLOSED), "【守望】预警结束 某村 户 H-1024 无需再处理"),
    ],
)
def test_the_subject_says_grade_sign_place_and_what_to_do(given, subject):
    assert compose(given, WORDING).subject == subject


def test_the_text_is_chinese_then_english_with_deadlines_and_link():
    text = compose(facts(), WORDING).text
    chinese, english = text.split("\n\n", 1)
    assert "2026-03-02 11:30（北京时间）" in chinese
    assert "https://console.test/alerts/a1b2" in chinese
    assert "Red alert: acknowledge within 2 hours." in english
    assert "Acknowledge by: 2026-03-02 11:30 (Beijing time)" in english


def test_a_correction_says_what_holds_now_and_by_when_to_do_what():
    message = compose(facts(RiskGrade.YELLOW, reason=SendReason.CORRECTED, acknowledge_by=None), WORDING)
    chinese, english = message.text.split("\n\n", 1)
    assert chinese.startswith("预警更正：所依据的情况经核实有变，该户现为黄色。\n村：某村\n户：H-1024\n入户期限：")
    assert english.startswith(
        "Alert corrected: what it rested on was not so, and the household is now graded Yellow.\n"
    )
    assert message.brief.split("\n")[::2] == ["【守望】预警更正", "现为黄色"]


def test_the_webhook_body_holds_exactly_the_agreed_fields():
    assert json.loads(compose(facts(), WORDING).body) == {
        "type": "cn.shouwang.alert.opened.v1",
        "alert_id": "a1b2",
        "household_id": "H-1024",
        "alias": None,
        "division": VILLAGE,
        "village": "某村",
        "grade": "red",
        "opened_at": "2026-03-02T01:30:00.000Z",
        "acknowledge_by": "2026-03-02T03:30:00.000Z",
        "visit_by": "2026-03-03T01:30:00.000Z",
        "link": "https://console.test/alerts/a1b2",
        "revision": 1,
    }


def test_what_is_overdue_is_told_with_its_deadlines_and_a_reminder_without_them():
    overdue = compose(facts(reason=SendReason.OVERDUE, since=NOW), WORDING).text
    assert "Red alert: unacknowledged since 2026-03-02 09:30, please act now." in overdue
    assert "Acknowledge by: 2026-03-02 11:30" in overdue
    reminder = compose(facts(reason=SendReason.REMINDER, task=("每周走访", "visited weekly")), WORDING).text
    assert "Red alert: visited weekly." in reminder
    assert "by: " not in reminder


@pytest.mark.parametrize("reason", list(SendReason))
def test_no_message_speaks_of_illness_amounts_or_names(reason):
    message = compose(facts(reason=reason), WORDING)
    for words in (message.subject, message.text, message.body):
        assert not re.search(r"病|元|yuan|illness|disaster|自付", words)
        assert not re.search(r"\d{17}[\dXx]|(?<!\d)1\d{10}(?!\d)", words)


@pytest.mark.parametrize("evil", ["家\r\nBcc: all@example.org", "a\x00b", "左\u202e右", "x" * 500])
def test_an_alias_cannot_break_out_of_the_subject(evil):
    subject = compose(facts(alias=evil, village=evil), WORDING).subject
    assert subject.isprintable()
    assert len(subject) < 150


def test_plain_text_keeps_ordinary_words():
    assert plain("  梨花 家 ", 10) == "梨花 家"


def test_names_of_alerts_and_messages_are_stable_and_distinct():
    assert alert_id_of("H-1", 1) == alert_id_of("H-1", 1) != alert_id_of("H-1", 2)
    names = {
        message_id(alert, revision, staff, channel)
        for alert in ("a", "b")
        for revision in (1, 2)
        for staff in ("x", "y")
        for channel in ChannelName
    }
    assert len(names) == 8 * len(ChannelName)
