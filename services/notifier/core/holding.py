"""Whether a person hears at once, in the morning, or once their day has room: quiet hours and the daily cap.

A telling is one revision of an alert for one person; by however many channels it goes, it counts once. In any 24 hours
a person gets at most so many tellings about one household as the policy says. The last place is kept for news of red:
a red grade told to somebody whose last word about the household was another. So where even red finds no place, the
last word that the person has is red.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from shared.clock import SHANGHAI
from shared.grades import RiskGrade
from shared.policy import Delivery

DAY = timedelta(days=1)
LOOK_AGAIN = timedelta(minutes=10)
"""How soon room is looked for again while it is not known when a place becomes free."""


class Held(StrEnum):
    """Why a telling waits."""

    QUIET_HOURS = "quiet_hours"
    DAILY_CAP = "daily_cap"


class Place(NamedTuple):
    """What was told: which revision of which alert."""

    alert_id: str
    revision: int


@dataclass(frozen=True, slots=True)
class Telling:
    """One telling that a person has had of a household, or is to have.

    since: when it was drafted, or got its place. at: when a channel took it or last may have; None: that is to come.
    recallable: no channel can have taken it yet. held: it is made to wait. waits: it has no place yet. ends: it tells
    that an alert is over.
    """

    place: Place
    grade: RiskGrade
    since: datetime
    at: datetime | None = None
    recallable: bool = False
    held: bool = False
    waits: bool = False
    ends: bool = False


@dataclass(frozen=True, slots=True)
class Hold:
    """A telling waits. until: nothing is sent before then; None: until there is room. look_at: when to look next."""

    held: Held
    until: datetime | None
    look_at: datetime


@dataclass(frozen=True, slots=True)
class Wanted:
    """A telling about to be made. worst: the worst grade that it speaks of; an ending speaks of what it ends.

    grade: the grade that it leaves as the person's last word. ends: it tells that an alert is over.
    """

    place: Place
    grade: RiskGrade
    worst: RiskGrade
    ends: bool = False


SUPERSEDED, INHIBITED = "superseded", "inhibited"
"""Why a telling was not made: a newer one took its place; a newer one of a worse grade did."""


def ended_by(grade: RiskGrade, newer: RiskGrade | None) -> str:
    """Say why a telling of this grade is not made. newer: the grade that is told instead; None: all is over."""
    return INHIBITED if newer is not None and newer > grade else SUPERSEDED


def quiet_until(rules: Delivery, grade: RiskGrade, at: datetime) -> datetime | None:
    """Return when the quiet hours end that keep this grade from being told now; None if nothing does."""
    return None if grade.code in rules.quiet_exempt else quiet_hours_end(rules, at)


def quiet_hours_end(rules: Delivery, at: datetime) -> datetime | None:
    """Return when the quiet hours end that an instant lies in; None if it lies in none."""
    local = at.astimezone(SHANGHAI)
    if not rules.is_quiet_at(f"{local:%H:%M}"):
        return None
    ends = datetime.combine(local.date(), time.fromisoformat(rules.quiet_to), SHANGHAI)
    return (ends if ends > local else ends + DAY).astimezone(UTC)


def hold(wanted: Wanted, known: Sequence[Telling], rules: Delivery, now: datetime) -> Hold | None:
    """Decide whether a telling must wait; None: it goes at once.

    known: what the person had of the household in the last 24 hours or is to have, without what this one recalls.
    """
    leaving = sorted((one.at + DAY if one.at else now + DAY, one.at is not None) for one in known if _counts(one, now))
    places = rules.messages_a_day_per_person_and_household - (0 if _is_news_of_red(wanted, known) else 1)
    if len(leaving) >= places:
        free_at, is_sure = leaving[len(leaving) - places]
        return Hold(Held.DAILY_CAP, None, free_at if is_sure else min(free_at, now + LOOK_AGAIN))
    until = quiet_until(rules, wanted.worst, now)
    return None if until is None else Hold(Held.QUIET_HOURS, until, until)


def _counts(telling: Telling, now: datetime) -> bool:
    return not telling.waits and (telling.at is None or telling.at + DAY > now)


def _is_news_of_red(wanted: Wanted, known: Iterable[Telling]) -> bool:
    had = [one for one in known if not one.waits]
    last = max(had, key=lambda one: (one.since, one.place.revision), default=None)
    if wanted.grade is not RiskGrade.RED:
        return False
    return last is None or last.grade is not RiskGrade.RED or last.place.alert_id != wanted.place.alert_id


Recalled: TypeAlias = Mapping[tuple[Place, str], RiskGrade]
"""Tellings that newer ones take the place of, by what was told and staff_id, with the grade of the newer one."""


class Tellings:
    """What people had lately of households, carried on while a batch is drafted.

    recalled: what newer tellings took the place of.
    """

    def __init__(self, known: Mapping[tuple[str, str], Sequence[Telling]] | None = None) -> None:
        """known: by (household_id, staff_id); of the last 24 hours, and all that are still to come."""
        self._known = {who: list(tellings) for who, tellings in (known or {}).items()}
        self.recalled: dict[tuple[Place, str], RiskGrade] = {}

    def hold(self, household_id: str, staff_id: str, wanted: Wanted, rules: Delivery, now: datetime) -> Hold | None:
        """Decide whether a telling must wait; None: it goes at once. Changes nothing; see `note`."""
        known = self._known.get((household_id, staff_id), ())
        return hold(wanted, [one for one in known if not _gives_way(one, wanted)], rules, now)

    def note(self, household_id: str, staff_id: str, wanted: Wanted, held: Hold | None, now: datetime) -> None:
        """Remember a telling as it was decided, and what it takes the place of.

        Of what waits only the newest stays. A telling without a place takes that of no other: the other may be on its
        way while this one waits for a day.
        """
        waits = held is not None and held.until is None
        kept = []
        for one in self._known.get((household_id, staff_id), ()):
            if one.place == wanted.place:
                continue
            if _was_waiting(one) or (not waits and _is_older(one, wanted)):
                self.recalled[one.place, staff_id] = wanted.grade
            if not _was_waiting(one) and (waits or not _gives_way(one, wanted)):
                kept.append(_settled(one, wanted, now) if not waits else one)
        kept.append(Telling(wanted.place, wanted.grade, now, None, True, held is not None, waits, wanted.ends))
        self._known[household_id, staff_id] = kept

    def end(self, alert_id: str, now: datetime) -> None:
        """Remember that nothing of an alert is told any more."""
        for who, tellings in self._known.items():
            ours = [one for one in tellings if one.place.alert_id == alert_id]
            others = [one for one in tellings if one.place.alert_id != alert_id]
            self._known[who] = others + [replace(one, at=one.at or now) for one in ours if not one.recallable]


def _was_waiting(one: Telling) -> bool:
    return one.recallable and one.held


def _is_older(one: Telling, wanted: Wanted) -> bool:
    """Tell whether a telling still to come is overtaken: by a newer one of its alert, or by the household's next alert.

    That an alert is over must not be read after the next one has begun.
    """
    if one.at is not None:
        return False
    if one.place.alert_id != wanted.place.alert_id:
        return one.ends
    return one.place.revision < wanted.place.revision


def _gives_way(one: Telling, wanted: Wanted) -> bool:
    """Tell whether a telling ends before anybody heard of it, once this newer one is told."""
    return one.recallable and (one.held or _is_older(one, wanted))


def _settled(one: Telling, wanted: Wanted, now: datetime) -> Telling:
    """An older telling that was tried already ends with the newer one; it may have been heard until now."""
    return replace(one, at=now) if _is_older(one, wanted) else one
