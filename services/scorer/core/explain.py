"""Explains a decision: one Chinese and one English sentence for each reason, made from the stored figures.

Sentences name no person and no illness; they are made only when someone will read them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date

from services.scorer.core.evidence import EDUCATION, HOUSE, WATER
from services.scorer.core.floors import FLOOR_GRADES, Standing
from services.scorer.core.grade import Decision
from services.scorer.core.score import grade_by_score
from services.scorer.core.words import days_ago, labour, per_head, percent_of, yuan
from shared.grades import Measure, Reason, RiskGrade
from shared.policy import Floors, PlanStep

Sentences = tuple[str, str]
_HOUSE_WORDS = ("ok", "A", "B", "C", "D", "destroyed")


def reasons(decision: Decision) -> tuple[Reason, ...]:
    """Why the household has its grade: every floor that holds, then score, cap and quiet spell where they decide.

    A grade above green always has at least one.
    """
    return tuple(
        Reason(code=code, text_zh=text_zh, text_en=text_en) for code, (text_zh, text_en) in _sentences(decision)
    )


def measures(decision: Decision) -> tuple[Measure, ...]:
    """Measures to suggest, for each cause in its order; a red household without causes gets the general ones."""
    causes = decision.causes or (("other",) if decision.grade is RiskGrade.RED else ())
    texts = {str(cause): listed for cause, listed in decision.policy.measures.items()}
    return tuple(
        Measure(code=measure.code, cause=cause, text_zh=measure.text_zh, text_en=measure.text_en)
        for cause in causes
        for measure in texts.get(cause, ())
    )


def emergency_plan(decision: Decision) -> tuple[PlanStep, ...]:
    """The steps that follow a red grade, timed from its alert; none for other grades."""
    return tuple(decision.policy.emergency_plan) if decision.grade is RiskGrade.RED else ()


def _sentences(decision: Decision) -> Iterator[tuple[str, Sentences]]:
    standing, floors = decision.standing, decision.policy.floors
    for code in decision.floors:
        yield code, _FLOOR_SENTENCES[code](standing, floors)
    if decision.grade is RiskGrade.GREEN:
        return
    if _score_decides(decision):
        yield "SCORE", _score(decision)
    if decision.raw.capped_unverified:
        yield "UNVERIFIED", _unverified(decision)
    if decision.grade > decision.raw_grade:
        yield "QUIET_SPELL", _quiet_spell(decision)


def _score_decides(decision: Decision) -> bool:
    by_score = grade_by_score(decision.score, decision.policy.numbers)
    advised = decision.standing.tally.advised
    by_floors = [FLOOR_GRADES[code] for code in decision.floors if code in FLOOR_GRADES]
    worst = max([*by_floors, RiskGrade(advised or 0)])
    return by_score > worst


def _score(decision: Decision) -> Sentences:
    parts = decision.parts
    grade = grade_by_score(decision.score, decision.policy.numbers)
    bound = decision.policy.numbers.lower_bounds[grade]
    return (
        f"风险评分{parts.score}分（收入{parts.income}、刚性支出{parts.rigid}、保障{parts.guarantee}、"
        f"应对能力{parts.resilience}），达到{bound}分界线",
        f"risk score {parts.score} (income {parts.income}, rigid expense {parts.rigid}, "
        f"guarantees {parts.guarantee}, ability to cope {parts.resilience}) reaches the bound of {bound}",
    )


def _unverified(decision: Decision) -> Sentences:
    if decision.raw_grade < decision.raw.view.grade:
        return (
            "部分情况为本户自报、尚未核实，等级先定到橙色为止",
            "part of this is the household's own report, not verified yet; it raises the grade to orange at most",
        )
    return (
        "本户自报的救助或收入尚未核实，不据此降低等级",
        "relief or income that the household itself reported is not verified yet and does not lower the grade",
    )


def _quiet_spell(decision: Decision) -> Sentences:
    quiet_from = decision.quiet_from or decision.on_day
    rules = decision.policy.hysteresis
    bound = decision.policy.numbers.lower_bounds[decision.grade] - rules.margin_points
    better_zh = decision.policy.look(decision.raw_grade).word_zh
    better_en = decision.policy.look(decision.raw_grade).word_en
    return (
        f"自{quiet_from.isoformat()}起情况好转到“{better_zh}”（评分{decision.score}分）；"
        f"须平稳满{rules.quiet_days}天且评分低于{bound}分，才逐级下调",
        f"better since {quiet_from.isoformat()} ({better_en}, score {decision.score}); the grade comes down one step "
        f"after {rules.quiet_days} quiet days with a score below {bound}",
    )


# --- one sentence for each floor


def _below_line(on: Standing, _floors: Floors) -> Sentences:
    quantities = on.quantities
    paid_zh, paid_en = "", ""
    if quantities.expense:
        paid_zh, paid_en = f"自付{yuan(quantities.expense)}元，", f"self-paid {yuan(quantities.expense)} yuan; "
    return (
        f"{paid_zh}人均参考收入{per_head(quantities)}元，低于监测线{yuan(quantities.line_fen)}元",
        f"{paid_en}reference income {per_head(quantities)} yuan a head, below the line of {yuan(quantities.line_fen)}",
    )


def _below_poverty(on: Standing, floors: Floors) -> Sentences:
    ratio = floors.poverty_ratio
    return (
        f"人均参考收入{per_head(on.quantities)}元，低于监测线{yuan(on.quantities.line_fen)}元的{ratio}",
        f"reference income {per_head(on.quantities)} yuan a head, below {ratio} of the line of "
        f"{yuan(on.quantities.line_fen)}",
    )


def _catastrophic(on: Standing, _floors: Floors) -> Sentences:
    rigid, limit = yuan(on.quantities.net_rigid), yuan(on.large_expense_fen)
    return (
        f"报销和救助后仍自付{rigid}元，达到{limit}元，且人均参考收入{per_head(on.quantities)}元低于监测线",
        f"still to pay {rigid} yuan after relief, at least {limit}, and reference income "
        f"{per_head(on.quantities)} yuan a head is below the line",
    )


def _large_expense(on: Standing, _floors: Floors) -> Sentences:
    rigid, limit = yuan(on.quantities.net_rigid), yuan(on.large_expense_fen)
    return (
        f"报销和救助后仍自付{rigid}元，达到大额支出标准{limit}元",
        f"still to pay {rigid} yuan after relief, at or above the large-expense mark of {limit}",
    )


def _no_labour_below(on: Standing, _floors: Floors) -> Sentences:
    return (
        f"全户无劳动力，人均参考收入{per_head(on.quantities)}元，低于监测线{yuan(on.quantities.line_fen)}元",
        f"nobody able to work, and reference income {per_head(on.quantities)} yuan a head is below the line of "
        f"{yuan(on.quantities.line_fen)}",
    )


def _shock(on: Standing, _floors: Floors) -> Sentences:
    return (
        f"一年内发生收入减少或大额支出，人均参考收入{per_head(on.quantities)}元，低于监测线",
        f"a shock within a year, and reference income {per_head(on.quantities)} yuan a head is below the line",
    )


def _income_drop(on: Standing, _floors: Floors) -> Sentences:
    lost, before = on.quantities.net_loss, on.baseline.net_income
    share = percent_of(lost, before)
    return (
        f"年收入净减少{yuan(lost)}元，原年收入{yuan(before)}元" + (f"（减少{share}）" if share else ""),
        f"net income loss {yuan(lost)} yuan of {yuan(before)} a year" + (f" ({share})" if share else ""),
    )


def _broken_since(place: int, zh: str, en: str) -> Callable[[Standing, Floors], Sentences]:
    def sentence(on: Standing, _floors: Floors) -> Sentences:
        since = on.tally.guarantees.states[place].since
        days = on.day - since
        day = date.fromordinal(since).isoformat()
        return f"{zh}，自{day}起已{days}天", f"{en} since {day}, {days} days ago"

    return sentence


def _house(on: Standing, _floors: Floors) -> Sentences:
    grade = _HOUSE_WORDS[on.tally.guarantees.states[HOUSE].rank]
    zh = "住房已毁" if grade == "destroyed" else f"住房鉴定为{grade}级"
    return zh, "the house is destroyed" if grade == "destroyed" else f"the house is graded {grade}"


def _visit(zh: str, en: str) -> Callable[[Standing, Floors], Sentences]:
    def sentence(on: Standing, floors: Floors) -> Sentences:
        _, day = on.tally.visit or (0, on.day)
        ago_zh, ago_en = days_ago(on.day - day)
        return f"{ago_zh}走访发现{zh}（{floors.visit_days}天内有效）", f"a visit {ago_en} found {en}"

    return sentence


def _self_report(on: Standing, floors: Floors) -> Sentences:
    ago_zh, ago_en = days_ago(on.day - (on.tally.reported_on or on.day))
    return (
        f"{ago_zh}本户自主申报困难，尚未走访（{floors.self_report_days}天内有效）",
        f"the household reported hardship {ago_en} and has not been visited since",
    )


def _soft_concern(on: Standing, floors: Floors) -> Sentences:
    ago_zh, ago_en = days_ago(on.day - (on.tally.concerned_on or on.day))
    return (
        f"{ago_zh}反映内生动力方面的情况（{floors.concern_days}天内有效）",
        f"a concern about motivation was noted {ago_en}",
    )


def _stale(on: Standing, floors: Floors) -> Sentences:
    age = on.day - on.baseline.as_of
    return (
        f"收支基线已{age}天未更新，超过{floors.stale_baseline_days}天",
        f"the income baseline is {age} days old, more than {floors.stale_baseline_days}",
    )


def _assistance(on: Standing, _floors: Floors) -> Sentences:
    quantities = on.quantities
    without = per_head(quantities, quantities.without_assistance)
    return (
        f"人均参考收入{per_head(quantities)}元，扣除帮扶后{without}元，低于监测线{yuan(quantities.line_fen)}元",
        f"reference income {per_head(quantities)} yuan a head is {without} without aid, below the line of "
        f"{yuan(quantities.line_fen)}",
    )


def _debt(on: Standing, _floors: Floors) -> Sentences:
    return (
        f"十二个月内到期债务{yuan(on.tally.debt)}元，年收入{yuan(on.quantities.net_income)}元",
        f"debt of {yuan(on.tally.debt)} yuan due within 12 months, income {yuan(on.quantities.net_income)} a year",
    )


def _third_party(on: Standing, _floors: Floors) -> Sentences:
    grade = RiskGrade(on.tally.advised or 0)
    return f"第三方评估建议等级不低于{int(grade)}级", f"a third-party assessment advises at least {grade.code}"


def _fixed(zh: str, en: str) -> Callable[[Standing, Floors], Sentences]:
    return lambda _on, _floors: (zh, en)


_FLOOR_SENTENCES: Mapping[str, Callable[[Standing, Floors], Sentences]] = {
    "RETURN_CONFIRMED": _fixed("已确认返贫，未再脱贫前等级不变", "return to poverty is confirmed until lifted again"),
    "BASIC_LIFE": _fixed("吃穿没有保障", "food or clothing is lacking"),
    "HOUSING_D": _house,
    "EDUCATION_OVERDUE": _broken_since(EDUCATION, "失学辍学超期未解决", "out of school, overdue,"),
    "WATER_OVERDUE": _broken_since(WATER, "饮水中断超期未恢复", "without safe drinking water, overdue,"),
    "BELOW_POVERTY_STD": _below_poverty,
    "CATASTROPHIC_EXPENSE": _catastrophic,
    "NO_LABOUR_BELOW_LINE": _no_labour_below,
    "FIELD_EMERGENCY": _visit("紧急情况", "an emergency"),
    "SHOCK_BELOW_LINE": _shock,
    "HOUSING_C": _house,
    "EDUCATION_BREACH": _broken_since(EDUCATION, "有适龄儿童失学辍学", "a child out of school"),
    "WATER_BREACH": _broken_since(WATER, "饮水安全没有保障", "without safe drinking water"),
    "MEDICAL_GAP_WITH_ILLNESS": _fixed("医保中断期间有人就医", "someone needs care while insurance has lapsed"),
    "BELOW_LINE": _below_line,
    "LARGE_EXPENSE": _large_expense,
    "MEDICAL_GAP": _fixed("有家庭成员未参加基本医保", "a member is without basic medical insurance"),
    "SELF_REPORT": _self_report,
    "VISIT_CONCERN": _visit("需要关注的情况", "a concern"),
    "INCOME_DROP": _income_drop,
    "HOUSING_B": _house,
    "STALE_BASELINE": _stale,
    "ASSISTANCE_DEPENDENT": _assistance,
    "DEBT_STRESS": _debt,
    "SOFT_CONCERN": _soft_concern,
    "MONITORED": _fixed("已纳入监测，风险未消除", "monitored, risk not eliminated"),
    "NO_LABOUR": labour,
    "THIRD_PARTY": _third_party,
}
