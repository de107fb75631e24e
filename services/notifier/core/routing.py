"""Who hears of a household's alert: division and role decide, and nobody outside the division ever does.

Division codes have 12 digits: province 2, prefecture 2, county 2, township 3, village 3; upper levels end in zeros.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from shared.alerts import ChannelName
from shared.policy import Role

LEVELS = (12, 9, 6, 4, 2)
"""Digits that say something, from village to province."""
LEVEL_OF_ROLE: Mapping[Role, int] = {"cadre": 12, "grid": 12, "village_team": 12, "township": 9, "county": 6}
"""At which level a role counts; a duty officer counts at every level."""


class RoutedAs(StrEnum):
    """Why a person hears of an alert."""

    ROLE = "role"
    TOWNSHIP_STANDS_IN = "township_stands_in"
    NEXT_LEVEL_UP = "next_level_up"
    DUTY_OFFICER = "duty_officer"
    OWNER = "owner"
    TOLD_BEFORE = "told_before"
    FALLBACK = "fallback"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class StaffMember:
    """A person in active service. division: 12 digits. channels: those with an address in force."""

    staff_id: str
    role: Role
    division: str
    channels: tuple[ChannelName, ...]


@dataclass(frozen=True, slots=True)
class Recipient:
    """One person who is told, and why this one."""

    staff_id: str
    channels: tuple[ChannelName, ...]
    routed_as: RoutedAs


def at_level(division: str, digits: int) -> str:
    """Return the division's ancestor with so many telling digits, as a full code."""
    return division[:digits].ljust(12, "0")


def ancestors(division: str) -> tuple[str, ...]:
    """Return the full codes from the division itself up to its province, each once."""
    return tuple(dict.fromkeys(at_level(division, digits) for digits in LEVELS))


def prefix_of(division: str) -> str:
    """Return what all codes within a division begin with: its zero tail stripped, level by level."""
    for digits in LEVELS:
        if at_level(division, digits) == division:
            shortest = digits
    return division[:shortest]


def reach_of(role: Role, division: str) -> str:
    """Return the prefix of the divisions that a person may see: never wider than the role's own level."""
    return division[: max(len(prefix_of(division)), LEVEL_OF_ROLE.get(role, 0))]


def known_division(division: str, register: Collection[str]) -> str:
    """Return the division, or its nearest ancestor that the register knows; itself if none is known."""
    return next((code for code in ancestors(division) if code in register), division)


def route(division: str, roles: Sequence[Role], staff: Iterable[StaffMember]) -> tuple[Recipient, ...]:
    """Choose who is told.

    division: of the household, or its nearest known ancestor. roles: whom the policy names for the grade.
    staff: at least everybody in active service in the division and its ancestors.
    No cadre where the policy names one: the township stands in. Nobody at all: the nearest duty officers upwards.
    Empty only if there are none of these either.
    """
    reachable = [person for person in staff if person.channels]
    chosen = [person for person in reachable if person.role in roles and _counts(person, division)]
    recipients = [_recipient(person, RoutedAs.ROLE) for person in chosen]
    cadre_missing = "cadre" in roles and not any(person.role == "cadre" for person in chosen)
    if cadre_missing and "township" not in roles:
        stand_ins = [person for person in reachable if person.role == "township" and _counts(person, division)]
        recipients += [_recipient(person, RoutedAs.TOWNSHIP_STANDS_IN) for person in stand_ins]
    return tuple(recipients) or duty_officers(division, reachable)


def duty_officers(
    division: str, staff: Iterable[StaffMember], *, without: Collection[str] = ()
) -> tuple[Recipient, ...]:
    """Choose the duty officers of the nearest division upwards that has any, leaving out some staff_ids."""
    on_duty = [p for p in staff if p.role == "duty_officer" and p.channels and p.staff_id not in without]
    for code in ancestors(division):
        nearest = [_recipient(person, RoutedAs.DUTY_OFFICER) for person in on_duty if person.division == code]
        if nearest:
            return tuple(nearest)
    return ()


def _counts(person: StaffMember, division: str) -> bool:
    digits = LEVEL_OF_ROLE.get(person.role)
    return digits is not None and person.division == at_level(division, digits)


def _recipient(person: StaffMember, routed_as: RoutedAs) -> Recipient:
    return Recipient(person.staff_id, person.channels, routed_as)
