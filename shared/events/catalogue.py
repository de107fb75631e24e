"""The event catalogue: every type the system knows, as the rule book's table has it.

A row says what the type is called, its cause, the shape of its payload, what it does, and an example payload.
Adding a type is one row here and, if its payload has a new shape, one model in `payloads`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from shared.events import payloads as shape
from shared.events.effects import (
    About,
    Breach,
    Effect,
    Guarantee,
    Housing,
    Kind,
    Mark,
    Money,
    RecordOnly,
    Register,
    Restore,
    Structure,
)
from shared.events.payloads import Cause, Payload

PayloadModel = type[Payload]


@dataclass(frozen=True, slots=True)
class EventType:
    """One type of event.

    cause: of its amounts and breaches, unless payload_cause is set and the payload names another; None = no cause.
    example: a payload that validates at the edge. area_event: keyed by division, not by household.
    """

    type: str
    name_zh: str
    name_en: str
    cause: Cause | None
    payload: PayloadModel
    effects: tuple[Effect, ...]
    example: Mapping[str, Any] = field(default_factory=dict)
    payload_cause: bool = False
    area_event: bool = False

    @property
    def family(self) -> str:
        """The type before the dot."""
        return self.type.partition(".")[0]

    @property
    def joins_episodes(self) -> bool:
        """Whether reports of one episode replace each other: those with a loss or expense that change no structure."""
        costs = any(isinstance(e, Money) and e.kind in (Kind.LOSS, Kind.EXPENSE) for e in self.effects)
        return costs and not any(isinstance(e, Structure) for e in self.effects)

    @property
    def changes_something(self) -> bool:
        """Whether an event of this type can change a result; the others are only kept and shown."""
        return not isinstance(self.effects[0], RecordOnly)


X, L, G, A, O = Kind.EXPENSE, Kind.LOSS, Kind.GAIN, Kind.ASSISTANCE, Kind.RELIEF  # noqa: E741  the rule book's letters
FOOD, EDUCATION, MEDICAL, WATER = Guarantee.FOOD, Guarantee.EDUCATION, Guarantee.MEDICAL, Guarantee.WATER
NOTED = (RecordOnly(),)

_BASELINE: Mapping[str, Any] = {
    "as_of": "2025-09-30",
    "members": 4,
    "labour_full": 2,
    "labour_weak": 0,
    "wage": 40000,
    "operating_net": 8000,
    "property": 1000,
    "transfer": 3000,
    "assistance": 0,
    "self_pay": {},
    "elements": {"economic": 2, "cultural": 2, "psychological": 2, "social": 2},
    "guarantees": {},
}


# fmt: off
def _health() -> Iterable[EventType]:
    row = EventType
    ill = Mark.ILLNESS
    pay = "self_pay_yuan"
    yield row("health.major_illness", "大病", "major illness", "illness", shape.Illness, (Money(X, pay, 20_000), ill),
              {"person": "p1", "disease_group": "G07", "self_pay_yuan": 60000})
    yield row("health.hospitalisation", "住院", "hospital stay", "illness", shape.Hospitalisation,
              (Money(X, pay, 5_000), ill), {"person": "p1", "self_pay_yuan": "8000.50"})
    yield row("health.chronic_outpatient", "慢病门诊", "chronic outpatient care", "illness", shape.ChronicOutpatient,
              (Money(X, "monthly_self_pay_yuan", 500, "months", 12), ill),
              {"monthly_self_pay_yuan": 600, "months": 12})
    yield row("health.disability", "致残", "disability", "disability", shape.Disability,
              (Money(L, "annual_loss_yuan", 12_000, permanent=True), Money(X, pay, 0), Structure.DISABILITY),
              {"person": "p1", "grade": 2, "labour_from": "full", "labour_to": "none", "annual_loss_yuan": 20000})
    yield row("health.accident", "意外", "accident", "accident", shape.Accident,
              (Money(X, pay, 10_000), Money(L, "monthly_loss_yuan", 0, "months", 3), ill),
              {"self_pay_yuan": 12000, "monthly_loss_yuan": 2000, "months": 3})
    yield row("health.death_of_earner", "主劳力死亡", "death of an earner", "labour_shortage", shape.DeathOfEarner,
              (Money(L, "annual_loss_yuan", 24_000, permanent=True), Structure.DEATH),
              {"labour": "full", "annual_loss_yuan": 30000})
    yield row("health.insurance_lapse", "断保", "medical insurance lapsed", "illness", shape.Person,
              (Breach(MEDICAL),), {"person": "p1"}, payload_cause=True)
    yield row("health.insurance_restored", "续保", "medical insurance restored", "illness", shape.Person,
              (Restore(MEDICAL),), {"person": "p1"})
    yield row("health.epidemic_impact", "因疫", "hit by an epidemic", "job_instability", shape.MonthlyLoss,
              (Money(L, "monthly_loss_yuan", 2_000, "months", 3),), {"monthly_loss_yuan": 2000, "months": 2})


def _disaster_farm_work() -> Iterable[EventType]:
    row = EventType
    yield row("disaster.natural", "因灾", "natural disaster", "disaster", shape.NaturalDisaster,
              (Money(L, "crop_loss_yuan", 0), Money(L, "livestock_loss_yuan", 0), Money(X, "repair_cost_yuan", 0),
               Housing("housing_grade", worsens_only=True), Breach(WATER, flag_field="water_failure")),
              {"hazard": "flood", "crop_loss_yuan": 6000, "repair_cost_yuan": 30000, "housing_grade": "D"})
    yield row("disaster.house_fire", "火灾", "house fire", "accident", shape.HouseFire,
              (Money(X, "repair_cost_yuan", 10_000), Housing("housing_grade", worsens_only=True)),
              {"repair_cost_yuan": 15000, "housing_grade": "C"})
    for name, zh, en, default in (
        ("crop_loss", "减产", "crop loss", 3_000),
        ("livestock_loss", "疫病", "livestock loss", 5_000),
        ("price_slump", "滞销", "price slump", 3_000),
    ):
        yield row(f"farm.{name}", zh, en, "industry_failure", shape.FarmLoss, (Money(L, "amount_yuan", default),),
                  {"amount_yuan": 4000, "unit": "mu", "quantity": 5})
    yield row("work.job_loss", "失业", "job lost", "job_instability", shape.MonthlyLoss,
              (Money(L, "monthly_loss_yuan", 3_000, "months", 6),), {"monthly_loss_yuan": 3000, "months": 6})
    yield row("work.hours_cut", "工时减", "hours cut", "job_instability", shape.MonthlyLoss,
              (Money(L, "monthly_loss_yuan", 1_000, "months", 3),), {"monthly_loss_yuan": 800})
    yield row("work.wage_arrears", "欠薪", "wages owed", "job_instability", shape.WageArrears,
              (Money(L, "amount_yuan", 6_000),), {"amount_yuan": 9000, "employer_ref": "E-17"})
    yield row("biz.failure", "产业项目失败", "business failure", "industry_failure", shape.Loss,
              (Money(L, "amount_yuan", 10_000),), {"amount_yuan": 20000})


def _schooling_and_shelter() -> Iterable[EventType]:
    row = EventType
    yield row("edu.cost", "上学费用", "cost of schooling", "education", shape.EducationCost,
              (Money(X, "self_pay_yuan", 8_000),), {"self_pay_yuan": 9000, "stage": "college"})
    yield row("edu.dropout", "失学辍学", "dropped out of school", "education", shape.Dropout, (Breach(EDUCATION),),
              {"person": "p2", "stage": "junior"}, payload_cause=True)
    yield row("edu.return", "复学", "back at school", "education", shape.Dropout, (Restore(EDUCATION),),
              {"person": "p2", "stage": "junior"})
    yield row("housing.danger", "危房", "dangerous house", "housing", shape.HousingDanger,
              (Housing("grade", default="C"),), {"grade": "C"}, payload_cause=True)
    yield row("housing.repaired", "已修", "house repaired", "housing", shape.Nothing, (Restore(Guarantee.HOUSING),))
    yield row("water.failure", "饮水中断", "drinking water failed", "water", shape.WaterFailure, (Breach(WATER),),
              {"people_affected": 4}, payload_cause=True)
    yield row("water.restored", "饮水恢复", "drinking water restored", "water", shape.WaterFailure, (Restore(WATER),))
    yield row("food.shortage", "吃穿困难", "short of food or clothing", "other", shape.FoodShortage,
              (Breach(FOOD, counts_unverified=True),), {"kind": "food"}, payload_cause=True)
    yield row("food.restored", "吃穿恢复", "food and clothing secure again", "other", shape.FoodShortage,
              (Restore(FOOD),), {"kind": "food"})


def _finance_and_family() -> Iterable[EventType]:
    row = EventType
    yield row("fin.fraud_loss", "被骗", "lost to fraud", "other", shape.Loss, (Money(X, "amount_yuan", 10_000),),
              {"amount_yuan": 12000})
    yield row("fin.debt", "债务", "debt", None, shape.Debt, (Mark.DEBT,), {"due_12m_yuan": 20000})
    yield row("fin.loan_granted", "小额信贷", "small loan granted", None, shape.Loan, NOTED, {"amount_yuan": 30000})
    yield row("family.breakup", "离散", "family broke up", "labour_shortage", shape.Breakup,
              (Money(L, "annual_loss_yuan", 12_000, permanent=True), Structure.CHANGE),
              {"n_delta": -1, "labour_full_delta": -1, "annual_loss_yuan": 15000})
    yield row("family.member_change", "人口增减", "members joined or left", None, shape.MemberChange,
              (Structure.CHANGE,), {"n_delta": 1})
    yield row("social.psych_concern", "心理/内生动力", "concern about motivation", None, shape.Concern,
              (Mark.CONCERN,), {"note_code": "N3"})
    yield row("self.report_hardship", "自主申报", "own report of hardship", None, shape.HardshipReport,
              (Mark.SELF_REPORT,), {"text_ref": "doc-1"})


def _relief_and_income() -> Iterable[EventType]:
    row = EventType
    for name, zh, en, cause, claims in (
        ("medical_reimbursement", "医保报销", "medical reimbursement", "illness", False),
        ("medical_assistance", "医疗救助", "medical assistance", "illness", False),
        ("insurance_payout", "理赔", "insurance payout", "other", True),
        ("temporary_assistance", "临时救助", "temporary assistance", "other", True),
        ("disaster_relief", "救灾", "disaster relief", "disaster", False),
        ("education_grant", "雨露计划等", "education grant", "education", False),
    ):
        yield row(f"relief.{name}", zh, en, shape.cause_of(cause), shape.Relief, (Money(O, "amount_yuan"),),
                  {"amount_yuan": "3500.00"} | ({"cause": "illness"} if claims else {}), payload_cause=claims)
    monthly = (
        ("dibao_granted", "低保", "subsistence allowance granted", A, 12),
        ("public_post", "公益岗", "public welfare post", A, 12),
        ("job_found", "就业", "job found", G, 6),
    )
    for name, zh, en, kind, months in monthly:
        yield row(f"income.{name}", zh, en, None, shape.MonthlyIncome,
                  (Money(kind, "monthly_yuan", None, "months", months),), {"monthly_yuan": 800, "months": 12})
    once = (
        ("industry_subsidy", "产业奖补", "industry subsidy", A),
        ("wage_recovered", "追回欠薪", "wages recovered", G),
        ("collective_dividend", "分红", "collective dividend", G),
    )
    for name, zh, en, kind in once:
        yield row(f"income.{name}", zh, en, None, shape.Relief, (Money(kind, "amount_yuan"),), {"amount_yuan": 2000})


def _people_and_records() -> Iterable[EventType]:
    row = EventType
    taken = {"measure_code": "M-11", "cause": "illness", "by": "T-02", "due_on": "2026-04-01"}
    yield row("measure.assigned", "措施已定", "measure assigned", None, shape.MeasureTaken, (Mark.MEASURE_ASSIGNED,),
              taken)
    yield row("measure.delivered", "措施已落实", "measure delivered", None, shape.MeasureTaken,
              (Mark.MEASURE_DELIVERED,), taken)
    yield row("measure.training_completed", "培训结业", "training completed", None, shape.MeasureTaken, NOTED, taken)
    yield row("survey.visit", "走访", "visit", None, shape.Visit, (Mark.VISIT,), {"result": "concern"})
    yield row("survey.result", "收入核算/排查", "new income survey", None, shape.SurveyResult, (Mark.SURVEY,),
              {"baseline": _BASELINE})
    yield row("survey.third_party_assessment", "第三方评估", "third-party assessment", None, shape.Assessment,
              (Mark.ASSESSMENT,), {"floor": "yellow", "findings": "doc-9"})
    yield row("event.verified", "核实", "event verified", None, shape.Reference, (About.VERIFIED,), {"ref": "e-1"})
    yield row("event.refuted", "否定", "event refuted", None, shape.Reference, (About.REFUTED,), {"ref": "e-1"})
    yield row("event.corrected", "更正", "event corrected", None, shape.Correction, (About.CORRECTED,),
              {"ref": "e-1", "payload": {"self_pay_yuan": 6000}})
    for mark, zh, en in (
        (Mark.MONITORED, "认定", "monitored"),
        (Mark.RISK_ELIMINATED, "风险消除", "risk eliminated"),
        (Mark.RETURN_CONFIRMED, "返贫确认", "return to poverty confirmed"),
        (Mark.LIFTED_AGAIN, "再脱贫", "lifted again"),
    ):
        yield row(f"status.{mark.name.lower()}", zh, en, None, shape.Status, (mark,), {"decision_ref": "doc-5"})
    yield row("hazard.forecast", "灾害预报", "hazard forecast", None, shape.HazardForecast, NOTED,
              {"stage": "readiness", "hazard": "flood", "divisions": ["990100101201"], "valid_to": "2026-07-12"},
              area_event=True)
    yield row("registry.enrolled", "入册", "household enrolled", None, shape.Enrolled, (Register.ENROLLED,),
              {"type": "lifted", "monitored": False, "enrolled_on": "2026-01-01", "baseline": _BASELINE})
    yield row("registry.moved", "迁移", "household moved", None, shape.Moved, (Register.MOVED,),
              {"division": "990100101202"})
    yield row("registry.closed", "销户", "household closed", None, shape.Closed, (Register.CLOSED,),
              {"reason": "merged", "merged_into": "H-2"})



# fmt: on


EVENT_TYPES: Mapping[str, EventType] = MappingProxyType(
    {
        event_type.type: event_type
        for rows in (
            _health,
            _disaster_farm_work,
            _schooling_and_shelter,
            _finance_and_family,
            _relief_and_income,
            _people_and_records,
        )
        for event_type in rows()
    }
)
"""Every known type, in the order of the rule book."""

_NOT_FROM_SELF = ("event.", "survey.", "status.", "measure.")
_BEYOND_DISPUTE = ("event.", "registry.")


def refused_from_self(event_type: str) -> bool:
    """Whether a household may not send this type about itself; met in a history it has no effect."""
    return event_type.startswith(_NOT_FROM_SELF)


def can_be_disputed(event_type: str) -> bool:
    """Whether an event of this type can be refuted or corrected."""
    return not event_type.startswith(_BEYOND_DISPUTE)
