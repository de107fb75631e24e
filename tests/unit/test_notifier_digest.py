"""Several alerts in one message: every one is named, worst first, bursts together, and nothing more is told."""

import json
from dataclasses import replace
from datetime import timedelta

import jsonschema
import pytest

from services.notifier.core import digests
from services.notifier.core.digest_message import Digest, compose_digest
from services.notifier.core.digests import (
    NamedAlert,
    Onset,
    arrange,
    bursts_among,
    digest_id_of,
    is_digest_id,
    may_burst,
)
from services.notifier.core.message import alert_id_of, compose, sms_variables
from services.notifier.core.weekly import Listed, Place, compose_list
from services.notifier.openapi import complete
from shared.alerts import AlertStatus, ChannelName, DigestBody, SendReason
from shared.grades import RiskGrade
from tests.fakes.notifier import NOW, OTHER_VILLAGE, VILLAGE, WORDING, policy
from tests.unit.test_notifier_message import facts

RED, ORANGE, YELLOW = RiskGrade.RED, RiskGrade.ORANGE, RiskGrade.YELLOW
SMTP, WEBHOOK, ROBOT = ChannelName.SMTP, ChannelName.WEBHOOK, ChannelName.WECOM_ROBOT
NAMES = {VILLAGE: "某村", OTHER_VILLAGE: "别村"}
LINK = "http://console.test/digests/d0"
CAUSE = "illness"


def named(number, grade=RED, division=VILLAGE, **values):
    """An alert whose deadlines come later the higher its number."""
    opened_at = NOW + timedelta(minutes=number)
    defaults = {
        "alert_id": f"a{number}",
        "household_id": f"H-{number}",
        "alias": None,
        "division": division,
        "village": NAMES[division],
        "grade": grade,
        "look": policy().look(grade),
        "reason": SendReason.OPENED,
        "status": AlertStatus.OPEN,
        "revision": 1,
        "opened_at": opened_at,
        "acknowledge_by": opened_at + timedelta(hours=2) if grade is RED else None,
        "visit_by": opened_at + timedelta(hours=24),
        "link": f"http://console.test/alerts/a{number}",
        "first_cause": CAUSE,
    }
    return NamedAlert(**(defaults | values))


def message(alerts, channel=SMTP, *, least=5):
    bursts = bursts_among([one.onset for one in alerts], least)
    return compose_digest(Digest("d0", arrange(alerts, bursts), "http://console.test/"), channel, WORDING)


def order(alerts, *, least=5):
    """The numbers of the alerts as they come."""
    bursts = bursts_among([one.onset for one in alerts], least)
    return [
        int(one.alert_id[1:]) for section in arrange(alerts, bursts) for group in section.groups for one in group.alerts
    ]


def test_worse_grades_come_first_then_what_nobody_holds_then_the_nearest_deadline():
    taken = {"status": AlertStatus.ACKNOWLEDGED, "taken_on": True}
    alerts = [
        named(1, YELLOW),
        named(9, RED),
        named(3, ORANGE),
        named(2, RED, **taken),
        named(5, RED),
        named(4, RED, reason=SendReason.WITHDRAWN, status=AlertStatus.WITHDRAWN),
    ]
    assert order(alerts) == [5, 9, 2, 3, 1, 4]


def test_the_alerts_of_one_village_grade_and_cause_stand_together_and_not_those_of_another():
    flood = [named(number, first_cause="disaster") for number in (1, 3, 5, 7, 9)]
    others = [named(2), named(4, division=OTHER_VILLAGE, first_cause="disaster"), named(6, ORANGE)]
    assert order([*others, *flood]) == [1, 3, 5, 7, 9, 2, 4, 6]
    assert order([*others, *flood[1:]]) == [2, 3, 4, 5, 7, 9, 6]


def test_only_grave_alerts_with_a_cause_make_bursts():
    assert may_burst(ORANGE, CAUSE)
    assert not may_burst(YELLOW, CAUSE)
    assert not may_burst(RED, None)
    yellow, unknown = Onset(VILLAGE, YELLOW, CAUSE), Onset(VILLAGE, RED, None)
    assert bursts_among([yellow] * 9 + [unknown] * 9, 5) == frozenset()


MAIL = """\
4户预警，先重后轻，时间为北京时间。
名单、原因、措施和签收（登录后）：http://console.test/digests/d0

▲ 红色预警 3户
某村 3户（新增2）
【新】H-1 请在2026-03-02 11:31前签收 http://console.test/alerts/a1
【新】梨花家 请在2026-03-02 11:32前签收（加重） http://console.test/alerts/a2
H-3 已签收 http://console.test/alerts/a3
H-4（别村） 超时未签收，请立即处理 http://console.test/alerts/a4

■ 黄色预警 1户
H-5（某村） 请在2026-03-03 09:35前入户核实 http://console.test/alerts/a5


4 households, the worst first; times are Beijing times.
List, reasons, measures and acknowledgement after login: http://console.test/digests/d0

▲ Red alert: 3 households
某村: 3 households (2 new)
[new] H-1: acknowledge by 2026-03-02 11:31, http://console.test/alerts/a1
[new] 梨花家: acknowledge by 2026-03-02 11:32 (worse), http://console.test/alerts/a2
H-3: acknowledged, http://console.test/alerts/a3
H-4 (别村): not acknowledged in time, please act now, http://console.test/alerts/a4

■ Yellow alert: 1 household
H-5 (某村): visit by 2026-03-03 09:35, http://console.test/alerts/a5
"""
SEVERAL = (
    named(5, YELLOW),
    named(4, division=OTHER_VILLAGE, reason=SendReason.OVERDUE),
    named(3, status=AlertStatus.ACKNOWLEDGED, taken_on=True, is_new=False),
    named(2, alias="梨花家", reason=SendReason.GRADE_WORSE),
    named(1),
)


def test_a_mail_names_every_alert_in_both_languages_and_of_a_burst_also_what_was_told_before():
    mail = message(SEVERAL, least=3)
    assert mail.text == MAIL
    assert mail.subject == "【守望】红色预警▲3户、黄色预警■1户 某村4户（新增3）等2村 1户已超时，请立即处理"


def test_a_webhook_names_every_alert_with_its_burst_and_a_chat_group_how_many_there_are_and_where():
    body = DigestBody.model_validate_json(message(SEVERAL, WEBHOOK, least=3).body)
    assert (body.type, body.digest_id, body.link) == ("cn.shouwang.alert.digest.v1", "d0", LINK)
    assert [one.household_id for one in body.alerts] == ["H-1", "H-2", "H-3", "H-4", "H-5"]
    assert [one.burst for one in body.alerts] == [0, 0, 0, None, None]
    assert [one.is_new for one in body.alerts] == [True, True, False, True, True]
    assert [(one.village, one.grade, one.households, one.new) for one in body.bursts] == [("某村", "red", 3, 2)]
    assert (body.alerts[1].alias, body.alerts[1].reason, body.alerts[2].status) == (
        "梨花家",
        "grade_worse",
        "acknowledged",
    )
    assert message(SEVERAL, ROBOT, least=3).brief.split("\n") == [
        "【守望】红色预警▲3户、黄色预警■1户",
        "某村4户（新增3）、别村1户",
        "1户已超时，请立即处理",
        LINK,
    ]


def test_each_channel_gets_only_what_it_sends():
    mail, hook, group = (message(SEVERAL, channel) for channel in (SMTP, WEBHOOK, ROBOT))
    assert [bool(one.text) for one in (mail, hook, group)] == [True, False, False]
    assert [bool(one.body) for one in (mail, hook, group)] == [False, True, False]


@pytest.mark.parametrize(
    ("alerts", "said"),
    [
        ([named(2), named(1)], "最早请在2026-03-02 11:31前签收"),
        ([named(2, ORANGE), named(1, YELLOW)], "最早请在2026-03-03 09:31前入户核实"),
        ([named(1, taken_on=True), named(2)], "最早请在2026-03-02 11:32前签收"),
        ([named(1, reason=SendReason.REMINDER), named(2, reason=SendReason.REMINDER)], "请及时核实"),
        ([named(1, reason=SendReason.WITHDRAWN), named(2, reason=SendReason.HOUSEHOLD_CLOSED)], "无需马上处理"),
    ],
)
def test_the_brief_says_what_is_most_urgent_of_what_nobody_has_taken_on(alerts, said):
    assert message(alerts, ROBOT).brief.split("\n")[2] == said


def test_a_thousand_alerts_are_all_in_the_mail_and_the_webhook_and_fit_a_chat_group_and_a_text_message():
    grades = (RED, ORANGE, YELLOW)
    long_name = {"village": "很长的村名" * 8}
    alerts = [
        replace(named(number, grades[number % 3]), division=f"{VILLAGE[:9]}{number % 40:03d}", **long_name)
        for number in range(1_000)
    ]
    text, body = message(alerts).text, json.loads(message(alerts, WEBHOOK).body)
    assert all(text.count(f"/alerts/a{number}\n") == 2 for number in range(1_000))
    assert [one["alert_id"] for one in body["alerts"]] == [f"a{number}" for number in order(alerts)]
    brief = message(alerts, ROBOT).brief
    assert len(brief.encode()) <= 2_048
    assert brief.startswith("【守望】红色预警▲334户、橙色预警◆333户、黄色预警■333户\n")
    variables = sms_variables(brief)
    assert set(variables) == {"title", "place", "deadline", "id"}
    assert (variables["title"], variables["id"]) == ("红色预警▲334户、橙色预警◆333户、黄色预警■333户", "d0")
    assert all(len(value) <= 35 for value in variables.values())


def test_neither_causes_nor_what_could_break_a_line_are_ever_written():
    evil = "Alert\r\nBcc: x@y.example\u202e"
    alerts = [named(number, alias=evil, village=evil) for number in range(6)]
    for channel in (SMTP, WEBHOOK, ROBOT):
        said = message(alerts, channel)
        assert "\r" not in said.subject + said.text + said.brief
        assert "\n" not in said.subject
        assert "\u202e" not in said.subject + said.text + said.body + said.brief
        assert len(said.brief.split("\n")) == 4
        assert CAUSE not in said.subject + said.text + said.body + said.brief
        assert "\nBcc:" not in said.text


def test_a_digest_has_one_name_for_the_same_deliveries_and_is_never_taken_for_an_alert():
    one = digest_id_of("cadre-1", SMTP, [3, 1, 2])
    assert one == digest_id_of("cadre-1", SMTP, [1, 2, 3])
    assert len({one, digest_id_of("cadre-1", WEBHOOK, [1, 2, 3]), digest_id_of("cadre-1", SMTP, [1, 2])}) == 3
    assert is_digest_id(one)
    assert not is_digest_id(alert_id_of("H-1", 1))
    assert not any(is_digest_id(text) for text in ("", "d", "d" * 24, "d" + "/" * 24, "ｄ" * 25))


def test_what_webhooks_get_is_described_by_the_openapi_document():
    document = {"paths": {}, "components": {"schemas": {}}}
    complete(document)
    single, several = compose(facts(), WORDING).body, message(SEVERAL, WEBHOOK, least=3).body
    listed = [Listed("H-2", None, RiskGrade.BLUE), Listed("H-1", "梨花家", RiskGrade.BLUE)]
    looks = {grade: policy().look(grade) for grade in RiskGrade}
    weekly = compose_list(NOW.date(), Place(VILLAGE, "某村"), listed, looks, "http://console.test/", WORDING).body
    for name, body in (("alert", single), ("digest", several), ("weekly_list", weekly)):
        content = document["webhooks"][name]["post"]["requestBody"]["content"]["application/json"]
        schema = {**content["schema"], "components": document["components"]}
        validator = jsonschema.Draft202012Validator(schema)
        validator.validate(json.loads(body))
        with pytest.raises(jsonschema.ValidationError):
            validator.validate({"type": "x"})


def test_of_a_burst_too_long_for_a_message_what_was_told_before_is_counted_and_what_is_new_is_named(monkeypatch):
    monkeypatch.setattr(digests, "MOST_NAMED", 4)
    alerts = [*(named(number, is_new=False) for number in range(6)), *(named(number) for number in (7, 8))]
    body = DigestBody.model_validate_json(message(alerts, WEBHOOK).body)
    assert [one.household_id for one in body.alerts] == ["H-7", "H-8", "H-0", "H-1"]
    (burst,) = body.bursts
    assert (burst.households, burst.new, burst.named) == (8, 2, 4)
    zh, en = message(alerts).text.split("\n\n\n")
    assert zh.count("/alerts/") == en.count("/alerts/") == 4
    assert "4 more households, told before, stand in the list." in en
    assert "另有4户此前已告知，见列表。" in zh
    assert "某村8户（新增2）" in message(alerts, ROBOT).brief


def test_all_that_is_new_is_named_however_much_that_is(monkeypatch):
    monkeypatch.setattr(digests, "MOST_NAMED", 4)
    assert len(DigestBody.model_validate_json(message([named(one) for one in range(9)], WEBHOOK).body).alerts) == 9
