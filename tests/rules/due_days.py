"""Walks a household through 400 days without events, beside the reference, and looks at the days it is called due."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random
from typing import Any

from services.scorer.core.household import advance
from shared.policy import default_policies
from tests.rules.histories import random_case
from tests.rules.live import live_through, with_enrolment
from tests.rules.reference import grade_case

POLICIES = default_policies()
DAYS = 400


@dataclass
class DueDays:
    """changed: days on which the result changed; due: days called due; early: due days on which nothing changed."""

    changed: int = 0
    due: int = 0
    early: int = 0
    wrong: list[str] = field(default_factory=list)

    def __iadd__(self, other: DueDays) -> DueDays:
        self.changed += other.changed
        self.due += other.due
        self.early += other.early
        self.wrong += other.wrong
        return self

    def __str__(self) -> str:
        share = 100 * self.early / self.due if self.due else 0.0
        return f"{len(self.wrong)} late or wrong, {self.due} due days, {self.early} of them early ({share:.1f} %)"


def walk(seed: int) -> DueDays:
    """Compare every field of every day's result with the reference, which judges each day from the whole history."""
    random = Random(seed)
    case = random_case(random, most_events=6, most_days=60)
    end = date.fromisoformat(case["as_of"])
    *_, household = live_through(with_enrolment(case, 0), random, POLICIES)
    state = household.tick(end).state
    days: dict[date, dict[str, object]] = {}
    later = case | {"as_of": (end + timedelta(days=DAYS)).isoformat(), "events": _recorded_up_to(case)}
    grade_case(later, days)
    found = DueDays()
    for number in range(1, DAYS + 1):
        day = end + timedelta(days=number)
        changed, due = days[day] != days[day - timedelta(days=1)], state.next_due_on == day
        found.changed += changed
        found.due += due
        found.early += due and not changed
        if changed and not due:
            found.wrong.append(f"seed {seed}: {day} changed, but {state.next_due_on} was due")
        folded = advance(state, day, POLICIES)
        state = folded.state
        if folded.decision is None or folded.decision.result() != days[day]:
            found.wrong.append(f"seed {seed}: on {day} the reference has {days[day]}")
    return found


def _recorded_up_to(case: dict[str, Any]) -> list[dict[str, Any]]:
    return [event for event in case["events"] if str(event["recorded_on"]) <= str(case["as_of"])]
