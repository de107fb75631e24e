"""What the edge takes and refuses in a payload."""

from typing import Any

import pytest

from shared.codec import JsonFraction
from shared.events.catalogue import EVENT_TYPES
from shared.events.checking import payload_faults, read_payload
from shared.events.payloads import Illness, MonthlyLoss
from tests.factories import make_baseline

ILLNESS = EVENT_TYPES["health.major_illness"]
JOB_LOSS = EVENT_TYPES["work.job_loss"]
SURVEY = EVENT_TYPES["survey.result"]
CANARY = "13912345678-SECRET"


def codes(kind: str, payload: object) -> dict[str, str]:
    return {fault.pointer: fault.code for fault in payload_faults(EVENT_TYPES[kind], payload)}


@pytest.mark.parametrize(
    ("written", "fen"),
    [
        (0, 0),
        (60000, 6_000_000),
        (10_000_000, 10**9),
        ("12", 1200),
        ("12.5", 1250),
        ("0.05", 5),
        ("10000000.00", 10**9),
    ],
)
def test_an_amount_is_read_as_fen(written: object, fen: int) -> None:
    payload = read_payload(ILLNESS, {"self_pay_yuan": written})
    assert isinstance(payload, Illness) and payload.self_pay_yuan == fen


@pytest.mark.parametrize(
    "written",
    [-1, 10_000_001, "10000000.01", "-5", "1.234", "1,000", "1e3", " 5", "5 ", "", "٣", "+5", ".5", "5.", 1.5, 3.0,
     True, None, [], {}, float("nan"), "NaN", "123456789"],
)  # fmt: skip
def test_anything_else_is_not_an_amount(written: object) -> None:
    assert set(codes("health.major_illness", {"self_pay_yuan": written})) == {"/self_pay_yuan"}


@pytest.mark.parametrize("written", [True, "3", 3.0, 2.5, -1, None, 601])
def test_months_are_whole_json_numbers(written: object) -> None:
    assert set(codes("work.job_loss", {"months": written})) == {"/months"}


def test_months_that_are_whole_are_read() -> None:
    payload = read_payload(JOB_LOSS, {"months": 6})
    assert isinstance(payload, MonthlyLoss) and payload.months == 6


def test_only_net_operating_income_may_be_negative() -> None:
    assert codes("survey.result", {"baseline": make_baseline(operating_net=-8000)}) == {}
    assert codes("survey.result", {"baseline": make_baseline(operating_net="-8000.50")}) == {}
    assert codes("survey.result", {"baseline": make_baseline(wage=-1)}) == {"/baseline/wage": "amount_range"}


def test_an_unknown_field_is_refused_at_the_edge_and_passed_over_in_a_history() -> None:
    assert codes("health.major_illness", {"colour": "red"}) == {"/colour": "unknown_field"}
    assert codes("survey.result", {"baseline": make_baseline(grade="red")}) == {"/baseline/grade": "unknown_field"}
    assert payload_faults(ILLNESS, {"colour": "red"}, at_edge=False) == ()
    assert payload_faults(SURVEY, {"baseline": make_baseline(grade="red")}, at_edge=False) == ()


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        ("disaster.natural", "hazard"),
        ("fin.debt", "due_12m_yuan"),
        ("relief.insurance_payout", "amount_yuan"),
        ("income.job_found", "monthly_yuan"),
        ("survey.result", "baseline"),
        ("event.verified", "ref"),
        ("event.corrected", "payload"),
        ("registry.moved", "division"),
    ],
)
def test_a_required_field_is_asked_for(kind: str, field: str) -> None:
    payload = {name: value for name, value in EVENT_TYPES[kind].example.items() if name != field}
    assert codes(kind, payload) == {f"/{field}": "required"}


def test_a_baseline_needs_at_least_one_member() -> None:
    assert codes("survey.result", {"baseline": make_baseline(members=0)}) == {"/baseline/members": "greater_than_equal"}


def test_ratings_run_from_0_to_3_and_may_be_unknown() -> None:
    assert codes("survey.result", {"baseline": make_baseline(elements={"social": None})}) == {}
    assert set(codes("survey.result", {"baseline": make_baseline(elements={"social": 4})})) == {
        "/baseline/elements/social"
    }


@pytest.mark.parametrize("number", ["13912345678", "990100199001011234", "99010019900101123X", "p-13912345678"])
def test_identity_and_telephone_numbers_are_kept_out(number: str) -> None:
    assert codes("health.major_illness", {"person": number}) == {"/person": "personal_number"}


HOSTILE: list[tuple[str, dict[str, Any]]] = [
    ("health.major_illness", {"self_pay_yuan": CANARY, "person": CANARY, "cause": CANARY}),
    ("disaster.natural", {"hazard": CANARY, "housing_grade": CANARY, "people_affected": CANARY}),
    ("survey.result", {"baseline": {"as_of": CANARY, "members": CANARY, "self_pay": {CANARY: 1}}}),
    ("survey.visit", {"result": CANARY, "photo_refs": CANARY}),
    ("registry.enrolled", {"type": CANARY, "monitored": CANARY}),
    ("registry.moved", {"division": CANARY}),
    ("health.major_illness", {CANARY: 1}),
]


@pytest.mark.parametrize(("kind", "payload"), HOSTILE)
def test_no_message_repeats_what_was_sent(kind: str, payload: dict[str, Any]) -> None:
    faults = payload_faults(EVENT_TYPES[kind], payload)
    assert faults and all(CANARY not in fault.detail + fault.pointer for fault in faults)


@pytest.mark.parametrize("payload", [[], "text", 3, None, True])
def test_a_payload_is_an_object(payload: object) -> None:
    assert codes("health.major_illness", payload) == {"": "not_an_object"}


@pytest.mark.parametrize("kind", EVENT_TYPES)
def test_each_type_refuses_a_field_it_does_not_know(kind: str) -> None:
    assert set(codes(kind, {**EVENT_TYPES[kind].example, "surprise": 1})) == {"/surprise"}


@pytest.mark.parametrize(
    ("kind", "field"), [(kind, field) for kind, known in EVENT_TYPES.items() for field in known.payload.model_fields]
)
def test_each_field_of_each_type_refuses_null_and_a_fraction_at_its_own_place(kind: str, field: str) -> None:
    for wrong in (None, JsonFraction("1.5")):
        found = codes(kind, {**EVENT_TYPES[kind].example, field: wrong})
        assert any(place == f"/{field}" or place.startswith(f"/{field}/") for place in found), (wrong, found)
