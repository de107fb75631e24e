"""Read the lists of divisions and staff from CSV files: every faulty row is told, and then nothing is imported."""

import csv
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from services.notifier.core.message import plain
from services.notifier.core.routing import LEVEL_OF_ROLE, at_level
from services.notifier.import_contacts import CONTACT_FIELDS, read_contacts
from services.notifier.store.rows import StaffRow
from shared.policy import Role

DIVISION_FIELDS = ("code", "name")
STAFF_FIELDS = ("staff_id", "name", "role", "division")
OPTIONAL_STAFF_FIELDS = (*CONTACT_FIELDS, "active")
ROLES = get_args(Role)
LONGEST_NAME = 60
_CODE = re.compile(r"[0-9]{12}")
_STAFF_ID = re.compile(r"[A-Za-z0-9_.-]{1,40}")
_YES = frozenset({"", "1", "yes", "true", "y", "是"})
_NO = frozenset({"0", "no", "false", "n", "否"})
_LEVEL_NAMES = {12: "village", 9: "township", 6: "county"}


@dataclass(frozen=True, slots=True)
class RowFault:
    """One thing to mend in a file. line: as an editor counts. The refused value is never repeated."""

    line: int
    field: str
    fix: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.field}: {self.fix}"


class FileRefused(ValueError):
    """A file with faults; nothing of it is imported."""

    def __init__(self, faults: Collection[RowFault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = tuple(faults)


class _Row:
    """One row under inspection; collects its faults."""

    def __init__(self, line: int, cells: Mapping[str, str], faults: list[RowFault]) -> None:
        self._line = line
        self._cells = cells
        self._faults = faults

    def text(self, field: str) -> str:
        return self._cells.get(field, "").strip()

    def check(self, field: str, right: bool, fix: str) -> bool:
        if not right:
            self._faults.append(RowFault(self._line, field, fix))
        return right

    def check_by(self, field: str, checking: Callable[[], object]) -> None:
        """Run a check that raises ValueError with what to fix."""
        try:
            checking()
        except ValueError as error:
            self._faults.append(RowFault(self._line, field, str(error)))


def read_divisions(path: Path) -> dict[str, str]:
    """Return name by code. Raises FileRefused, OSError."""
    faults: list[RowFault] = []
    names: dict[str, str] = {}
    for row in _rows(path, DIVISION_FIELDS, (), faults):
        code, name = row.text("code"), row.text("name")
        row.check("code", bool(_CODE.fullmatch(code)), "give 12 digits, such as 990100101201")
        row.check("code", code not in names, "this code stands in the file already; keep one of the rows")
        row.check("name", _is_name(name), f"give a name of 1 to {LONGEST_NAME} printable characters")
        names[code] = name
    _refuse(faults, names)
    return names


def read_staff(path: Path, known_divisions: Collection[str], *, allow_plain: bool) -> list[StaffRow]:
    """Return the people of a file. allow_plain: webhooks may be http. Raises FileRefused, OSError."""
    faults: list[RowFault] = []
    people: dict[str, StaffRow] = {}
    for row in _rows(path, STAFF_FIELDS, OPTIONAL_STAFF_FIELDS, faults):
        staff_id = row.text("staff_id")
        row.check(
            "staff_id", bool(_STAFF_ID.fullmatch(staff_id)), "give 1 to 40 letters, digits, dots, dashes or underlines"
        )
        row.check("staff_id", staff_id not in people, "this staff_id stands in the file already; keep one of the rows")
        people[staff_id] = _person(row, known_divisions, allow_plain)
    _refuse(faults, people)
    return list(people.values())


def _person(row: _Row, known_divisions: Collection[str], allow_plain: bool) -> StaffRow:
    _check_post(row, known_divisions)
    contacts = read_contacts(row, allow_plain=allow_plain)
    active = row.text("active").lower()
    row.check("active", active in _YES | _NO, "give yes or no, or leave it empty (yes)")
    row.check("name", _is_name(row.text("name")), f"give a name of 1 to {LONGEST_NAME} printable characters")
    role = next((known for known in ROLES if known == row.text("role")), ROLES[0])
    return StaffRow(
        staff_id=row.text("staff_id"),
        name=row.text("name"),
        role=role,
        division=row.text("division"),
        password_hash=None,
        active=active in _YES,
        contacts=contacts,
    )


def _check_post(row: _Row, known_divisions: Collection[str]) -> None:
    role, division = row.text("role"), row.text("division")
    is_role = row.check("role", role in ROLES, f"give one of {', '.join(ROLES)}")
    if not row.check("division", bool(_CODE.fullmatch(division)), "give 12 digits, zero-filled at the tail"):
        return
    if not row.check("division", division in known_divisions, "no such division is known; import divisions first"):
        return
    digits = next((level for known, level in LEVEL_OF_ROLE.items() if is_role and known == role), None)
    if digits is not None:
        # Whoever stands at the wrong level would never be told of anything, and nobody would notice.
        level = _LEVEL_NAMES[digits]
        row.check("division", _is_at_level(division, digits), f"a {role} belongs to a {level}: give a {level}'s code")


def _is_at_level(division: str, digits: int) -> bool:
    below = at_level(division, digits) != division
    above = digits > 6 and at_level(division, {12: 9, 9: 6}[digits]) == division
    return not below and not above


def _rows(path: Path, required: tuple[str, ...], optional: tuple[str, ...], faults: list[RowFault]) -> Iterator[_Row]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise FileRefused([RowFault(1, "file", "save the file as UTF-8 (in Excel: CSV UTF-8)")]) from None
    if "\0" in text:
        raise FileRefused([RowFault(1, "file", "this is not a CSV file; save the table as CSV UTF-8")])
    reader = csv.reader(text.splitlines(keepends=True), strict=True)
    try:
        header = [cell.strip() for cell in next(reader, [])]
        _check_header(header, required, optional)
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                faults.append(RowFault(reader.line_num, "row", f"give {len(header)} cells, as in the first line"))
                continue
            yield _Row(reader.line_num, dict(zip(header, cells, strict=True)), faults)
    except csv.Error:
        faults.append(RowFault(reader.line_num, "row", "a quotation mark is not closed, or stands where none may"))


def _check_header(header: list[str], required: tuple[str, ...], optional: tuple[str, ...]) -> None:
    faults = [RowFault(1, name, "this column is missing in the first line") for name in required if name not in header]
    if any(name not in required + optional for name in header) or len(set(header)) != len(header):
        faults.append(RowFault(1, "header", f"use each of these columns once: {', '.join(required + optional)}"))
    if faults:
        raise FileRefused(faults)


def _refuse(faults: list[RowFault], found: Collection[object]) -> None:
    if not faults and not found:
        faults = [RowFault(1, "file", "the file holds no rows")]
    if faults:
        raise FileRefused(faults)


def _is_name(text: str) -> bool:
    return bool(text) and plain(text, LONGEST_NAME) == text
