"""The catalogue in words: each event type with its effect, its fields and its worked example."""

import json
from collections.abc import Iterator

from deploy.rules_book import words
from deploy.rules_book.examples import Example, example_of
from deploy.rules_book.words import Language, Pair, pick
from services.scorer.core.grade import Decision
from shared.events.catalogue import EVENT_TYPES, EventType
from shared.events.effects import About, Breach, Effect, Housing, Kind, Mark, Money, Register, Restore, Structure
from shared.policy import Policy

_FAMILIES: dict[str, Pair] = {
    "health": ("Health", "健康"),
    "disaster": ("Disaster", "灾害"),
    "farm": ("Farm", "种养"),
    "work": ("Work", "务工"),
    "biz": ("Business", "产业"),
    "edu": ("Schooling", "教育"),
    "housing": ("Housing", "住房"),
    "water": ("Water", "饮水"),
    "food": ("Food and clothing", "吃穿"),
    "fin": ("Finance", "金融"),
    "family": ("Family", "家庭"),
    "social": ("Motivation", "内生动力"),
    "self": ("Own reports", "自主申报"),
    "relief": ("Relief", "救助理赔"),
    "income": ("Income", "收入"),
    "measure": ("Measures", "帮扶措施"),
    "survey": ("Visits and surveys", "走访与核算"),
    "event": ("About other events", "关于其他事件"),
    "status": ("Status", "监测状态"),
    "hazard": ("Hazards", "灾害预报"),
    "registry": ("Register", "户册"),
}
_ABOUT = {About.VERIFIED: words.VERIFIED, About.REFUTED: words.REFUTED, About.CORRECTED: words.CORRECTED}
_HEADS: Pair = (
    "| | A | r | score | grade (held / of the day) | floors | causes |",
    "| | A | r | 评分 | 等级（保持 / 当日） | 触发项 | 原因 |",
)


def events_in_words(language: Language, policy: Policy) -> Iterator[str]:
    """All types, by family, in the catalogue's order."""
    family = ""
    for event_type in EVENT_TYPES.values():
        if event_type.family != family:
            family = event_type.family
            yield f"\n### {pick(language, _FAMILIES[family])}\n"
        yield from _one(event_type, language, policy)


def _one(event_type: EventType, language: Language, policy: Policy) -> Iterator[str]:
    name = pick(language, (event_type.name_en, event_type.name_zh))
    yield f"\n#### `{event_type.type}` {name}\n"
    for effect in event_type.effects:
        yield f"- {_effect(effect, event_type, language, policy)}"
    if event_type.joins_episodes:
        yield "- " + pick(
            language,
            (
                "Reports with the same `episode` replace each other: the best source's latest counts",
                "同一 `episode` 的多次上报只计一次：来源最权威者中最新的一条",
            ),
        )
    yield ""
    yield from _fields(event_type, language)
    yield ""
    yield from _example(example_of(event_type.type), language)


def _effect(effect: Effect, event_type: EventType, language: Language, policy: Policy) -> str:
    match effect:
        case Money():
            return _money(effect, event_type, language, policy)
        case Breach():
            when = (
                pick(language, (f", if `{effect.flag_field}` is true", f"（`{effect.flag_field}` 为真时）"))
                if effect.flag_field
                else ""
            )
            own = (
                pick(language, ("; believed from the household itself", "；本户自报即可信"))
                if effect.counts_unverified
                else ""
            )
            what = pick(language, words.GUARANTEES[effect.guarantee])
            return pick(
                language,
                (
                    f"Breaks {what}{when}{_cause(event_type, language)}{own}",
                    f"{what}没有保障{when}{_cause(event_type, language)}{own}",
                ),
            )
        case Housing():
            worse = (
                pick(language, (", only if that is worse than before", "，只在变差时更新"))
                if effect.worsens_only
                else ""
            )
            default = pick(language, (f" (default {effect.default})", f"（默认{effect.default}）"))
            return pick(
                language,
                (
                    f"The house has the grade in `{effect.field}`{default}{worse}",
                    f"住房等级按 `{effect.field}`{default}{worse}",
                ),
            )
        case Restore():
            what = pick(language, words.GUARANTEES[effect.guarantee])
            return pick(language, (f"Mends {what}", f"{what}恢复"))
        case Structure():
            return pick(language, words.STRUCTURES[effect])
        case Mark():
            return pick(language, words.marks(policy)[effect])
        case About():
            return pick(language, _ABOUT[effect])
        case Register():
            return pick(language, words.REGISTERS[effect])
    return pick(language, words.RECORD_ONLY)


def _money(money: Money, event_type: EventType, language: Language, policy: Policy) -> str:
    caused = _cause(event_type, language) if money.kind not in (Kind.GAIN, Kind.ASSISTANCE) else ""
    months = f" × `{money.months_field}`" if money.months_field else ""
    lasts = pick(
        language,
        (
            ("counts until the next baseline" if money.permanent else f"counts for {policy.window_days} days"),
            ("计至下次核算" if money.permanent else f"计{policy.window_days}天"),
        ),
    )
    kind = pick(language, words.KINDS[money.kind])
    return f"{kind}{caused}: `{money.field}`{months}; {_default(money, language)}; {lasts}"


def _default(money: Money, language: Language) -> str:
    if money.default_yuan is None and not money.months_field:
        return pick(language, ("required", "必填"))
    amount = (
        pick(language, ("amount required", "金额必填")) if money.default_yuan is None else f"{money.default_yuan:,}"
    )
    months = f" × {money.default_months}" if money.months_field else ""
    return pick(language, ("default ", "默认")) + amount + months


def _cause(event_type: EventType, language: Language) -> str:
    if event_type.cause is None:
        return ""
    cause = pick(language, words.CAUSES[event_type.cause])
    named = pick(language, words.EITHER_CAUSE) if event_type.payload_cause else ""
    return pick(language, (f" (cause: {named}{cause})", f"（原因：{named}{cause}）"))


def _fields(event_type: EventType, language: Language) -> Iterator[str]:
    fields = {
        name: field for name, field in event_type.payload.model_fields.items() if name not in ("episode", "cause")
    }
    if event_type.payload_cause:
        fields["cause"] = event_type.payload.model_fields["cause"]
    if not fields:
        yield pick(language, ("No fields of its own.", "没有专有字段。"))
        return
    yield pick(language, ("| field | | meaning |", "| 字段 | | 含义 |"))
    yield "|---|---|---|"
    for name, field in fields.items():
        zh, _, en = (field.description or "").partition("/")
        need = pick(language, ("required", "必填")) if field.is_required() else ""
        yield f"| `{name}` | {need} | {pick(language, (en.strip(), zh.strip()))} |"


def _example(example: Example, language: Language) -> Iterator[str]:
    if example.events:
        yield "```json"
        for event in example.events:
            yield json.dumps(event, ensure_ascii=False)
        yield "```"
        yield ""
    yield pick(language, _HEADS)
    yield "|---|---|---|---|---|---|---|"
    yield _figures(pick(language, ("before", "此前")), example.before, language)
    yield _figures(pick(language, ("after", "此后")), example.after, language)


def _figures(title: str, decision: Decision | None, language: Language) -> str:
    if decision is None:
        return f"| {title} | | | | {pick(language, ('not judged', '不评级'))} | | |"
    result, parts = decision.result(), decision.parts
    score = f"{decision.score} = {parts.income}+{parts.rigid}+{parts.guarantee}+{parts.resilience}"
    grades = f"**{decision.grade.code}** / {decision.raw_grade.code}"
    return (
        f"| {title} | {result['adjusted_per_capita']} | {result['ratio']} | {score} | {grades} | "
        f"{' '.join(decision.floors) or '-'} | {' '.join(decision.causes) or '-'} |"
    )
