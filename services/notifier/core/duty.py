"""Who is at their post at an instant: duty lists, absences and the days off. All in the time of Asia/Shanghai.

A duty list has lines for one role in one division; a line counts only while its person holds just that post. It applies
to the roles that take turns (LISTED_ROLES). Cadre, grid member and village team answer for their village at all times.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from shared.clock import SHANGHAI, day_of
from shared.policy import Role

LISTED_ROLES: frozenset[Role] = frozenset({"township", "county", "duty_officer"})
"""The roles that take turns: where a list says who is on duty now, the others are left in peace."""
SUNDAY, MONDAY = 7, 1
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Duty:
    """One line of a duty list: a shift on each day from from_day to to_day, both included.

    weekdays: 1 (Monday) to 7; None: all. overrides: while such a line lasts, the others do not count. A shift whose
    to_time is not after its from_time ends on the next day, and belongs to the day it begins on; equal times are 24
    hours.
    """

    staff_id: str
    role: Role
    division: str
    from_day: date
    to_day: date
    from_time: time
    to_time: time
    weekdays: tuple[int, ...] | None = None
    overrides: bool = False

    def shift(self, day: date) -> tuple[datetime, datetime]:
        """From when (included) to when (not any more) the shift lasts that begins on a day."""
        ends_on = day if self.to_time > self.from_time else day + _DAY
        return datetime.combine(day, self.from_time, SHANGHAI), datetime.combine(ends_on, self.to_time, SHANGHAI)


@dataclass(frozen=True, slots=True)
class Absence:
    """A person is away from from_at until to_at (not included); stand_in: the staff_id of who hears instead."""

    staff_id: str
    from_at: datetime
    to_at: datetime
    stand_in: str | None = None


@dataclass(frozen=True, slots=True)
class Rota:
    """Duty lists, absences, and the public holidays (day: is it a workday all the same).

    On a holiday the lines for Sundays count, on a workday that makes up for one the lines for Mondays.
    """

    duties: tuple[Duty, ...] = ()
    absences: tuple[Absence, ...] = ()
    holidays: Mapping[date, bool] = field(default_factory=dict)

    def on_duty(self, role: Role, division: str, at: datetime) -> frozenset[str]:
        """Who stands on the list of a role in a division at an instant; empty where no list says anybody."""
        lines = [line for line in self.duties if (line.role, line.division) == (role, division)]
        lasting = [line for line in lines if self._lasts(line, at)]
        overriding = [line for line in lasting if line.overrides]
        return frozenset(line.staff_id for line in overriding or lasting)

    def absences_of(self, staff_id: str, at: datetime) -> tuple[Absence, ...]:
        """The absences of a person that an instant lies in; empty: they are there."""
        return tuple(one for one in self.absences if one.staff_id == staff_id and one.from_at <= at < one.to_at)

    def of(self, staff_ids: Iterable[str]) -> "Rota":
        """What concerns some people alone."""
        wanted = frozenset(staff_ids)
        return Rota(
            tuple(line for line in self.duties if line.staff_id in wanted),
            tuple(one for one in self.absences if one.staff_id in wanted),
            self.holidays,
        )

    def turns(self, start: datetime, end: datetime) -> tuple[datetime, ...]:
        """The instants strictly between start and end at which somebody may come or go, in order."""
        found = {instant for one in self.absences for instant in (one.from_at, one.to_at)}
        found |= {instant for line in self.duties for instant in _edges(line, start, end)}
        return tuple(sorted(instant for instant in found if start < instant < end))

    def _lasts(self, line: Duty, at: datetime) -> bool:
        today = day_of(at)
        return any(self._begins_on(line, day) and _within(line.shift(day), at) for day in (today - _DAY, today))

    def _begins_on(self, line: Duty, day: date) -> bool:
        if not line.from_day <= day <= line.to_day:
            return False
        return line.weekdays is None or self._weekday(day) in line.weekdays

    def _weekday(self, day: date) -> int:
        is_workday = self.holidays.get(day)
        if is_workday is None:
            return day.isoweekday()
        return MONDAY if is_workday else SUNDAY


def _within(shift: tuple[datetime, datetime], at: datetime) -> bool:
    return shift[0] <= at < shift[1]


def _edges(line: Duty, start: datetime, end: datetime) -> Iterator[datetime]:
    day = max(line.from_day, day_of(start) - _DAY)
    last = min(line.to_day, day_of(end))
    while day <= last:
        yield from line.shift(day)
        day += _DAY
