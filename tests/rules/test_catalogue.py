"""Every event type: its row, its effect and its default."""

from typing import Any

import pytest

from services.scorer.core.evidence import EDUCATION, FOOD, HOUSE, MEDICAL, WATER
from shared.events.catalogue import EVENT_TYPES, can_be_disputed, refused_from_self
from shared.events.checking import payload_faults
from shared.events.effects import Mark
from shared.events.payloads import CAUSES
from shared.grades import RiskGrade
from tests.factories import make_baseline, make_event
from tests.rules.judged import judged, replayed

# type: payload, (kind of sum, cause, yuan); with an empty payload the default is shown.
AMOUNTS: list[tuple[str, dict[str, Any], list[tuple[str, str, int]]]] = [
    ("health.major_illness", {}, [("expenses", "illness", 20_000)]),
    ("health.hospitalisation", {}, [("expenses", "illness", 5_000)]),
    ("health.chronic_outpatient", {}, [("expenses", "illness", 6_000)]),
    ("health.chronic_outpatient", {"monthly_self_pay_yuan": 100, "months": 14}, [("expenses", "illness", 1_400)]),
    ("health.disability", {}, [("losses", "disability", 12_000)]),
    ("health.disability", {"self_pay_yuan": 70}, [("losses", "disability", 12_000), ("expenses", "disability", 70)]),
    ("health.accident", {}, [("expenses", "accident", 10_000)]),
    ("health.accident", {"monthly_loss_yuan": 50}, [("expenses", "accident", 10_000), ("losses", "accident", 150)]),
    ("health.death_of_earner", {}, [("losses", "labour_shortage", 24_000)]),
    ("health.epidemic_impact", {}, [("losses", "job_instability", 6_000)]),
    ("disaster.natural", {"hazard": "flood"}, []),
    (
        "disaster.natural",
        {"hazard": "quake", "crop_loss_yuan": 1, "livestock_loss_yuan": 2, "repair_cost_yuan": 4, "cause": "other"},
        [("losses", "disaster", 3), ("expenses", "disaster", 4)],
    ),
    ("disaster.house_fire", {}, [("expenses", "accident", 10_000)]),
    ("farm.crop_loss", {}, [("losses", "industry_failure", 3_000)]),
    ("farm.livestock_loss", {}, [("losses", "industry_failure", 5_000)]),
    ("farm.price_slump", {}, [("losses", "industry_failure", 3_000)]),
    ("work.job_loss", {}, [("losses", "job_instability", 18_000)]),
    ("work.hours_cut", {}, [("losses", "job_instability", 3_000)]),
    ("work.wage_arrears", {}, [("losses", "job_instability", 6_000)]),
    ("biz.failure", {}, [("losses", "industry_failure", 10_000)]),
    ("edu.cost", {}, [("expenses", "education", 8_000)]),
    ("fin.fraud_loss", {}, [("expenses", "other", 10_000)]),
    ("fin.loan_granted", {"amount_yuan": 50_000}, []),
    ("family.breakup", {}, [("losses", "labour_shortage", 12_000)]),
    ("family.member_change", {"n_delta": 1}, []),
    ("relief.medical_reimbursement", {"amount_yuan": 7, "cause": "other"}, [("reliefs", "illness", 7)]),
    ("relief.medical_assistance", {"amount_yuan": 7}, [("reliefs", "illness", 7)]),
    ("relief.insurance_payout", {"amount_yuan": 7, "cause": "disaster"}, [("reliefs", "disaster", 7)]),
    ("relief.insurance_payout", {"amount_yuan": 7}, [("reliefs", "other", 7)]),
    ("relief.temporary_assistance", {"amount_yuan": 7, "cause": "water"}, [("reliefs", "water", 7)]),
    ("relief.disaster_relief", {"amount_yuan": 7, "cause": "illness"}, [("reliefs", "disaster", 7)]),
    ("relief.education_grant", {"amount_yuan": 7}, [("reliefs", "education", 7)]),
    ("income.dibao_granted", {"monthly_yuan": 5}, [("assistance", "", 60)]),
    ("income.public_post", {"monthly_yuan": 5, "months": 3}, [("assistance", "", 15)]),
    ("income.industry_subsidy", {"amount_yuan": 5}, [("assistance", "", 5)]),
    ("income.job_found", {"monthly_yuan": 5}, [("gains", "", 30)]),
    ("income.wage_recovered", {"amount_yuan": 5}, [("gains", "", 5)]),
    ("income.collective_dividend", {"amount_yuan": 5}, [("gains", "", 5)]),
    ("measure.training_completed", {}, []),
    ("measure.assigned", {}, []),
    ("hazard.forecast", {}, []),
]


@pytest.mark.parametrize(
    ("kind", "payload", "expected"), AMOUNTS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_an_event_adds_its_amounts_to_its_causes(
    kind: str, payload: dict[str, Any], expected: list[tuple[str, str, int]]
) -> None:
    tally = judged(make_event(kind, event_id="x", **payload)).standing.tally
    found = [("gains", "", tally.gains), ("assistance", "", tally.assistance)]
    for name, sums in (("losses", tally.losses), ("expenses", tally.expenses), ("reliefs", tally.reliefs)):
        found += [(name, cause, fen) for cause, fen in zip(CAUSES, sums, strict=True)]
    assert sorted(line for line in found if line[2]) == sorted(
        (name, cause, 100 * yuan) for name, cause, yuan in expected
    )


@pytest.mark.parametrize(
    ("broken_by", "mended_by", "place", "cause"),
    [
        ("health.insurance_lapse", "health.insurance_restored", MEDICAL, "illness"),
        ("edu.dropout", "edu.return", EDUCATION, "education"),
        ("housing.danger", "housing.repaired", HOUSE, "housing"),
        ("water.failure", "water.restored", WATER, "water"),
        ("food.shortage", "food.restored", FOOD, "other"),
    ],
)
def test_a_guarantee_breaks_with_its_cause_and_is_mended(
    broken_by: str, mended_by: str, place: int, cause: str
) -> None:
    broken = judged(make_event(broken_by))
    assert broken.standing.tally.guarantees.states[place].since and broken.causes == (cause,)
    assert judged(make_event(broken_by, cause="accident")).causes == ("accident",)
    assert judged(make_event(broken_by), make_event(mended_by, "2026-03-03")).causes == ()


@pytest.mark.parametrize(
    ("kind", "payload", "members", "labour_halves"),
    [
        ("health.disability", {}, 4, 3),
        ("health.disability", {"labour_to": "none"}, 4, 2),
        ("health.disability", {"labour_from": "weak", "labour_to": "none"}, 4, 4),
        ("health.death_of_earner", {}, 3, 2),
        ("health.death_of_earner", {"labour": "none"}, 3, 4),
        ("family.breakup", {"n_delta": -2, "labour_full_delta": -1, "labour_weak_delta": 1}, 2, 3),
        ("family.member_change", {"n_delta": -9, "labour_full_delta": -9}, 1, 0),
    ],
)
def test_an_event_changes_members_and_labour(
    kind: str, payload: dict[str, Any], members: int, labour_halves: int
) -> None:
    quantities = judged(make_event(kind, **payload)).standing.quantities
    assert (quantities.members, quantities.labour_halves) == (members, labour_halves)


@pytest.mark.parametrize(
    ("kind", "payload", "floor", "days"),
    [
        ("social.psych_concern", {}, "SOFT_CONCERN", 90),
        ("self.report_hardship", {}, "SELF_REPORT", 30),
        ("survey.visit", {"result": "concern"}, "VISIT_CONCERN", 30),
        ("survey.visit", {"result": "emergency"}, "FIELD_EMERGENCY", 30),
        ("survey.third_party_assessment", {"floor": "green"}, "THIRD_PARTY", 180),
        ("fin.debt", {"due_12m_yuan": 26_000}, "DEBT_STRESS", 365),
    ],
)
def test_a_floor_holds_until_its_days_are_over(kind: str, payload: dict[str, Any], floor: str, days: int) -> None:
    event = make_event(kind, "2026-01-02", **payload)
    folded = replayed(event)
    assert folded.decision is not None and floor in folded.decision.floors
    last = event.occurred_on.toordinal() + days
    for day, holds in ((last - 1, True), (last, False)):
        as_of = type(event.occurred_on).fromordinal(day).isoformat()
        assert (floor in judged(event, as_of=as_of).floors) is holds


def test_status_events_move_their_status() -> None:
    monitored = make_event("status.monitored", "2026-01-02")
    assert "MONITORED" in judged(monitored).floors
    assert "MONITORED" not in judged(monitored, make_event("status.risk_eliminated", "2026-01-03")).floors
    returned = make_event("status.return_confirmed", "2026-01-02")
    assert judged(returned).grade is RiskGrade.RED
    assert judged(returned, make_event("status.lifted_again", "2026-01-03")).raw_grade is RiskGrade.GREEN


def test_every_example_validates_at_the_edge() -> None:
    for event_type in EVENT_TYPES.values():
        assert payload_faults(event_type, event_type.example) == (), event_type.type


def test_every_row_is_named_in_both_languages_and_keyed_by_its_type() -> None:
    assert len(EVENT_TYPES) == 63
    for kind, event_type in EVENT_TYPES.items():
        assert kind == event_type.type and event_type.name_zh and event_type.name_en and event_type.effects


def test_every_payload_field_is_described_in_both_languages() -> None:
    for event_type in EVENT_TYPES.values():
        for name, field in event_type.payload.model_fields.items():
            assert field.description and " / " in field.description.replace("）/", "） /"), (event_type.type, name)


def test_a_null_is_not_offered_by_any_schema_except_for_unrated_elements() -> None:
    for event_type in EVENT_TYPES.values():
        schema = event_type.payload.model_json_schema()
        for name, field in schema["properties"].items():
            offered = [*field.get("anyOf", []), {"const": field.get("default", "")}]
            assert {"type": "null"} not in offered and {"const": None} not in offered, (event_type.type, name)
    elements = EVENT_TYPES["survey.result"].payload.model_json_schema()["$defs"]["Elements"]
    assert {"type": "null"} in elements["properties"]["social"]["anyOf"]


def test_only_losses_and_expenses_without_change_of_structure_join_episodes() -> None:
    joining = {kind for kind, event_type in EVENT_TYPES.items() if event_type.joins_episodes}
    assert {"health.major_illness", "disaster.natural", "edu.cost", "fin.fraud_loss"} <= joining
    assert joining.isdisjoint(
        {
            "health.disability",
            "health.death_of_earner",
            "family.breakup",
            "relief.disaster_relief",
            "edu.dropout",
            "fin.debt",
        }
    )


def test_a_household_may_not_speak_for_departments() -> None:
    refused = {kind for kind in EVENT_TYPES if refused_from_self(kind)}
    families = {kind.partition(".")[0] for kind in refused}
    assert families == {"event", "survey", "status", "measure"} and not refused_from_self("self.report_hardship")
    assert not can_be_disputed("registry.enrolled") and not can_be_disputed("event.verified")
    assert can_be_disputed("survey.result")


def test_a_measure_counts_for_elimination_only_when_delivered() -> None:
    assert replayed(make_event("measure.assigned")).state.measure_from is None
    assert replayed(make_event("measure.delivered")).state.measure_from is not None
    assert Mark.MEASURE_DELIVERED in EVENT_TYPES["measure.delivered"].effects


def test_a_survey_replaces_the_baseline() -> None:
    survey = make_event("survey.result", source_class="survey", baseline=make_baseline(as_of="2026-03-01", wage=0))
    assert judged(survey).standing.baseline.wage == 0
