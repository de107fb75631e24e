"""Every published case comes out exactly, by the command that anyone can run."""

import json
from pathlib import Path
from typing import Any

import pytest

from services.scorer.grade_command import area_lines, grade_lines
from shared.policy import PolicyBook, default_policies

CASES = Path(__file__).parent / "cases"
GRADED = [
    *(CASES / "grading_cases.jsonl").read_text().splitlines(),
    *(CASES / "random_cases.jsonl").read_text().splitlines(),
]
FOR_ELIMINATION = (CASES / "elimination_cases.jsonl").read_text().splitlines()
AREAS = (CASES / "area_cases.jsonl").read_text().splitlines()


@pytest.fixture(scope="module")
def policies() -> PolicyBook:
    return default_policies()


def answer(line: str, policies: PolicyBook) -> dict[str, Any]:
    (text,) = grade_lines([line], policies, elimination=True)
    answered: dict[str, Any] = json.loads(text)
    return answered


@pytest.mark.parametrize("line", GRADED, ids=lambda line: json.loads(line)["id"])
def test_a_case_comes_out_in_every_field(line: str, policies: PolicyBook) -> None:
    case = json.loads(line)
    answered = answer(line, policies)
    blockers = answered.pop("elimination_blockers")
    assert answered == {"id": case["id"]} | case["expected"]
    assert blockers == case.get("expected_blockers", blockers)


@pytest.mark.parametrize("line", FOR_ELIMINATION, ids=lambda line: json.loads(line)["id"])
def test_elimination_blockers_come_out(line: str, policies: PolicyBook) -> None:
    assert answer(line, policies)["elimination_blockers"] == json.loads(line)["expected_blockers"]


@pytest.mark.parametrize("line", AREAS, ids=lambda line: json.loads(line)["id"])
def test_an_area_case_comes_out_in_every_field(line: str, policies: PolicyBook) -> None:
    case = json.loads(line)
    (text,) = area_lines([line], policies.versions[0].area)
    assert json.loads(text) == {"id": case["id"]} | case["expected"]


def test_without_the_option_no_blockers_are_written(policies: PolicyBook) -> None:
    case = json.loads(GRADED[0])
    (text,) = grade_lines([GRADED[0]], policies)
    assert set(json.loads(text)) == {"id", *case["expected"]}
