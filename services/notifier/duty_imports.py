"""Read duty lists and holidays from CSV or Excel files: every faulty row is told, and then nothing is imported."""

import re
from collections.abc import Mapping
from datetime import date, time
from pathlib import Path
from typing import TypeVar

from services.notifier.core.duty import LISTED_ROLES, Duty
from services.notifier.core.message import plain
from services.notifier.core.routing import StaffMember
from services.notifier.imports import LONGEST_NAME, is_name, yes_or_no
from services.notifier.sheets import Row, RowFault, refuse_faulty, rows_of
from services.notifier.store.rosters import DutyRow, HolidayRow

DUTY_FIELDS = ("staff_id", "from_day", "to_day", "from_time", "to_time")
OPTIONAL_DUTY_FIELDS = ("weekdays", "override", "note")
HOLIDAY_FIELDS = ("day", "name")
OPTIONAL_HOLIDAY_FIELDS = ("workday",)
LONGEST_NOTE = 200
_DAY = re.compile(r"([0-9]{4})[-/]([0-9]{1,2})[-/]([0-9]{1,2})")
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::00)?")
_WEEKDAYS = re.compile(r"[1-7]{0,7}")
_ANY_DAY = date(2000, 1, 1)
Found = TypeVar("Found")


def read_duties(path: Path, people: Mapping[str, StaffMember]) -> list[DutyRow]:
    """Return the lines of a duty list. people: everybody, by staff_id. Raises FileRefused, OSError."""
    faults: list[RowFault] = []
    found = [_duty(row, people) for row in rows_of(path, DUTY_FIELDS, OPTIONAL_DUTY_FIELDS, faults)]
    refuse_faulty(faults, found)
    return [row for row in found if row is not None]


def read_holidays(path: Path) -> list[HolidayRow]:
    """Return the days of a file; workday says that it is worked all the same. Raises FileRefused, OSError."""
    faults: list[RowFault] = []
    days: dict[date, HolidayRow] = {}
    for row in rows_of(path, HOLIDAY_FIELDS, OPTIONAL_HOLIDAY_FIELDS, faults):
        day = _checked(row, "day", _day(row.text("day")), "give a day as 2026-10-01")
        row.check("day", day is None or day not in days, "this day stands in the file already; keep one of the rows")
        name = row.text("name")
        row.check("name", is_name(name), f"give a name of 1 to {LONGEST_NAME} printable characters")
        is_workday = yes_or_no(row, "workday", empty=False)
        days[day or _ANY_DAY] = HolidayRow(day or _ANY_DAY, name, is_workday)
    refuse_faulty(faults, days)
    return list(days.values())


def _duty(row: Row, people: Mapping[str, StaffMember]) -> DutyRow | None:
    person = people.get(row.text("staff_id"))
    if _checked(row, "staff_id", person, "no such person is known; import the staff list first") and person:
        takes_turns = person.role in LISTED_ROLES
        roles = ", ".join(sorted(LISTED_ROLES))
        row.check("staff_id", takes_turns, f"this person answers at all times; duty lists are for {roles}")
        row.check("staff_id", person.active, "this person is not in active service; name another")
    first = _checked(row, "from_day", _day(row.text("from_day")), "give a day as 2026-03-02")
    last = _checked(row, "to_day", _day(row.text("to_day")), "give a day as 2026-03-02")
    if first and last:
        row.check("to_day", first <= last, "give a day that is not before from_day")
    begins = _checked(row, "from_time", _time(row.text("from_time")), "give a time from 00:00 to 23:59")
    ends = _checked(row, "to_time", _time(row.text("to_time")), "give a time from 00:00 to 24:00")
    weekdays = _weekdays(row)
    overrides = yes_or_no(row, "override", empty=False)
    note = row.text("note")
    row.check("note", plain(note, LONGEST_NOTE) == note, f"give at most {LONGEST_NOTE} printable characters")
    if person is None or first is None or last is None or begins is None or ends is None:
        return None
    line = Duty(person.staff_id, person.role, person.division, first, last, begins, ends, weekdays, overrides)
    return DutyRow(line, note or None)


def _weekdays(row: Row) -> tuple[int, ...] | None:
    """Digits without anything between them: Excel takes 1-5 and 6,7 for something else."""
    digits = row.text("weekdays")
    right = bool(_WEEKDAYS.fullmatch(digits)) and len(set(digits)) == len(digits)
    fix = "give the digits of the days, 1 (Monday) to 7, such as 12345 or 67; empty: all"
    return tuple(sorted(map(int, digits))) if row.check("weekdays", right, fix) and digits else None


def _checked(row: Row, field: str, found: Found | None, fix: str) -> Found | None:
    row.check(field, found is not None, fix)
    return found


def _day(text: str) -> date | None:
    match = _DAY.fullmatch(text)
    try:
        return None if match is None else date(*(int(part) for part in match.groups()))
    except ValueError:
        return None


def _time(text: str) -> time | None:
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    hours, minutes = int(match[1]), int(match[2])
    if (hours, minutes) == (24, 0):
        return time()
    return time(hours, minutes) if hours < 24 and minutes < 60 else None
