"""The people of a load's villages, each with a webhook of his own at the receiver, as the two import files."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import astuple, fields
from pathlib import Path

from deploy.demo.divisions import PROVINCE, Division
from deploy.demo.people import StaffMember

SECRET = "whsec_" + "YmVuY2gtd2ViaG9vay1zZWNyZXQtb2Ytbm9ib2R5IQ=="
"""Invented, and used nowhere else."""


def cadres(villages: Sequence[str], base_url: str) -> list[StaffMember]:
    """A cadre for each village."""
    return [_member(f"cadre-{code}", "cadre", code, base_url) for code in villages]


def officers(places: Sequence[str], role: str, base_url: str) -> list[StaffMember]:
    """An officer for each township or county."""
    return [_member(f"{role}-{code}", role, code, base_url) for code in places]


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
