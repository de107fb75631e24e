"""Puts the rules book together, in one language at a time."""

import json
import re
from collections.abc import Callable, Iterator, Mapping

from deploy.rules_book import tables
from deploy.rules_book.events import events_in_words
from deploy.rules_book.examples import DAY, HOUSEHOLD, POLICIES
from deploy.rules_book.words import Language, Pair, pick
from shared.policy import Policy

Section = Callable[[Language, Policy], Iterator[str]]
BOOKS: Mapping[Language, str] = {"en": "rules.md", "zh": "rules.zh-CN.md"}
"""File of each language."""


def render(language: Language) -> str:
    """The whole text of one language."""
    text = "\n".join(_lines(language, POLICIES.on(DAY)))
    return re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n"


def _lines(language: Language, policy: Policy) -> Iterator[str]:
    yield from _head(language, policy)
    yield from _quantities(language, policy)
    for title, section in _SECTIONS:
        yield f"## {pick(language, title)}\n"
        if section in _FOREWORDS:
            yield pick(language, _FOREWORDS[section](policy)) + "\n"
        yield from section(language, policy)
    yield f"## {pick(language, ('Event types', '事件类型'))}\n"
    yield from _household(language)
    yield from events_in_words(language, policy)


def _head(language: Language, policy: Policy) -> Iterator[str]:
    yield pick(language, ("# The rules\n", "# 规则\n"))
    yield pick(
        language,
        (
            "Made by `python -m deploy.rules_book` from the event catalogue, the default policy and the grading "
            "code itself; "
            "every figure of every example is what the code says. 中文：[rules.zh-CN.md](rules.zh-CN.md)\n",
            "由 `python -m deploy.rules_book` 根据事件目录、默认政策和评级代码生成；每个例子的数字都由代码算出。"
            "English: [rules.md](rules.md)\n",
        ),
    )
    yield pick(
        language,
        (
            f"Numbers are those of policy `{policy.name}` version {policy.version}: line {policy.line_yuan:,} "
            f"yuan a head "
            f"and year. A county sets its own (`shouwang-scorer policy check FILE`).\n",
            f"以下数字取自政策 `{policy.name}` {policy.version} 版：监测线为人均每年{policy.line_yuan:,}元。"
            f"各县可自定（`shouwang-scorer policy check FILE`）。\n",
        ),
    )


def _quantities(language: Language, policy: Policy) -> Iterator[str]:
    yield pick(language, ("## What is worked out each day\n", "## 每天计算的数量\n"))
    window = policy.window_days
    yield pick(language, (_QUANTITIES_EN, _QUANTITIES_ZH)).format(window=window)
    yield pick(language, ("## Which events count\n", "## 哪些事件计入\n"))
    yield pick(language, (_HISTORY_EN, _HISTORY_ZH)).format(window=window)


def _household(language: Language) -> Iterator[str]:
    yield pick(
        language,
        (
            f"Each example is graded on {DAY.isoformat()} for this household (lines that follow are its events; "
            f"together with "
            "it they are a case that `shouwang-scorer grade` reads):\n",
            f"各例均以下面这一户在{DAY.isoformat()}的评级为例（其后各行是它的事件，合起来就是 `shouwang-scorer "
            f"grade` 可读的案例）：\n",
        ),
    )
    yield "```json\n" + json.dumps(HOUSEHOLD, ensure_ascii=False) + "\n```"


def _hysteresis(_language: Language, _policy: Policy) -> Iterator[str]:
    yield from ()


_QUANTITIES_EN = """\
All amounts are exact; nothing is rounded before it is compared.

| sign | meaning |
|---|---|
| n | members: those of the baseline and the changes since, at least 1 |
| ell | labour: (full + weak / 2) / n, neither below 0 |
| NI | the baseline's wages, net operating income, property income and transfers, − losses + gains + assistance |
| C, X | relief and claims; rigid expense, the baseline's own self-paid bills included |
| A | (NI + C − X) / n, the reference income a head |
| r | A / line |
| R | what relief leaves to pay: for each cause expense − relief, not below 0, added up |
| q | R / NI |

The **raw grade** of a day is the worst of the grade by score and of all floors that hold. What rests on the household's
own unverified word can raise it to orange at most and never lowers it; hunger and a ruined house are believed at once.
"""
_QUANTITIES_ZH = """\
所有金额精确计算，比较之前不作任何舍入。

| 符号 | 含义 |
|---|---|
| n | 人口：基线人口加其后变动，至少为1 |
| ell | 劳动力：（全劳动力 + 弱劳动力 / 2）/ n，均不小于0 |
| NI | 基线的工资性、生产经营净、财产性、转移性收入 − 减收 + 增收 + 帮扶性收入 |
| C、X | 报销理赔救助；刚性支出（含基线自带的自付费用） |
| A | （NI + C − X）/ n，人均参考收入 |
| r | A / 监测线 |
| R | 报销救助后仍需自付：各原因（支出 − 救助，不小于0）之和 |
| q | R / NI |

**当日等级**取评分等级与所有触发项中最严重者。仅凭本户自报、尚未核实的情况最多升到橙色，也不会使等级降低；缺吃少穿和房屋损毁自报即信。
"""
_HISTORY_EN = """\
- An event is known from the day it was recorded and visible from the day it occurred, whichever is later.
- Amounts, breaches and changes of members count only if they occurred after the baseline's accounting day. Amounts
  count in full for {window} days, permanent losses until the next baseline; an amount by the month is counted whole.
- An unknown amount takes its default and is listed as imputed.
- Of reports of one episode in one family, only the most authoritative source's latest counts: department, survey, third
  party, cadre, grid, household.
- The first delivery of an event counts. A refuted event is as if never sent; a corrected one has its corrected payload
  from the start. The household's history is then replayed.
- A household cannot send `event.*`, `survey.*`, `status.*` or `measure.*` about itself.
- A broken guarantee stays broken since the day and with the cause of the report that broke it.
"""
_HISTORY_ZH = """\
- 事件自记录之日起为已知，自发生之日起可见，取较晚者。
- 金额、保障问题和人口变动，只计发生在基线核算日之后的。金额{window}天内全额计算，长期减收计至下次核算；
  按月的金额一次计足。
- 金额未知时取默认值，并列为“估算”。
- 同一类、同一 `episode` 的多次上报只计一次：来源最权威者中最新的一条。来源由高到低：部门、核算、第三方、干部、
  网格、本户。
- 同一事件以首次送达为准。被否定的事件视同未发生；被更正的事件自始按更正后计算；随后整户重新推算。
- 本户不得自报 `event.*`、`survey.*`、`status.*`、`measure.*`。
- 保障问题未解决期间，起始日和原因以最初那次上报为准。
"""
_FOREWORDS: Mapping[Section, Callable[[Policy], Pair]] = {
    tables.score: lambda p: ("0 (no sign of need) to 100 points.", "0分（无风险迹象）至100分。"),
    tables.floors: lambda p: (
        "While one holds, the grade is at least its own. “n days old” counts from the day of occurrence.",
        "成立期间，等级不低于该项。“n天”自发生之日起算。",
    ),
    _hysteresis: lambda p: (
        f"A worse raw grade is taken at once. A better one starts a quiet spell; after "
        f"{p.hysteresis.quiet_days} days of it, "
        f"and with a score more than {p.hysteresis.margin_points} points below the lower bound of the grade "
        f"held, the grade "
        "falls by one step and the next quiet spell starts. A day as bad as the grade held ends the spell. Refuting or "
        "correcting an event replays the history, so it needs no quiet spell.",
        f"当日等级更严重时立即上调。好转时开始平稳期：满{p.hysteresis.quiet_days}天，且评分比现等级下限低"
        f"{p.hysteresis.margin_points}分以上，下调一级并重新起算。其间某日又与现等级持平，平稳期作废。"
        "否定或更正事件会重新推算整户历史，不受平稳期限制。",
    ),
    tables.causes: lambda p: (
        "Causes with loss + expense − relief above 0, the largest first (ties in the order below); then those "
        "of broken "
        f"guarantees; then shortage of labour if ell < {p.causes.labour_shortage_below}; {p.causes.most} at "
        f"most. Measures "
        "are suggestions; people decide.\n\nA category is suggested from orange on or below the line: "
        "`sudden_severe` if "
        "r ≥ 1 or the baseline's income a head was at or above the line, else `lifted_unstable` or `marginal` "
        "by the type "
        "of household.",
        "先列（减收 + 支出 − 救助）大于0的原因，由大到小（相等时按下表次序）；再列未保障事项的原因；"
        f"ell < {p.causes.labour_shortage_below} 时再列缺劳动力；最多{p.causes.most}个。措施仅为建议，由人决定。\n\n"
        "橙色及以上或低于监测线时给出建议类别：r ≥ 1 或基线人均收入不低于监测线的为 `sudden_severe`（突发严重困难），"
        "否则按户类型为 `lifted_unstable`（脱贫不稳定）或 `marginal`（边缘易致贫）。",
    ),
    tables.emergency_plan: lambda p: ("Timed from the red alert.", "自红色预警发出起算。"),
    tables.elimination: lambda p: (
        "Only a person marks a risk as eliminated; this is what that person would have to overlook.",
        "风险消除只能由人标注；以下是障碍清单。",
    ),
    tables.timers: lambda p: (
        "Grades and figures change by themselves, on the day counted from the day of occurrence:",
        "以下情况不需要新事件，到日自动变化（自发生之日起算）：",
    ),
    tables.area: lambda p: (
        "At risk = grade orange or red. Onset = newly so.",
        "风险户 = 橙色或红色；新增 = 新进入橙色或红色。",
    ),
}
_SECTIONS: tuple[tuple[Pair, Section], ...] = (
    (("Score", "评分"), tables.score),
    (("Floors", "触发项"), tables.floors),
    (("How a grade rises and falls", "等级升降"), _hysteresis),
    (("Causes, measures and category", "原因、措施与类别"), tables.causes),
    (("Emergency plan", "应急方案"), tables.emergency_plan),
    (("Elimination of risk", "风险消除"), tables.elimination),
    (("Timers", "时限"), tables.timers),
    (("Areas", "区域"), tables.area),
)
