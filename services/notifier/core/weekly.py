"""The weekly list: which households people should keep an eye on, though no alert calls for it. When, and in words."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from services.notifier.core.holding import quiet_hours_end
from services.notifier.core.message import Message, plain
from services.notifier.core.words import Wording, Words
from shared.clock import SHANGHAI
from shared.grades import GradeCode, RiskGrade
from shared.policy import Delivery, Look
from shared.policy import WeeklyList as WeeklyRules

_WEEK = timedelta(days=7)
LATEST = timedelta(days=1)
"""A list that nobody could make for so long waits for the next week: it would tell of another one."""
MOST_LINES = 50
"""Households that a mail names; the page behind the link has all."""


class Listed(NamedTuple):
    """A household on a list."""

    household_id: str
    alias: str | None
    grade: RiskGrade

    @property
    def name(self) -> str:
        """How the household is called to people."""
        return plain(self.alias or "", 40) or self.household_id


class ListedBody(BaseModel):
    """One household in a webhook's body."""

    model_config = ConfigDict(frozen=True)

    household_id: str
    alias: str | None
    grade: GradeCode


class WeeklyListBody(BaseModel):
    """What a webhook receiver gets of a list. week: its Monday. more: how many households are left out here."""

    model_config = ConfigDict(frozen=True)

    type: str = "cn.shouwang.list.weekly.v1"
    week: date
    division: str
    village: str
    households: tuple[ListedBody, ...]
    more: int
    link: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a list is about: a division (12 digits) and what it is called."""

    division: str
    name: str


def week_due(weekly: WeeklyRules, rules: Delivery, now: datetime) -> date | None:
    """Return the week, by its Monday, whose list is to be made now; None if it is not its time."""
    local = now.astimezone(SHANGHAI)
    day = local.date() - timedelta(days=(local.isoweekday() - weekly.weekday) % 7)
    due = datetime.combine(day, time.fromisoformat(weekly.at), SHANGHAI)
    if due > local:
        day, due = day - _WEEK, due - _WEEK
    due = quiet_hours_end(rules, due) or due
    return day - timedelta(days=day.isoweekday() - 1) if due <= now < due + LATEST else None


@dataclass(frozen=True, slots=True)
class WeeklyList:
    """What one list says: worst first. link: the page that lists all of them."""

    week: date
    place: Place
    households: tuple[Listed, ...]
    looks: Mapping[RiskGrade, Look]
    link: str

    @property
    def shown(self) -> tuple[Listed, ...]:
        """Those that are named."""
        return self.households[:MOST_LINES]

    @property
    def more(self) -> int:
        """How many are not."""
        return len(self.households) - len(self.shown)


def compose_list(
    week: date,
    place: Place,
    households: Sequence[Listed],
    looks: Mapping[RiskGrade, Look],
    public_url: str,
    wording: Wording,
) -> Message:
    """Write a list, worst first, in Chinese and English."""
    ordered = tuple(sorted(households, key=lambda one: (-one.grade, one.household_id)))
    listed = WeeklyList(week, place, ordered, looks, f"{public_url.rstrip('/')}/list")
    zh = _Telling(listed, wording.zh, lambda look: look.word_zh)
    en = _Telling(listed, wording.en, lambda look: look.word_en)
    text = "\n".join([*zh.lines(), "", *en.lines(), ""])
    return Message(zh.subject(), text, _body(listed).model_dump_json(), "\n".join(zh.brief()))


@dataclass(frozen=True, slots=True)
class _Telling:
    """One list in one language. name: that language's word for a grade's look."""

    listed: WeeklyList
    words: Words
    name: Callable[[Look], str]

    def subject(self) -> str:
        """A mail's subject."""
        return self.words.gettext(
            "[Shouwang] Weekly list: %(village)s, %(households)s",
            village=plain(self.listed.place.name, 40),
            households=self._households(),
        )

    def brief(self) -> tuple[str, str, str, str]:
        """What, where, what for, and the link; each on a line of its own."""
        _ = self.words.gettext
        where = self.words.pgettext(
            "heading",
            "%(village)s: %(households)s",
            village=plain(self.listed.place.name, 20),
            households=self._households(),
        )
        return _("[Shouwang] Weekly list"), where, _("please keep an eye on them this week"), self.listed.link

    def lines(self) -> Iterator[str]:
        """A mail's text."""
        _, listed = self.words.gettext, self.listed
        yield self.words.ngettext(
            "Please keep an eye on %(count)d household this week:",
            "Please keep an eye on %(count)d households this week:",
            len(listed.households),
        )
        yield _("Village: %(village)s", village=plain(listed.place.name, 40))
        for one in listed.shown:
            look = listed.looks[one.grade]
            yield f"{look.sign} {one.name} {self.name(look)}"
        if listed.more:
            yield self.words.ngettext("%(count)d more is on the list.", "%(count)d more are on the list.", listed.more)
        yield _("The list, after login: %(link)s", link=listed.link)

    def _households(self) -> str:
        return self.words.ngettext("%(count)d household", "%(count)d households", len(self.listed.households))


def _body(listed: WeeklyList) -> WeeklyListBody:
    return WeeklyListBody(
        week=listed.week,
        division=listed.place.division,
        village=plain(listed.place.name, 40),
        households=tuple(
            ListedBody(household_id=one.household_id, alias=one.alias and plain(one.alias, 40), grade=one.grade.code)
            for one in listed.shown
        ),
        more=listed.more,
        link=listed.link,
    )
