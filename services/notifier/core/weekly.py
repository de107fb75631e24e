"""The weekly list: which households people should keep an eye on, though no alert calls for it. When, and in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from services.notifier.core.holding import quiet_hours_end
from services.notifier.core.message import Message, plain
from shared.clock import SHANGHAI
from shared.grades import GradeCode, RiskGrade
from shared.policy import Delivery, Look, WeeklyList

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


def week_due(weekly: WeeklyList, rules: Delivery, now: datetime) -> date | None:
    """Return the week, by its Monday, whose list is to be made now; None if it is not its time."""
    local = now.astimezone(SHANGHAI)
    day = local.date() - timedelta(days=(local.isoweekday() - weekly.weekday) % 7)
    due = datetime.combine(day, time.fromisoformat(weekly.at), SHANGHAI)
    if due > local:
        day, due = day - _WEEK, due - _WEEK
    due = quiet_hours_end(rules, due) or due
    return day - timedelta(days=day.isoweekday() - 1) if due <= now < due + LATEST else None


def compose_list(
    week: date, place: Place, households: Sequence[Listed], looks: Mapping[RiskGrade, Look], public_url: str
) -> Message:
    """Write a list, worst first, in Chinese and English."""
    ordered = sorted(households, key=lambda one: (-one.grade, one.household_id))
    village, count = plain(place.name, 40), len(ordered)
    link = f"{public_url.rstrip('/')}/list"
    shown, more = ordered[:MOST_LINES], max(0, count - MOST_LINES)
    text = [
        f"本周请多留意以下{count}户：",
        f"村：{village}",
        *(f"{looks[one.grade].sign} {one.name} {looks[one.grade].word_zh}" for one in shown),
        *([f"另有{more}户，见名单。"] if more else []),
        f"名单（登录后）：{link}",
        "",
        f"Please keep an eye on {_households(count)} this week:",
        f"Village: {village}",
        *(f"{looks[one.grade].sign} {one.name} {looks[one.grade].word_en}" for one in shown),
        *([f"{more} more are on the list."] if more else []),
        f"The list, after login: {link}",
        "",
    ]
    body = WeeklyListBody(
        week=week,
        division=place.division,
        village=village,
        households=tuple(
            ListedBody(household_id=one.household_id, alias=one.alias and plain(one.alias, 40), grade=one.grade.code)
            for one in shown
        ),
        more=more,
        link=link,
    )
    title = f"【守望】每周名单 {village} {count}户"
    brief = "\n".join(("【守望】每周名单", f"{plain(place.name, 20)} {count}户", "本周请多留意", link))
    return Message(title, "\n".join(text), body.model_dump_json(), brief)


def _households(count: int) -> str:
    return "this household" if count == 1 else f"these {count} households"
