"""What still stands between a household and its risk being marked as eliminated."""

from datetime import date, timedelta
from typing import Any

import pytest

from services.scorer.core.elimination import blockers_of
from shared.events.household_event import HouseholdEvent
from tests.factories import make_event
from tests.rules.judged import replayed

MONITORED = make_event("status.monitored", "2026-01-02")
DELIVERED = make_event("measure.delivered", "2026-02-01")


def blockers(*events: HouseholdEvent, as_of: str | date, **household: Any) -> tuple[str, ...]:
    folded = replayed(MONITORED, DELIVERED, *events, as_of=str(as_of), **household)
    assert folded.decision is not None
    return blockers_of(folded.state, folded.decision)


def test_nothing_speaks_against_a_household_long_monitored_helped_and_steady() -> None:
    assert blockers(as_of="2026-07-11") == ()


def test_income_must_hold_on_each_of_the_last_183_day_ends() -> None:
    gap = make_event("work.job_loss", "2026-02-01", monthly_loss_yuan=3000)
    mended = make_event("income.wage_recovered", "2026-02-11", amount_yuan=18000)
    last_bad_day = date(2026, 2, 10)
    assert "INCOME_NOT_STABLE" in blockers(gap, mended, as_of=last_bad_day + timedelta(days=182))
    assert "INCOME_NOT_STABLE" not in blockers(gap, mended, as_of=last_bad_day + timedelta(days=183))


def test_a_shortfall_mended_on_the_same_day_leaves_no_trace() -> None:
    gap = make_event("work.job_loss", "2026-07-01", monthly_loss_yuan=3000)
    mended = make_event("income.wage_recovered", "2026-07-01", amount_yuan=18000)
    assert "INCOME_NOT_STABLE" not in blockers(gap, mended, as_of="2026-07-11")


def test_income_must_have_been_judged_for_183_day_ends() -> None:
    assert "INCOME_NOT_STABLE" in blockers(as_of="2026-07-01")
    assert "INCOME_NOT_STABLE" not in blockers(as_of="2026-07-02")


@pytest.mark.parametrize(("as_of", "blocked"), [("2026-07-03", True), ("2026-07-04", False)])
def test_monitoring_must_have_lasted_183_days(as_of: str, blocked: bool) -> None:
    assert ("MONITORED_TOO_SHORT" in blockers(as_of=as_of)) is blocked


def test_a_second_spell_of_monitoring_starts_anew_and_a_repeated_mark_does_not() -> None:
    again = make_event("status.monitored", "2026-06-01")
    assert "MONITORED_TOO_SHORT" not in blockers(again, as_of="2026-07-11")
    eliminated = make_event("status.risk_eliminated", "2026-05-01")
    assert "MONITORED_TOO_SHORT" in blockers(eliminated, again, as_of="2026-07-11")
    assert "NOT_MONITORED" in blockers(eliminated, as_of="2026-07-11")


@pytest.mark.parametrize(
    ("event", "blocker"),
    [
        (make_event("water.failure", "2026-07-01"), "GUARANTEE_BROKEN"),
        (make_event("status.return_confirmed", "2026-07-01"), "RETURN_CONFIRMED"),
        (make_event("health.major_illness", "2026-07-01", self_pay_yuan=20800), "RIGID_EXPENSE_UNRESOLVED"),
        (make_event("family.member_change", "2026-07-01", labour_full_delta=-2), "NO_LABOUR_HOUSEHOLD"),
        (make_event("survey.visit", "2026-07-01", source_class="cadre", result="concern"), "GRADE_ABOVE_BLUE"),
    ],
)
def test_each_open_risk_blocks(event: HouseholdEvent, blocker: str) -> None:
    assert blocker in blockers(event, as_of="2026-07-11")


def test_a_household_that_only_aid_keeps_above_the_line_is_blocked() -> None:
    found = blockers(as_of="2026-07-11", baseline={"wage": 0, "transfer": 36000, "assistance": 30000})
    assert found == ("ASSISTANCE_DEPENDENT",)
