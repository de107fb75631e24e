"""Who hears of a household's alert: division and role decide, and nobody outside the division ever does.

Everybody who could have been meant gets a verdict, so that "why was I not told" has an answer.

Division codes have 12 digits: province 2, prefecture 2, county 2, township 3, village 3; upper levels end in zeros.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from services.notifier.core.duty import LISTED_ROLES, Rota
from shared.alerts import ChannelName
from shared.policy import Role

LEVELS = (12, 9, 6, 4, 2)
"""Digits that say something, from village to province."""
LEVEL_OF_ROLE: Mapping[Role, int] = {"cadre": 12, "grid": 12, "village_team": 12, "township": 9, "county": 6}
"""At which level a role counts; a duty officer counts at every level."""
NO_ROTA = Rota()
"""Everybody is at their post."""


class RoutedAs(StrEnum):
    """Why a person hears of an alert."""

    ROLE = "role"
    STAND_IN = "stand_in"
    TOWNSHIP_STANDS_IN = "township_stands_in"
    COUNTY_STANDS_IN = "county_stands_in"
    DUTY_OFFICER = "duty_officer"
    OWNER = "owner"
    TOLD_BEFORE = "told_before"
    FALLBACK = "fallback"
    TEST = "test"


class Heard(StrEnum):
    """Why a person is told, or is not."""

    TOLD_ROLE = "told_role"
    TOLD_STAND_IN = "told_stand_in"
    TOLD_TOWNSHIP_FOR_MISSING_CADRE = "told_township_for_missing_cadre"
    TOLD_COUNTY_FOR_MISSING_CADRE = "told_county_for_missing_cadre"
    TOLD_DUTY_OFFICER = "told_duty_officer"
    TOLD_OWNER = "told_owner"
    TOLD_BEFORE = "told_before"
    NOT_ROUTED_FOR_GRADE = "not_routed_for_grade"
    OTHER_DIVISION = "other_division"
    ABSENT = "absent"
    OFF_DUTY = "off_duty"
    SILENCED = "silenced"
    NO_CHANNEL = "no_channel"
    INACTIVE = "inactive"


TOLD: Mapping[RoutedAs, Heard] = {
    RoutedAs.ROLE: Heard.TOLD_ROLE,
    RoutedAs.STAND_IN: Heard.TOLD_STAND_IN,
    RoutedAs.TOWNSHIP_STANDS_IN: Heard.TOLD_TOWNSHIP_FOR_MISSING_CADRE,
    RoutedAs.COUNTY_STANDS_IN: Heard.TOLD_COUNTY_FOR_MISSING_CADRE,
    RoutedAs.DUTY_OFFICER: Heard.TOLD_DUTY_OFFICER,
    RoutedAs.OWNER: Heard.TOLD_OWNER,
    RoutedAs.TOLD_BEFORE: Heard.TOLD_BEFORE,
}


@dataclass(frozen=True, slots=True)
class StaffMember:
    """A person of the register. division: 12 digits. channels: those with an address in force."""

    staff_id: str
    role: Role
    division: str
    channels: tuple[ChannelName, ...]
    active: bool = True


@dataclass(frozen=True, slots=True)
class Recipient:
    """One person who is told, and why this one. instead_of: whose stand-in it is."""

    staff_id: str
    channels: tuple[ChannelName, ...]
    routed_as: RoutedAs
    instead_of: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why one person hears or does not. instead_of: the absent person that a stand-in hears for."""

    staff_id: str
    role: Role
    division: str
    heard: Heard
    instead_of: str | None = None


@dataclass(frozen=True, slots=True)
class Routing:
    """Who is told, and a verdict for each person that was asked about, in that order."""

    recipients: tuple[Recipient, ...]
    verdicts: tuple[Verdict, ...]


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


def route(
    division: str, roles: Sequence[Role], staff: Iterable[StaffMember], *, at: datetime, rota: Rota = NO_ROTA
) -> Routing:
    """Choose who is told at an instant, and say of everybody why or why not.

    division: of the household, or its nearest known ancestor. roles: whom the policy names for the grade.
    staff: at least everybody in the division and its ancestors.
    A person who is away is replaced by their stand-in, if that one is of the same division or above it and there.
    Of a role with a duty list at that time only those on duty are told; a list none of whom can hear does not count.
    No cadre where the policy names one: the township stands in, without one the county, without that the duty officers.
    Nobody at all: the nearest duty officers upwards. Empty only if there are none of these either.
    """
    scene = _Scene(division, tuple(staff), at, rota)
    for role in roles:
        scene.tell(role, RoutedAs.ROLE)
    if "cadre" in roles and "cadre" not in scene.heard:
        scene.replace_cadre()
    if not scene.told:
        scene.tell("duty_officer", RoutedAs.DUTY_OFFICER)
    return Routing(tuple(scene.told.values()), tuple(scene.verdict(person) for person in scene.staff))


def climb(division: str, role: Role, staff: Iterable[StaffMember], *, at: datetime, rota: Rota = NO_ROTA) -> Routing:
    """Choose who is told when an alert climbs to a role: if nobody of it can hear, the next level upwards that can."""
    scene = _Scene(division, tuple(staff), at, rota)
    scene.tell(role, RoutedAs.ROLE)
    for upper, routed_as in _FOR_CADRE.items():
        if not scene.told and _is_above(upper, role):
            scene.tell(upper, routed_as)
    return Routing(tuple(scene.told.values()), tuple(scene.verdict(person) for person in scene.staff))


def duty_officers(
    division: str,
    staff: Iterable[StaffMember],
    *,
    at: datetime,
    rota: Rota = NO_ROTA,
    without: Collection[str] = (),
) -> tuple[Recipient, ...]:
    """Choose the duty officers of the nearest division upwards where any can hear, leaving out some staff_ids."""
    scene = _Scene(division, tuple(person for person in staff if person.staff_id not in without), at, rota)
    scene.tell("duty_officer", RoutedAs.DUTY_OFFICER)
    return tuple(scene.told.values())


def _is_above(upper: Role, role: Role) -> bool:
    return LEVEL_OF_ROLE.get(upper, 0) < LEVEL_OF_ROLE.get(role, 0)


@dataclass(slots=True)
class _Scene:
    """One routing under way.

    told: by staff_id. heard: roles for which somebody hears. lists: for each post that was asked, who is on duty there
    by a list that counts (empty: no list does).
    """

    division: str
    staff: tuple[StaffMember, ...]
    at: datetime
    rota: Rota
    told: dict[str, Recipient] = field(default_factory=dict)
    heard: set[Role] = field(default_factory=set)
    lists: dict[tuple[Role, str], frozenset[str]] = field(default_factory=dict)

    def tell(self, role: Role, routed_as: RoutedAs) -> None:
        """Tell the people of a role, or who stands in for them; duty officers of the nearest division alone."""
        digits = LEVEL_OF_ROLE.get(role)
        codes = ancestors(self.division) if digits is None else (at_level(self.division, digits),)
        for code in codes:
            hearers = self._ask(role, code, RoutedAs.DUTY_OFFICER if digits is None else routed_as)
            for one in hearers:
                known = self.told.get(one.staff_id)
                # Whoever is meant in their own right is not told as somebody's stand-in.
                if known is None or known.routed_as is RoutedAs.STAND_IN:
                    self.told[one.staff_id] = one
            if hearers:
                self.heard.add(role)
                return

    def replace_cadre(self) -> None:
        """Go up until somebody hears in place of the cadre."""
        for role, routed_as in _FOR_CADRE.items():
            if role not in self.heard:
                self.tell(role, routed_as)
            if role in self.heard:
                return

    def verdict(self, person: StaffMember) -> Verdict:
        """Say why a person is told, or is not."""
        recipient = self.told.get(person.staff_id)
        if recipient is None:
            return Verdict(person.staff_id, person.role, person.division, self._not_told(person))
        heard = TOLD[recipient.routed_as]
        return Verdict(person.staff_id, person.role, person.division, heard, recipient.instead_of)

    def _not_told(self, person: StaffMember) -> Heard:
        if not person.active:
            return Heard.INACTIVE
        digits = LEVEL_OF_ROLE.get(person.role)
        posts = ancestors(self.division) if digits is None else (at_level(self.division, digits),)
        if person.division not in posts:
            return Heard.OTHER_DIVISION
        on_duty = self.lists.get((person.role, person.division))
        if on_duty is None:
            return Heard.NOT_ROUTED_FOR_GRADE
        if self.rota.absences_of(person.staff_id, self.at):
            return Heard.ABSENT
        return Heard.OFF_DUTY if on_duty and person.staff_id not in on_duty else Heard.NO_CHANNEL

    def _ask(self, role: Role, division: str, routed_as: RoutedAs) -> list[Recipient]:
        """Find who hears at one post, by its duty list if that leads to anybody."""
        people = [person for person in self.staff if (person.role, person.division) == (role, division)]
        on_duty = self.rota.on_duty(role, division, self.at) if role in LISTED_ROLES else frozenset()
        hearers = self._hearers([person for person in people if person.staff_id in on_duty], routed_as)
        self.lists[role, division] = on_duty if hearers else frozenset()
        return hearers or self._hearers(people, routed_as)

    def _hearers(self, people: Iterable[StaffMember], routed_as: RoutedAs) -> list[Recipient]:
        found: list[Recipient] = []
        for person in people:
            if self._is_away(person):
                found += self._stand_ins(person)
            elif self._can_hear(person):
                found.append(Recipient(person.staff_id, person.channels, routed_as))
        return found

    def _stand_ins(self, absent: StaffMember) -> list[Recipient]:
        named = {one.stand_in for one in self.rota.absences_of(absent.staff_id, self.at)} if absent.active else set()
        return [
            Recipient(person.staff_id, person.channels, RoutedAs.STAND_IN, instead_of=absent.staff_id)
            for person in self.staff
            if person.staff_id in named
            and person.division in ancestors(absent.division)
            and self._can_hear(person)
            and not self._is_away(person)
        ]

    def _is_away(self, person: StaffMember) -> bool:
        return bool(self.rota.absences_of(person.staff_id, self.at))

    def _can_hear(self, person: StaffMember) -> bool:
        return person.active and bool(person.channels)


_FOR_CADRE: Mapping[Role, RoutedAs] = {
    "township": RoutedAs.TOWNSHIP_STANDS_IN,
    "county": RoutedAs.COUNTY_STANDS_IN,
    "duty_officer": RoutedAs.DUTY_OFFICER,
}
"""Who hears in place of a cadre who is missing: the first of these where anybody does."""
