"""An invented county, the same for the same seed: 3 townships, 60 villages, 3,000 households and their staff.

python -m deploy.demo.county --seed N --out DIR      writes divisions.csv and staff.csv for the notifier's imports
"""

import argparse
import csv
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields, replace
from datetime import date, datetime
from pathlib import Path
from random import Random

from deploy.demo.divisions import Division, county_divisions, is_village
from deploy.demo.households import Household, draw_household
from deploy.demo.people import DUTY_OFFICER_ID, StaffMember, county_staff, duty_officer
from shared.clock import SHANGHAI

HOUSEHOLDS = 3_000
FIRST_NUMBER = 1_001
LARGEST_SEED = 999_999


@dataclass(frozen=True, slots=True)
class County:
    """Everything that is known of the county on `today`, the day on which its households enter the register."""

    seed: int
    today: date
    divisions: Sequence[Division]
    staff: Sequence[StaffMember]
    households: Sequence[Household]


@dataclass(frozen=True, slots=True)
class CountyFiles:
    """The two files that `shouwang-notifier divisions import` and `staff import` read."""

    divisions: Path
    staff: Path


def make_county(seed: int, today: date) -> County:
    """The county of a seed (0 to 999,999; else ValueError)."""
    divisions = county_divisions(checked_seed(seed))
    staff = [duty_officer(), *county_staff(seed, divisions)]
    return County(seed, today, divisions, staff, list(_households(seed, divisions, today)))


def checked_seed(seed: int) -> int:
    """Pass a usable seed on; it becomes part of household ids. Raises ValueError."""
    if not 0 <= seed <= LARGEST_SEED:
        raise ValueError(f"give a seed from 0 to {LARGEST_SEED}")
    return seed


def _households(seed: int, divisions: Sequence[Division], today: date) -> Iterator[Household]:
    """All households, village by village; villages differ in size."""
    chance = Random(f"villages:{seed}")
    villages = [place.code for place in divisions if is_village(place.code)]
    weights = [chance.uniform(0.5, 1.5) for _ in villages]
    homes = sorted(chance.choices(villages, weights=weights, k=HOUSEHOLDS))
    for number, village in enumerate(homes, start=FIRST_NUMBER):
        yield draw_household(seed, number, village, today)


def write_county_files(
    seed: int, directory: Path, today: date, *, webhook_url: str = "", webhook_secret: str = ""
) -> CountyFiles:
    """Write the county's divisions and staff; the webhook, if any, is the duty officer's and one county officer's."""
    county = make_county(seed, today)
    told = {DUTY_OFFICER_ID, next(member.staff_id for member in county.staff if member.role == "county")}
    staff = [
        replace(member, webhook_url=webhook_url, webhook_secret=webhook_secret) if member.staff_id in told else member
        for member in county.staff
    ]
    return _write(directory, county.divisions, staff)


def write_minimal_files(directory: Path, *, webhook_url: str = "", webhook_secret: str = "") -> CountyFiles:
    """Write the divisions and the duty officer alone: a county without households or other staff."""
    return _write(directory, county_divisions(1), [duty_officer(webhook_url, webhook_secret)])


def _write(directory: Path, divisions: Iterable[Division], staff: Iterable[StaffMember]) -> CountyFiles:
    directory.mkdir(parents=True, exist_ok=True)
    files = CountyFiles(directory / "divisions.csv", directory / "staff.csv")
    _write_csv(files.divisions, [field.name for field in fields(Division)], map(astuple, divisions))
    _write_csv(files.staff, [field.name for field in fields(StaffMember)], map(astuple, staff))
    return files


def _write_csv(file: Path, header: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Write a file that only its owner can read: a row may hold a webhook secret."""
    file.unlink(missing_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(header)
        writer.writerows(rows)


def main() -> None:
    """Write the files of one county."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    files = write_county_files(options.seed, options.out, datetime.now(SHANGHAI).date())
    print(f"{files.divisions}\n{files.staff}")


if __name__ == "__main__":
    main()
