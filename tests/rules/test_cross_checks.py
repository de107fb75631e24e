"""Records that do not fit together are found, and nothing is refused for it."""

from typing import Any

import pytest

from services.scorer.core.cross_checks import cross_checks
from shared.events.household_event import HouseholdEvent
from tests.factories import make_baseline, make_event
from tests.rules.judged import replayed


def found(*events: HouseholdEvent, **household: Any) -> tuple[str, ...]:
    folded = replayed(*events, **household)
    assert folded.decision is not None
    return cross_checks(folded.state, folded.decision)


def test_a_consistent_household_has_no_findings() -> None:
    assert found(make_event(self_pay_yuan=60000)) == ()


def test_illness_as_a_cause_without_any_bill() -> None:
    assert "CAUSE_ILLNESS_SELF_PAY_ZERO" in found(make_event("health.insurance_lapse"))


def test_illness_as_a_cause_with_nobody_ill() -> None:
    assert found(baseline={"self_pay": {"illness": 900}}) == ("CAUSE_ILLNESS_NOBODY_ILL",)
    assert found(make_event(), baseline={"self_pay": {"illness": 900}}) == ()


@pytest.mark.parametrize(("labour", "expected"), [(0, ("CAUSE_JOB_NOBODY_ABLE_TO_WORK",)), (1, ())])
def test_lost_work_with_nobody_able_to_work(labour: int, expected: tuple[str, ...]) -> None:
    assert found(make_event("work.job_loss"), baseline={"labour_full": labour}) == expected


@pytest.mark.parametrize(("wage", "expected"), [(0, ("CAUSE_JOB_NO_WORK_RECORD",)), (100, ())])
def test_lost_work_where_no_wage_was_ever_on_record(wage: int, expected: tuple[str, ...]) -> None:
    assert found(make_event("work.hours_cut"), baseline={"wage": wage}) == expected


def test_a_job_found_since_the_baseline_is_a_record_of_work() -> None:
    found_job = make_event("income.job_found", "2026-02-01", monthly_yuan=500)
    assert found(found_job, make_event("work.hours_cut"), baseline={"wage": 0}) == ()


def test_illness_as_a_cause_with_its_bill_on_record() -> None:
    lapsed = make_event("health.insurance_lapse")
    assert "CAUSE_ILLNESS_SELF_PAY_ZERO" not in found(lapsed, make_event(self_pay_yuan=60000))


@pytest.mark.parametrize(("cause", "expected"), [("housing", ("CAUSE_WATER_NO_MEASURE",)), ("water", ())])
def test_water_as_a_cause_without_a_water_measure(cause: str, expected: tuple[str, ...]) -> None:
    assert found(make_event("water.failure"), make_event("measure.assigned", cause=cause)) == expected


@pytest.mark.parametrize(("grade", "cause", "expected"), [
    (2, "illness", ("DISABILITY_NO_SUBSIDY",)), (2, "disability", ()), (3, "illness", ()),
])  # fmt: skip
def test_a_severe_disability_without_a_measure_for_it(grade: int, cause: str, expected: tuple[str, ...]) -> None:
    assert found(make_event("health.disability", grade=grade), make_event("measure.delivered", cause=cause)) == expected


@pytest.mark.parametrize(("wage", "expected"), [(99, ("WAGE_IMPLAUSIBLE",)), (100, ()), (0, ())])
def test_a_yearly_wage_below_a_hundred(wage: int, expected: tuple[str, ...]) -> None:
    assert found(baseline={"wage": wage}) == expected


def test_a_household_marked_as_eliminated_in_a_dangerous_house_or_not_surveyed_since() -> None:
    eliminated = make_event("status.risk_eliminated", "2026-03-01")
    assert found(eliminated, make_event("housing.danger")) == (
        "ELIMINATED_HOUSE_DANGEROUS",
        "ELIMINATED_NOT_SURVEYED_SINCE",
    )
    survey = make_event(
        "survey.result", "2026-04-01", source_class="survey", baseline=make_baseline(as_of="2026-03-31")
    )
    assert found(eliminated, survey) == ()


@pytest.mark.parametrize(("payload", "codes"), [({"self_pay_yuan": 0}, ["ILLNESS_WITHOUT_SELF_PAY"]), ({}, [])])
def test_an_illness_that_cost_nothing(payload: dict[str, Any], codes: list[str]) -> None:
    assert [finding.code for finding in replayed(make_event(**payload)).findings] == codes


@pytest.mark.parametrize(("payload", "codes"), [({}, ["RELIEF_WITHOUT_CAUSE"]), ({"cause": "illness"}, [])])
def test_a_payout_without_a_cause(payload: dict[str, Any], codes: list[str]) -> None:
    payout = make_event("relief.insurance_payout", amount_yuan=5, **payload)
    assert [finding.code for finding in replayed(payout).findings] == codes
