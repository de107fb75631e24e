"""The people of a load's villages, each with a webhook of his own at the receiver, as the two import files."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, fields, replace
from pathlib import Path

from deploy.demo.divisions import PROVINCE, Division
from deploy.demo.people import MAIL_DOMAIN, StaffMember

SECRET = "whsec_" + "YmVuY2gtd2ViaG9vay1zZWNyZXQtb2Ytbm9ib2R5IQ=="
"""Invented, and used nowhere else."""
COUNTY_SHARE, TOWNSHIP_SHARE = 10, 5
"""One in so many people works for the county, one for a township; the others are cadres, each of one village."""
_COUNTY = "991001"


def cadres(villages: Sequence[str], base_url: str) -> list[StaffMember]:
    """A cadre for each village."""
    return [_member(f"cadre-{code}", "cadre", code, base_url) for code in villages]


def county_villages(people: int) -> list[str]:
    """The villages of a county with so many staff, spread over its townships."""
    townships = max(1, people // TOWNSHIP_SHARE)
    count = people - townships - max(1, people // COUNTY_SHARE)
    return [f"{_COUNTY}{101 + number % townships:03d}{201 + number:03d}" for number in range(max(1, count))]


def county_staff(people: int, base_url: str) -> list[StaffMember]:
    """The staff of that county: officers have mail and webhook, of the cadres each second one mail, else a webhook."""
    return list(_county_staff(people, base_url))


def _county_staff(people: int, base_url: str) -> Iterator[StaffMember]:
    villages = county_villages(people)
    for number in range(max(1, people // COUNTY_SHARE)):
        yield _with_mail(_member(f"county-{number}", "county", f"{_COUNTY}000000", base_url))
    for code in sorted({f"{village[:9]}000" for village in villages}):
        yield _with_mail(_member(f"township-{code}", "township", code, base_url))
    for number, cadre in enumerate(cadres(villages, base_url)):
        yield replace(_with_mail(cadre), webhook_url="", webhook_secret="") if number % 2 else cadre


def _with_mail(member: StaffMember) -> StaffMember:
    return replace(member, email=f"{member.staff_id}@{MAIL_DOMAIN}")


def _member(staff_id: str, role: str, division: str, base_url: str) -> StaffMember:
    return StaffMember(staff_id, "虚构人", role, division, "", f"{base_url}/hook/{staff_id}", SECRET)


def upper_levels(villages: Iterable[str]) -> list[str]:
    """The townships, counties and the province of some villages."""
    found = {PROVINCE}
    for code in villages:
        found |= {f"{code[:9]}000", f"{code[:6]}000000"}
    return sorted(found)


def write_people(directory: Path, villages: Sequence[str], staff: Sequence[StaffMember]) -> tuple[Path, Path]:
    """Write divisions.csv and staff.csv; their paths."""
    divisions = [Division(code, f"地{code}") for code in [*upper_levels(villages), *villages]]
    return (
        _write(directory / "divisions.csv", [field.name for field in fields(Division)], map(astuple, divisions)),
        _write(directory / "staff.csv", [field.name for field in fields(StaffMember)], map(astuple, staff)),
    )


def _write(file: Path, header: Iterable[str], rows: Iterable[Iterable[str]]) -> Path:
    with file.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(header)
        writer.writerows(rows)
    return file
