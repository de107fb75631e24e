"""Read the lists of divisions and staff from CSV or Excel files.

Every faulty row is told, and then nothing is imported.
"""

import re
from collections.abc import Collection
from pathlib import Path
from typing import get_args

from services.notifier.core.message import plain
from services.notifier.core.routing import LEVEL_OF_ROLE, at_level
from services.notifier.import_contacts import CONTACT_FIELDS, read_contacts
from services.notifier.sheets import Row, RowFault, refuse_faulty, rows_of
from services.notifier.store.rows import StaffRow
from shared.policy import Role

DIVISION_FIELDS = ("code", "name")
STAFF_FIELDS = ("staff_id", "name", "role", "division")
OPTIONAL_STAFF_FIELDS = (*CONTACT_FIELDS, "active")
ROLES = get_args(Role)
LONGEST_NAME = 60
_CODE = re.compile(r"[0-9]{12}")
_STAFF_ID = re.compile(r"[A-Za-z0-9_.-]{1,40}")
_YES = frozenset({"1", "yes", "true", "y", "是"})
_NO = frozenset({"0", "no", "false", "n", "否"})
_LEVEL_NAMES = {12: "village", 9: "township", 6: "county"}


def read_divisions(path: Path) -> dict[str, str]:
    """Return name by code. Raises FileRefused, OSError."""
    faults: list[RowFault] = []
    names: dict[str, str] = {}
    for row in rows_of(path, DIVISION_FIELDS, (), faults):
        code, name = row.text("code"), row.text("name")
        row.check("code", bool(_CODE.fullmatch(code)), "give 12 digits, such as 990100101201")
        row.check("code", code not in names, "this code stands in the file already; keep one of the rows")
        row.check("name", is_name(name), f"give a name of 1 to {LONGEST_NAME} printable characters")
        names[code] = name
    refuse_faulty(faults, names)
    return names


def read_staff(path: Path, known_divisions: Collection[str], *, allow_plain: bool) -> list[StaffRow]:
    """Return the people of a file. allow_plain: webhooks may be http. Raises FileRefused, OSError."""
    faults: list[RowFault] = []
    people: dict[str, StaffRow] = {}
    for row in rows_of(path, STAFF_FIELDS, OPTIONAL_STAFF_FIELDS, faults):
        staff_id = row.text("staff_id")
        row.check(
            "staff_id", bool(_STAFF_ID.fullmatch(staff_id)), "give 1 to 40 letters, digits, dots, dashes or underlines"
        )
        row.check("staff_id", staff_id not in people, "this staff_id stands in the file already; keep one of the rows")
        people[staff_id] = _person(row, known_divisions, allow_plain)
    refuse_faulty(faults, people)
    return list(people.values())


def _person(row: Row, known_divisions: Collection[str], allow_plain: bool) -> StaffRow:
    _check_post(row, known_divisions)
    contacts = read_contacts(row, allow_plain=allow_plain)
    row.check("name", is_name(row.text("name")), f"give a name of 1 to {LONGEST_NAME} printable characters")
    role = next((known for known in ROLES if known == row.text("role")), ROLES[0])
    return StaffRow(
        staff_id=row.text("staff_id"),
        name=row.text("name"),
        role=role,
        division=row.text("division"),
        password_hash=None,
        active=yes_or_no(row, "active", empty=True),
        contacts=contacts,
    )


def _check_post(row: Row, known_divisions: Collection[str]) -> None:
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


def yes_or_no(row: Row, field: str, *, empty: bool) -> bool:
    """Read a yes or a no; empty: what an empty cell means."""
    word = row.text(field).lower()
    meant = "yes" if empty else "no"
    row.check(field, word in _YES | _NO | {""}, f"give yes or no, or leave it empty ({meant})")
    return word in _YES or (empty and not word)


def is_name(text: str) -> bool:
    """Whether a text can stand as a name."""
    return bool(text) and plain(text, LONGEST_NAME) == text
