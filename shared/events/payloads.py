"""What each event says: one model per shape of payload.

Models are strict (no text for a number, no number for a text, no true for 1). The edge validates with
`extra="forbid"`, readers of a history with `extra="ignore"`. Something unknown is left out; null is refused.
Amounts (`*_yuan`) are yuan on the wire and whole fen in Python; days are calendar days in Asia/Shanghai.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from shared.events.amounts import Count, Day, Delta, Fen, Months, SignedFen
from shared.events.texts import Alias, Episode, FreeObject, Pseudonym, Source, Text

Cause = Literal[
    "illness",
    "disaster",
    "disability",
    "labour_shortage",
    "accident",
    "industry_failure",
    "job_instability",
    "education",
    "housing",
    "water",
    "other",
]
CAUSES: tuple[Cause, ...] = get_args(Cause)
"""The causes, in the order in which ties between equal amounts are broken."""


def cause_of(word: str) -> Cause:
    """Take a word for a cause; an unknown one raises ValueError."""
    return CAUSES[[str(cause) for cause in CAUSES].index(word)]


Labour = Literal["full", "weak", "none"]
HousingGrade = Literal["A", "B", "C", "D", "destroyed"]
ReportedHousing = Literal["none", "A", "B", "C", "D", "destroyed"]
Hazard = Literal["flood", "geo", "drought", "bio", "meteo", "quake"]
GradeWord = Literal["green", "blue", "yellow", "orange", "red"]

T = TypeVar("T")


def _refuse_null(value: object) -> object:
    if value is None:
        raise PydanticCustomError("null", "leave the key out when it is unknown; null is refused")
    return value


Known = Annotated[T | None, BeforeValidator(_refuse_null)]
"""May be absent (then None in Python), may not be null."""

EventId = Annotated[str, Field(pattern=r"^[\x21-\x7e]([\x20-\x7e]{0,62}[\x21-\x7e])?$")]
Division = Annotated[str, Field(pattern=r"^[0-9]{12}$")]
Level = Annotated[int, Field(ge=0, le=3)]


class Shape(BaseModel):
    """A JSON object with known fields."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Say in the schema what validation does: absent is allowed, null is not."""
        schema = handler(core)
        for name, field in handler.resolve_ref_schema(schema).get("properties", {}).items():
            if not _nullable(cls, name):
                _without_null(field)
        return schema


def _nullable(model: type[BaseModel], name: str) -> bool:
    extra = model.model_fields[name].json_schema_extra if name in model.model_fields else None
    return isinstance(extra, dict) and bool(extra.get("nullable"))


def _without_null(field: dict[str, Any]) -> None:
    choices = field.get("anyOf")
    if choices and {"type": "null"} in choices:
        choices.remove({"type": "null"})
        if len(choices) == 1:
            del field["anyOf"]
            field.update(choices[0])
    if "default" in field and field["default"] is None:
        del field["default"]


class Payload(Shape):
    """What every payload may hold besides its own fields."""

    episode: Known[Episode] = Field(
        None, description="同一件事的多次上报共用的编号 / shared by several reports of one thing; the envelope's wins"
    )
    cause: Known[Cause] = Field(
        None, description="致贫原因，仅部分类型采用 / cause; used by relief claims and breaches only, else ignored"
    )


class Nothing(Payload):
    """A payload that says nothing beyond the event's type."""


# --- health


class Illness(Payload):
    person: Known[Pseudonym] = Field(None, description="患者化名 / pseudonym of the patient")
    disease_group: Known[Text] = Field(None, description="病种分组代码 / disease group code")
    self_pay_yuan: Known[Fen] = Field(None, description="合规自付（元）/ compliant self-paid bill, yuan")


class Hospitalisation(Payload):
    person: Known[Pseudonym] = Field(None, description="患者化名 / pseudonym of the patient")
    self_pay_yuan: Known[Fen] = Field(None, description="三重保障结算后自付（元）/ self-paid after settlement, yuan")


class ChronicOutpatient(Payload):
    person: Known[Pseudonym] = Field(None, description="患者化名 / pseudonym of the patient")
    monthly_self_pay_yuan: Known[Fen] = Field(None, description="每月自付（元）/ self-paid each month, yuan")
    months: Known[Months] = Field(None, description="月数 / number of months")


class Disability(Payload):
    person: Known[Pseudonym] = Field(None, description="残疾人化名 / pseudonym of the person")
    grade: Known[Annotated[int, Field(ge=1, le=4)]] = Field(None, description="残疾等级1至4 / disability grade 1 to 4")
    labour_from: Known[Labour] = Field(None, description="此前劳动能力 / ability to work before")
    labour_to: Known[Labour] = Field(None, description="此后劳动能力 / ability to work after")
    annual_loss_yuan: Known[Fen] = Field(None, description="年收入减少（元）/ income lost a year, yuan")
    self_pay_yuan: Known[Fen] = Field(None, description="自付费用（元）/ self-paid bill, yuan")


class Accident(Payload):
    person: Known[Pseudonym] = Field(None, description="伤者化名 / pseudonym of the injured person")
    self_pay_yuan: Known[Fen] = Field(None, description="自付费用（元）/ self-paid bill, yuan")
    monthly_loss_yuan: Known[Fen] = Field(None, description="每月收入减少（元）/ income lost each month, yuan")
    months: Known[Months] = Field(None, description="月数 / number of months")


class DeathOfEarner(Payload):
    person: Known[Pseudonym] = Field(None, description="逝者化名 / pseudonym of the person who died")
    labour: Known[Labour] = Field(None, description="逝者生前劳动能力 / ability to work of the person who died")
    annual_loss_yuan: Known[Fen] = Field(None, description="年收入减少（元）/ income lost a year, yuan")


class Person(Payload):
    person: Known[Pseudonym] = Field(None, description="相关人员化名 / pseudonym of the person")


class MonthlyLoss(Payload):
    person: Known[Pseudonym] = Field(None, description="相关人员化名 / pseudonym of the person")
    monthly_loss_yuan: Known[Fen] = Field(None, description="每月收入减少（元）/ income lost each month, yuan")
    months: Known[Months] = Field(None, description="月数 / number of months")


# --- disaster, farm, work, business


class NaturalDisaster(Payload):
    hazard: Hazard = Field(description="灾种 / kind of hazard")
    crop_loss_yuan: Known[Fen] = Field(None, description="种植损失（元）/ crop loss, yuan")
    livestock_loss_yuan: Known[Fen] = Field(None, description="养殖损失（元）/ livestock loss, yuan")
    repair_cost_yuan: Known[Fen] = Field(None, description="修缮费用（元）/ cost of repair, yuan")
    housing_grade: Known[ReportedHousing] = Field(None, description="灾后房屋等级 / grade of the house afterwards")
    water_failure: Known[bool] = Field(None, description="是否断水 / whether drinking water failed")
    people_affected: Known[Count] = Field(None, description="受灾人数 / people affected")


class HouseFire(Payload):
    repair_cost_yuan: Known[Fen] = Field(None, description="修缮费用（元）/ cost of repair, yuan")
    housing_grade: Known[ReportedHousing] = Field(None, description="火灾后房屋等级 / grade of the house afterwards")


class FarmLoss(Payload):
    amount_yuan: Known[Fen] = Field(None, description="损失金额（元）/ loss, yuan")
    product: Known[Text] = Field(None, description="品种 / product")
    unit: Known[Text] = Field(None, description="单位 / unit of the quantity")
    quantity: Known[Annotated[int, Field(ge=0, le=10_000_000)]] = Field(None, description="数量 / quantity")


class WageArrears(Payload):
    amount_yuan: Known[Fen] = Field(None, description="拖欠金额（元）/ wages owed, yuan")
    employer_ref: Known[Text] = Field(None, description="用工单位代码 / reference of the employer")


class Loss(Payload):
    amount_yuan: Known[Fen] = Field(None, description="损失金额（元）/ loss, yuan")


# --- education, housing, water, food


class EducationCost(Payload):
    person: Known[Pseudonym] = Field(None, description="学生化名 / pseudonym of the pupil")
    self_pay_yuan: Known[Fen] = Field(None, description="自付费用（元）/ self-paid cost, yuan")
    stage: Known[Text] = Field(None, description="学段 / stage of schooling")


class Dropout(Payload):
    person: Known[Pseudonym] = Field(None, description="学生化名 / pseudonym of the pupil")
    stage: Known[Text] = Field(None, description="学段 / stage of schooling")
    reason: Known[Text] = Field(None, description="原因代码 / code of the reason")


class HousingDanger(Payload):
    grade: Known[Literal["B", "C", "D", "destroyed"]] = Field(None, description="房屋等级 / grade of the house")


class WaterFailure(Payload):
    people_affected: Known[Count] = Field(None, description="受影响人数 / people affected")
    kind: Known[Text] = Field(None, description="类别 / kind of failure")


class FoodShortage(Payload):
    kind: Known[Literal["food", "clothing"]] = Field(None, description="缺粮或缺衣 / food or clothing")


# --- finance, family, social


class Debt(Payload):
    due_12m_yuan: Fen = Field(description="十二个月内到期债务（元）/ due within 12 months, yuan")


class Loan(Payload):
    amount_yuan: Known[Fen] = Field(None, description="贷款金额（元）/ amount lent, yuan")


class MemberChange(Payload):
    n_delta: Known[Delta] = Field(None, description="人口增减 / change of members")
    labour_full_delta: Known[Delta] = Field(None, description="全劳动力增减 / change of full labour")
    labour_weak_delta: Known[Delta] = Field(None, description="弱劳动力增减 / change of weak labour")


class Breakup(MemberChange):
    annual_loss_yuan: Known[Fen] = Field(None, description="年收入减少（元）/ income lost a year, yuan")


class Concern(Payload):
    note_code: Known[Text] = Field(None, description="情况代码 / code of the concern")


class HardshipReport(Payload):
    text_ref: Known[Text] = Field(None, description="申报材料存放编号 / where the report is kept")


# --- relief, income, measures


class Relief(Payload):
    amount_yuan: Fen = Field(description="金额（元）/ amount, yuan")


class MonthlyIncome(Payload):
    monthly_yuan: Fen = Field(description="每月金额（元）/ amount each month, yuan")
    months: Known[Months] = Field(None, description="月数 / number of months")


class MeasureTaken(Payload):
    measure_code: Known[Text] = Field(None, description="措施代码 / code of the measure")
    measure: Known[Text] = Field(None, description="措施简称 / short name of the measure")
    by: Known[Text] = Field(None, description="实施单位或人员代号 / who carries it out")
    due_on: Known[Day] = Field(None, description="期限 / due day")


# --- the register and surveys


class Elements(Shape):
    """Ability to cope: 0 (none) to 3 (strong); null or absent = unknown."""

    economic: Level | None = Field(None, description="经济要素 / economic", json_schema_extra={"nullable": True})
    cultural: Level | None = Field(None, description="文化要素 / cultural", json_schema_extra={"nullable": True})
    psychological: Level | None = Field(None, description="心理要素 / mental", json_schema_extra={"nullable": True})
    social: Level | None = Field(None, description="社会要素 / social", json_schema_extra={"nullable": True})


GuaranteeState = Literal["ok", "breach"]


class Guarantees(Shape):
    """Two worries and three guarantees with drinking water; absent = ok."""

    food: GuaranteeState = Field("ok", description="吃穿 / food and clothing")
    education: GuaranteeState = Field("ok", description="义务教育 / compulsory education")
    medical: GuaranteeState = Field("ok", description="基本医疗 / basic medical insurance")
    housing: Literal["ok", "A", "B", "C", "D", "destroyed"] = Field("ok", description="住房安全 / safety of the house")
    water: GuaranteeState = Field("ok", description="饮水安全 / drinking water")


class BaselinePayload(Shape):
    """A household's income, labour and guarantees as of one day; yearly amounts."""

    as_of: Day = Field(description="核算截止日 / accounting day")
    members: Annotated[int, Field(ge=1, le=1_000)] = Field(description="家庭人口 / members of the household")
    labour_full: Count = Field(description="全劳动力人数 / members able to work fully")
    labour_weak: Count = Field(0, description="弱劳动力人数 / members able to work partly")
    wage: Fen = Field(description="工资性收入（元/年）/ wages, yuan a year")
    operating_net: SignedFen = Field(description="生产经营净收入（元/年，可为负）/ net operating income (may be < 0)")
    property: Fen = Field(description="财产性收入（元/年）/ property income, yuan a year")
    transfer: Fen = Field(description="转移性收入（元/年）/ transfers, yuan a year")
    assistance: Fen = Field(0, description="转移性收入中的帮扶部分（元/年）/ the part of transfers that is aid")
    self_pay: dict[Cause, Fen] = Field(default_factory=dict, description="各原因自付（元）/ self-paid by cause, yuan")
    elements: Elements = Field(default_factory=lambda: Elements(), description="四要素评分 / four elements, 0 to 3")
    guarantees: Guarantees = Field(default_factory=lambda: Guarantees(), description="三保障和饮水 / guarantees")


class SurveyResult(Payload):
    baseline: BaselinePayload = Field(description="新的收支基线 / the new baseline")


class Visit(Payload):
    result: Known[Literal["no_change", "concern", "emergency"]] = Field(None, description="走访结论 / what was found")
    gps: Known[Text] = Field(None, description="走访位置 / position of the visit")
    photo_refs: Known[Annotated[list[Text], Field(max_length=20)]] = Field(
        None, description="照片存放编号 / where photographs are kept"
    )


class Assessment(Payload):
    floor: Known[GradeWord] = Field(None, description="建议最低等级（只升不降）/ lowest grade advised (can only raise)")
    findings: Known[Text] = Field(None, description="评估发现编号 / reference of the findings")


class Enrolled(Payload):
    type: Literal["lifted", "general"] = Field(description="脱贫户或一般农户 / lifted or general household")
    monitored: bool = Field(False, description="是否已纳入监测 / whether it is monitored already")
    monitored_on: Known[Day] = Field(None, description="纳入监测日期 / day on which monitoring began")
    enrolled_on: Known[Day] = Field(None, description="入册日期 / first day judged (def. baseline.as_of)")
    baseline: BaselinePayload = Field(description="收支基线 / the baseline")
    alias: Known[Alias] = Field(None, description="代称，代替姓名显示 / shown instead of a name")
    household_id: Known[Text] = Field(None, description="忽略，以信封为准 / ignored: the envelope's subject counts")


class Moved(Payload):
    division: Division = Field(description="新的行政区划代码（12位）/ new division, 12 digits")


class Closed(Payload):
    reason: Text = Field(description="销户原因代码 / code of the reason")
    merged_into: Known[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")]] = Field(
        None, description="并入的户编号 / household it was merged into"
    )


# --- about other events, status, hazards


class Reference(Payload):
    ref: EventId = Field(description="所指事件的编号 / id of the event meant")
    ref_source: Known[Source] = Field(
        None, description="所指事件的来源，默认同本事件 / source of the event meant; default: this event's"
    )


class Correction(Reference):
    payload: FreeObject = Field(description="要更正的字段 / the fields to replace")


class Status(Payload):
    category: Known[Text] = Field(None, description="监测类别 / category")
    decision_ref: Known[Text] = Field(None, description="决定文号 / reference of the decision")


class HazardForecast(Payload):
    stage: Known[Literal["readiness", "action"]] = Field(None, description="准备或行动 / readiness or action")
    hazard: Known[Hazard] = Field(None, description="灾种 / kind of hazard")
    divisions: Known[Annotated[list[Division], Field(max_length=500)]] = Field(
        None, description="涉及的行政区划 / divisions concerned"
    )
    valid_to: Known[Day] = Field(None, description="有效期至 / valid to")
