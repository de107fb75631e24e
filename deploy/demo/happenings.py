"""What happens in an ordinary county: which types of event, how often, told by whom, with what payload.

`MIX` is the readable table; `weight`s of one group are shares within the group.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from deploy.demo.draw import as_amount, log_normal_yuan, pick

Payload = dict[str, object]
Matter = Literal["", "bill", "loss", "school", "house", "water", "food", "insurance", "schooling", "wages"]


@dataclass(frozen=True, slots=True)
class Teller:
    """Who sends an event: URI of the app or department, and its class."""

    source: str
    source_class: str


def _teller(name: str, source_class: str) -> Teller:
    return Teller(f"urn:shouwang-demo:{name}", source_class)


REGISTER = _teller("register", "department")
INSURANCE = _teller("medical-insurance", "department")
HEALTH = _teller("health-bureau", "department")
CIVIL = _teller("civil-affairs", "department")
LABOUR = _teller("labour-bureau", "department")
SCHOOLS = _teller("education-bureau", "department")
FARMING = _teller("agriculture-bureau", "department")
HOUSING = _teller("housing-bureau", "department")
CADRE = _teller("cadre-app", "cadre")
GRID = _teller("grid-app", "grid")
SURVEY = _teller("survey-app", "survey")
HOUSEHOLD = _teller("self-report", "self")


@dataclass(frozen=True, slots=True)
class Happening:
    """One row of the mix.

    opens: a matter that a later event may settle. settles: a matter of the same household that this event answers,
    if one is open; its payload is then made from the open amount (yuan, 0 = none) in place of a drawn one.
    """

    type: str
    weight: float
    teller: Teller
    payload: Callable[[Random], Payload] = lambda _: {}
    opens: Matter = ""
    settles: Matter = ""


def _person(chance: Random) -> str:
    return f"p{chance.randrange(1, 8)}"


def _months(chance: Random, first: int, last: int) -> int:
    return chance.randint(first, last)


def _yuan(field: str, median: float, sigma: float) -> Callable[[Random], Payload]:
    """A payload of one log-normal amount."""
    return lambda chance: {field: as_amount(chance, log_normal_yuan(chance, median, sigma))}


def _bill(median: float, sigma: float) -> Callable[[Random], Payload]:
    return lambda chance: {"person": _person(chance), **_yuan("self_pay_yuan", median, sigma)(chance)}


def _monthly(field: str, median: float, months: tuple[int, int]) -> Callable[[Random], Payload]:
    """A payload of a monthly amount and a number of months."""
    return lambda chance: {
        field: log_normal_yuan(chance, median, 0.5),
        "months": _months(chance, *months),
    }


def _major_illness(chance: Random) -> Payload:
    return {"disease_group": f"G{chance.randrange(1, 30):02d}", **_bill(9_000, 0.8)(chance)}


def _disability(chance: Random) -> Payload:
    work = pick(chance, {"weak": 3, "none": 1})
    loss = log_normal_yuan(chance, 6_000, 0.5)
    return {"person": _person(chance), "grade": _months(chance, 1, 4), "labour_to": work, "annual_loss_yuan": loss}


def _of_person(chance: Random) -> Payload:
    return {"person": _person(chance)}


def _of_pupil(chance: Random) -> Payload:
    return {"person": _person(chance), "stage": pick(chance, {"primary": 1, "junior": 3})}


def _schooling(chance: Random) -> Payload:
    stage = pick(chance, {"senior": 4, "vocational": 3, "college": 5})
    return {"person": _person(chance), "stage": stage, **_yuan("self_pay_yuan", 4_000, 0.5)(chance)}


def _visit(chance: Random) -> Payload:
    return {"result": pick(chance, {"no_change": 945, "concern": 50, "emergency": 5})}


def _constant(**fields: object) -> Callable[[Random], Payload]:
    return lambda _: dict(fields)


def _one_of(field: str, weights: Mapping[str, float]) -> Callable[[Random], Payload]:
    return lambda chance: {field: pick(chance, weights)}


@dataclass(frozen=True, slots=True)
class Group:
    """Happenings of one kind and their share of all events, in percent."""

    name: str
    share: float
    happenings: Sequence[Happening]


HEALTH_EVENTS = (
    Happening("health.hospitalisation", 40, INSURANCE, _bill(3_500, 1.0), opens="bill"),
    Happening("health.chronic_outpatient", 34, INSURANCE, _monthly("monthly_self_pay_yuan", 120, (3, 12))),
    Happening("health.major_illness", 4, INSURANCE, _major_illness, opens="bill"),
    Happening("health.accident", 5, HEALTH, _yuan("self_pay_yuan", 2_500, 0.9), opens="bill"),
    Happening("health.disability", 1, CIVIL, _disability),
    Happening("health.death_of_earner", 0.5, CIVIL, _yuan("annual_loss_yuan", 9_000, 0.4)),
    Happening("health.insurance_lapse", 5, INSURANCE, _of_person, opens="insurance"),
    Happening("health.insurance_restored", 8, INSURANCE, _of_person, settles="insurance"),
    Happening("health.epidemic_impact", 2.5, HEALTH, _monthly("monthly_loss_yuan", 600, (1, 3))),
)
RELIEF_EVENTS = (
    Happening("relief.medical_reimbursement", 40, INSURANCE, _yuan("amount_yuan", 1_800, 0.8), settles="bill"),
    Happening("relief.medical_assistance", 18, CIVIL, _yuan("amount_yuan", 1_200, 0.8), settles="bill"),
    Happening(
        "relief.insurance_payout",
        8,
        INSURANCE,
        lambda chance: {**_yuan("amount_yuan", 2_500, 0.7)(chance), "cause": "illness"},
        settles="bill",
    ),
    Happening(
        "relief.temporary_assistance",
        8,
        CIVIL,
        lambda chance: {**_yuan("amount_yuan", 1_500, 0.5)(chance), "cause": "illness"},
        settles="bill",
    ),
    Happening("relief.disaster_relief", 2, CIVIL, _yuan("amount_yuan", 2_000, 0.6)),
    Happening("relief.education_grant", 8, SCHOOLS, _yuan("amount_yuan", 2_500, 0.4), settles="schooling"),
    Happening("income.dibao_granted", 4, CIVIL, _monthly("monthly_yuan", 400, (12, 12))),
    Happening("income.public_post", 5, LABOUR, _monthly("monthly_yuan", 700, (6, 12))),
    Happening("income.industry_subsidy", 7, FARMING, _yuan("amount_yuan", 1_800, 0.5)),
)
WORK_EVENTS = (
    Happening("work.job_loss", 15, LABOUR, _monthly("monthly_loss_yuan", 2_000, (1, 6)), opens="loss"),
    Happening("work.hours_cut", 25, LABOUR, _monthly("monthly_loss_yuan", 500, (1, 3)), opens="loss"),
    Happening("work.wage_arrears", 8, HOUSEHOLD, _yuan("amount_yuan", 4_000, 0.6), opens="wages"),
    Happening("income.job_found", 40, LABOUR, _monthly("monthly_yuan", 1_800, (3, 6)), settles="loss"),
    Happening("income.wage_recovered", 10, LABOUR, _yuan("amount_yuan", 3_500, 0.6), settles="wages"),
    Happening("biz.failure", 2, GRID, _yuan("amount_yuan", 8_000, 0.5)),
)
VISIT_EVENTS = (
    Happening("survey.visit", 80, CADRE, _visit),
    Happening("survey.result", 20, SURVEY),  # its baseline is made by the stream, from the household's own
)
SCHOOL_EVENTS = (
    Happening("edu.cost", 94, SCHOOLS, _schooling, opens="schooling"),
    Happening("edu.dropout", 2, SCHOOLS, _of_pupil, opens="school"),
    Happening("edu.return", 4, SCHOOLS, _of_pupil, settles="school"),
)
FARM_EVENTS = (
    Happening("farm.crop_loss", 35, GRID, _yuan("amount_yuan", 2_000, 0.7)),
    Happening("farm.livestock_loss", 20, FARMING, _yuan("amount_yuan", 2_500, 0.7)),
    Happening("farm.price_slump", 20, FARMING, _yuan("amount_yuan", 1_500, 0.7)),
    Happening("income.collective_dividend", 25, FARMING, _yuan("amount_yuan", 800, 0.5)),
)
HOME_EVENTS = (
    Happening("housing.danger", 25, HOUSING, _one_of("grade", {"B": 70, "C": 26, "D": 4}), opens="house"),
    Happening("housing.repaired", 30, HOUSING, settles="house"),
    Happening("water.failure", 20, GRID, _constant(kind="supply"), opens="water"),
    Happening("water.restored", 25, GRID, _constant(kind="supply"), settles="water"),
)
FAMILY_EVENTS = (
    Happening("family.member_change", 95, CIVIL, lambda chance: {"n_delta": chance.choice((-1, 1, 1))}),
    Happening(
        "family.breakup", 5, CIVIL, lambda chance: {"n_delta": -1, **_yuan("annual_loss_yuan", 6_000, 0.4)(chance)}
    ),
)
OTHER_EVENTS = (
    Happening("fin.debt", 20, GRID, _yuan("due_12m_yuan", 8_000, 0.8)),
    Happening("fin.loan_granted", 15, FARMING, lambda chance: {"amount_yuan": 1_000 * _months(chance, 5, 50)}),
    Happening("fin.fraud_loss", 4, HOUSEHOLD, _yuan("amount_yuan", 3_000, 0.8)),
    Happening("social.psych_concern", 10, GRID, lambda chance: {"note_code": f"N{_months(chance, 1, 9)}"}),
    Happening("self.report_hardship", 10, HOUSEHOLD, lambda chance: {"text_ref": f"doc-{chance.randrange(1, 10_000)}"}),
    Happening("food.shortage", 1, GRID, _one_of("kind", {"food": 1, "clothing": 3}), opens="food"),
    Happening("food.restored", 2, GRID, _constant(kind="clothing"), settles="food"),
    Happening(
        "disaster.natural", 8, GRID, lambda chance: {"hazard": "meteo", **_yuan("crop_loss_yuan", 1_500, 0.7)(chance)}
    ),
    Happening("measure.assigned", 15, CADRE, lambda chance: {"measure_code": f"M-{_months(chance, 1, 30):02d}"}),
    Happening("measure.delivered", 15, CADRE, lambda chance: {"measure_code": f"M-{_months(chance, 1, 30):02d}"}),
)
MIX: Sequence[Group] = (
    Group("health", 45, HEALTH_EVENTS),
    Group("relief", 20, RELIEF_EVENTS),
    Group("work", 10, WORK_EVENTS),
    Group("visits", 10, VISIT_EVENTS),
    Group("schooling", 5, SCHOOL_EVENTS),
    Group("farm", 4, FARM_EVENTS),
    Group("home", 2, HOME_EVENTS),
    Group("family", 2, FAMILY_EVENTS),
    Group("other", 2, OTHER_EVENTS),
)
SCHOOL_MONTHS = (2, 3, 8, 9)
SCHOOL_PEAK, SCHOOL_OFF_PEAK = 2.0, 0.5  # over a year the mean is 1


def shares(month: int) -> Mapping[str, float]:
    """Share of each group in a month (1 to 12): school costs fall due before terms begin."""
    season = SCHOOL_PEAK if month in SCHOOL_MONTHS else SCHOOL_OFF_PEAK
    return {group.name: group.share * (season if group.name == "schooling" else 1) for group in MIX}
