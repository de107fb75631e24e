"""Explains a household's grade on any day: replays its ledger up to that day and shows the decision. Read-only.

What was recorded after the day is not known on it, so the decision is the one that stood then, whatever was
corrected or refuted since.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any

import typer

from services.scorer.core.cross_checks import cross_checks
from services.scorer.core.elimination import blockers_of
from services.scorer.core.explain import emergency_plan
from services.scorer.core.grade import Decision
from services.scorer.core.household import Folded, replay
from services.scorer.grade_change import Household, Occasion, grade_change
from services.scorer.residence import stays_of
from services.scorer.settings import CommandSettings
from services.scorer.store import ScorerStore, StateRow
from services.scorer.wiring import CONSUMER_GROUP
from shared.bus.ports import TopicPartition
from shared.clock import SystemClock, day_of
from shared.db.positions import Positions
from shared.db.session import open_engine
from shared.errors import TemporaryFailure
from shared.events.household_event import HouseholdEvent
from shared.policy import Policies, PolicyInvalid, load_policies
from shared.settings import load_settings

_READS_NO_LOG = TopicPartition("none", 0)
_SAID_BY_CHANGES = (
    "reasons", "causes", "measures", "figures", "dimensions", "event_ids", "imputed", "data_gaps",
    "suggested_category", "policy",
)  # fmt: skip


class NothingToExplain(Exception):
    """There is no decision of that household on that day; the message says why in one line."""


def explain(
    household: Annotated[str, typer.Argument(help="The household's id", metavar="HOUSEHOLD")],
    at: Annotated[
        datetime | None,
        typer.Option("--at", formats=["%Y-%m-%d"], help="The day, in Asia/Shanghai; without it today", metavar="DAY"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document instead of text")] = False,
) -> None:
    """Show the decision that stood for a household at the end of a day, with everything behind it."""
    settings = load_settings(CommandSettings)
    day = at.date() if at else day_of(SystemClock().now())
    found: list[Mapping[str, Any]] = []

    async def read() -> None:
        async with open_engine(settings, "shouwang-scorer explain") as engine:
            store = ScorerStore(engine, Positions(engine, CONSUMER_GROUP, "explain"))
            found.append(await explain_household(store, household, day, load_policies(settings.policies)))

    try:
        asyncio.run(read())
    except (NothingToExplain, PolicyInvalid) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    except TemporaryFailure as failure:
        typer.echo(f"cannot read the ledger: {failure}", err=True)
        raise typer.Exit(1) from None
    typer.echo(json.dumps(found[0], ensure_ascii=False, indent=1) if as_json else "\n".join(in_words(found[0])))


async def explain_household(store: ScorerStore, household_id: str, day: date, policies: Policies) -> Mapping[str, Any]:
    """The decision that stood at the end of a day, ready for JSON. Raises NothingToExplain, TemporaryFailure."""
    async with store.transaction(_READS_NO_LOG) as tx:
        stored = (await tx.states([household_id])).get(household_id)
        ledger = (await tx.histories([household_id])).get(household_id, [])
    if stored is None:
        raise NothingToExplain(f"{household_id}: no such household in the ledger")
    if stored.status == "area":
        raise NothingToExplain(f"{household_id}: this is a division, not a household")
    folded = _replayed(stored, [event for event in ledger if event.recorded_on <= day], day, policies)
    if folded.decision is None:
        raise NothingToExplain(f"{household_id}: {_why_undecided(folded, ledger, day)}")
    return _explained(stored, folded, folded.decision, day)


def _replayed(stored: StateRow, known: Sequence[HouseholdEvent], day: date, policies: Policies) -> Folded:
    try:
        folded = replay(known, day, policies.along(stays_of(known, stored.division)))
        _ = folded.state.next_due_on  # fails, as in the service, where a timer lies past the calendar's end
        return folded
    except Exception as error:
        # The service parks a household whose history cannot be folded; any other failure here is our own fault.
        if stored.parked_reason is None:
            raise
        raise NothingToExplain(
            f"{stored.household_id}: parked, its history up to {day} cannot be folded ({stored.parked_reason})"
        ) from error


def _why_undecided(folded: Folded, ledger: Sequence[HouseholdEvent], day: date) -> str:
    state = folded.state
    if state.closed:
        return f"closed in the register on {day}; nothing is decided while it is"
    if state.register is not None:
        return f"enrolled, but judged only from {date.fromordinal(state.register.starts_on)} on; {day} is before that"
    enrolled = [event.recorded_on for event in ledger if event.type == "registry.enrolled"]
    if not enrolled:
        return f"not enrolled; its {len(ledger)} event(s) wait for an enrolment"
    return f"enrolled only on {min(enrolled)}; on {day} nothing had been decided"


def _explained(stored: StateRow, folded: Folded, decision: Decision, day: date) -> Mapping[str, Any]:
    household = Household(stored.household_id, stored.division, folded.state.alias)
    told = grade_change(household, 1, None, decision, Occasion("timer"), datetime.now(UTC)).model_dump(mode="json")
    look = decision.policy.look(decision.grade)
    return {
        "household_id": stored.household_id,
        "alias": folded.state.alias,
        "day": day.isoformat(),
        "word_zh": look.word_zh,
        "word_en": look.word_en,
        **decision.result(),
        **{name: told[name] for name in _SAID_BY_CHANGES},
        "emergency_plan": [step.model_dump(mode="json") for step in emergency_plan(decision)],
        "monitored": folded.state.monitored,
        "elimination_blockers": list(blockers_of(folded.state, decision)),
        "cross_checks": list(cross_checks(folded.state, decision)),
        "event_findings": [{"code": found.code, "event_id": found.event_id} for found in folded.findings],
        "next_due_on": folded.state.next_due_on.isoformat() if folded.state.next_due_on else None,
        "parked_reason": stored.parked_reason,
    }


def in_words(told: Mapping[str, Any]) -> Iterator[str]:
    """The same for people, line by line."""
    figures, parts, policy = told["figures"], told["parts"], told["policy"]
    yield f"{told['household_id']} on {told['day']}: {told['grade']} since {told['since']}"
    yield f"  {told['word_zh']} / {told['word_en']}"
    if told["parked_reason"]:
        yield f"  PARKED ({told['parked_reason']}): the service shows the last good grade, marked as stale"
    yield f"  evidence of the day alone: {told['raw_grade']}" + (
        f"; better since {told['quiet_from']}" if told["quiet_from"] else ""
    )
    if told["capped_unverified"]:
        yield "  unverified reports of the household itself are held back"
    yield f"  score {told['score']} = income {parts['income']} + rigid expense {parts['rigid']} + guarantees " + (
        f"{parts['guarantee']} + ability to cope {parts['resilience']}"
    )
    yield "  figures: " + ", ".join(f"{name} {_or_none(figures[name])}" for name in figures if "score" not in name)
    sides = [f"{side['code']} {side['points']} ({side['grade']})" for side in told["dimensions"]]
    yield f"  dimensions: {_joined(sides)}"
    yield from _listed("reasons", [f"{r['code']}: {r['text_zh']} / {r['text_en']}" for r in told["reasons"]])
    yield f"  floors: {_joined(told['floors'])}"
    yield f"  causes: {_joined(told['causes'])}"
    yield f"  suggested category: {_or_none(told['suggested_category'])}"
    yield f"  events counted: {_joined(told['event_ids'])}"
    yield f"  of these with a default amount: {_joined(told['imputed'])}"
    yield f"  not known: {_joined(told['data_gaps'])}"
    yield from _listed("measures", [f"{m['cause']}: {m['text_zh']} / {m['text_en']}" for m in told["measures"]])
    yield from _listed("emergency plan", [f"{s['text_zh']} / {s['text_en']}" for s in told["emergency_plan"]])
    yield f"  in the way of elimination: {_joined(told['elimination_blockers'])}"
    yield f"  to look at: {_joined(told['cross_checks'])}"
    yield f"  to look at in events: {_joined([f['code'] + ' ' + f['event_id'] for f in told['event_findings']])}"
    yield f"  can change by itself on: {_or_none(told['next_due_on'])}"
    yield f"  policy {policy['name']} {policy['version']}, hash {policy['hash']}"


def _listed(title: str, lines: Sequence[str]) -> Iterator[str]:
    yield f"  {title}:" + ("" if lines else " none")
    for line in lines:
        yield f"    - {line}"


def _joined(values: Sequence[str]) -> str:
    return ", ".join(values) or "none"


def _or_none(value: object) -> str:
    return "none" if value is None else str(value)
