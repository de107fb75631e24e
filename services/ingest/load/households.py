"""Made-up households for a load: the same ones each time, under a division of the user's choice."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from shared.events.envelope import wire_type

SOURCE = "urn:shouwang:load-test"
MADE_UP = "99"
VILLAGES = 60
_VILLAGES_A_TOWNSHIP = 20


@dataclass(frozen=True, slots=True)
class Household:
    """A household of the load."""

    id: str
    division: str


def households(count: int, division: str) -> list[Household]:
    """Return so many, spread over the villages of a division (the beginning of a code: 2 to 12 digits)."""
    villages = villages_of(division)
    return [Household(f"LOAD-{number:06d}", villages[number % len(villages)]) for number in range(count)]


def villages_of(division: str) -> list[str]:
    """Return up to 60 codes of villages that begin with these digits.

    What is not given is filled up as in the invented county of the local run: 990101, three townships of 20 villages.
    """
    county = (division + "0101"[len(division) - 2 :])[:6]
    found = []
    for number in range(VILLAGES):
        township, village = divmod(number, _VILLAGES_A_TOWNSHIP)
        whole = f"{county}{101 + township:03d}{201 + village:03d}"
        found.append(division + whole[len(division) :])
    return sorted(set(found))


def enrolment(household: Household, today: date) -> dict[str, Any]:
    """Return the event that brings a household into the register; a repeat on the same day changes nothing."""
    as_of = date(today.year - (today <= date(today.year, 9, 30)), 9, 30)
    return {
        "specversion": "1.0",
        "id": f"{household.id}-{today.isoformat()}",
        "source": SOURCE,
        "type": wire_type("registry.enrolled"),
        "subject": household.id,
        "time": f"{today.isoformat()}T00:00:00+08:00",
        "division": household.division,
        "sourceclass": "department",
        "data": {
            "type": "general",
            "monitored": False,
            "enrolled_on": today.isoformat(),
            "alias": household.id,
            "baseline": {
                "as_of": as_of.isoformat(),
                "members": 4,
                "labour_full": 2,
                "labour_weak": 0,
                "wage": 40_000,
                "operating_net": 12_000,
                "property": 1_000,
                "transfer": 3_000,
                "assistance": 0,
                "self_pay": {},
                "elements": {"economic": 2, "cultural": 2, "psychological": 2, "social": 2},
                "guarantees": {},
            },
        },
    }
