"""Every grade above green says why, in both languages, with its figures, and without anything personal."""

import re
from random import Random

import pytest

from services.scorer.core.explain import emergency_plan, measures, reasons
from services.scorer.core.floors import FLOOR_GRADES
from services.scorer.core.household import replay
from shared.grades import RiskGrade
from shared.policy import default_policies
from tests.factories import make_event
from tests.rules.histories import random_case
from tests.rules.judged import judged
from tests.rules.live import with_enrolment

POLICIES = default_policies()
ILLNESS_WORDS = re.compile("癌|肿瘤|尿毒|精神病|cancer|tumour|HIV", re.IGNORECASE)


def test_a_large_bill_is_explained_with_its_figures() -> None:
    said = {reason.code: reason for reason in reasons(judged(make_event(self_pay_yuan=60000)))}
    assert said["BELOW_LINE"].text_zh == "自付60,000元，人均参考收入−2,000元，低于监测线8,700元"
    assert "60,000 yuan" in said["BELOW_LINE"].text_en and "−2,000" in said["BELOW_LINE"].text_en
    assert list(said) == list(judged(make_event(self_pay_yuan=60000)).floors)


def test_a_grade_held_above_the_evidence_is_explained_by_its_quiet_spell() -> None:
    bill, relief = (
        make_event(self_pay_yuan=60000),
        make_event("relief.medical_reimbursement", "2026-03-05", amount_yuan=59000),
    )
    (reason,) = reasons(judged(bill, relief))
    assert reason.code == "QUIET_SPELL" and "2026-03-05" in reason.text_en


def test_a_grade_by_score_alone_is_explained_by_the_score() -> None:
    (reason,) = reasons(judged(baseline={"wage": 22800}))
    assert reason.code == "SCORE" and "22" in reason.text_zh


def test_a_cap_for_unverified_reports_is_explained() -> None:
    decision = judged(make_event(source_class="self", self_pay_yuan=60000))
    assert decision.grade is RiskGrade.ORANGE
    assert "UNVERIFIED" in [reason.code for reason in reasons(decision)]


@pytest.mark.parametrize("seed", range(150))
def test_no_grade_above_green_is_without_a_reason_and_none_is_personal(seed: int) -> None:
    random = Random(seed)
    case = random_case(random, most_days=200)
    events = with_enrolment(case, 0)
    for change in replay(events, events[-1].recorded_on, POLICIES).changes:
        said = reasons(change.decision)
        assert said or change.new is RiskGrade.GREEN
        assert {reason.code for reason in said} >= set(change.decision.floors)
        for reason in said:
            assert reason.text_zh and reason.text_en
            assert not re.search(r"\d{11}", reason.text_zh + reason.text_en)
            assert not ILLNESS_WORDS.search(reason.text_zh + reason.text_en)


def test_every_floor_has_its_sentence() -> None:
    from services.scorer.core.explain import _FLOOR_SENTENCES

    assert set(_FLOOR_SENTENCES) == {*FLOOR_GRADES, "THIRD_PARTY"}


def test_a_red_household_gets_measures_for_its_first_cause_and_a_dated_plan() -> None:
    decision = judged(make_event(self_pay_yuan=60000))
    assert {measure.cause for measure in measures(decision)} == {"illness"}
    assert [step.after_minutes for step in emergency_plan(decision)] == [0, 120, 1440, 4320, 21600, 10080]


def test_a_red_household_without_causes_gets_general_measures() -> None:
    decision = judged(make_event("survey.visit", source_class="cadre", result="emergency"))
    assert decision.causes == () and measures(decision)


def test_a_green_household_needs_no_reason_measure_or_plan() -> None:
    decision = judged()
    assert (reasons(decision), measures(decision), emergency_plan(decision)) == ((), (), ())


def test_the_same_stored_inputs_give_the_same_sentences() -> None:
    event = make_event(event_id="i1", self_pay_yuan="12345.60")
    assert reasons(judged(event)) == reasons(judged(event))
