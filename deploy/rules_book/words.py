"""The words of the rules book in both languages."""

from collections.abc import Mapping
from typing import Literal

from shared.events.effects import Guarantee, Kind, Mark, Register, Structure
from shared.events.payloads import Cause
from shared.policy import Policy

Language = Literal["en", "zh"]
Pair = tuple[str, str]
"""English, Chinese."""


def pick(language: Language, pair: Pair) -> str:
    """One language of a pair."""
    return pair[0] if language == "en" else pair[1]


CAUSES: Mapping[Cause, Pair] = {
    "illness": ("illness", "因病"),
    "disaster": ("disaster", "因灾"),
    "disability": ("disability", "因残"),
    "labour_shortage": ("shortage of labour", "缺劳动力"),
    "accident": ("accident", "意外事故"),
    "industry_failure": ("failed business", "产业失败"),
    "job_instability": ("unstable work", "务工不稳"),
    "education": ("education", "因学"),
    "housing": ("housing", "因住房"),
    "water": ("drinking water", "因饮水"),
    "other": ("other", "其他"),
}
KINDS: Mapping[Kind, Pair] = {
    Kind.LOSS: ("Income loss", "收入减少"),
    Kind.EXPENSE: ("Expense", "刚性支出"),
    Kind.GAIN: ("Income gain", "收入增加"),
    Kind.ASSISTANCE: ("Income gain that is assistance", "帮扶性收入增加"),
    Kind.RELIEF: ("Relief", "报销、理赔或救助"),
}
GUARANTEES: Mapping[Guarantee, Pair] = {
    Guarantee.FOOD: ("food and clothing", "吃穿"),
    Guarantee.EDUCATION: ("compulsory education", "义务教育"),
    Guarantee.MEDICAL: ("basic medical insurance", "基本医疗"),
    Guarantee.HOUSING: ("a safe house", "住房安全"),
    Guarantee.WATER: ("drinking water", "饮水安全"),
}
STRUCTURES: Mapping[Structure, Pair] = {
    Structure.DISABILITY: (
        "One member's labour changes from `labour_from` (default full) to `labour_to` (default weak)",
        "一名成员的劳动能力由 `labour_from`（默认 full）变为 `labour_to`（默认 weak）",
    ),
    Structure.DEATH: (
        "One member less, with that member's `labour` (default full)",
        "人口减一，劳动力按 `labour`（默认 full）减少",
    ),
    Structure.CHANGE: ("Members and labour change by the deltas given", "人口和劳动力按所填增减数变动"),
}
REGISTERS: Mapping[Register, Pair] = {
    Register.ENROLLED: (
        "Enrols the household; a repeat with a later baseline acts as a new survey",
        "入册；再次入册且基线更新时，按新的收支核算处理",
    ),
    Register.MOVED: ("The household belongs to another division", "迁往另一行政区划"),
    Register.CLOSED: ("The household is judged no more", "销户，不再评级"),
}
RECORD_ONLY: Pair = ("Kept and shown; changes no grade", "只记录、可查看，不改变等级")
VERIFIED: Pair = ("From its day on the event meant counts in full", "自当日起，所指事件按已核实对待")
REFUTED: Pair = ("The event meant is as if never sent; the household is replayed", "所指事件视同未发生，整户重新推算")
CORRECTED: Pair = (
    "The fields given replace those of the event meant, from the start; the household is replayed",
    "所填字段自始替换所指事件的字段，整户重新推算",
)
EITHER_CAUSE: Pair = ("the payload's `cause`, else ", "按 `cause` 字段，未填为")


def marks(policy: Policy) -> Mapping[Mark, Pair]:
    """What the types without amounts do, with the policy's numbers."""
    floors, window = policy.floors, policy.window_days
    return {
        Mark.ILLNESS: (
            f"Someone is ill for {window} days: counts while medical insurance is broken",
            f"{window}天内视为有人患病，断保期间起作用",
        ),
        Mark.DEBT: (f"Debt due within 12 months; counts for {window} days", f"十二个月内到期债务，{window}天内有效"),
        Mark.VISIT: (
            f"The latest visit's result counts for {floors.visit_days} days",
            f"最近一次走访的结论，{floors.visit_days}天内有效",
        ),
        Mark.SELF_REPORT: (
            f"Counts for {floors.self_report_days} days or until a visit",
            f"{floors.self_report_days}天内或走访前有效",
        ),
        Mark.CONCERN: (f"Counts for {floors.concern_days} days", f"{floors.concern_days}天内有效"),
        Mark.ASSESSMENT: (
            f"Names a lowest grade for {floors.assessment_days} days; can only raise",
            f"{floors.assessment_days}天内的最低等级，只升不降",
        ),
        Mark.MONITORED: ("Monitored, risk not eliminated, from its day on", "自当日起纳入监测，风险未消除"),
        Mark.RISK_ELIMINATED: ("Risk eliminated, from its day on", "自当日起风险已消除"),
        Mark.RETURN_CONFIRMED: ("Return to poverty confirmed: red until lifted again", "确认返贫：再脱贫前保持红色"),
        Mark.LIFTED_AGAIN: ("Lifted again: ends the confirmed return", "再脱贫：返贫状态结束"),
        Mark.MEASURE_ASSIGNED: ("Recorded; changes no grade", "记录措施，不改变等级"),
        Mark.MEASURE_DELIVERED: ("Recorded; elimination needs at least one", "记录措施；风险消除至少需要一项已落实"),
        Mark.SURVEY: (
            "Replaces the baseline; events up to its `as_of` count no more",
            "更换收支基线；其核算日及以前的事件不再计算",
        ),
    }


def floors(policy: Policy) -> Mapping[str, Pair]:
    """The condition of each floor, with the policy's numbers."""
    f, line = policy.floors, f"{policy.line_yuan:,}"
    large = f"{f.large_expense_yuan:,} / {f.large_expense_ordinary_yuan:,}"
    return {
        "RETURN_CONFIRMED": ("return to poverty confirmed, not lifted again", "已确认返贫，尚未再脱贫"),
        "BASIC_LIFE": ("food or clothing lacking", "吃穿没有保障"),
        "HOUSING_D": ("house graded D or destroyed", "住房D级或已毁"),
        "EDUCATION_OVERDUE": (f"out of school for {f.overdue_days} days or more", f"失学辍学满{f.overdue_days}天"),
        "WATER_OVERDUE": (f"without safe water for {f.overdue_days} days or more", f"饮水中断满{f.overdue_days}天"),
        "BELOW_POVERTY_STD": (f"r < {f.poverty_ratio}", f"r < {f.poverty_ratio}"),
        "CATASTROPHIC_EXPENSE": (
            f"R ≥ {large} yuan (lifted or monitored / other) and r < 1",
            f"R ≥ {large}元（脱贫户或监测户 / 一般户）且 r < 1",
        ),
        "NO_LABOUR_BELOW_LINE": ("nobody able to work and r < 1", "全户无劳动力且 r < 1"),
        "FIELD_EMERGENCY": (
            f"latest visit found an emergency, < {f.visit_days} days ago",
            f"最近走访为紧急，未满{f.visit_days}天",
        ),
        "SHOCK_BELOW_LINE": (
            f"a loss or expense within {policy.window_days} days and r < 1",
            f"{policy.window_days}天内有减收或支出且 r < 1",
        ),
        "HOUSING_C": ("house graded C", "住房C级"),
        "EDUCATION_BREACH": ("a child out of school", "有适龄儿童失学辍学"),
        "WATER_BREACH": ("without safe water", "饮水安全没有保障"),
        "MEDICAL_GAP_WITH_ILLNESS": ("medical insurance broken and someone ill in the window", "断保且期间有人患病"),
        "BELOW_LINE": (f"r < 1 (below {line} yuan a head)", f"r < 1（人均低于{line}元）"),
        "LARGE_EXPENSE": (f"R ≥ {large} yuan", f"R ≥ {large}元"),
        "MEDICAL_GAP": ("a member without medical insurance", "有成员未参保"),
        "SELF_REPORT": (
            f"own report < {f.self_report_days} days old, not visited since",
            f"本户申报未满{f.self_report_days}天且未走访",
        ),
        "VISIT_CONCERN": (
            f"latest visit found a concern, < {f.visit_days} days ago",
            f"最近走访为需关注，未满{f.visit_days}天",
        ),
        "INCOME_DROP": (
            f"net loss ≥ {f.income_drop_share} of the baseline's income, or that income is ≤ 0",
            f"净减收达基线收入的{f.income_drop_share}，或基线收入 ≤ 0",
        ),
        "HOUSING_B": ("house graded B", "住房B级"),
        "STALE_BASELINE": (
            f"baseline older than {f.stale_baseline_days} days",
            f"基线超过{f.stale_baseline_days}天未更新",
        ),
        "ASSISTANCE_DEPENDENT": ("r ≥ 1, but < 1 without aid", "r ≥ 1，扣除帮扶后 < 1"),
        "DEBT_STRESS": (
            f"debt due ≥ {f.debt_share} of net income, or NI ≤ 0",
            f"到期债务达净收入的{f.debt_share}，或 NI ≤ 0",
        ),
        "SOFT_CONCERN": (f"a concern < {f.concern_days} days old", f"内生动力情况未满{f.concern_days}天"),
        "MONITORED": ("monitored, risk not eliminated", "监测户，风险未消除"),
        "NO_LABOUR": ("nobody able to work", "全户无劳动力"),
        "THIRD_PARTY": (
            f"the worst grade named by assessments < {f.assessment_days} days old",
            f"未满{f.assessment_days}天的第三方评估所提最低等级",
        ),
    }


def minutes(count: int) -> Pair:
    """A span of minutes in its largest whole unit."""
    if count % 1440 == 0 and count:
        return f"{count // 1440} d", f"{count // 1440}天"
    if count % 60 == 0 and count:
        return f"{count // 60} h", f"{count // 60}小时"
    return f"{count} min", f"{count}分钟"
