"""The rules that are the policy's, as tables with its numbers."""

from collections.abc import Iterable, Iterator, Mapping

from deploy.rules_book import words
from deploy.rules_book.words import Language, Pair, pick
from services.scorer.core.floors import FLOOR_GRADES
from shared.events.payloads import CAUSES
from shared.grades import RiskGrade
from shared.policy import AreaLevel, Bands, Policy

Cells = Iterable[object]
_LEVELS: Mapping[AreaLevel, Pair] = {
    "village": ("village", "村"),
    "township": ("township", "乡镇"),
    "county": ("county", "县"),
}


def table(head: Cells, rows: Iterable[Cells]) -> Iterator[str]:
    """A Markdown table."""
    head = list(head)
    yield "| " + " | ".join(map(str, head)) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(map(str, row)) + " |"
    yield ""


def score(language: Language, policy: Policy) -> Iterator[str]:
    """Points by part, and the grade of a score."""
    points = policy.score
    head = pick(language, ("points", "得分"))
    yield pick(language, ("**Income** (r = A / line):\n", "**收入**（r = A / 监测线）：\n"))
    yield from table(
        ["r", head], [*_bands("r", points.income_bands), (pick(language, ("less", "更低")), points.income_below)]
    )
    yield pick(
        language,
        (
            "**Rigid expense** (q = R / NI; infinite if NI ≤ 0 < R):\n",
            "**刚性支出**（q = R / NI；NI ≤ 0 < R 时为无穷大）：\n",
        ),
    )
    yield from table(["q", head], [*_bands("q", points.rigid_bands), (pick(language, ("less", "更低")), 0)])
    yield pick(
        language,
        (
            f"**Guarantees**: {points.guarantee_points} for each broken one, {points.guarantee_cap} at most.\n",
            f"**保障**：每项未保障{points.guarantee_points}分，最多{points.guarantee_cap}分。\n",
        ),
    )
    yield pick(
        language, ("**Ability to cope**: labour (ell) and four elements:\n", "**应对能力**：劳动力（ell）与四要素：\n")
    )
    yield from table(
        ["ell", head], [*_bands("ell", points.labour_bands), ("> 0", points.labour_little), ("0", points.labour_none)]
    )
    unknown = points.element_top_rating - points.element_unknown_rating
    yield pick(
        language,
        (
            f"Each element (economic, cultural, psychological, social) adds {points.element_top_rating} − its "
            f"rating (0 to "
            f"3); an unknown rating adds {unknown} and is listed as a data gap.\n",
            f"经济、文化、心理、社会四要素各加（{points.element_top_rating} − 评级0至3）分；"
            f"未知的加{unknown}分并列为数据缺口。\n",
        ),
    )
    yield from table(
        [pick(language, ("score", "评分")), pick(language, ("grade", "等级"))],
        [(f"≥ {policy.numbers.lower_bounds[grade]}", _shown(grade, language, policy)) for grade in reversed(RiskGrade)],
    )


def _bands(name: str, bands: Bands) -> list[Cells]:
    return [(f"{name} ≥ {band.at_least}", band.points) for band in bands]


def _shown(grade: RiskGrade, language: Language, policy: Policy) -> str:
    look = policy.look(grade)
    return f"`{grade.code}` {pick(language, (look.word_en, look.word_zh))}"


def floors(language: Language, policy: Policy) -> Iterator[str]:
    """Every floor with its grade and condition, in output order."""
    conditions = words.floors(policy)
    rows: list[Cells] = [
        (f"`{grade.code}`", f"`{code}`", pick(language, conditions[code])) for code, grade in FLOOR_GRADES.items()
    ]
    rows.append((pick(language, ("as named", "按评估")), "`THIRD_PARTY`", pick(language, conditions["THIRD_PARTY"])))
    yield from table(pick(language, ("grade|code|holds while", "等级|代码|条件")).split("|"), rows)


def causes(language: Language, policy: Policy) -> Iterator[str]:
    """Causes in the order of ties, with the measures suggested for each."""
    rows = [
        (
            f"`{cause}`",
            pick(language, words.CAUSES[cause]),
            "; ".join(pick(language, (m.text_en, m.text_zh)) for m in policy.measures.get(cause, [])) or "-",
        )
        for cause in CAUSES
    ]
    yield from table(pick(language, ("code|cause|measures to suggest", "代码|原因|建议措施")).split("|"), rows)


def emergency_plan(language: Language, policy: Policy) -> Iterator[str]:
    """The steps that follow a red alert."""
    rows = []
    for step in policy.emergency_plan:
        after = pick(language, words.minutes(step.after_minutes))
        again = pick(language, words.minutes(step.repeat_minutes)) if step.repeat_minutes else "-"
        rows.append((f"T+{after}", again, pick(language, (step.text_en, step.text_zh))))
    yield from table(pick(language, ("when|again every|step", "时间|重复|步骤")).split("|"), rows)


def elimination(language: Language, policy: Policy) -> Iterator[str]:
    """What stands in the way of marking a risk as eliminated."""
    e = policy.elimination
    blockers = [
        ("NOT_MONITORED", "not monitored", "未纳入监测"),
        (
            "MONITORED_TOO_SHORT",
            f"monitored for less than {e.monitored_days} days in this spell",
            f"本次纳入监测未满{e.monitored_days}天",
        ),
        ("NO_MEASURE_DELIVERED", "no measure delivered", "没有已落实的措施"),
        (
            "INCOME_NOT_STABLE",
            f"not r ≥ 1 at the end of each of the last {e.stable_days} days",
            f"最近{e.stable_days}天并非每日终了 r ≥ 1",
        ),
        ("GUARANTEE_BROKEN", "a guarantee is broken", "有保障未落实"),
        ("RIGID_EXPENSE_UNRESOLVED", f"q ≥ {e.rigid_share}", f"q ≥ {e.rigid_share}"),
        ("NO_LABOUR_HOUSEHOLD", "nobody able to work", "整户无劳动力"),
        ("ASSISTANCE_DEPENDENT", "above the line only with aid", "扣除帮扶后低于监测线"),
        ("RETURN_CONFIRMED", "return to poverty confirmed", "已确认返贫"),
        ("GRADE_ABOVE_BLUE", "grade worse than blue", "等级高于蓝色"),
    ]
    rows = [(f"`{code}`", pick(language, (en, zh))) for code, en, zh in blockers]
    yield from table(pick(language, ("code|in the way while", "代码|障碍")).split("|"), rows)


def timers(language: Language, policy: Policy) -> Iterator[str]:
    """What changes with no event, and when."""
    f, window = policy.floors, policy.window_days
    rows = [
        (
            window,
            "an amount, a debt or an illness stops counting (permanent losses stop counting as a shock)",
            "一笔金额、债务或患病不再计算（长期减收不再算作冲击）",
        ),
        (
            window,
            "the baseline's own self-paid bills stop counting (from its accounting day)",
            "基线自带的自付费用不再计算（自核算日起）",
        ),
        (f.overdue_days, "a child out of school or a water failure is overdue", "失学辍学或饮水中断超期"),
        (f.visit_days, "a visit's result runs out", "走访结论到期"),
        (f.self_report_days, "an own report of hardship runs out", "自主申报到期"),
        (f.concern_days, "a concern runs out", "内生动力情况到期"),
        (f.assessment_days, "an assessment runs out", "第三方评估到期"),
        (f.stale_baseline_days + 1, "the baseline is stale", "基线过期"),
        (
            policy.hysteresis.quiet_days,
            "a quiet spell has lasted long enough for one step down",
            "平稳期满，可下调一级",
        ),
    ]
    shown = [(days, pick(language, (en, zh))) for days, en, zh in rows]
    yield from table(pick(language, ("on day|what changes", "第几天|变化")).split("|"), shown)


def area(language: Language, policy: Policy) -> Iterator[str]:
    """Share tiers and bursts by level."""
    a = policy.area
    rows = [(f"`{tier.tier}`", f"≥ {float(tier.share):.0%}") for tier in a.tiers]
    yield from table(pick(language, ("tier|share of households at risk", "档次|处于风险的户占比")).split("|"), rows)
    levels = [
        (pick(language, names), a.least_at_risk.at(level), a.least_onsets.at(level)) for level, names in _LEVELS.items()
    ]
    yield from table(
        pick(
            language,
            (
                "level|least households at risk for a tier|least onsets for a burst",
                "级别|分档最少风险户数|突发最少新增户数",
            ),
        ).split("|"),
        levels,
    )
    windows = ", ".join(map(str, a.burst_windows_days))
    rate, p = float(a.onsets_per_1000_a_day), f"{float(a.burst_p_below):g}"
    yield pick(
        language,
        (
            f"A **burst** is an unlikely number of households newly at risk within {windows} days: with "
            f"{rate:g} expected per 1,000 households and day (or the area's own past rate), the Poisson chance "
            f"of as many "
            f"or more is below {p}. A **slow burn** is a CUSUM over daily onsets that reaches {a.cusum_alarm}, "
            f"for a rate "
            f"{a.cusum_factor} times the usual one. An area is not raised while one part of it makes up more than "
            f"{float(a.explained_by_child_share):.0%} of its onsets; an alarm is labelled with a cause behind at least "
            f"{float(a.dominant_cause_share):.0%} of them.\n",
            f"**突发**：{windows}天内新增风险户多到不合常理——按每千户每天{rate:g}户（或本地以往水平）推算，泊松概率低于{p}。"
            f"**缓升**：每日新增的CUSUM达到{a.cusum_alarm}（针对平时{a.cusum_factor}倍的水平）。某一下级区域占新增"
            f"{float(a.explained_by_child_share):.0%}以上时不再上升到上级；某一原因占"
            f"{float(a.dominant_cause_share):.0%}及以上时，以该原因标注。\n",
        ),
    )
