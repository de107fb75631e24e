"""What a digest names, and in which order: worst first, the alerts of one burst together."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple

from services.notifier.core.message import plain
from shared.alerts import ENDINGS, AlertStatus, ChannelName, SendReason
from shared.grades import RiskGrade
from shared.policy import Look

BURSTS_FROM = RiskGrade.ORANGE
MOST_NAMED = 1_000
"""A message names all that is new, and with it what was told before up to this number: receivers take some 1 MB."""
_NO_DEADLINE = datetime.max.replace(tzinfo=UTC)


class Onset(NamedTuple):
    """What alerts of one burst have in common. The cause only tells bursts apart; it is written nowhere."""

    division: str
    grade: RiskGrade
    first_cause: str | None


@dataclass(frozen=True, slots=True)
class NamedAlert:
    """One alert as a digest names it.

    reason, revision: of what is told. is_new: told now, not before. taken_on: somebody has acknowledged what is told.
    first_cause: of its opening. is_named: else it is only counted.
    """

    alert_id: str
    household_id: str
    alias: str | None
    division: str
    village: str
    grade: RiskGrade
    look: Look
    reason: SendReason
    status: AlertStatus
    revision: int
    opened_at: datetime
    acknowledge_by: datetime | None
    visit_by: datetime | None
    link: str
    first_cause: str | None
    is_new: bool = True
    taken_on: bool = False
    is_named: bool = True

    @property
    def household(self) -> str:
        """How the household is called to people: its alias, else its number."""
        return plain(self.alias or "", 40) or self.household_id

    @property
    def onset(self) -> Onset:
        """By which its burst is found."""
        return Onset(self.division, self.grade, self.first_cause)

    @property
    def has_ended(self) -> bool:
        """Whether people hear that nothing needs to be done any more."""
        return self.reason in ENDINGS


@dataclass(frozen=True, slots=True)
class Group:
    """Alerts that stand together: those of one burst, or all others of a grade."""

    alerts: tuple[NamedAlert, ...]
    is_burst: bool

    @property
    def new(self) -> int:
        """How many are told now."""
        return sum(one.is_new for one in self.alerts)

    @property
    def named(self) -> tuple[NamedAlert, ...]:
        """Those that the message names."""
        return tuple(one for one in self.alerts if one.is_named)


@dataclass(frozen=True, slots=True)
class Section:
    """All of one grade, bursts first; grade None: all that have ended."""

    grade: RiskGrade | None
    groups: tuple[Group, ...]

    @property
    def new(self) -> int:
        """How many are told now."""
        return sum(group.new for group in self.groups)

    @property
    def look(self) -> Look:
        """How the grade is shown, as the worst alert's jurisdiction wants it."""
        return self.groups[0].alerts[0].look


def digest_id_of(staff_id: str, channel: ChannelName, delivery_ids: Iterable[int]) -> str:
    """Name the digest that holds these deliveries; it cannot be taken for an alert's name."""
    text = f"{staff_id}/{channel}/{','.join(map(str, sorted(delivery_ids)))}"
    return f"d{hashlib.blake2b(text.encode(), digest_size=12).hexdigest()}"


def is_digest_id(text: str) -> bool:
    """Tell whether a text from outside can be a digest's name at all."""
    return len(text) == 25 and text[0] == "d" and text.isascii() and text.isalnum()


def may_burst(grade: RiskGrade, first_cause: str | None) -> bool:
    """Tell whether alerts like this one can make a burst."""
    return grade >= BURSTS_FROM and first_cause is not None


def bursts_among(onsets: Iterable[Onset], least: int) -> frozenset[Onset]:
    """Return what so many alerts have in common that they are a burst.

    onsets: of all alerts of late, each alert once, whoever was told of it.
    """
    counts = Counter(onset for onset in onsets if may_burst(onset.grade, onset.first_cause))
    return frozenset(onset for onset, alerts in counts.items() if alerts >= least)


def arrange(alerts: Iterable[NamedAlert], bursts: frozenset[Onset]) -> tuple[Section, ...]:
    """Put what a digest tells into its order. Nothing is left out; what has no room to be named is counted.

    alerts: what is told now, and of bursts what was told before.
    """
    by_grade: dict[RiskGrade | None, list[NamedAlert]] = {}
    for place, alert in enumerate(sorted(alerts, key=_urgency)):
        one = alert if alert.is_new or place < MOST_NAMED else replace(alert, is_named=False)
        by_grade.setdefault(None if one.has_ended else one.grade, []).append(one)
    grades = sorted(by_grade, key=lambda grade: -1 if grade is None else grade, reverse=True)
    return tuple(Section(grade, _groups(by_grade[grade], bursts)) for grade in grades)


def _groups(alerts: Sequence[NamedAlert], bursts: frozenset[Onset]) -> tuple[Group, ...]:
    together: dict[Onset | None, list[NamedAlert]] = {}
    for one in alerts:
        together.setdefault(one.onset if one.onset in bursts and not one.has_ended else None, []).append(one)
    others = together.pop(None, [])
    found = [Group(tuple(group), is_burst=True) for group in together.values()]
    return (*found, *([Group(tuple(others), is_burst=False)] if others else []))


def _urgency(one: NamedAlert) -> tuple[object, ...]:
    """New before told, what nobody holds before what somebody holds, then the nearest deadline."""
    deadline = one.acknowledge_by or one.visit_by or _NO_DEADLINE
    return (not one.is_new, one.taken_on, deadline, one.division, one.household_id, one.revision)
