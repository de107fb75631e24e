"""The staff of the invented county: who is told about which place. No person, number or mailbox here exists."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from deploy.demo.divisions import COUNTY, PROVINCE, TOWNSHIPS, Division, is_village

MAIL_DOMAIN = "staff.example"
VILLAGE_ROLES = ("cadre", "grid", "village_team")
COUNTY_OFFICERS = 2
DUTY_OFFICER_ID = "duty"
_FAMILY = ("虚", "构", "示")  # no family bears these names; together they say "made up"
_GIVEN_FIRST = ("青", "晓", "云", "清", "明", "星", "远", "安")
_GIVEN_LAST = ("山", "溪", "岚", "竹", "枫", "棠", "原", "舟", "舒", "桐")


@dataclass(frozen=True, slots=True)
class StaffMember:
    """One row of the staff list; an empty webhook address means none."""

    staff_id: str
    name: str
    role: str
    division: str
    email: str
    webhook_url: str = ""
    webhook_secret: str = ""


def duty_officer(webhook_url: str = "", webhook_secret: str = "") -> StaffMember:
    """The one whom every alert below 99 can reach, also where nobody else is known."""
    return StaffMember(
        DUTY_OFFICER_ID,
        "值班员",
        "duty_officer",
        PROVINCE,
        f"{DUTY_OFFICER_ID}@{MAIL_DOMAIN}",
        webhook_url,
        webhook_secret,
    )


def county_staff(seed: int, divisions: Sequence[Division]) -> Sequence[StaffMember]:
    """Three people for each village, one officer for each township, and two for the county."""
    names = _names(seed)
    posts = [(role, place.code) for place in divisions if is_village(place.code) for role in VILLAGE_ROLES]
    posts += [("township", code) for code, _ in TOWNSHIPS]
    posts += [("county", COUNTY)] * COUNTY_OFFICERS
    return [_member(number, role, code, next(names)) for number, (role, code) in enumerate(posts, start=1)]


def _member(number: int, role: str, division: str, name: str) -> StaffMember:
    staff_id = f"{role.replace('_', '-')}-{number:03d}"
    return StaffMember(staff_id, name, role, division, f"{staff_id}@{MAIL_DOMAIN}")


def _names(seed: int) -> Iterator[str]:
    names = [family + first + last for family in _FAMILY for first in _GIVEN_FIRST for last in _GIVEN_LAST]
    Random(f"names:{seed}").shuffle(names)
    return iter(names)
