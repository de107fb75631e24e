"""The invented county: always the same for a seed, shaped like the field, and nobody in it can exist."""

import csv
import json
import math
import re
import statistics
from collections import Counter
from dataclasses import asdict
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import pytest

from deploy.demo.county import County, make_county, write_county_files, write_minimal_files
from deploy.demo.draw import time_ordered_id
from deploy.demo.events import CloudEvent, enrolment_event
from services.scorer.core.household import replay
from shared.events.catalogue import EVENT_TYPES
from shared.events.checking import payload_faults
from shared.events.envelope import EventMessage
from shared.events.household_event import HouseholdEvent
from shared.grades import RiskGrade
from shared.policy import default_policies

TODAY = date(2026, 3, 2)
PERSONAL_NUMBER = re.compile(r"(?<!\d)(\d{11}|\d{17}[\dXx]|\d{15})(?!\d)")


@cache
def county(seed: int = 1) -> County:
    return make_county(seed, TODAY)


@cache
def baselines() -> list[dict[str, Any]]:
    return [dict(household.baseline) for household in county().households]


def test_the_same_seed_gives_the_same_county_and_another_seed_another() -> None:
    assert asdict(make_county(1, TODAY)) == asdict(county())
    assert county(2).households[0].baseline != county().households[0].baseline
    assert {h.household_id for h in county(2).households}.isdisjoint(h.household_id for h in county().households)


def test_the_county_has_3_townships_60_villages_3000_households_and_staff_for_each_place() -> None:
    codes = [division.code for division in county().divisions]
    villages = [code for code in codes if not code.endswith("000")]
    roles = Counter((member.role, member.division) for member in county().staff)
    assert len(codes) == 1 + 1 + 3 + 60 and len(villages) == 60 and len(set(codes)) == 65
    assert len(county().households) == 3000
    assert {household.division for household in county().households} == set(villages)
    assert all(roles[role, village] == 1 for village in villages for role in ("cadre", "grid", "village_team"))
    assert Counter(role for role, _ in roles) == Counter(
        cadre=60, grid=60, village_team=60, township=3, county=1, duty_officer=1
    )


def test_every_code_begins_with_99_and_every_mailbox_is_at_an_invented_domain() -> None:
    assert all(re.fullmatch(r"99\d{10}", division.code) for division in county().divisions)
    assert all(re.fullmatch(r"99\d{10}", member.division) for member in county().staff)
    assert all(re.fullmatch(r"[a-z-]+(-\d{3})?@staff\.example", member.email) for member in county().staff)
    for unique in ("staff_id", "name", "email"):
        assert len({getattr(member, unique) for member in county().staff}) == len(county().staff)


def test_no_number_in_the_county_can_be_an_identity_or_a_telephone_number() -> None:
    events = [enrolment_event(county(), household) for household in county().households]
    text = json.dumps([asdict(county()), events], default=str, ensure_ascii=False)
    assert PERSONAL_NUMBER.search(text) is None


def test_households_are_spread_like_those_of_the_field() -> None:
    members = [baseline["members"] for baseline in baselines()]
    labour = [(b["labour_full"] + b["labour_weak"] / 2) / b["members"] for b in baselines()]
    incomes = [_income(b) / b["members"] for b in baselines()]
    assert min(members) == 1 and max(members) == 7
    assert statistics.mean(members) == pytest.approx(3.4, abs=0.08)
    assert statistics.mean(labour) == pytest.approx(0.45, abs=0.02)
    assert statistics.median(incomes) == pytest.approx(14_000, rel=0.04)
    assert statistics.stdev(map(math.log, incomes)) == pytest.approx(0.45, abs=0.02)
    assert all(b["labour_full"] + b["labour_weak"] <= b["members"] for b in baselines())


def test_some_depend_on_aid_some_are_monitored_and_a_few_guarantees_are_broken() -> None:
    dependent = [
        b for b in baselines() if (_income(b) - b["assistance"]) / b["members"] < 8700 <= _income(b) / b["members"]
    ]
    monitored = [household for household in county().households if household.monitored_on]
    broken = [b for b in baselines() if set(b["guarantees"].values()) & {"breach", "C", "D"}]
    assert 0.01 < len(dependent) / 3000 < 0.06
    assert 0.01 < len(monitored) / 3000 < 0.05
    assert 0.005 < len(broken) / 3000 < 0.03
    assert all(b["assistance"] <= b["transfer"] for b in baselines())


def test_every_enrolment_is_a_sound_event_and_the_same_each_time() -> None:
    for household in county().households:
        event = enrolment_event(county(), household)
        message = EventMessage.model_validate(event)
        assert payload_faults(EVENT_TYPES[message.event_type], message.data) == ()
        assert event == enrolment_event(county(), household)


def test_less_than_5_percent_are_red_at_the_start_and_most_are_green() -> None:
    for seed in (1, 2):
        grades = Counter(_grade(enrolment_event(county(seed), household)) for household in county(seed).households)
        assert 0 < grades[RiskGrade.RED] / 3000 < 0.05
        assert grades[RiskGrade.GREEN] / 3000 > 0.5
        assert set(grades) == set(RiskGrade)


def test_the_files_have_the_columns_that_the_imports_read(tmp_path: Path) -> None:
    files = write_county_files(1, tmp_path, TODAY, webhook_url="http://127.0.0.1:1/alerts", webhook_secret="whsec_x")
    divisions, staff = _rows(files.divisions), _rows(files.staff)
    assert list(divisions[0]) == ["code", "name"]
    assert list(staff[0]) == ["staff_id", "name", "role", "division", "email", "webhook_url", "webhook_secret"]
    assert len(divisions) == 65 and len(staff) == 1 + 180 + 3 + 2
    assert [row["role"] for row in staff if row["webhook_url"]] == ["duty_officer", "county"]
    assert files.staff.stat().st_mode & 0o077 == 0


def test_the_minimal_files_hold_all_divisions_and_the_duty_officer_alone(tmp_path: Path) -> None:
    files = write_minimal_files(tmp_path)
    assert [row["role"] for row in _rows(files.staff)] == ["duty_officer"]
    assert _rows(files.divisions)[0]["code"] == "990000000000"


def test_a_seed_that_would_make_long_numbers_is_refused() -> None:
    with pytest.raises(ValueError, match="999999"):
        make_county(1_000_000, TODAY)


def test_ids_are_uuids_of_version_7_in_the_order_of_time() -> None:
    chance = Random(3)
    ids = [time_ordered_id(chance, datetime.fromtimestamp(1_770_000_000 + second, UTC)) for second in range(2000)]
    assert ids == sorted(ids) and len(set(ids)) == 2000
    assert all(UUID(one).version == 7 and UUID(one).variant == "specified in RFC 4122" for one in ids)
    assert PERSONAL_NUMBER.search(" ".join(ids)) is None


def _income(baseline: dict[str, Any]) -> int:
    return sum(int(baseline[part]) for part in ("wage", "operating_net", "property", "transfer"))


def _grade(event: CloudEvent) -> RiskGrade:
    message = EventMessage.model_validate(event)
    enrolled = HouseholdEvent(
        message.id, message.event_type, message.occurred_on, TODAY, message.sourceclass, message.data
    )
    decision = replay([enrolled], TODAY, default_policies()).decision
    assert decision is not None
    return decision.grade


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))
