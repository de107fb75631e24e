"""Who is told in the chaos house: its places and its staff, as rows of the two import files."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import astuple, fields, replace
from pathlib import Path

from deploy.demo.divisions import Division
from deploy.demo.people import StaffMember

PROVINCE, COUNTY, TOWNSHIP = "990000000000", "990101000000", "990101101000"
VILLAGES = ("990101101201", "990101101202", "990101101203")
MAIL_DOMAIN = "staff.example"
WEBHOOK_SECRET = "whsec_" + "Y2hhb3MtaG91c2Utd2ViaG9vay1zZWNyZXQhIQ=="
"""Invented, and used nowhere else than between the services under test and the receivers of these tests."""

CHAOS_DIVISIONS: Sequence[Division] = (
    Division(PROVINCE, "守望示范省（虚构）"),
    Division(COUNTY, "示范市守望县（虚构）"),
    Division(TOWNSHIP, "晨光镇"),
    *(Division(code, f"{name}村") for code, name in zip(VILLAGES, ("青禾", "云坪", "松湾"), strict=True)),
)
CHAOS_STAFF: Sequence[StaffMember] = (
    *(
        StaffMember(f"cadre-{number}", f"虚青{name}", "cadre", code, f"cadre-{number}@{MAIL_DOMAIN}")
        for number, (code, name) in enumerate(zip(VILLAGES, ("山", "溪", "岚"), strict=True), start=1)
    ),
    StaffMember("township-1", "构晓竹", "township", TOWNSHIP, f"township-1@{MAIL_DOMAIN}"),
    StaffMember("county-1", "示云枫", "county", COUNTY, f"county-1@{MAIL_DOMAIN}"),
    StaffMember("duty", "值班员", "duty_officer", PROVINCE, f"duty@{MAIL_DOMAIN}"),
)
"""Without webhooks; `with_webhooks` adds them, since their address is known only once the receivers run."""


def with_webhooks(staff: Sequence[StaffMember], base_url: str, secret: str = WEBHOOK_SECRET) -> list[StaffMember]:
    """Give each person a webhook of their own: {base_url}/hook/{staff_id}."""
    return [replace(one, webhook_url=f"{base_url}/hook/{one.staff_id}", webhook_secret=secret) for one in staff]


def write_people(directory: Path, base_url: str) -> tuple[Path, Path]:
    """Write divisions.csv and staff.csv for `shouwang-notifier divisions import` and `staff import`; their paths."""
    directory.mkdir(parents=True, exist_ok=True)
    divisions, staff = directory / "divisions.csv", directory / "staff.csv"
    _write_csv(divisions, [field.name for field in fields(Division)], map(astuple, CHAOS_DIVISIONS))
    rows = with_webhooks(CHAOS_STAFF, base_url)
    _write_csv(staff, [field.name for field in fields(StaffMember)], map(astuple, rows))
    return divisions, staff


def _write_csv(file: Path, header: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(header)
        writer.writerows(rows)
