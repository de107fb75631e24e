"""Silences: for a time, alerts of a division or of one household are told to nobody. Somebody answers for each.

Red bears no long silence: an alert is kept from people as red for no longer than the policy allows, however many
silences follow one another.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from services.notifier.core.routing import prefix_of
from shared.clock import SHANGHAI
from shared.grades import RiskGrade
from shared.policy import Delivery


@dataclass(frozen=True, slots=True)
class Silence:
    """In force from created_at until until_at, or until somebody ended it; see the table.

    division: 12 digits; all below it are meant, or of it the one household.
    """

    silence_id: int
    division: str
    household_id: str | None
    grades: frozenset[RiskGrade]
    owner: str
    reason: str
    created_at: datetime
    until_at: datetime
    ended_at: datetime | None = None
    ended_by: str | None = None

    def in_force(self, at: datetime) -> bool:
        """Tell whether it keeps anybody from being told at an instant."""
        return self.created_at <= at < (self.ended_at or self.until_at)

    def covers(self, household_id: str, division: str, grade: RiskGrade) -> bool:
        """Tell whether alerts of a household (in a division of 12 digits) at a grade are meant."""
        if grade not in self.grades:
            return False
        if self.household_id is not None:
            return self.household_id == household_id
        return division.startswith(prefix_of(self.division))


@dataclass(frozen=True, slots=True)
class NewSilence:
    """A silence to be made; fields as in `Silence`."""

    division: str
    household_id: str | None
    grades: frozenset[RiskGrade]
    owner: str
    reason: str
    created_at: datetime
    until_at: datetime


class Silenced(NamedTuple):
    """By which silence an alert is kept from people, and until when at most."""

    silence: Silence
    until: datetime


class Objection(NamedTuple):
    """Why a silence cannot be made. field: what to change; detail: how."""

    field: str
    code: str
    detail: str


def silenced(
    silences: Iterable[Silence],
    household_id: str,
    division: str,
    grade: RiskGrade,
    *,
    since: datetime,
    rules: Delivery,
    now: datetime,
) -> Silenced | None:
    """Return what keeps an alert from being told now, for the longest time; None: nothing does.

    since: from when on the alert, at this grade, has been kept from people without a break; now if it is not yet.
    """
    limit = since + timedelta(minutes=rules.longest_red_silence_minutes) if grade is RiskGrade.RED else None
    found = [
        Silenced(one, one.until_at if limit is None else min(one.until_at, limit))
        for one in silences
        if one.in_force(now) and one.covers(household_id, division, grade)
    ]
    return max((one for one in found if one.until > now), key=lambda one: one.until, default=None)


def objections(
    grades: Iterable[RiskGrade], begins: datetime, until: datetime, rules: Iterable[Delivery]
) -> Iterator[Objection]:
    """Yield what is wrong with a silence that somebody wants. rules: of all jurisdictions that it would lie in."""
    if until <= begins:
        yield Objection("until", "not_ahead", "give a time that is still to come")
        return
    applied = list(rules)
    days = min(one.longest_silence_days for one in applied)
    if until - begins > timedelta(days=days):
        latest = (begins + timedelta(days=days)).astimezone(SHANGHAI).isoformat(timespec="minutes")
        yield Objection("until", "too_long", f"a silence ends within {days} days: give {latest} or earlier")
    minutes = min(one.longest_red_silence_minutes for one in applied)
    if RiskGrade.RED in set(grades) and until - begins > timedelta(minutes=minutes):
        if not minutes:
            yield Objection("grades", "never_red", "red is never silenced here: name the other grades")
            return
        yield Objection(
            "until",
            "red_too_long",
            f"red is silenced for {_span(minutes)} at most: end it within that time, or name the other grades alone",
        )


def _span(minutes: int) -> str:
    return f"{minutes} minutes" if minutes % 60 or minutes < 120 else f"{minutes // 60} hours"
