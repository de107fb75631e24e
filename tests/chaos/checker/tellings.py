"""What people should have been told, worked out from the changes of grade: once more, and simply.

Only the policy's own table is taken from the product: who hears of which grade.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tests.chaos.checker.refold import Change, reference
from tests.chaos.checker.tables import StaffRow, TransitionRow

Reason = Literal["opened", "grade_worse", "new_first_cause", "withdrawn", "household_closed", "corrected"]
ENDINGS = ("withdrawn", "household_closed")
TAKEN_BACK = (*ENDINGS, "corrected")
MENDING = ("event.refuted", "event.corrected")
ORANGE = 3
ROUTING: dict[str, list[str]] = json.loads(
    (Path(__file__).parents[3] / "shared/policies/national-2020-01-01.json").read_text(encoding="utf-8")
)["routing"]
LEAST_TOLD = min(reference.GRADES.index(code) for code, roles in ROUTING.items() if roles)
# Digits of a division's code that say something, for each role; and all levels, nearest first.
LEVEL = {"cadre": 12, "grid": 12, "village_team": 12, "township": 9, "county": 6}
LEVELS = (12, 9, 6, 4, 2)


class Told(NamedTuple):
    """One change of grade, as the notifier got to know it. event: (source, id) of what brought it, if an event did.

    closed: the register closed the household. mended: evidence turned out not to be so.
    """

    version: int
    old: int | None
    new: int
    division: str
    first_cause: str | None
    rewritten: bool
    event: tuple[str | None, str | None]
    closed: bool = False
    mended: bool = False


class Telling(NamedTuple):
    """What people must hear because of one change. opens: whether it is the first of its alert."""

    change: Told
    reason: Reason
    opens: bool

    @property
    def roles(self) -> Sequence[str]:
        """Who hears of this grade by policy."""
        return ROUTING[reference.GRADES[self.change.new]]


def told_changes(stored: Iterable[TransitionRow], meant: Sequence[Change] | None) -> list[Told]:
    """The changes that were, or should have been, told: as stored, and where a row is missing as it should be.

    meant: None where nobody knows; then what is stored is believed.
    """
    rows = {row.version: row for row in stored}
    versions = sorted(rows) if meant is None else range(1, len(meant) + 1)
    found = [_stored(rows[at]) if at in rows else _meant(at, meant or ()) for at in versions]
    return [one for one in found if one is not None]


def tellings(changes: Iterable[Told], *, can_withdraw: bool) -> list[Telling]:
    """Walk through a household's changes in order.

    can_withdraw: False once somebody has taken an alert of the household on; then only people close it.
    """
    found: list[Telling] = []
    grade: int | None = None
    causes: set[str] = set()
    for change in changes:
        roles = ROUTING[reference.GRADES[change.new]]
        reason: Reason | None = None
        if change.closed:
            reason = None if grade is None else "household_closed"
        elif grade is None:
            if roles and (change.new > (change.old or 0) or change.new >= ORANGE):
                reason, causes = "opened", set()
        elif change.rewritten and change.new < LEAST_TOLD and can_withdraw:
            reason = "withdrawn"
        elif change.mended and change.new < grade:
            reason = "corrected"
        elif roles and change.new > grade:
            reason = "grade_worse"
        elif roles and change.new == grade and change.first_cause and change.first_cause not in causes:
            reason = "new_first_cause"
        if reason is not None:
            found.append(Telling(change, reason, opens=grade is None))
            causes |= {change.first_cause} if change.first_cause else set()
        if reason in ENDINGS:
            grade = None
        elif grade is not None or reason is not None:
            grade = change.new
    return found


def recipients(telling: Telling, staff: Iterable[StaffRow], divisions: Collection[str]) -> set[str]:
    """The staff_ids of those who must hear of it. staff: everybody who has any contact."""
    known = next((code for code in _upwards(telling.change.division) if code in divisions), telling.change.division)
    reachable = [one for one in staff if one.active]
    here = [one for one in reachable if one.role in LEVEL and one.division == _at(known, LEVEL[one.role])]
    chosen = {one.staff_id for one in here if one.role in telling.roles}
    if "cadre" in telling.roles and not any(one.role == "cadre" for one in here):
        for role in ("township", "county"):
            upper = {one.staff_id for one in here if one.role == role}
            chosen |= upper
            if upper:
                return chosen
        return chosen | _nearest_on_duty(reachable, known)
    return chosen or _nearest_on_duty(reachable, known)


def _nearest_on_duty(reachable: Iterable[StaffRow], known: str) -> set[str]:
    for code in _upwards(known):
        on_duty = {one.staff_id for one in reachable if one.role == "duty_officer" and one.division == code}
        if on_duty:
            return on_duty
    return set()


def _stored(row: TransitionRow) -> Told:
    change: dict[str, Any] = row.change
    trigger, causes = change["trigger"], change["causes"]
    return Told(
        version=row.version,
        old=row.old_grade,
        new=row.new_grade,
        division=change["division"],
        first_cause=causes[0] if causes else None,
        rewritten=trigger["kind"] == "replay",
        event=(trigger["source"], trigger["event_id"]),
        closed=change.get("closed", False),
        mended=trigger["kind"] == "replay" and trigger["type"] in MENDING,
    )


def _meant(version: int, meant: Sequence[Change]) -> Told | None:
    if version > len(meant) or meant[version - 1].by is None:
        return None
    change, row = meant[version - 1], meant[version - 1].by
    assert row is not None
    causes, rewritten = (change.result or {"causes": []})["causes"], row.type in MENDING
    first_cause = causes[0] if causes else None
    return Told(
        version, change.old, change.new, row.division, first_cause, rewritten, row.who, change.result is None, rewritten
    )


def _upwards(division: str) -> list[str]:
    return [_at(division, digits) for digits in LEVELS]


def _at(division: str, digits: int) -> str:
    return division[:digits].ljust(12, "0")
