"""Which evidence counts: own reports, episodes, windows, visits and reports, first deliveries."""

from datetime import date

import pytest

from services.scorer.core.figures import rounded
from shared.grades import RiskGrade
from tests.factories import make_baseline, make_event
from tests.rules.judged import judged, replayed


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("food.shortage", {}),
        ("housing.danger", {"grade": "D"}),
        ("housing.danger", {"grade": "destroyed"}),
        ("disaster.natural", {"hazard": "flood", "housing_grade": "D", "repair_cost_yuan": 60000}),
        ("disaster.house_fire", {"housing_grade": "destroyed"}),
    ],
)
def test_hunger_and_a_ruined_house_are_believed_at_once(kind: str, payload: dict[str, object]) -> None:
    decision = judged(make_event(kind, source_class="self", **payload))
    assert (decision.grade, decision.raw.capped_unverified) == (RiskGrade.RED, False)


def test_any_other_own_report_reaches_orange_at_most_until_verified() -> None:
    bill = make_event(event_id="i1", source_class="self", self_pay_yuan=60000)
    assert judged(bill).grade is RiskGrade.ORANGE
    verified = make_event("event.verified", "2026-03-04", source_class="cadre", ref="i1")
    assert judged(bill, verified).grade is RiskGrade.RED


def test_a_verification_counts_from_the_day_it_occurred() -> None:
    bill = make_event(event_id="i1", source_class="self", self_pay_yuan=60000)
    early = make_event("event.verified", "2026-03-09", recorded_on="2026-03-04", source_class="cadre", ref="i1")
    assert judged(bill, early, as_of="2026-03-08").grade is RiskGrade.ORANGE
    assert judged(bill, early, as_of="2026-03-09").grade is RiskGrade.RED


def test_unverified_relief_never_lowers_a_grade() -> None:
    bill = make_event(self_pay_yuan=60000)
    relief = make_event("relief.medical_reimbursement", "2026-03-05", source_class="self", amount_yuan=60000)
    decision = judged(bill, relief)
    assert decision.raw_grade is RiskGrade.RED and decision.raw.capped_unverified


def test_of_one_episode_only_the_best_source_counts() -> None:
    own = make_event(source_class="self", self_pay_yuan=60000, episode="p2")
    hospital = make_event("health.hospitalisation", "2026-03-05", self_pay_yuan=18500, episode="p2")
    assert judged(own, hospital).standing.quantities.expense == 18_500_00
    assert judged(hospital, own).standing.quantities.expense == 18_500_00


def test_relief_never_cancels_relief_of_the_same_episode() -> None:
    first = make_event("relief.disaster_relief", amount_yuan=1, episode="p")
    second = make_event("relief.disaster_relief", amount_yuan=2, episode="p")
    assert judged(first, second).standing.quantities.claims == 300


def test_the_envelopes_episode_wins_over_the_payloads() -> None:
    first = make_event(self_pay_yuan=100, episode="p")
    second = make_event("health.hospitalisation", "2026-03-03", event_id="b", self_pay_yuan=10)
    inside = make_event("health.hospitalisation", "2026-03-03", self_pay_yuan=10)
    inside = type(inside)(**{name: getattr(inside, name) for name in inside.__slots__} | {
        "payload": {"self_pay_yuan": 10, "episode": "p"}})  # fmt: skip
    assert judged(first, second).standing.quantities.expense == 110_00
    assert judged(first, inside).standing.quantities.expense == 10_00


def test_an_amount_counts_on_its_364th_day_and_not_on_its_365th() -> None:
    bill = make_event(on="2026-03-02", self_pay_yuan=100)
    assert judged(bill, as_of="2027-03-01").standing.quantities.expense == 100_00
    assert judged(bill, as_of="2027-03-02").standing.quantities.expense == 0


def test_a_permanent_loss_counts_until_the_next_baseline_but_shocks_for_a_year() -> None:
    death = make_event("health.death_of_earner", "2026-03-02", annual_loss_yuan=30000)
    later = judged(death, as_of="2027-06-01")
    assert later.standing.quantities.net_loss == 30_000_00 and not later.standing.tally.shock
    survey = make_event(
        "survey.result", "2027-06-01", source_class="survey", baseline=make_baseline(as_of="2027-05-31")
    )
    assert judged(death, survey).standing.quantities.net_loss == 0


def test_a_visit_still_counts_when_another_event_comes_on_its_last_day() -> None:
    visit = make_event("survey.visit", "2026-03-02", source_class="cadre", result="emergency")
    assert "FIELD_EMERGENCY" in judged(visit, make_event("edu.cost", "2026-03-31", self_pay_yuan=1)).floors


def test_a_report_counts_until_the_visit_that_answers_it_occurs() -> None:
    report = make_event("self.report_hardship", "2026-03-02", source_class="self")
    visit = make_event("survey.visit", "2026-03-06", recorded_on="2026-03-03", source_class="cadre")
    assert "SELF_REPORT" in judged(report, visit, as_of="2026-03-05").floors
    assert "SELF_REPORT" not in judged(report, visit, as_of="2026-03-06").floors


def test_a_report_after_a_visit_counts_again() -> None:
    visit = make_event("survey.visit", "2026-03-02", source_class="cadre")
    report = make_event("self.report_hardship", "2026-03-03", source_class="self")
    assert "SELF_REPORT" in judged(visit, report).floors


def test_the_first_delivery_of_an_identity_wins() -> None:
    first = make_event(event_id="i1", self_pay_yuan=60000)
    again = make_event(event_id="i1", on="2026-03-03", self_pay_yuan=1)
    assert judged(first, again).standing.quantities.expense == 60_000_00
    elsewhere = make_event(event_id="i1", on="2026-03-03", source="urn:other", self_pay_yuan=1)
    assert judged(first, elsewhere).standing.quantities.expense == 60_001_00


def test_an_event_delivered_three_times_leaves_everything_as_it_was() -> None:
    event = make_event(event_id="i1", self_pay_yuan=60000)
    assert judged(event, event, event).result() == judged(event).result()


def test_an_event_that_occurs_tomorrow_counts_tomorrow() -> None:
    early = make_event(on="2026-03-03", recorded_on="2026-03-02", self_pay_yuan=60000)
    folded = replayed(early)
    assert folded.state.next_due_on == date(2026, 3, 3) and folded.state.grade is RiskGrade.GREEN
    assert judged(early, as_of="2026-03-03").since == date(2026, 3, 3)


def test_amounts_are_written_without_a_minus_zero() -> None:
    from fractions import Fraction as F

    written = [rounded(value, 2) for value in (F(-1, 1000), F(-1, 200), F(1, 200), F(-5, 2), F(7, 3))]
    assert written == ["0.00", "-0.01", "0.01", "-2.50", "2.33"]
