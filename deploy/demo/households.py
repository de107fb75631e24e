"""Households of the invented county, with the spread of size, labour, income and shortfalls found in the field."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from deploy.demo.draw import log_normal_yuan, pick

MEMBERS: Mapping[int, float] = {1: 9, 2: 18, 3: 27, 4: 26, 5: 12, 6: 6, 7: 2}  # mean 3.4
MEDIAN_INCOME_YUAN = 14_000  # a head and year
INCOME_SIGMA = 0.45
NO_LABOUR_SHARE = {1: 0.25, 2: 0.10, 3: 0.02}
NO_LABOUR_SHARE_OF_LARGE = 0.008
FURTHER_MEMBER: Mapping[str, float] = {"full": 0.20, "weak": 0.17, "none": 0.63}
LINE_YUAN = 8_700  # only to decide whom the register already watches
LIFTED_SHARE = 0.35
RATINGS: Mapping[int | None, float] = {0: 2, 1: 14, 2: 48, 3: 34, None: 2}
ELEMENTS = ("economic", "cultural", "psychological", "social")
HOUSING: Mapping[str, float] = {"ok": 935, "A": 30, "B": 30, "C": 4.5, "D": 0.5}
BREACH_SHARE = {"food": 0.0002, "education": 0.001, "medical": 0.008, "water": 0.0015}
STALE_SHARE = 0.01
ENROLLED_WITHIN_DAYS = 21


@dataclass(frozen=True, slots=True)
class Household:
    """One household of the register; `baseline` as it travels in registry.enrolled."""

    household_id: str
    alias: str
    division: str
    type: str
    monitored_on: date | None
    enrolled_on: date
    baseline: Mapping[str, object]

    @property
    def enrolment(self) -> dict[str, object]:
        """The payload of registry.enrolled."""
        payload: dict[str, object] = {"type": self.type, "monitored": self.monitored_on is not None}
        if self.monitored_on:
            payload["monitored_on"] = self.monitored_on.isoformat()
        return payload | {
            "enrolled_on": self.enrolled_on.isoformat(),
            "alias": self.alias,
            "baseline": dict(self.baseline),
        }


def draw_household(seed: int, number: int, division: str, today: date) -> Household:
    """The household with this number, the same for the same arguments."""
    chance = Random(f"household:{seed}:{number}")
    enrolled_on = today - timedelta(days=chance.randrange(ENROLLED_WITHIN_DAYS + 1))
    as_of = _accounting_day(chance, enrolled_on)
    members = pick(chance, MEMBERS)
    income = members * round(chance.lognormvariate(math.log(MEDIAN_INCOME_YUAN), INCOME_SIGMA))
    return Household(
        household_id=f"D{seed}-{number}",
        alias=f"H-{number}",
        division=division,
        type="lifted" if chance.random() < LIFTED_SHARE else "general",
        monitored_on=as_of if _is_watched(chance, income / members) else None,
        enrolled_on=enrolled_on,
        baseline=_baseline(chance, as_of, members, income),
    )


def _accounting_day(chance: Random, enrolled_on: date) -> date:
    """Accounts close on 30 September or at the end of the month before; a few are long out of date."""
    if chance.random() < STALE_SHARE:
        return enrolled_on - timedelta(days=400 + chance.randrange(200))
    month_before = enrolled_on.replace(day=1) - timedelta(days=1)
    year = enrolled_on.year if enrolled_on > date(enrolled_on.year, 9, 30) else enrolled_on.year - 1
    return date(year, 9, 30) if chance.random() < 0.7 else month_before


def _is_watched(chance: Random, income_per_head: float) -> bool:
    return chance.random() < (0.12 if income_per_head < 1.1 * LINE_YUAN else 0.005)


def _baseline(chance: Random, as_of: date, members: int, income: int) -> Mapping[str, object]:
    full, weak = _labour(chance, members)
    return {
        "as_of": as_of.isoformat(),
        "members": members,
        "labour_full": full,
        "labour_weak": weak,
        **_income_parts(chance, income, can_work=full + weak > 0),
        "self_pay": _self_pay(chance),
        "elements": {element: pick(chance, RATINGS) for element in ELEMENTS},
        "guarantees": _guarantees(chance),
    }


def _labour(chance: Random, members: int) -> tuple[int, int]:
    """Members who work fully and partly; on average (full + weak/2) / members is 0.45."""
    if chance.random() < NO_LABOUR_SHARE.get(members, NO_LABOUR_SHARE_OF_LARGE):
        return 0, 0
    first = "full" if chance.random() < 0.72 else "weak"
    everyone = [first, *(pick(chance, FURTHER_MEMBER) for _ in range(members - 1))]
    return everyone.count("full"), everyone.count("weak")


def _income_parts(chance: Random, income: int, *, can_work: bool) -> dict[str, object]:
    """Split a year's income; the parts add up to it. `assistance` is the part of transfers that is aid."""
    aid_share = _aid_share(chance, can_work=can_work)
    assistance = round(income * aid_share)
    transfer = assistance + round(income * chance.uniform(0.02, 0.08))
    property_income = round(income * chance.uniform(0, 0.04))
    rest = income - transfer - property_income
    if not can_work:
        return _parts(0, rest, property_income, transfer, assistance)
    operating = round(rest * chance.uniform(0.1, 0.45))
    if chance.random() < 0.02:
        operating = -log_normal_yuan(chance, 1_500, 0.5)  # a farm or shop that lost money
    return _parts(rest - operating, operating, property_income, transfer, assistance)


def _aid_share(chance: Random, *, can_work: bool) -> float:
    """How much of the income is aid: nothing or little for most, a third and more for those who depend on it."""
    depends = chance.random() < (0.04 if can_work else 0.45)
    if depends:
        return chance.uniform(0.3, 0.55)
    return chance.uniform(0.01, 0.08) if chance.random() < 0.25 else 0.0


def _parts(wage: int, operating: int, property_income: int, transfer: int, assistance: int) -> dict[str, object]:
    return {
        "wage": wage,
        "operating_net": operating,
        "property": property_income,
        "transfer": transfer,
        "assistance": assistance,
    }


def _self_pay(chance: Random) -> dict[str, int]:
    """What the household has paid itself in the accounting year, by cause."""
    paid: dict[str, int] = {}
    if chance.random() < 0.20:
        paid["illness"] = log_normal_yuan(chance, 1_200, 0.8)
    if chance.random() < 0.06:
        paid["education"] = log_normal_yuan(chance, 3_000, 0.5)
    return paid


def _guarantees(chance: Random) -> dict[str, str]:
    """Only what is not plainly in order: a few houses with a grade, a few broken guarantees."""
    found = {name: "breach" for name, share in BREACH_SHARE.items() if chance.random() < share}
    house = pick(chance, HOUSING)
    return found if house == "ok" else found | {"housing": house}
