"""The grading command answers all lines or none, and says which field of which line is wrong."""

import json
from typing import Any

import pytest

from services.scorer.grade_command import CasesRefused, area_lines, grade_lines
from shared.policy import default_policies
from tests.factories import make_household

POLICIES = default_policies()
AREA = POLICIES.versions[0].area


def case(**changes: Any) -> dict[str, Any]:
    bill = {
        "event_id": "i",
        "type": "health.major_illness",
        "occurred_on": "2026-03-02",
        "payload": {"self_pay_yuan": 1},
    }
    return {"id": "c", "household": make_household(), "events": [bill], "as_of": "2026-03-02"} | changes


def event(**changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = case()["events"][0] | changes
    return found


def faults_of(*documents: Any) -> list[str]:
    lines = [document if isinstance(document, str) else json.dumps(document) for document in documents]
    with pytest.raises(CasesRefused) as refused:
        grade_lines(lines, POLICIES)
    return refused.value.faults


def graded(document: dict[str, Any]) -> dict[str, Any]:
    (line,) = grade_lines([json.dumps(document)], POLICIES)
    answered: dict[str, Any] = json.loads(line)
    return answered


@pytest.mark.parametrize(
    ("document", "field"),
    [
        (case(as_of="2025-12-31"), "/as_of"),
        (case(as_of="tomorrow"), "/as_of"),
        (case(events=[event(type="health.luck")]), "/events/0/type"),
        (case(events=[event(), event(payload={"self_pay_yuan": 1.5})]), "/events/1/payload/self_pay_yuan"),
        (case(events=[event(source="rumour")]), "/events/0/source"),
        (case(events=[event(occurred_on=None)]), "/events/0/occurred_on"),
        (case(household=make_household({"members": 0})), "/household/baseline/members"),
        ({"id": "c"}, "/household"),
    ],
)
def test_a_fault_is_told_by_line_and_field(document: dict[str, Any], field: str) -> None:
    told = faults_of(case(), document)
    assert any(line.startswith(f"line 2: {field}: ") for line in told), told


def test_every_faulty_line_is_told_and_nothing_is_answered() -> None:
    told = faults_of("{", case(), "[]", case(as_of="x"))
    assert [line.split(":")[0] for line in told] == ["line 1", "line 3", "line 4"]


def test_lines_that_nest_too_deep_are_told() -> None:
    assert faults_of("[" * 100_000) == ["line 1: not a JSON document"]


def test_blank_lines_are_passed_over() -> None:
    assert list(grade_lines(["", "  \n"], POLICIES)) == []


def test_extra_keys_are_ignored_everywhere() -> None:
    plain = graded(case())
    fancy = case(
        note=1,
        household=make_household() | {"colour": "x"},
        events=[event(weight=2, payload={"self_pay_yuan": 1, "x": 2})],
    )
    assert graded(fancy) == plain


def test_what_was_recorded_after_as_of_is_not_known_yet() -> None:
    late = event(recorded_on="2026-03-03", payload={"self_pay_yuan": 60000})
    assert graded(case(events=[late]))["grade"] == "green"


def test_events_are_taken_in_the_order_of_recording_and_arrival() -> None:
    visit = {"type": "survey.visit", "source": "cadre", "occurred_on": "2026-03-01"}
    first = visit | {"event_id": "a", "recorded_on": "2026-03-02", "payload": {"result": "emergency"}}
    second = visit | {"event_id": "b", "recorded_on": "2026-03-01", "payload": {"result": "concern"}}
    assert graded(case(events=[first, second]))["floors"] == ["FIELD_EMERGENCY"]


def test_area_lines_need_a_known_level_and_a_rate_above_zero() -> None:
    bad = [
        {"id": "a", "level": "hamlet", "households": 1, "at_risk": 0, "onsets": 0, "days": 7},
        {"id": "b", "daily": [1], "mu0": 0},
    ]
    with pytest.raises(CasesRefused) as refused:
        area_lines([json.dumps(document) for document in bad], AREA)
    assert [line.split(": ")[:2] for line in refused.value.faults] == [["line 1", "/level"], ["line 2", "/mu0"]]


def test_a_usual_rate_may_be_a_fraction() -> None:
    (line,) = area_lines(['{"id": "b", "daily": [1, 0], "mu0": 0.5}'], AREA)
    assert json.loads(line)["k"] == 0.721
