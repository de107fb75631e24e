"""What people are told, in final words: Chinese first, then English.

Thin on purpose: grade, alias or number of the household, village, what to do by when, and a link. Names, illnesses,
amounts and phone numbers stay behind the login; a channel is a third party.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from services.notifier.core.alerting import span_words
from shared.alerts import ChannelName, SendReason, WebhookBody
from shared.clock import SHANGHAI
from shared.grades import RiskGrade
from shared.policy import Look

_AGAIN: Mapping[SendReason, str] = {
    SendReason.GRADE_WORSE: "（加重）",
    SendReason.NEW_FIRST_CAUSE: "（新主因）",
    SendReason.OVERDUE: "（超时未签收）",
    SendReason.OVERDUE_VISIT: "（超期未入户）",
    SendReason.REMINDER: "（定期任务）",
}
_AFTER_THE_DEADLINE = (SendReason.OVERDUE, SendReason.OVERDUE_VISIT, SendReason.REMINDER)
LONGEST_SMS_VARIABLE = 35


class _Ended(NamedTuple):
    """How people are told that an alert ended without them."""

    title: str
    zh: str
    en: str


_ENDED: Mapping[SendReason, _Ended] = {
    SendReason.WITHDRAWN: _Ended(
        "撤销",
        "此前的预警已撤销：所依据的情况经核实不成立",
        "The alert sent before is withdrawn: what it rested on proved not to be so",
    ),
    SendReason.HOUSEHOLD_CLOSED: _Ended(
        "结束",
        "此前的预警已结束：该户已销户",
        "The alert sent before has ended: the household was closed in the register",
    ),
}
_NOT_PLAIN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]+")


@dataclass(frozen=True, slots=True)
class Facts:
    """What a message may say. told_at: when this revision was decided, from which spans are counted.

    since: for how long nobody has taken on what is overdue. task: what people are reminded of, in Chinese and English.
    """

    alert_id: str
    household_id: str
    alias: str | None
    division: str
    village: str
    grade: RiskGrade
    look: Look
    reason: SendReason
    revision: int
    opened_at: datetime
    told_at: datetime
    acknowledge_by: datetime | None
    visit_by: datetime | None
    public_url: str
    since: datetime | None = None
    task: tuple[str, str] | None = None

    @property
    def link(self) -> str:
        """The alert's page on the console."""
        return f"{self.public_url.rstrip('/')}/alerts/{self.alert_id}"

    @property
    def household(self) -> str:
        """How the household is called to people: its alias, else its number."""
        return plain(self.alias or "", 40) or self.household_id


@dataclass(frozen=True, slots=True)
class Message:
    """A message in final words. body: JSON text for webhooks. brief: four lines for chat groups; see `_brief`."""

    subject: str
    text: str
    body: str
    brief: str


def plain(text: str, most: int) -> str:
    """Return text on one line without control and direction characters, at most so long: safe as a mail header."""
    return " ".join(_NOT_PLAIN.sub(" ", text).split())[:most]


def compose(facts: Facts) -> Message:
    """Write the message of one revision."""
    return Message(_subject(facts), _text(facts), _body(facts).model_dump_json(), "\n".join(_brief(facts)))


def grade_title(look: Look) -> tuple[str, str]:
    """Return the short names of a grade's alert, such as 红色预警 and Red alert."""
    return f"{look.word_zh.partition('·')[0]}预警", f"{look.word_en.partition(',')[0].capitalize()} alert"


def local_time(instant: datetime) -> str:
    """Write an instant as people in the field read it: 2026-03-02 11:30, in Shanghai's time."""
    return instant.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M")


def _subject(facts: Facts) -> str:
    where = f"{plain(facts.village, 40)} 户 {facts.household}"
    if facts.reason is SendReason.TEST:
        return "【守望】通道测试，无需处理"
    if facts.reason in _ENDED:
        return f"【守望】预警{_ENDED[facts.reason].title} {where} 无需再处理"
    title = grade_title(facts.look)[0]
    return f"【守望】{title}{_again(facts)} {facts.look.sign} {where} {_call(facts)[0]}"


def _call(facts: Facts) -> tuple[str, str]:
    """What to do by when, in one short clause of each language."""
    if facts.reason is SendReason.OVERDUE:
        since = local_time(facts.since or facts.opened_at)
        return f"自{since}起无人签收，请立即处理", f"unacknowledged since {since}, please act now"
    if facts.reason is SendReason.OVERDUE_VISIT:
        return "入户期限已过，请立即签收并入户", "the visit is overdue, please acknowledge and visit now"
    if facts.reason is SendReason.REMINDER and facts.task is not None:
        return facts.task
    if facts.acknowledge_by is not None:
        zh, en = span_words(facts.acknowledge_by - facts.told_at)
        return f"请在{zh}内签收", f"acknowledge within {en}"
    if facts.visit_by is not None:
        zh, en = span_words(facts.visit_by - facts.told_at)
        return f"请在{zh}内入户核实", f"visit within {en}"
    return "请及时核实", "please check soon"


def _text(facts: Facts) -> str:
    if facts.reason is SendReason.TEST:
        return f"通道测试，无需处理。\n\nThis is a test of the channel; nothing needs to be done.\n\n{facts.link}\n"
    village, household = plain(facts.village, 40), facts.household
    if facts.reason in _ENDED:
        ended = _ENDED[facts.reason]
        return (
            f"{ended.zh}，无需再处理。\n村：{village}\n户：{household}\n详情（登录后查看）：{facts.link}\n\n"
            f"{ended.en}. Nothing needs to be done.\n"
            f"Village: {village}\nHousehold: {household}\nDetails after login: {facts.link}\n"
        )
    title_zh, title_en = grade_title(facts.look)
    call_zh, call_en = _call(facts)
    return "\n".join(
        [
            f"{facts.look.sign} {title_zh}：{call_zh}。",
            f"村：{village}",
            f"户：{household}",
            *_deadline_lines(facts, "签收期限：", "入户期限：", "（北京时间）"),
            f"原因、措施和签收（登录后）：{facts.link}",
            "",
            f"{facts.look.sign} {title_en}: {call_en}.",
            f"Village: {village}",
            f"Household: {household}",
            *_deadline_lines(facts, "Acknowledge by: ", "Visit by: ", " (Beijing time)"),
            f"Reasons, measures and acknowledgement after login: {facts.link}",
            "",
        ]
    )


def _deadline_lines(facts: Facts, acknowledge: str, visit: str, zone: str) -> list[str]:
    if facts.reason is SendReason.REMINDER:
        # The deadlines of the alert's first days say nothing about a task that comes again and again.
        return []
    due = ((acknowledge, facts.acknowledge_by), (visit, facts.visit_by))
    return [f"{label}{local_time(instant)}{zone}" for label, instant in due if instant is not None]


def _brief(facts: Facts) -> tuple[str, str, str, str]:
    """What, where, by when, and the link; each on a line of its own, in Chinese."""
    where = f"{plain(facts.village, 20)} 户 {facts.household}"
    if facts.reason is SendReason.TEST:
        return "【守望】通道测试", where, "无需处理", facts.link
    if facts.reason in _ENDED:
        return f"【守望】预警{_ENDED[facts.reason].title}", where, "无需再处理", facts.link
    return f"【守望】{grade_title(facts.look)[0]}{_again(facts)} {facts.look.sign}", where, _deadline(facts), facts.link


def _again(facts: Facts) -> str:
    return _AGAIN.get(facts.reason, "")


def _deadline(facts: Facts) -> str:
    if facts.reason in _AFTER_THE_DEADLINE:
        return _call(facts)[0]
    if facts.acknowledge_by is not None:
        return f"请在{local_time(facts.acknowledge_by)}前签收"
    if facts.visit_by is not None:
        return f"请在{local_time(facts.visit_by)}前入户核实"
    return "请及时核实"


def sms_variables(brief: str) -> dict[str, str]:
    """Return a text message's template variables: title, place, deadline and the alert's id.

    Aliyun takes no link and at most 35 characters in a variable: the template holds the console's address and ends it
    with the id.
    """
    title, place, deadline, link = brief.split("\n")
    values = {
        "title": title.removeprefix("【守望】").partition(" ")[0],
        "place": place,
        "deadline": deadline,
        "id": link.rpartition("/")[2],
    }
    return {name: value[:LONGEST_SMS_VARIABLE] for name, value in values.items()}


def _body(facts: Facts) -> WebhookBody:
    return WebhookBody(
        type=f"cn.shouwang.alert.{facts.reason}.v1",
        alert_id=facts.alert_id,
        household_id=facts.household_id,
        alias=plain(facts.alias, 40) if facts.alias else None,
        division=facts.division,
        village=plain(facts.village, 40),
        grade=facts.grade.code,
        opened_at=facts.opened_at,
        acknowledge_by=facts.acknowledge_by,
        visit_by=facts.visit_by,
        link=facts.link,
        revision=facts.revision,
    )


def alert_id_of(household_id: str, version: int) -> str:
    """Name the alert that a household's change opens: the same whoever opens it, so that nobody opens it twice."""
    return _short_hash(f"{household_id}/{version}")


def is_alert_id(text: str) -> bool:
    """Tell whether a text from outside can be an alert's name at all."""
    return text.isascii() and text.isalnum() and len(text) <= 40


def message_id(alert_id: str, revision: int, staff_id: str, channel: ChannelName) -> str:
    """Name a delivery's message for its receiver: the same over all attempts, different for anything else."""
    return f"msg_{_short_hash(f'{alert_id}/{revision}/{staff_id}/{channel}')}"


def _short_hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
