"""What people are told, in final words: Chinese first, then English.

Thin on purpose: grade, alias or number of the household, village, what to do by when, and a link. Names, illnesses,
amounts and phone numbers stay behind the login; a channel is a third party.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from services.notifier.core.alerting import say_span
from services.notifier.core.words import Wording, Words
from shared.alerts import ENDINGS, ChannelName, SendReason, WebhookBody
from shared.clock import SHANGHAI
from shared.grades import RiskGrade
from shared.policy import Look

_AFTER_THE_DEADLINE = (SendReason.OVERDUE, SendReason.OVERDUE_VISIT, SendReason.REMINDER)
LONGEST_SMS_VARIABLE = 35
# In front of a text message stands the sender's name that the vendor has approved, instead of ours.
_SENDER = re.compile(r"^【[^】]*】")
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
    """A message in final words. body: JSON text for webhooks. brief: four lines for chat groups, see `_Telling`."""

    subject: str
    text: str
    body: str
    brief: str


def plain(text: str, most: int) -> str:
    """Return text on one line without control and direction characters, at most so long: safe as a mail header."""
    return " ".join(_NOT_PLAIN.sub(" ", text).split())[:most]


def compose(facts: Facts, wording: Wording) -> Message:
    """Write the message of one revision: Chinese first, then English; what is brief is in Chinese alone."""
    task_zh, task_en = facts.task or ("", "")
    zh = _Telling(facts, wording.zh, colour_zh(facts.look), task_zh)
    en = _Telling(facts, wording.en, colour_en(facts.look), task_en)
    closing = [facts.link, ""] if facts.reason is SendReason.TEST else []
    text = "\n".join([*zh.lines(), "", *en.lines(), "", *closing])
    return Message(zh.subject(), text, _body(facts).model_dump_json(), "\n".join(zh.brief()))


def colour_zh(look: Look) -> str:
    """Return a grade's colour alone, in Chinese."""
    return look.word_zh.partition("·")[0]


def colour_en(look: Look) -> str:
    """Return a grade's colour alone, in English: Red."""
    return look.word_en.partition(",")[0].capitalize()


def local_time(instant: datetime) -> str:
    """Write an instant as people in the field read it: 2026-03-02 11:30, in Shanghai's time."""
    return instant.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M")


@dataclass(frozen=True, slots=True)
class _Telling:
    """One message in one language. colour: the grade's word for it. task: what people are reminded of."""

    facts: Facts
    words: Words
    colour: str
    task: str

    def subject(self) -> str:
        """A mail's subject."""
        _, place = self.words.gettext, self._place(40)
        match self.facts.reason:
            case SendReason.TEST:
                return _("[Shouwang] Test of the channel, nothing needs to be done")
            case SendReason.WITHDRAWN:
                return _("[Shouwang] Alert withdrawn: %(place)s, nothing needs to be done any more", place=place)
            case SendReason.HOUSEHOLD_CLOSED:
                return _("[Shouwang] Alert ended: %(place)s, nothing needs to be done any more", place=place)
            case SendReason.CORRECTED:
                return _("[Shouwang] Alert corrected: %(place)s, now %(colour)s", place=place, colour=self.colour)
            case _:
                return _(
                    "[Shouwang] %(title)s%(again)s %(sign)s %(place)s: %(call)s",
                    title=self._title(),
                    again=self._again(),
                    sign=self.facts.look.sign,
                    place=place,
                    call=self._call(),
                )

    def lines(self) -> Iterator[str]:
        """A mail's text."""
        _, facts = self.words.gettext, self.facts
        if facts.reason is SendReason.TEST:
            yield _("This is a test of the channel; nothing needs to be done.")
            return
        yield self._headline()
        yield _("Village: %(village)s", village=plain(facts.village, 40))
        yield _("Household: %(household)s", household=facts.household)
        if facts.reason in ENDINGS:
            yield _("Details after login: %(link)s", link=facts.link)
            return
        yield from self._deadlines()
        yield _("Reasons, measures and acknowledgement after login: %(link)s", link=facts.link)

    def brief(self) -> tuple[str, str, str, str]:
        """What, where, by when, and the link; each on a line of its own."""
        _, place, link = self.words.gettext, self._place(20), self.facts.link
        over = _("nothing needs to be done any more")
        match self.facts.reason:
            case SendReason.TEST:
                return _("[Shouwang] Test of the channel"), place, _("nothing needs to be done"), link
            case SendReason.WITHDRAWN:
                return _("[Shouwang] Alert withdrawn"), place, over, link
            case SendReason.HOUSEHOLD_CLOSED:
                return _("[Shouwang] Alert ended"), place, over, link
            case SendReason.CORRECTED:
                return _("[Shouwang] Alert corrected"), place, _("now %(colour)s", colour=self.colour), link
            case _:
                title, again, sign = self._title(), self._again(), self.facts.look.sign
                what = _("[Shouwang] %(title)s%(again)s %(sign)s", title=title, again=again, sign=sign)
                return what, place, self._deadline(), link

    def _title(self) -> str:
        return self.words.gettext("%(colour)s alert", colour=self.colour)

    def _place(self, most: int) -> str:
        village = plain(self.facts.village, most)
        return self.words.gettext(
            "%(village)s household %(household)s", village=village, household=self.facts.household
        )

    def _again(self) -> str:
        """Why it is told again, to be put behind the title."""
        _ = self.words.gettext
        match self.facts.reason:
            case SendReason.GRADE_WORSE:
                return _(" (worse)")
            case SendReason.NEW_FIRST_CAUSE:
                return _(" (new first cause)")
            case SendReason.OVERDUE:
                return _(" (not acknowledged in time)")
            case SendReason.OVERDUE_VISIT:
                return _(" (not visited in time)")
            case SendReason.REMINDER:
                return _(" (recurring task)")
            case _:
                return ""

    def _call(self) -> str:
        """What to do by when, in one short clause."""
        _, facts = self.words.gettext, self.facts
        if facts.reason is SendReason.OVERDUE:
            since = local_time(facts.since or facts.opened_at)
            return _("unacknowledged since %(since)s, please act now", since=since)
        if facts.reason is SendReason.OVERDUE_VISIT:
            return _("the visit is overdue, please acknowledge and visit now")
        if facts.reason is SendReason.REMINDER and facts.task is not None:
            return self.task
        if facts.acknowledge_by is not None:
            return _("acknowledge within %(span)s", span=self._span_until(facts.acknowledge_by))
        if facts.visit_by is not None:
            return _("visit within %(span)s", span=self._span_until(facts.visit_by))
        return _("please check soon")

    def _span_until(self, instant: datetime) -> str:
        return say_span(instant - self.facts.told_at, self.words)

    def _headline(self) -> str:
        _ = self.words.gettext
        match self.facts.reason:
            case SendReason.WITHDRAWN:
                return _(
                    "The alert sent before is withdrawn: what it rested on proved not to be so."
                    " Nothing needs to be done."
                )
            case SendReason.HOUSEHOLD_CLOSED:
                return _(
                    "The alert sent before has ended: the household was closed in the register."
                    " Nothing needs to be done."
                )
            case SendReason.CORRECTED:
                return _(
                    "Alert corrected: what it rested on was not so, and the household is now graded %(colour)s.",
                    colour=self.colour,
                )
            case _:
                sign, title = self.facts.look.sign, self._title()
                return _("%(sign)s %(title)s: %(call)s.", sign=sign, title=title, call=self._call())

    def _deadlines(self) -> Iterator[str]:
        _, facts = self.words.gettext, self.facts
        if facts.reason is SendReason.REMINDER:
            # The deadlines of the alert's first days say nothing about a task that comes again and again.
            return
        if facts.acknowledge_by is not None:
            yield _("Acknowledge by: %(at)s (Beijing time)", at=local_time(facts.acknowledge_by))
        if facts.visit_by is not None:
            yield _("Visit by: %(at)s (Beijing time)", at=local_time(facts.visit_by))

    def _deadline(self) -> str:
        _, facts = self.words.gettext, self.facts
        if facts.reason in _AFTER_THE_DEADLINE:
            return self._call()
        if facts.acknowledge_by is not None:
            return _("acknowledge by %(at)s", at=local_time(facts.acknowledge_by))
        if facts.visit_by is not None:
            return _("visit by %(at)s", at=local_time(facts.visit_by))
        return _("please check soon")


def sms_variables(brief: str) -> dict[str, str]:
    """Return a text message's template variables: title, place, deadline, the alert's id, and reply if it has one.

    brief: with a fifth line, how to answer, where replies are taken. Aliyun takes no link and at most 35 characters in
    a variable: the template holds the console's address and ends it with the id.
    """
    title, place, deadline, link, *reply = brief.split("\n")
    values = {
        "title": _SENDER.sub("", title).partition(" ")[0],
        "place": place,
        "deadline": deadline,
        "id": link.rpartition("/")[2],
    }
    if reply:
        values["reply"] = reply[0]
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
